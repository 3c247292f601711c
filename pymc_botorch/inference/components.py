"""Components of a sum of gps, by name: which posteriors one fit has, and how each is read."""

__all__ = ["TOTAL", "Parts", "parts_of", "read_parts"]

from collections.abc import Callable, Mapping
from typing import Any

import pymc as pm

from pymc_botorch.errors import DataError
from pymc_botorch.graph.gps.kernels import kernels_in
from pymc_botorch.inference.fitted import FittedGP

TOTAL = "total"
"""Name of the sum among its parts."""

type Parts = Mapping[str, tuple[FittedGP, FittedGP | None]]
"""The function of each part by its name, and its observations where their noise is a covariance."""


def parts_of(gp: Any, given: Any) -> tuple[Any, dict[str, tuple[Any, dict[str, Any] | None]]]:
    """Return what PyMC's ``given`` is for ``gp``, and each part of the sum with what is given for it.

    Args:
        gp: The gp that is asked for: a sum, or a component of it.
        given: As in ``gp.conditional``: ``{"gp": total}`` for a component; and components of the sum by their names.

    Returns:
        ``given`` without the named components, and the parts: none where ``gp`` is no sum. The sum is called ``"total"``, a
        component that is asked for without a name ``"gp"``.

    Raises:
        DataError: If a component has the name of the sum, or is no part of it.
    """
    if not isinstance(given, Mapping):
        return given, {}
    named = {name: value for name, value in given.items() if name != "gp" and isinstance(value, pm.gp.gp.Base)}
    own = {name: value for name, value in given.items() if name not in named}
    total = own.get("gp", gp)
    if not named and total is gp:
        return given, {}
    if TOTAL in named:
        raise DataError(f"A component is called {TOTAL!r}, which is the name of the sum. Give it another name.")
    for name, component in named.items():
        if not _is_part(component, total):
            raise DataError(
                f"The component {name!r} is no part of the sum, whose covariance function was not made from its own. Build the "
                "sum from its components, total = trend + field."
            )
    if total is not gp and not any(component is gp for component in named.values()):
        named["gp"] = gp
    data = {name: value for name, value in own.items() if name != "gp"}
    return own or None, {TOTAL: (total, data or None)} | {
        name: (component, None if component is total else {**data, "gp": total}) for name, component in named.items()
    }


def read_parts(read: Callable[..., Any], gp: Any, given: Any) -> tuple[FittedGP, FittedGP | None, dict[str, Any], Parts]:
    """Return a gp, its observations, draws of what the parameters of its PyMC model are, and the parts of its sum.

    Args:
        read: Returns, for a gp and ``given=``, its function, its observations, and, if it has any, draws of other parameters.
        gp: As in :func:`parts_of`.
        given: As in :func:`parts_of`.
    """
    own, parts = parts_of(gp, given)
    function, observation, *others = read(gp, given=own)
    found: Parts = {name: tuple(read(part, given=given)[:2]) for name, (part, given) in parts.items()}
    parameters = {name: values for part, _ in found.values() for name, values in part.draws.items()}
    for other in others:
        parameters |= other
    return function, observation, parameters, found


def _is_part(component: pm.gp.gp.Base, total: pm.gp.gp.Base) -> bool:
    """Return whether the terms of a component's covariance function are inside the total's."""
    if not all(hasattr(gp, "cov_func") for gp in (component, total)):
        return True  # refused by its class
    known = {id(kernel) for kernel in kernels_in(total.cov_func)}
    return all(id(kernel) in known or type(kernel) is pm.gp.cov.Add for kernel in kernels_in(component.cov_func))
