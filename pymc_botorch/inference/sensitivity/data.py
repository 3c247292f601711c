"""Data of a PyMC model as symbols: shared variables and arrays in its expressions, by our names and those of users."""

__all__ = ["data_key", "data_names", "data_value", "is_same_data", "lift_data", "read_names"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.gps.posterior_graph import leaves_to_lift


def read_names(wrt: Any) -> list[str]:
    """Return the names of data that a user asked for, each once.

    Raises:
        DataError: If they are no names.
    """
    names = [wrt] if isinstance(wrt, str) else wrt
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise DataError(f"wrt is {wrt!r}. Pass a list of names of data, for example ['X', 'y'].")
    return list(dict.fromkeys(names))


def lift_data(
    outputs: Sequence[TensorVariable], own: Mapping[str, Variable]
) -> tuple[dict[str, Variable], dict[str, Variable], dict[Variable, Variable]]:
    """Return symbols for all data in ``outputs``, the first variable that each stands for, and what to replace by what.

    Equal constants are one.
    """
    data, leaves, replacements = dict(own), dict(own), {}
    for leaf in leaves_to_lift(outputs):
        key = next((key for key, known in leaves.items() if is_same_data(known, leaf)), None)
        if key is None:
            key = f"data_{len(data)}"
            leaves[key], data[key] = leaf, pt.tensor(key, dtype=leaf.type.dtype, shape=_shape(leaf))
        replacements[leaf] = data[key]
    return data, leaves, replacements


def is_same_data(one: Variable, two: Variable) -> bool:
    """Return whether two variables are one, or equal constants: PyMC makes one of an array at each place where it stands."""
    both = isinstance(one, TensorConstant) and isinstance(two, TensorConstant)
    return one is two or (both and one.type.dtype == two.type.dtype and np.array_equal(one.data, two.data))


def data_value(leaf: Variable) -> np.ndarray:
    """Return the value that the model holds of a shared variable or a constant."""
    return np.asarray(leaf.get_value() if isinstance(leaf, SharedVariable) else leaf.data)


def data_names(leaves: Mapping[str, Variable], named: Mapping[str, Variable]) -> dict[str, str]:
    """Return our names of data by their users': those of shared variables, then the gp's own."""
    found = {leaf.name: key for key, leaf in leaves.items() if isinstance(leaf, SharedVariable) and leaf.name}
    for name, variable in named.items():
        for key, leaf in leaves.items():
            if is_same_data(leaf, variable):
                found[name] = key
    return found


def data_key(name: str, names: Mapping[str, str], leaves: Mapping[str, Variable], named: Mapping[str, Variable]) -> str:
    """Return our name of data that a user asked for.

    Raises:
        DataError: If there are none, or they are not real numbers.
    """
    if name not in names:
        why = ""
        if name in named:
            is_array = isinstance(named[name], SharedVariable | TensorConstant)
            why = "holds it as integers" if is_array else "computes it from other data, which you can ask for"
            why = f" The model {why}."
        raise DataError(f"wrt has {name!r}, but there are derivatives with respect to {', '.join(map(repr, names))} only.{why}")
    if (leaf := leaves[names[name]]).type.dtype != "float64":
        raise DataError(
            f"The data {name} are of type {leaf.type.dtype}. Pass them as float64 to differentiate with respect to them."
        )
    return names[name]


def _shape(leaf: Variable) -> tuple[int | None, ...]:
    """Return the static shape of the symbol for a leaf, whose number of rows may change."""
    if isinstance(leaf, SharedVariable):
        return leaf.type.shape
    *rows, columns = leaf.type.shape
    kept = columns if rows or columns == 1 else None
    return (*(1 if length == 1 else None for length in rows), kept)
