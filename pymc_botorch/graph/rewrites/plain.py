"""Inner graphs, stacks of diagonal matrices and checks of parameters written out, for compilation."""

__all__ = ["inline_inner_graphs", "without_checks", "write_out_diagonals"]

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.basic import AllocDiag, Eye
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.traversal import core_op


def inline_inner_graphs(outputs: Sequence[Variable], *, all_kinds: bool) -> list[Variable]:
    """Return ``outputs`` with inner graphs written out, so that only their needed outputs are computed.

    PyTensor compiles an inner graph by itself: the gradient of a diagonal matrix would be a function inside a function.

    Args:
        outputs: Any expressions.
        all_kinds: Whether to write out PyTensor's subclasses too (a diagonal matrix, a Kronecker product), which the rewrites
            of its modes, but for the fastest to compile, recognise.
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


def write_out_diagonals(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs`` with stacks of diagonal and identity matrices as elementwise expressions.

    ``vectorize_graph`` makes a loop over the batch of each, which costs more than the kernel; Numba has none for the first.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        op = core_op(node)
        if not isinstance(node.op, Blockwise):
            continue
        if isinstance(op, AllocDiag) and op.offset == 0 and node.inputs[0].type.ndim == node.outputs[0].type.ndim - 1:
            diagonals = node.inputs[0]  # b... x m
            written = pt.where(_identity(diagonals.shape[-1], diagonals.shape[-1], 0), diagonals[..., None, :], 0.0)
        elif isinstance(op, Eye):
            rows, columns, offset = (number.flatten()[0] for number in node.inputs)  # the same for the whole batch
            identity = _identity(rows, columns, offset).astype(node.outputs[0].type.dtype)
            batch = [node.inputs[0].shape[i] for i in range(node.inputs[0].type.ndim)]
            written = pt.broadcast_to(identity, (*batch, rows, columns))
        else:
            continue
        written = pt.specify_shape(written, node.outputs[0].type.shape) if written.type != node.outputs[0].type else written
        fgraph.replace(node.outputs[0], written, reason="write_out_diagonals", import_missing=True)
    return list(fgraph.outputs)


def without_checks(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return log densities that are ``-inf`` where PyMC's check of a parameter would raise: one point of many may be at fault."""
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if isinstance(node.op, CheckParameterValue):
            value, *conditions = node.inputs
            fulfilled = pt.all(pt.stack([pt.all(condition) for condition in conditions]))
            fgraph.replace(node.outputs[0], pt.switch(fulfilled, value, -np.inf), reason="without_checks")
    return list(fgraph.outputs)


def _identity(rows: TensorVariable, columns: TensorVariable, offset: int | TensorVariable) -> TensorVariable:
    """Return the matrix of booleans that is true on one diagonal."""
    return pt.eq(pt.arange(rows)[:, None] + offset, pt.arange(columns)[None, :])
