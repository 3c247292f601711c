"""Data of a PyMC model, as checked float arrays."""

__all__ = [
    "check_columns",
    "check_data",
    "check_inputs",
    "check_jitter",
    "check_no_randomness",
    "constant_value",
    "evaluate",
    "is_data",
    "raw_inputs",
    "raw_outcomes",
]

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from pytensor.tensor.variable import TensorConstant

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.functions import QUICK
from pymc_botorch.graph.traversal import nodes_between

MOVES = (
    DimShuffle,
    Reshape,
    SpecifyShape,
    Subtensor,
    AdvancedSubtensor,
    pt.basic.Join,
    pt.basic.Split,
    pt.basic.MakeVector,
    pt.basic.TensorFromScalar,
    pt.basic.ScalarFromTensor,
)


def constant_value(value: Any) -> np.ndarray | None:
    """Return the value of a number, an array, a constant or a shared variable; None for anything symbolic."""
    if isinstance(value, SharedVariable):
        return np.asarray(value.get_value())
    if isinstance(value, TensorConstant):
        return np.asarray(value.data)
    return None if isinstance(value, Variable) else np.asarray(value)


def is_data(value: Variable) -> bool:
    """Return whether an expression depends on constants and shared data only, not on random numbers."""
    leaves = graph_inputs([value])
    return all(isinstance(v, SharedVariable | Constant) and not isinstance(v.type, RandomType) for v in leaves)


def _changes_numbers(value: Variable) -> bool:
    """Return whether an expression changes numbers, rather than only picking, joining or reshaping them."""

    def _is_index(variable: Variable) -> bool:
        return variable.type.dtype.startswith("int") and variable.type.ndim < 2

    def moves(op: Op) -> bool:
        if isinstance(op, Elemwise):
            return type(op.scalar_op).__name__.startswith(("Cast", "Second", "Identity"))
        return isinstance(op, MOVES)

    nodes = nodes_between([value])
    return not all(moves(node.op) or _is_index(node.outputs[0]) for node in nodes)


def evaluate(value: Any, name: str, *, allow_expression: bool) -> np.ndarray:
    """Return a float copy of training data that the model has as an array, a variable or (if allowed) an expression."""
    if isinstance(value, Variable) and value.owner is not None:
        if not is_data(value):
            raise DataError(
                f"The gp's {name} depends on random variables of the model. Pass plain data; for "
                "inputs that parameters warp use pm.gp.cov.WarpedInput."
            )
        if _changes_numbers(value) and not allow_expression:
            raise DataError(
                f"The gp's {name} is computed inside the PyMC model (scaled or transformed), so that raw inputs would "
                "silently be misread. Pass input_transform=..., for example a fitted botorch Normalize, that does the same "
                "to raw inputs; or transform the data before they enter the model."
            )
        array = value.eval(mode=QUICK)
    else:
        array = constant_value(value)
    if np.ma.isMaskedArray(value):
        array = value.filled(np.nan)
    try:
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"The gp's {name} is not numeric ({error}). Pass floating-point data.") from error


def raw_inputs(value: Any, X: np.ndarray) -> np.ndarray | None:
    """Return the data that an expression ``value`` of ``X`` is computed from; None unless just one has its shape."""
    if not isinstance(value, Variable) or value.owner is None:
        return None
    leaves = [leaf for leaf in map(constant_value, graph_inputs([value])) if leaf is not None and leaf.shape == X.shape]
    return np.asarray(leaves[0], dtype=np.float64) if len(leaves) == 1 else None


def raw_outcomes(value: Any, y: np.ndarray) -> np.ndarray | None:
    """Return the data ``n`` that an expression ``value`` of ``y`` changes; NaN where they are not just one, None without."""
    if not isinstance(value, Variable) or not _changes_numbers(value):
        return None
    candidates = {
        variable: None
        for node in nodes_between([value])
        if _changes_numbers(node.outputs[0])
        for variable in node.inputs
        if not _changes_numbers(variable)
    }
    arrays = [np.asarray(constant_value(v) if v.owner is None else v.eval(mode=QUICK), np.float64) for v in candidates]
    found = [array.ravel() for array in arrays if array.size == y.size and (y.size > 1 or array.ndim)]
    is_one = found and all(np.array_equal(found[0], other) for other in found)
    return found[0] if is_one else np.full(y.shape, np.nan)


def check_data(X: np.ndarray, y: np.ndarray) -> None:
    """Raise a ``DataError`` unless ``X`` is ``n x d``, ``y`` is ``n``, both are finite and ``n`` is at least one."""
    check_inputs(X)
    if y.ndim != 1:
        raise DataError(
            f"The gp's y has shape {y.shape}. Pass a vector of n targets; for several outcomes fit a gp "
            "for each and join the models in a botorch ModelListGP."
        )
    if len(X) != len(y) or len(y) == 0:
        raise DataError(f"The gp has {len(X)} inputs and {len(y)} targets. Pass the same number of both, at least one.")
    _check_finite("y", y)


def check_inputs(X: np.ndarray) -> None:
    """Raise a ``DataError`` unless ``X`` is ``n x d`` and finite."""
    if X.ndim != 2:
        raise DataError(f"The gp's X has shape {X.shape}. Pass an n x d matrix to marginal_likelihood or prior.")
    _check_finite("X", X)


def check_columns(cov_func: Any, X: np.ndarray) -> None:
    """Raise a ``DataError`` unless ``cov_func`` takes the columns of ``X``."""
    d = getattr(cov_func, "input_dim", X.shape[1])
    if d != X.shape[1]:
        raise DataError(
            f"The gp's X has {X.shape[1]} columns, but its covariance function takes input_dim={d}. Pass X with these columns, "
            "or name the total number as input_dim and those that the kernel reads as active_dims."
        )


def check_jitter(jitter: float) -> float:
    """Return a jitter that a user passed; raise a ``DataError`` unless it is a finite number that is not negative."""
    is_number = isinstance(jitter, int | float | np.number) and not isinstance(jitter, bool)
    if not (is_number and np.isfinite(jitter) and jitter >= 0):
        raise DataError(f"jitter is {jitter!r}. Pass a finite number that is not negative.")
    return float(jitter)


def check_no_randomness(outputs: Sequence[Variable], pm_model: pm.Model) -> None:
    """Raise a ``DataError`` if random variables are left once the model's free variables are inputs."""
    strangers = [
        v.name or str(v)
        for v in ancestors(outputs)
        if v.owner and isinstance(v.owner.op, RandomVariable | SymbolicRandomVariable)
    ]
    if strangers:
        known = ", ".join(rv.name for rv in pm_model.free_RVs) or "none"
        raise DataError(
            f"The gp depends on the random variables {', '.join(sorted(set(strangers)))}, which are not free variables of "
            f"the given PyMC model (its free variables: {known}). Pass the model in which the gp was defined, model=...."
        )


def _check_finite(name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        where = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        raise DataError(f"The gp's {name} has NaN or infinite values in rows {where[:10].tolist()}. Leave these out.")
