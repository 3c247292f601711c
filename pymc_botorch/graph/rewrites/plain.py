"""Inner graphs written out, for compilation."""

__all__ = ["inline_inner_graphs"]

from collections.abc import Sequence

from pytensor.compile.builders import OpFromGraph
from pytensor.compile.rewriting import inline_ofg_node
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph


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
