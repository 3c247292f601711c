"""Subscripts that a gp takes from its inputs, such as the index of a category: found in its graph, and checked.

PyTensor's Python linker raises an ``IndexError`` at a subscript beyond its table and counts negative ones from the end; Numba
reads whatever is there. Neither says which input is meant.
"""

__all__ = ["Subscript", "check_subscripts", "read_subscripts"]

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import Nonzero, tensor_from_scalar
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor, IncSubtensor, Subtensor
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.traversal import nodes_between


class Subscript(NamedTuple):
    """A subscript and the length of the axis that it goes along, as expressions."""

    index: TensorVariable
    length: TensorVariable


def read_subscripts(outputs: Sequence[Variable], sources: Sequence[Variable]) -> list[Subscript]:
    """Return the subscripts in the graph of ``outputs`` whose values depend on the values of ``sources``."""
    live = set(sources)
    found: dict[tuple[Variable, Variable, int], Subscript] = {}
    for node in nodes_between(outputs):
        if live.isdisjoint(node.inputs) or isinstance(node.op, Shape | Shape_i):
            continue
        if not isinstance(node.op, Nonzero):  # what it returns fits its own mask
            live.update(node.outputs)
        if isinstance(node.op, AdvancedIncSubtensor | IncSubtensor):  # a write, as of a one-hot code
            table, _, *indices = node.inputs
        elif isinstance(node.op, AdvancedSubtensor | Subtensor):
            table, *indices = node.inputs
        else:
            continue
        axis = 0
        for entry in node.op.idx_list:
            index = indices[entry] if isinstance(entry, int) else None
            if index is not None and index in live and index.type.dtype != "bool":
                index = _without_views(index)
                found.setdefault((index, table, axis), Subscript(index, table.shape[axis]))
            axis += index.type.ndim if index is not None and index.type.dtype == "bool" else 1
    return list(found.values())


def check_subscripts(read: Callable[[np.ndarray], Sequence[np.ndarray]], X: np.ndarray) -> None:
    """Raise a ``DataError`` where an input is used as a subscript that its table does not have.

    Args:
        read: Function of inputs ``N x d`` that returns subscripts, then the lengths of what they go along.
        X: Inputs, ``N x d``.
    """
    values = read(X)
    half = len(values) // 2
    for k in range(half):
        index, length = values[k].ravel(), int(values[half + k])
        wrong = np.flatnonzero((index < 0) | (index >= length))
        if wrong.size:
            columns = _columns(lambda points: read(points)[k].ravel(), X, wrong[0])  # noqa: B023  # called at once
            raise DataError(_describe(X, wrong[0], columns, index[wrong[0]], length))


def _columns(read: Callable[[np.ndarray], np.ndarray], X: np.ndarray, position: int) -> list[int]:
    """Return the columns of ``X`` that change the subscript at ``position``; none if it is not that of a row."""
    if position >= len(X):
        return []
    found, value = [], read(X)[position]
    for j in range(X.shape[1]):
        moved = X.copy()
        moved[position, j] = 0.0 if np.trunc(X[position, j]) else 1.0
        if read(moved)[position] != value:
            found.append(j)
    return found


def _describe(X: np.ndarray, position: int, columns: Sequence[int], index: int, length: int) -> str:
    remedy = f"It takes 0 to {length - 1}: number categories from 0, and give the gp parameters for each."
    if not columns:
        return f"An input is used as the index {index}, of which the gp has {length}. {remedy}"
    given = ", ".join(f"{X[position, j]:g}" for j in columns)
    as_index = "" if given == str(index) else f" (index {index})"
    which = f"Column {columns[0]}" if len(columns) == 1 else f"Columns {', '.join(map(str, columns))}"
    return f"{which} of X, which the gp uses as an index, is {given}{as_index} in row {position}. {remedy}"


def _without_views(index: Variable) -> TensorVariable:
    """Return a subscript without the axes that were added to it or permuted, as a tensor."""
    if isinstance(index.type, ScalarType):
        index = tensor_from_scalar(index)
    while index.owner is not None and isinstance(index.owner.op, DimShuffle):
        index = index.owner.inputs[0]
    return index
