"""Names that a PyMC model gives: to the entries of its parameters by coords, and to what was observed."""

__all__ = ["NO_NAMES", "Names", "names_in"]

from collections.abc import Mapping
from typing import NamedTuple

import pymc as pm

FEATURE = "feature"
"""Dimension of the columns of ``X`` in a builder."""
DEFAULT_OUTCOME = "observed"
"""Name of the likelihood in the library's own models, which says nothing of the outcome."""


class Names(NamedTuple):
    """Names by value, without the model.

    Attributes:
        entries: For each parameter with named dimensions, for each of these the names of its entries; None of one that goes along
            the columns of the inputs, which have their own names.
        outcome: Name of what was observed; None where there is not one, or it says nothing.
    """

    entries: Mapping[str, tuple[tuple[str, ...] | None, ...]]
    outcome: str | None


NO_NAMES = Names({}, None)


def names_in(pm_model: pm.Model) -> Names:
    """Return the names in a PyMC model."""
    observed = [variable.name for variable in pm_model.observed_RVs]
    outcome = observed[0] if len(observed) == 1 and observed[0] != DEFAULT_OUTCOME else None
    free = {variable.name for variable in pm_model.free_RVs}
    dims = {name: dims for name, dims in pm_model.named_vars_to_dims.items() if name in free}
    return Names({name: tuple(_along(pm_model, dim) for dim in own) for name, own in dims.items()}, outcome)


def _along(pm_model: pm.Model, dim: str | None) -> tuple[str, ...] | None:
    """Return the names along a dimension; none at all of one without coords."""
    coords = None if dim is None else pm_model.coords.get(dim)
    if dim == FEATURE and (coords is None or tuple(coords) == tuple(range(len(coords)))):
        return None
    return () if coords is None else tuple(map(str, coords))
