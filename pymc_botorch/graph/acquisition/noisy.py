"""Acquisition functions of samples at new points jointly with samples at known ones (a baseline), whose root is kept.

With ``b`` the baseline, ``C`` the posterior covariance and ``L_b`` the Cholesky factor of ``C_bb``, the rows of the joint factor
at new points are ``A' = (L_b⁻¹ C_b*)'`` and the factor of ``C_** - A'A``. What the new points do not change is computed once.
"""

__all__ = ["baseline_arrays", "noisy_joint_score", "noisy_point_score"]

import functools
from collections.abc import Sequence
from typing import NamedTuple, Self

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.linalg import solve_triangular
from pytensor.tensor.math import Dot
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.scores import named, sampling_symbols, unit_symbols
from pymc_botorch.graph.compiling.functions import Build, Compilable
from pymc_botorch.graph.compiling.ops import factor
from pymc_botorch.graph.posterior.cut import CutPosterior, batched, boundary_of
from pymc_botorch.graph.posterior.pointwise import point_gradients, point_variances
from pymc_botorch.graph.rewrites.cost import fold_batches
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.graph.rewrites.distance import SquareDistance, expand_distances
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.graph.traversal import core_op, nodes_between


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
        ``(r + 1) x s``, ``s`` incumbents, the factor ``r x r`` at the baseline in the units of the outcome and its arrays, to
        ``N`` and ``N x d``.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = _blocks(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, floor) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, pt.square(scale) * blocks.cross, lower=True, b_ndim=2)  # r x N
        left = pt.square(scale) * point_variances(blocks.cov, cut.X) - (pt.square(half)).sum(axis=0)
        r = root.shape[0]
        samples = offset + (scale * blocks.mean)[:, None] + half.T @ z[:r] + pt.sqrt(pt.maximum(left, floor))[:, None] * z[r]
        value = formula.over_samples(formula.utility(samples, best, *symbols))
        outputs = [value, point_gradients(value, cut.X)] if with_gradient else [value]
        return [cut.X, *units, z, best, *symbols, root, *blocks.frozen], without_zero_steps(outputs)

    return named(build, "noisy_point_score", formula.utility, with_gradient=with_gradient)


@functools.cache
def noisy_joint_score(formula: SamplesFormula) -> Build[CutPosterior]:
    """Return the build of an acquisition function of joint samples at the points of each batch.

    It takes and returns what :func:`noisy_point_score` does, with ``X`` ``b x q x d``, base samples ``(r + q) x s``, values ``b``
    and gradients ``b x q x d``. NaN where a covariance has no Cholesky factor.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = _blocks(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, _) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, pt.square(scale) * blocks.cross, lower=True, b_ndim=2)  # r x q
        left = factor(pt.square(scale) * blocks.cov - half.T @ half)
        r = root.shape[0]
        samples = offset + (scale * blocks.mean)[:, None] + half.T @ z[:r] + left @ z[r:]
        value = formula.over_samples(formula.over_points(formula.utility(samples, best, *symbols), *symbols))
        outputs = [value, pt.grad(value, cut.X, return_disconnected="zero", disconnected_inputs="ignore")]
        batch = batched([cut.X])
        plain = inline_inner_graphs(without_zero_steps(outputs), all_kinds=True)
        outputs = fold_batches(vectorize_graph(plain, batch))
        return [batch[cut.X], *units, z, best, *symbols, root, *blocks.frozen], outputs

    return named(build, "noisy_joint_score", formula.utility, is_large=True)


def _blocks(cut: CutPosterior) -> _Blocks:
    """Return the moments at new points, and their covariance with a baseline."""
    baseline = cut.X.type("baseline")
    cross = _between(cut.cov, _Sides(cut.X, baseline, cut.X))
    if cross is None:
        r = baseline.shape[0]
        cross = graph_replace(cut.cov, {cut.X: pt.join(0, baseline, cut.X)}, strict=False)[:r, r:]
    outputs = expand_distances([cut.mean, cut.cov, cross], exact=False)
    given = [v for v in boundary_of([cut.X], outputs) if v is not baseline]
    boundary = [v for v in given if v.type.dtype == "float64" or v in cut.frozen]  # not lengths and positions of the baseline
    frozen = [variable.type(f"given_{i}") for i, variable in enumerate(boundary)]
    mean, cov, cross = graph_replace(outputs, dict(zip(boundary, frozen, strict=True)), strict=False)
    return _Blocks(mean, cov, cross, [*frozen, baseline], [*boundary, baseline], baseline)


class _Sides(NamedTuple):
    """What stands for ``X`` in the rows and in the columns of a matrix."""

    X: TensorVariable
    rows: TensorVariable
    columns: TensorVariable

    def swapped(self) -> Self:
        """Return those of the transpose."""
        return self._replace(rows=self.columns, columns=self.rows)

    def in_rows(self, variable: Variable) -> Variable:
        """Return an expression of the points of the rows."""
        return _of(variable, self.X, self.rows)

    def in_columns(self, variable: Variable) -> Variable:
        """Return an expression of the points of the columns."""
        return _of(variable, self.X, self.columns)


def _of(variable: Variable, X: TensorVariable, points: TensorVariable) -> Variable:
    """Return an expression of other points; of the same, the same, so that it is computed once."""
    return variable if points is X else graph_replace(variable, {X: points}, strict=False)


def _between(matrix: TensorVariable, sides: _Sides) -> TensorVariable | None:
    """Return a matrix over pairs of points, ``k(X, X)``, over other pairs; None where it has operations of another kind."""
    node = matrix.owner
    if node is None or sides.X not in set(ancestors([matrix])):
        return matrix
    if matrix.type.ndim == 2 and any(matrix.type.broadcastable):
        return sides.in_rows(matrix) if matrix.type.broadcastable == (False, True) else sides.in_columns(matrix)
    if isinstance(node.op, SquareDistance):
        one, other = node.inputs
        return SquareDistance()(*_about_one_centre(one, sides)) if one is other else None
    if isinstance(core_op(node), Dot):
        left, right = node.inputs
        return node.op(sides.in_rows(left), sides.in_columns(right))
    if isinstance(node.op, DimShuffle) and node.op.new_order == (1, 0):
        transposed = _between(node.inputs[0], sides.swapped())
        return None if transposed is None else transposed.T
    if isinstance(node.op, Elemwise):
        parts = [_between(part, sides) for part in node.inputs]
        return None if any(part is None for part in parts) else node.op(*parts)
    return None


def _about_one_centre(scaled: TensorVariable, sides: _Sides) -> list[Variable]:
    """Return scaled inputs of rows and columns about the centre of the rows, on which a distance does not depend."""
    centres = [node.outputs[0] for node in nodes_between([scaled]) if isinstance(node.op, DisconnectedGrad)]
    scaled = graph_replace(scaled, {centre: sides.in_rows(centre) for centre in centres}, strict=False)
    return [sides.in_rows(scaled), sides.in_columns(scaled)]
