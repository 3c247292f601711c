"""Joint moments of a cut posterior at batches of points, their pullback, and the last rows of a covariance.

If ``s = <mean_bar, mean(X)> + <cov_bar, cov(X)>``, then ``X_bar = ds/dX``. PyTensor differentiates the matrix graph of one
batch; the result is then vectorised. The sizes ``n``, ``b``, ``q`` and ``k`` are dynamic: new ones compile nothing.
"""

__all__ = ["moments", "moments_vjp", "rows", "rows_vjp"]

from collections.abc import Sequence

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.posterior.cut import CutPosterior, batched, pull_back
from pymc_botorch.graph.rewrites.cost import fold_batches, solve_smaller_side
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.graph.rewrites.subscripts import lift_subscripts
from pymc_botorch.graph.traversal import is_solve, nodes_between


def moments(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> mean, cov, *solves``: ``b x q x d`` to ``b x q`` and ``b x q x q``.

    The pullback needs the triangular solves again. LAPACK returns them in Fortran order, so it is their transposes that are
    C-contiguous without a copy.
    """
    batch = batched([cut.X])
    cut = cut.expanded(exact=False)
    outputs = without_zero_steps([cut.mean, cut.cov, *(solve.mT for solve in _solves(cut))])
    return [batch[cut.X], *cut.frozen], fold_batches(vectorize_graph(outputs, batch))


def moments_vjp(cut: CutPosterior) -> Compilable:
    """Build ``X, mean_bar, cov_bar, *solves, *frozen -> X_bar``, the pullback of :func:`moments`."""
    cut = cut.expanded(exact=False)
    mean_bar, cov_bar = pt.vector("mean_bar", dtype="float64"), pt.matrix("cov_bar", dtype="float64")
    solves = _solves(cut)
    saved = [pt.matrix(f"saved_{i}", dtype="float64", shape=solve.type.shape[::-1]) for i, solve in enumerate(solves)]
    X_bar = pull_back(cut.X, {cut.mean: mean_bar, cut.cov: cov_bar})
    X_bar = graph_replace(X_bar, {solve: kept.mT for solve, kept in zip(solves, saved, strict=True)}, strict=False)
    batch = batched([cut.X, mean_bar, cov_bar, *saved])
    return [*batch.values(), *cut.frozen], _over_batches([X_bar], batch)


def rows(cut: CutPosterior) -> Compilable:
    """Build ``X, k, *frozen -> mean, rows``: the last ``k`` rows of the covariance, ``b x k x q``.

    The subscript is moved to the inputs before anything is differentiated, and ``(L⁻¹ B)ᵀ (L⁻¹ A)`` becomes
    ``(L⁻ᵀ L⁻¹ B)ᵀ A``, so that the cost is that of ``k`` columns, not of ``q``; with ``k = 0`` it is that of the mean alone.
    """
    k, outputs = _mean_and_rows(cut)
    batch = batched([cut.X])
    return [batch[cut.X], k, *cut.frozen], _over_batches(outputs, batch)


def rows_vjp(cut: CutPosterior) -> Compilable:
    """Build ``X, k, mean_bar, rows_bar, *frozen -> X_bar``, the pullback of :func:`rows`."""
    mean_bar, rows_bar = pt.vector("mean_bar", dtype="float64"), pt.matrix("rows_bar", dtype="float64")
    k, (mean, last) = _mean_and_rows(cut)
    X_bar = pull_back(cut.X, {mean: mean_bar, last: rows_bar})
    batch = batched([cut.X, mean_bar, rows_bar])
    return [batch[cut.X], k, batch[mean_bar], batch[rows_bar], *cut.frozen], _over_batches([X_bar], batch)


def _solves(cut: CutPosterior) -> list[TensorVariable]:
    nodes = nodes_between([cut.mean, cut.cov])
    return [node.outputs[0] for node in nodes if is_solve(node) and node.outputs[0].type.ndim == 2]


def _mean_and_rows(cut: CutPosterior) -> tuple[TensorVariable, list[TensorVariable]]:
    cut, k = cut.expanded(exact=False), pt.lscalar("k")
    return k, solve_smaller_side(lift_subscripts([cut.mean, cut.cov[cut.X.shape[0] - k :, :]]))


def _over_batches(outputs: Sequence[Variable], batch: dict[Variable, Variable]) -> list[Variable]:
    return fold_batches(vectorize_graph(without_zero_steps(outputs), batch))
