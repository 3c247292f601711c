"""Acquisition functions of samples at new points jointly with samples at known ones (a baseline), whose root is kept.

With ``b`` the baseline, ``C`` the posterior covariance and ``L_b`` the Cholesky factor of ``C_bb``, the rows of the joint factor
at new points are ``A' = (L_b⁻¹ C_b*)'`` and the factor of ``C_** - A'A``. What the new points do not change is computed once.
"""

__all__ = ["baseline_arrays", "noisy_joint_score", "noisy_point_score"]

import functools
from collections.abc import Sequence
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.linalg import cholesky, solve_triangular
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.scores import named, sampling_symbols, unit_symbols
from pymc_botorch.graph.compiling.functions import Build, Compilable
from pymc_botorch.graph.posterior.cut import CutPosterior, batched, boundary_of
from pymc_botorch.graph.posterior.pointwise import point_gradients, point_variances
from pymc_botorch.graph.rewrites.cost import fold_batches
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.graph.rewrites.distance import SquareDistance, expand_distances
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.graph.rewrites.subscripts import lift_subscripts
from pymc_botorch.graph.traversal import nodes_between


class _Blocks(NamedTuple):
    """Moments at new points ``X``, ``q x d``, beside those at a baseline, ``r x d``.

    Attributes:
        mean: ``q``.
        cov: ``q x q``.
        cross: Between the baseline and the new points, ``r x q``.
        frozen: Symbols of what the new points do not change.
        boundary: What these stand for, as expressions of the baseline and the posterior's own frozen arrays.
        baseline: Its symbol.
    """

    mean: TensorVariable
    cov: TensorVariable
    cross: TensorVariable
    frozen: Sequence[Variable]
    boundary: Sequence[Variable]
    baseline: TensorVariable


def baseline_arrays(cut: CutPosterior) -> Compilable:
    """Build ``baseline, *frozen -> arrays`` that new points do not change."""
    blocks = _blocks(cut)
    return [blocks.baseline, *cut.frozen], list(blocks.boundary)


@functools.cache
def noisy_point_score(formula: SamplesFormula, *, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of an acquisition function of samples at single points.

    Args:
        formula: Of samples.
        with_gradient: Whether to compute the gradient.

    Returns:
        Build of ``X, offset, scale, floor, z, best, *parameters, root, *arrays -> value, gradient``: ``N x d``, base samples
        ``s x (r + 1)``, ``s`` incumbents, the factor ``r x r`` at the baseline in the units of the outcome and its arrays, to
        ``N`` and ``N x d``.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = _blocks(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, floor) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, scale**2 * blocks.cross, lower=True, b_ndim=2)  # r x N
        left = scale**2 * point_variances(blocks.cov, cut.X) - (half**2).sum(axis=0)
        r = root.shape[0]
        samples = offset + scale * blocks.mean + z[:, :r] @ half + z[:, r][:, None] * pt.sqrt(pt.maximum(left, floor))
        value = formula.over_samples(formula.utility(samples, best[:, None], *symbols))
        outputs = [value, point_gradients(value, cut.X)] if with_gradient else [value]
        return [cut.X, *units, z, best, *symbols, root, *blocks.frozen], without_zero_steps(outputs)

    return named(build, "noisy_point_score", formula.utility, with_gradient)


@functools.cache
def noisy_joint_score(formula: SamplesFormula, *, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of an acquisition function of joint samples at the points of each batch.

    It takes and returns what :func:`noisy_point_score` does, with ``X`` ``b x q x d``, base samples ``s x (r + q)``, values ``b``
    and gradients ``b x q x d``. NaN where a covariance has no Cholesky factor.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = _blocks(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, _) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, scale**2 * blocks.cross, lower=True, b_ndim=2)  # r x q
        left = cholesky(scale**2 * blocks.cov - half.T @ half)
        r = root.shape[0]
        samples = offset + scale * blocks.mean + z[:, :r] @ half + z[:, r:] @ left.T
        value = formula.over_samples(formula.over_points(formula.utility(samples, best[:, None], *symbols), *symbols))
        outputs: list[Variable] = [value]
        if with_gradient:
            outputs.append(pt.grad(value, cut.X, return_disconnected="zero", disconnected_inputs="ignore"))
        batch = batched([cut.X])
        plain = inline_inner_graphs(without_zero_steps(outputs), all_kinds=True)
        outputs = fold_batches(vectorize_graph(plain, batch))
        return [batch[cut.X], *units, z, best, *symbols, root, *blocks.frozen], outputs

    return named(build, "noisy_joint_score", formula.utility, with_gradient)


