"""Lengths that are equal: NumPy would broadcast one that happens to be 1, which PyTensor refuses."""

__all__ = ["Axis", "Lengths", "unequal"]

from typing import NoReturn

from pytensor.graph.basic import Variable
from pytensor.tensor.elemwise import DimShuffle

type Axis = tuple[Variable, int]


class Lengths:
    """Axes of arrays that are known to have one length, as far as a graph is written."""

    def __init__(self) -> None:
        self._representatives: dict[Axis, Axis] = {}

    def join(self, one: Axis, other: Axis) -> bool:
        """Say that two axes have one length, and return whether that was known."""
        first, second = self._representative(one), self._representative(other)
        if first == second:
            return True
        self._representatives[first] = second
        lengths = {variable.type.shape[i] for variable, i in (one, other)}
        return len(lengths) == 1 and None not in lengths

    def _representative(self, axis: Axis) -> Axis:
        while (other := self._representatives.get(axis) or _source(axis)) is not None:
            axis = other
        return axis


def _source(axis: Axis) -> Axis | None:
    """Return the axis of an array that has been transposed or given dimensions."""
    variable, i = axis
    if variable.owner is None or not isinstance(variable.owner.op, DimShuffle) or variable.owner.op.new_order[i] == "x":
        return None
    return variable.owner.inputs[0], variable.owner.op.new_order[i]


def unequal(one: int, other: int) -> NoReturn:
    """Raise an error that says which two lengths are not equal."""
    if 1 in (one, other):
        raise ValueError(f"Runtime broadcasting not allowed: an axis of length 1 meets one of length {max(one, other)}.")
    raise ValueError(f"An axis of length {one} meets one of length {other}: they must be equal.")
