"""Posterior moments at new points beside those at known ones, a baseline: what the new points change, and what they do not."""

__all__ = ["Blocks", "baseline_arrays", "blocks_at", "blocks_of", "blocks_vjp"]

from collections.abc import Sequence
from typing import NamedTuple, Self

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition.scores import over_batches
from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.posterior.cut import CutPosterior, batched, boundary_of, pull_back
from pymc_botorch.graph.rewrites.distance import SquareDistance, expand_distances
from pymc_botorch.graph.traversal import core_op, nodes_between


class Blocks(NamedTuple):
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
    blocks = blocks_of(cut)
    return [blocks.baseline, *cut.frozen], list(blocks.boundary)


def blocks_at(cut: CutPosterior) -> Compilable:
    """Build ``X, *arrays -> mean, cov, cross``: ``b x q x d`` to ``b x q``, ``b x q x q`` and ``b x r x q``.

    The arrays are those of :func:`baseline_arrays`; all are in the units of the gp.
    """
    blocks = blocks_of(cut)
    batch = batched([cut.X])
    return [batch[cut.X], *blocks.frozen], over_batches([blocks.mean, blocks.cov, blocks.cross], batch)


def blocks_vjp(cut: CutPosterior) -> Compilable:
    """Build ``X, mean_bar, cov_bar, cross_bar, *arrays -> X_bar``, the pullback of :func:`blocks_at`."""
    blocks = blocks_of(cut)
    mean_bar = pt.vector("mean_bar", dtype="float64")
    cov_bar, cross_bar = (pt.matrix(name, dtype="float64") for name in ("cov_bar", "cross_bar"))
    X_bar = pull_back(cut.X, {blocks.mean: mean_bar, blocks.cov: cov_bar, blocks.cross: cross_bar})
    batch = batched([cut.X, mean_bar, cov_bar, cross_bar])
    return [*batch.values(), *blocks.frozen], over_batches([X_bar], batch)


def blocks_of(cut: CutPosterior) -> Blocks:
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
    return Blocks(mean, cov, cross, [*frozen, baseline], [*boundary, baseline], baseline)


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
