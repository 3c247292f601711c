"""Points (one value per parameter, as ``pm.find_MAP`` returns or of one draw), checked against the PyMC model."""

__all__ = ["model_in_context", "read_deterministic", "read_point"]

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.functions import QUICK
from pymc_botorch.inference.arviz_data import stack_draws

COPY_RTOL = 1e-5
"""Relative tolerance between a value and its transformed copy, both of which ``pm.find_MAP`` returns."""


def model_in_context(model: pm.Model | None) -> pm.Model:
    """Return ``model``, or the one in context if it is None.

    Raises:
        TypeError: If ``model`` is not a ``pm.Model``, or is None outside the context of one.
    """
    if not isinstance(model, pm.Model | None):
        raise TypeError(f"model is a {type(model).__name__}. Pass the pm.Model of the gp.")
    if model is None and pm.Model.get_context(error_if_none=False) is None:
        raise TypeError("There is no PyMC model in context. Pass model=..., or call this inside 'with pm_model:'.")
    return pm.modelcontext(model)


def read_point(pm_model: pm.Model, point: Any, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the values of the parameters ``names``, on their constrained scale.

    Args:
        pm_model: The model of these parameters.
        point: What ``pm.find_MAP`` returns: values by name, on the constrained scale, on the transformed one
            (``ell_log__``) or both; deterministics are ignored. Or ArviZ data with a posterior of one draw.
        names: Names of the free random variables whose values are needed.

    Returns:
        One array per name, in the order of the model.

    Raises:
        DataError: If a parameter is missing, has the wrong shape, is not finite or contradicts its transformed copy,
            or if a name is unknown to the model.
    """
    values = _by_name(point)
    _check_names(values, pm_model)
    found: dict[str, np.ndarray] = {}
    for rv in pm_model.free_RVs:
        value = _constrained_value(pm_model, rv, values, found)
        if value is not None:
            found[rv.name] = value
    wanted = set(names)
    if missing := [rv.name for rv in pm_model.free_RVs if rv.name in wanted - set(found)]:
        raise DataError(
            f"The point has no value for {', '.join(missing)} (it has {', '.join(values) or 'nothing'}). Pass one value for "
            "each parameter of the gp, as pm.find_MAP() returns them."
        )
    return {name: value for name, value in found.items() if name in wanted}


def read_deterministic(point: Any, name: str, length: int) -> np.ndarray:
    """Return the value of a deterministic vector of a point.

    Raises:
        DataError: If it is not there, of another length or not finite.
    """
    value = _by_name(point).get(name)
    if value is None or value.shape != (length,) or not np.isfinite(value).all():
        what = "is not there" if value is None else f"has shape {value.shape}" if value.shape != (length,) else "is not finite"
        raise DataError(f"The point's {name} {what}. Pass a draw of this model with its {name}, which are {length} numbers.")
    return value


def _by_name(point: Any) -> dict[str, np.ndarray]:
    """Return the point as arrays by name."""
    if (stacked := stack_draws(point)) is not None:
        if stacked.count != 1:
            raise DataError(
                f"The posterior has {stacked.count} draws. Take all of them by FullyBayesianPyMCGP.from_fitted, or pass one, for "
                "example idata.isel(chain=[0], draw=[0])."
            )
        point = {name: values[0] for name, values in stacked.arrays.items()}
    if not isinstance(point, Mapping) or hasattr(point, "data_vars"):
        raise DataError(f"point is a {type(point).__name__}. Pass a dict of values by name, as pm.find_MAP() returns it.")
    return {str(name): np.asarray(value) for name, value in point.items()}


def _check_names(values: Mapping[str, np.ndarray], pm_model: pm.Model) -> None:
    known = {*pm_model.named_vars, *(variable.name for variable in pm_model.value_vars)}
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(sorted(known))}."
            raise DataError(f"The point has a value for {name!r}, which the PyMC model does not know. {hint}")


def _constrained_value(
    pm_model: pm.Model, rv: TensorVariable, values: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """Return one free variable's value on its constrained scale, given on either; None if the point has neither."""
    value_var, transform = pm_model.rvs_to_values[rv], pm_model.rvs_to_transforms[rv]
    constrained = _checked(rv.name, values[rv.name], rv) if rv.name in values else None
    if transform is not None and constrained is not None:
        _check_support(rv, transform, {**found, rv.name: constrained}, pm_model)
    if transform is None or value_var.name not in values:
        return constrained
    transformed = _checked(value_var.name, values[value_var.name], transform.forward(rv, *rv.owner.inputs))
    known = {
        value_var: _constant(transformed, value_var),
        **{pm_model[name]: _constant(found[name], pm_model[name]) for name in found},
    }
    (backward,) = graph_replace([transform.backward(value_var, *rv.owner.inputs)], known, strict=False)
    needed = set(ancestors([backward], blockers=pm_model.free_RVs))
    if parents := [other.name for other in pm_model.free_RVs if other in needed]:
        if constrained is not None:
            return constrained
        raise DataError(
            f"The point has {value_var.name}, whose transformed scale depends on {', '.join(parents)}, but no value for "
            f"{', '.join(parents)}. Pass {rv.name} on its constrained scale, or add the missing values."
        )
    derived = np.asarray(backward.eval(mode=QUICK))
    if constrained is not None and not np.allclose(constrained, derived, rtol=COPY_RTOL):
        raise DataError(
            f"The point contradicts itself: {rv.name} is {constrained}, but {value_var.name} = {transformed} means {derived}. "
            "Pass only one of the two."
        )
    return derived if constrained is None else constrained


def _check_support(rv: TensorVariable, transform: Any, found: Mapping[str, np.ndarray], pm_model: pm.Model) -> None:
    """Raise if a value is outside its support, where the transform is NaN; not checked while parents are unknown."""
    known = {pm_model[name]: _constant(value, pm_model[name]) for name, value in found.items()}
    (forward,) = graph_replace([transform.forward(rv, *rv.owner.inputs)], known, strict=False)
    if not set(ancestors([forward], blockers=pm_model.free_RVs)).isdisjoint(pm_model.free_RVs):
        return
    with np.errstate(all="ignore"):
        if np.isnan(forward.eval(mode=QUICK)).any():
            raise DataError(f"The point's {rv.name} is {found[rv.name]}, outside the support of its prior. Pass a value inside.")


def _constant(value: np.ndarray, like: TensorVariable) -> TensorVariable:
    """Return a value as a constant of the dtype of a variable, which is single where PyMC's ``floatX`` was."""
    return pt.constant(value, dtype=like.type.dtype)


def _checked(name: str, value: np.ndarray, like: TensorVariable) -> np.ndarray:
    """Return ``value`` if it is finite and has the shape of ``like``."""
    shape = like.type.shape
    if None in shape:
        shape = tuple(int(length) for length in like.shape.eval(mode=QUICK))
    if value.shape != shape:
        raise DataError(f"The point's {name} has shape {value.shape}. Pass a value of shape {shape}.")
    if value.dtype.kind not in "fiub" or not np.isfinite(value).all():
        raise DataError(f"The point's {name} is {value}. Pass finite numbers.")
    return value
