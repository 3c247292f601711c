"""Traversals of PyTensor graphs: nodes in order, what depends on given variables, operations under a batch."""

__all__ = ["core_op", "descendants", "is_solve", "nodes_between"]

from collections.abc import Iterable, Sequence
from typing import Any

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.traversal import io_toposort
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg.solvers.core import SolveBase


def nodes_between(outputs: Sequence[Variable]) -> list[Apply]:
    """Return all nodes of the graph of ``outputs``, inputs before outputs."""
    return list(io_toposort([], list(outputs)))


def descendants(sources: Iterable[Variable], outputs: Sequence[Variable]) -> set[Variable]:
    """Return the variables in the graph of ``outputs`` that depend on ``sources``, these included."""
    found = set(sources)
    for node in nodes_between(outputs):
        if not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return found


def is_solve(node: Apply) -> bool:
    """Return whether a node solves linear systems."""
    return isinstance(core_op(node), SolveBase)


def core_op(node: Apply) -> Any:
    """Return the operation of a node; of a batched node, the operation on each matrix."""
    return node.op.core_op if isinstance(node.op, Blockwise) else node.op
