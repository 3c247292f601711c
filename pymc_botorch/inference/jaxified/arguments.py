"""Arguments of exported functions: dicts of arrays by name, checked when JAX traces them."""

__all__ = ["Signature"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Variable

from pymc_botorch.errors import DataError
from pymc_botorch.inference.jaxified.exported import ExportedGraph

WHAT = {"parameters": "unconstrained values", "data": "arrays"}


@dataclass(frozen=True)
class Signature:
    """What the exported functions of one model take.

    Attributes:
        graph: The expressions.
        shapes: Shape of each parameter.
    """

    graph: ExportedGraph
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def floats(self) -> list[Variable]:
        """Symbols of what derivatives are taken with respect to, parameters first."""
        return [*self.graph.parameters.values(), *(one for one in self.graph.data.values() if _is_float(one))]

    @property
    def others(self) -> list[Variable]:
        """Symbols of data that are integers."""
        return [one for one in self.graph.data.values() if not _is_float(one)]

    def read(self, parameters: Any, data: Any) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
        """Return the arrays of ``floats`` and ``others``.

        Raises:
            DataError: If a name is missing or unknown, or an array has another shape or type than the model's.
        """
        _check_names("parameters", parameters, self.graph.parameters)
        _check_names("data", data, self.graph.data)
        floats = [self._parameter(name, parameters[name]) for name in self.graph.parameters]
        arrays = {name: self._datum(name, data[name]) for name in self.graph.data}
        if {"X", "y"} <= set(arrays) and len(arrays["X"]) != len(arrays["y"]):
            raise DataError(f"data has {len(arrays['X'])} rows of X and {len(arrays['y'])} values of y. Pass as many of both.")
        floats += [array for name, array in arrays.items() if _is_float(self.graph.data[name])]
        return tuple(floats), tuple(array for name, array in arrays.items() if not _is_float(self.graph.data[name]))

    def read_X(self, X: Any) -> jax.Array:
        """Return new inputs, ``q x d``.

        Raises:
            DataError: If they have another shape or type.
        """
        array, d = _as_array("X", X, self.graph.X_new), self.graph.X_new.type.shape[1]
        if array.ndim != 2 or array.shape[1] != d:
            raise DataError(f"X has shape {array.shape}. Pass q x {d} new inputs, and jax.vmap over batches of them.")
        return array

    def _parameter(self, name: str, value: Any) -> jax.Array:
        array, shape = _as_array(f"parameters[{name!r}]", value, self.graph.parameters[name]), self.shapes[name]
        if array.shape != shape:
            raise DataError(
                f"parameters[{name!r}] has shape {array.shape}. Pass unconstrained values of shape {shape}, and jax.vmap over "
                "draws."
            )
        return array

    def _datum(self, name: str, value: Any) -> jax.Array:
        symbol, like = self.graph.data[name], np.shape(self.graph.values[name])
        array, label = _as_array(f"data[{name!r}]", value, symbol), f"data[{name!r}]"
        if name in self.graph.fixed and array.shape != like:
            raise DataError(
                f"{label} has shape {array.shape}. Pass {like}, which the model has as numbers; for data of any length give it "
                "pm.Data, with the dims whose lengths it uses."
            )
        lengths = symbol.type.shape[:1] + like[1:]
        if array.ndim != len(like) or any(known not in (None, own) for known, own in zip(lengths, array.shape, strict=True)):
            shown = " x ".join("n" if known is None else str(known) for known in lengths)
            raise DataError(f"{label} has shape {array.shape}. Pass {f'an array {shown}' if like else 'a number'}.")
        return array


def _is_float(symbol: Variable) -> bool:
    return symbol.type.dtype.startswith("float")


def _check_names(argument: str, given: Any, known: Mapping[str, Variable]) -> None:
    if not isinstance(given, Mapping):
        raise DataError(f"{argument} is a {type(given).__name__}. Pass a dict of {WHAT[argument]} by name: {', '.join(known)}.")
    has = f"it has {', '.join(map(str, given)) or 'nothing'}"
    for name in known:
        if name not in given:
            raise DataError(f"{argument} has no {name!r}; {has}. Pass {WHAT[argument]} of {', '.join(known)}.")
    if unknown := [name for name in given if name not in known]:
        raise DataError(
            f"{argument} has {unknown[0]!r}, which the model does not know. Pass {WHAT[argument]} of {', '.join(known)}."
        )


def _as_array(label: str, value: Any, symbol: Variable) -> jax.Array:
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{label} is a {type(value).__name__}. Pass an array.") from error
    if not _is_float(symbol):
        if array.dtype.kind not in "iub":
            raise DataError(f"{label} is of type {array.dtype}. Pass integers: the model has them as indices.")
        return array.astype(symbol.type.dtype)
    if array.dtype == np.float64 or array.dtype.kind in "iub":
        return array.astype(symbol.type.dtype)
    raise DataError(
        f"{label} is of type {array.dtype}. Pass float64, which JAX computes in after jax.config.update('jax_enable_x64', True)."
    )