def _blocks(cut: CutPosterior) -> _Blocks:
    """Return the moments at new points and a baseline, each computed from its own points: blocks of the moments at both."""
    X = cut.X
    both, baseline, r = X.type("both"), X.type("baseline"), pt.lscalar("r")
    mean, cov = graph_replace([cut.mean, cut.cov], {X: both}, strict=False)
    within = [n for n in nodes_between([mean, cov]) if isinstance(n.op, SquareDistance) and n.inputs[0] is n.inputs[1]]
    symbols = {node.outputs[0]: node.outputs[0].type(f"within_{i}") for i, node in enumerate(within)}
    mean, cov = graph_replace([mean, cov], symbols, strict=False)
    sides = {symbols[node.outputs[0]]: _about_baseline(node.inputs[0], both, baseline, X) for node in within}
    # One at a time: PyTensor does not move a subscript into what others read too
    lifted = [lift_subscripts([block])[0] for block in (mean[r:], cov[r:, r:], cov[:r, r:])]
    replacements = {}
    for node in nodes_between(lifted):
        if isinstance(node.op, Subtensor) and r in set(ancestors(node.inputs[1:])):
            replacements[node.outputs[0]] = _part(node, r, both, {True: baseline, False: X}, sides)
    outputs = graph_replace(lifted, replacements, strict=False)
    outputs = graph_replace(
        outputs, {both: pt.join(0, baseline, X), r: baseline.shape[0]}, strict=False
    )  # of which shapes are left
    outputs = expand_distances(outputs, exact=False)
    boundary = [v for v in boundary_of([X], outputs) if v.type.dtype == "float64" and v is not baseline]
    frozen = [variable.type(f"given_{i}") for i, variable in enumerate(boundary)]
    mean, cov, cross = graph_replace(outputs, dict(zip(boundary, frozen, strict=True)), strict=False)
    return _Blocks(mean, cov, cross, [*frozen, baseline], [*boundary, baseline], baseline)


def _about_baseline(
    scaled: TensorVariable, both: TensorVariable, baseline: TensorVariable, X: TensorVariable
) -> dict[bool, TensorVariable]:
    """Return scaled inputs of the baseline (True) and the new points about the centre of the baseline.

    A distance does not depend on the centre, but both sides need one.
    """
    centres = [node.outputs[0] for node in nodes_between([scaled]) if isinstance(node.op, DisconnectedGrad)]
    of_baseline = {centre: graph_replace(centre, {both: baseline}, strict=False) for centre in centres}
    scaled = graph_replace(scaled, of_baseline, strict=False)
    return {known: graph_replace(scaled, {both: points}, strict=False) for known, points in ((True, baseline), (False, X))}


def _part(
    node: Apply,
    r: TensorVariable,
    both: TensorVariable,
    points: dict[bool, TensorVariable],
    sides: dict[Variable, dict[bool, TensorVariable]],
) -> Variable:
    """Return the rows or columns that a subscript takes, computed from the points that they are of."""
    (whole, *given), kept = node.inputs, []
    rest, known = iter(given), []
    for entry in node.op.idx_list:
        if isinstance(entry, slice):
            start, stop, step = (None if position is None else next(rest) for position in (entry.start, entry.stop, entry.step))
            ends = [end for end in (start, stop) if end is not None]
            if ends and r in set(ancestors(ends)):
                known.append(start is None)
                kept.append(slice(None))
            else:
                kept.append(slice(start, stop, step))
        else:
            kept.append(next(rest))
    if whole in sides:
        return SquareDistance()(*(sides[whole][one] for one in known))
    return graph_replace(whole, {both: points[known[0]]}, strict=False)[tuple(kept)]
