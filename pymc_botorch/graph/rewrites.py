"""A posterior graph comes in, an equal but cheaper one goes out: weights before solves, one BLAS-3 call for a batch.

Plain functions on graphs: nothing is registered in PyTensor's rewrite databases, so no other graph of the process is
touched. Each can be left out; the tests compare each with itself off.
"""

__all__ = [
    "fold_batches",
    "inline_inner_graphs",
    "lift_subscripts",
    "plain_clips",
    "slice_columns",
    "solve_smaller_side",
    "weights_before_solves",
]

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.scalar.basic import Clip
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.linalg.solvers.triangular import SolveTriangular
from pytensor.tensor.math import Dot
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from pytensor.tensor.type_other import NoneConst
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.traversal import core_op, descendants


def inline_inner_graphs(outputs: Sequence[Variable], *, all_kinds: bool) -> list[Variable]:
    """Return ``outputs`` with inner graphs written out, so that only what is needed of them is computed.

    PyTensor compiles an inner graph by itself, under the Python linker in C: the gradient of a diagonal matrix then waits
    seconds for a compiler.

    Args:
        outputs: Any expressions.
        all_kinds: Whether PyTensor's named kinds (a diagonal matrix, a Kronecker product) are written out too; the rewrites of
            its own modes, but the quickest, know them by name.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    while found := [
        node for node in fgraph.toposort() if isinstance(node.op, OpFromGraph) and (all_kinds or type(node.op) is OpFromGraph)
    ]:
        for node in found:
            if node in fgraph.apply_nodes:
                written = zip(node.outputs, inline_ofg_node(node), strict=True)
                fgraph.replace_all(list(written), reason="inline_inner_graphs")
    return list(fgraph.outputs)


def plain_clips(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs`` with each ``clip(x, low, high)`` written as ``minimum(maximum(x, low), high)``, with the same values.

    NumPy has no function that PyTensor takes for a clip, so that the Python linker calls one of Python for each number: in a
    covariance with thousands of points, half of the time.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Clip):
            x, low, high = node.inputs
            unbounded = isinstance(high, Constant) and bool(np.all(np.isposinf(high.data)))
            clipped = pt.maximum(x, low) if unbounded else pt.minimum(pt.maximum(x, low), high)
            fgraph.replace(node.outputs[0], pt.cast(clipped, node.outputs[0].type.dtype), reason="plain_clips")
    return list(fgraph.outputs)


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


def lift_subscripts(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with subscripts moved towards the inputs, so that only what is kept is computed.

    These are PyTensor's own canonical rewrites. Lengths of one that they find are written into the graph: vectorising a
    subscript forgets them (PyTensor 3.3), and elementwise operations then refuse to broadcast.
    """
    fgraph = FunctionGraph(
        outputs=rewrite_graph(list(outputs), include=("canonicalize",), clone=True), copy_inputs=False, copy_orphans=False
    )
    for node in fgraph.toposort():
        (found, *_) = node.outputs
        if isinstance(node.op, Subtensor) and found.type.ndim and any(found.type.broadcastable):
            lengths = [1 if broadcasts else NoneConst for broadcasts in found.type.broadcastable]
            fgraph.replace(found, SpecifyShape()(found, *lengths), reason="lift_subscripts", import_missing=True)
    return list(fgraph.outputs)


def solve_smaller_side(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with ``(L⁻¹ B)[:, kept]ᵀ L⁻¹ B`` written as ``(L⁻ᵀ L⁻¹ B[:, kept])ᵀ B``."""
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    MergeOptimizer().rewrite(fgraph)
    for node in fgraph.toposort():
        if not isinstance(core_op(node), Dot) or (kept := _matrix_transposed(node.inputs[0])) is None or kept.owner is None:
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


def slice_columns(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with ``X[:, [j, j + 1, ...]]``, as kernels pick their active columns, written as ``X[:, j:k]``.

    A slice is a view, and its gradient no scatter; of all columns it is ``X``.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if not isinstance(node.op, AdvancedSubtensor) or node.op.idx_list[:1] != (slice(None),) or len(node.inputs) != 2:
            continue
        X, columns = node.inputs
        if not isinstance(columns, Constant) or X.type.ndim != 2 or columns.data.ndim != 1 or columns.data.dtype.kind != "i":
            continue
        first, d = int(columns.data[0]), columns.data.size
        if first < 0 or not np.array_equal(columns.data, np.arange(first, first + d)):
            continue
        picked = X if X.type.shape[1] == d else X[:, first : first + d]
        fgraph.replace(node.outputs[0], picked, reason="slice_columns", import_missing=True)
    return list(fgraph.outputs)


def _transposed_solve(variable: Variable) -> Apply | None:
    """Return the node of ``L⁻¹ B`` when ``variable`` is its transpose."""
    matrix = _matrix_transposed(variable)
    inner = None if matrix is None else matrix.owner
    is_solve = inner is not None and isinstance(core_op(inner), SolveTriangular) and core_op(inner).b_ndim == 2
    return inner if is_solve and not core_op(inner).unit_diagonal else None


def _matrix_transposed(variable: Variable) -> TensorVariable | None:
    """Return the matrix whose transpose ``variable`` is."""
    node = variable.owner
    is_transpose = node is not None and isinstance(node.op, DimShuffle) and tuple(node.op.new_order) == (1, 0)
    return node.inputs[0] if is_transpose else None


def _is_single(variable: TensorVariable) -> bool:
    """Say whether all batch dimensions of a stack of matrices have length one (or there are none)."""
    return all(variable.type.broadcastable[:-2])


def _single(variable: TensorVariable) -> TensorVariable:
    """Return the one matrix of a stack of one."""
    return variable.squeeze(tuple(range(variable.type.ndim - 2)))


def _over_columns(function: Callable[[TensorVariable], TensorVariable], stack: TensorVariable) -> TensorVariable:
    """Apply a function of a matrix, column by column independent, to a stack ``b... x m x k`` in one call.

    Columns are laid out one after the other in memory, as LAPACK reads and writes them: it works in place on the folded
    matrix, and the result is unfolded without a copy.
    """
    rows = stack.mT  # b... x k x m
    sizes = [rows.shape[i] for i in range(rows.type.ndim - 1)]
    result = function(rows.reshape((pt.mul(*sizes), rows.shape[-1])).T)  # p x (b... k)
    return result.T.reshape((*sizes, result.shape[0])).mT  # b... x p x k
