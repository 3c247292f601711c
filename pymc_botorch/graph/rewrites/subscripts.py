"""Subscripts moved towards the inputs, so that only the kept entries are computed."""

__all__ = ["lift_subscripts", "slice_columns"]

from collections.abc import Sequence

import numpy as np
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from pytensor.tensor.type_other import NoneConst
from pytensor.tensor.variable import TensorVariable


def lift_subscripts(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with subscripts moved towards the inputs, so that only the kept entries are computed.

    These are PyTensor's own canonical rewrites. Axes that they find to have length one are marked in the graph: vectorising a
    subscript forgets them (PyTensor 3.3), and elementwise operations then do not broadcast.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    _canonicalize(fgraph)
    if _lift_through_disconnected(fgraph):
        _canonicalize(fgraph)
    for node in fgraph.toposort():
        (found, *_) = node.outputs
        if isinstance(node.op, Subtensor) and found.type.ndim and any(found.type.broadcastable):
            lengths = [1 if broadcasts else NoneConst for broadcasts in found.type.broadcastable]
            fgraph.replace(found, SpecifyShape()(found, *lengths), reason="lift_subscripts", import_missing=True)
    return list(fgraph.outputs)


def _canonicalize(fgraph: FunctionGraph) -> None:
    """Apply PyTensor's canonical rewrites, but for the one that drops ``disconnected_grad``: derivatives are still to come."""
    rewrite_graph(fgraph, include=("canonicalize",), exclude=("local_view_op",))


def _lift_through_disconnected(fgraph: FunctionGraph) -> bool:
    """Move subscripts inside ``disconnected_grad``; return whether there were any."""
    lifted = False
    for node in fgraph.toposort():
        inner = node.inputs[0].owner if isinstance(node.op, Subtensor) else None
        if inner is not None and isinstance(inner.op, DisconnectedGrad):
            moved = inner.op(node.op(inner.inputs[0], *node.inputs[1:]))
            fgraph.replace(node.outputs[0], moved, reason="lift_subscripts", import_missing=True)
            lifted = True
    return lifted


def slice_columns(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with ``X[:, [j, j + 1, ...]]``, as kernels pick their active columns, written as ``X[:, j:k]``.

    A slice is a view, and its gradient needs no scatter; a slice of all columns is ``X`` itself.
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
