"""Graphs as PyTensor has rewritten them, written as bytes: what takes most of the time between a model and its first answer."""

__all__ = ["from_bytes", "to_bytes"]

import pickle
from collections.abc import Sequence

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph


def to_bytes(fgraph: FunctionGraph) -> bytes:
    """Return a graph as bytes: a list of nodes, as pickling them one inside another exceeds Python's recursion limit."""
    numbers: dict[Variable, int] = {}
    constants: list[Constant] = []

    def number(variable: Variable) -> int:
        if variable not in numbers:
            if not isinstance(variable, Constant):
                raise ValueError(f"{variable} is neither computed nor an input")
            constants.append(variable)
            numbers[variable] = -len(constants)
        return numbers[variable]

    for variable in fgraph.inputs:
        numbers[variable] = len(numbers)
    count, nodes = len(fgraph.inputs), []
    for node in fgraph.toposort():
        nodes.append((node.op, [number(variable) for variable in node.inputs], [output.type for output in node.outputs]))
        for output in node.outputs:
            numbers[output], count = count, count + 1
    outputs = [number(variable) for variable in fgraph.outputs]
    return pickle.dumps(
        ([v.type for v in fgraph.inputs], [(type(c), c.type, c.data) for c in constants], nodes, outputs), pickle.HIGHEST_PROTOCOL
    )


def from_bytes(content: bytes) -> tuple[Sequence[Variable], Sequence[Variable]]:
    """Return inputs and outputs of the graph that :func:`to_bytes` wrote."""
    inputs, constants, nodes, outputs = pickle.loads(content)
    variables: dict[int, Variable] = {i: kind() for i, kind in enumerate(inputs)}
    variables |= {-1 - i: make(kind, data) for i, (make, kind, data) in enumerate(constants)}
    for op, numbers, kinds in nodes:
        node = Apply(op, [variables[number] for number in numbers], [kind() for kind in kinds])
        count = len(variables) - len(constants)
        variables |= dict(enumerate(node.outputs, start=count))
    return [variables[i] for i in range(len(inputs))], [variables[number] for number in outputs]
