"""Cheaper expressions of equal value: weights before solves, and one BLAS-3 call for a whole batch.

Each is optional; the tests compare results with and without it.
"""

__all__ = ["fold_batches", "solve_smaller_side", "weights_before_solves"]

from collections.abc import Callable, Sequence
from functools import partial

import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg.solvers.triangular import SolveTriangular
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import Subtensor
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.rewrites.matching import untransposed
from pymc_botorch.graph.traversal import core_op, descendants


def weights_before_solves(outputs: Sequence[TensorVariable], X: TensorVariable) -> list[TensorVariable]:
    """Return ``outputs`` with ``(L⁻¹ B)ᵀ v`` written as ``Bᵀ (L⁻ᵀ v)`` wherever ``B`` depends on ``X`` and ``L, v`` do not.

    The weights ``L⁻ᵀ v`` are then computed once per fit, and a posterior mean costs ``O(n)`` for each point instead of
    ``O(n²)``. Equal subexpressions are merged first, so that mean and covariance share theirs.

    Args:
        outputs: Matrix and vector expressions of ``X``.
        X: The new inputs, ``q x d``.

    Returns:
        The rewritten outputs; their leaves (``X`` among them) are the same variables as before.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    MergeOptimizer().rewrite(fgraph)
    live = descendants([X], fgraph.outputs)
    for node in fgraph.toposort():
        if not isinstance(core_op(node), Dot):
            continue
        transposed, weights = node.inputs
        solve = _transposed_solve(transposed)
        if solve is None or weights in live or solve.inputs[0] in live or solve.inputs[1] not in live:
            continue
        L, B = solve.inputs
        lower = solve.op.core_op.lower
        moved = B.mT @ pt.linalg.solve_triangular(L.mT, weights, lower=not lower, b_ndim=2)
        fgraph.replace(node.outputs[0], moved, reason="weights_before_solves")
    return list(fgraph.outputs)


def fold_batches(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs`` with batches folded into columns (or rows) where the other operand has no batch.

    ``L⁻¹ B`` with ``L`` ``n x n`` and ``B`` ``b x n x q`` becomes one triangular solve of ``n x (b q)``, a product of a
    batch and a matrix becomes one product of two matrices. A vectorised graph would loop over the batch instead.

    Args:
        outputs: Expressions as ``pytensor.graph.replace.vectorize_graph`` returns them.

    Returns:
        The rewritten outputs over the same leaves.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        op = core_op(node)
        if not isinstance(node.op, Blockwise) or node.outputs[0].type.ndim <= 2:
            continue
        left, right = node.inputs[0], node.inputs[-1]
        if isinstance(op, SolveTriangular) and op.b_ndim == 2 and _is_single(left):
            folded = _over_columns(partial(Blockwise(op), _single(left)), right)
        elif isinstance(op, Dot) and _is_single(left):
            folded = _over_columns(partial(pt.dot, _single(left)), right)
        elif isinstance(op, Dot) and _is_single(right):
            sizes = [left.shape[i] for i in range(left.type.ndim - 1)]
            rows = left.reshape((pt.mul(*sizes), left.shape[-1])) @ _single(right)  # (b... p) x k
            folded = rows.reshape((*sizes, right.shape[-1]))
        else:
            continue
        if folded.type.ndim != node.outputs[0].type.ndim:
            continue
        fgraph.replace(node.outputs[0], folded, reason="fold_batches", import_missing=True)
    return list(fgraph.outputs)


def solve_smaller_side(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with ``(L⁻¹ B)[:, kept]ᵀ L⁻¹ B`` written as ``(L⁻ᵀ L⁻¹ B[:, kept])ᵀ B``."""
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    MergeOptimizer().rewrite(fgraph)
    for node in fgraph.toposort():
        if not isinstance(core_op(node), Dot) or (kept := untransposed(node.inputs[0])) is None or kept.owner is None:
            continue
        solve = node.inputs[1].owner
        if not isinstance(kept.owner.op, Subtensor) or solve is None or kept.owner.inputs[0] is not solve.outputs[0]:
            continue
        if not isinstance(core_op(solve), SolveTriangular):
            continue
        L, B = solve.inputs
        lower = core_op(solve).lower
        columns = kept.owner.op(B, *kept.owner.inputs[1:])
        half = pt.linalg.solve_triangular(L, columns, lower=lower, b_ndim=2)
        whole = pt.linalg.solve_triangular(L.mT, half, lower=not lower, b_ndim=2)
        fgraph.replace(node.outputs[0], whole.mT @ B, reason="solve_smaller_side")
    return list(fgraph.outputs)


def _transposed_solve(variable: Variable) -> Apply | None:
    """Return the node of ``L⁻¹ B`` when ``variable`` is its transpose."""
    matrix = untransposed(variable)
    inner = None if matrix is None else matrix.owner
    is_solve = inner is not None and isinstance(core_op(inner), SolveTriangular) and core_op(inner).b_ndim == 2
    return inner if is_solve and not core_op(inner).unit_diagonal else None


def _is_single(variable: TensorVariable) -> bool:
    """Return whether all batch dimensions of a stack of matrices have length one (or there are none)."""
    return all(variable.type.broadcastable[:-2])


def _single(variable: TensorVariable) -> TensorVariable:
    """Return the only matrix of a stack."""
    return variable.squeeze(tuple(range(variable.type.ndim - 2)))


def _over_columns(function: Callable[[TensorVariable], TensorVariable], stack: TensorVariable) -> TensorVariable:
    """Apply a function of a matrix, which treats each column independently, to a stack ``b... x m x k`` in one call.

    Columns are laid out one after the other in memory, as LAPACK reads and writes them: it works in place on the folded
    matrix, and the result is unfolded without a copy.
    """
    rows = stack.mT  # b... x k x m
    sizes = [rows.shape[i] for i in range(rows.type.ndim - 1)]
    result = function(rows.reshape((pt.mul(*sizes), rows.shape[-1])).T)  # p x (b... k)
    return result.T.reshape((*sizes, result.shape[0])).mT  # b... x p x k
