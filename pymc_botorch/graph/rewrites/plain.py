"""Simpler operations for compilation: inner graphs written out, clips as minima and maxima, long sums in parts."""

__all__ = ["ShortSums", "inline_inner_graphs", "plain_clips"]

from collections.abc import Sequence

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.scalar.basic import Add, Clip, Mul
from pytensor.tensor.elemwise import Elemwise

MAX_OPERANDS = 31
"""Operands that an elementwise operation with one result may have under the Python linker: NumPy's limit is 32 in all."""


def inline_inner_graphs(outputs: Sequence[Variable], *, all_kinds: bool) -> list[Variable]:
    """Return ``outputs`` with inner graphs written out, so that only their needed outputs are computed.

    PyTensor compiles an inner graph by itself, under the Python linker in C: the gradient of a diagonal matrix then waits
    seconds for a compiler.

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


def plain_clips(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs`` with each ``clip(x, low, high)`` written as ``minimum(maximum(x, low), high)``, with the same values.

    PyTensor knows no NumPy function for a clip, so the Python linker calls a Python function for each number: half of the time
    that a covariance of thousands of points takes.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Clip):
            x, low, high = node.inputs
            unbounded = isinstance(high, Constant) and bool(np.all(np.isposinf(high.data)))
            clipped = pt.maximum(x, low) if unbounded else pt.minimum(pt.maximum(x, low), high)
            fgraph.replace(node.outputs[0], pt.cast(clipped, node.outputs[0].type.dtype), reason="plain_clips")
    return list(fgraph.outputs)


class ShortSums(GraphRewriter):
    """Rewrite of sums and products of more than 31 operands into sums of sums and products of products.

    PyTensor's rewrites gather nested sums in one operation, of which the Python linker evaluates none with more operands. This
    one comes after them, in the mode of that linker.

    Example:
        >>> import numpy as np, pytensor, pytensor.tensor as pt
        >>> from pymc_botorch.graph.compiling.functions import QUICK
        >>> x = pt.vector("x")
        >>> total = sum(pt.cos(j * x) for j in range(1, 41))
        >>> float(pytensor.function([x], total, mode=QUICK)(np.zeros(1))[0])
        40.0
    """

    def apply(self, fgraph: FunctionGraph) -> None:
        """Rewrite the graph in place."""
        for node in fgraph.toposort():
            if len(node.inputs) > MAX_OPERANDS and isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Add | Mul):
                op, dtype = Elemwise(node.op.scalar_op), node.outputs[0].type.dtype
                parts = [part if part.type.dtype == dtype else pt.cast(part, dtype) for part in node.inputs]
                while len(parts) > 1:
                    groups = [parts[i : i + MAX_OPERANDS] for i in range(0, len(parts), MAX_OPERANDS)]
                    parts = [op(*group) if len(group) > 1 else group[0] for group in groups]
                fgraph.replace(node.outputs[0], parts[0], reason="short_sums", import_missing=True)
