"""ArviZ data come in, the draws of each variable go out, one after another."""

__all__ = ["StackedDraws", "stack_draws"]

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE_DIMS = ("chain", "draw", "sample")  # the last is ArviZ's extract


@dataclass(frozen=True)
class StackedDraws:
    """Draws of all chains, one chain after another.

    Attributes:
        arrays: The draws of each variable, ``S x ...``.
        sizes: The length of each dimension that the draws had, by its name.
    """

    arrays: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]

    @property
    def count(self) -> int:
        """Number of draws ``S``; of a single draw without such dimensions, 1."""
        return math.prod(self.sizes.values())


def stack_draws(data: Any) -> StackedDraws | None:
    """Return the draws in ArviZ data with a posterior, or in a posterior as a dataset; None of anything else.

    A variable that has not all of the dimensions of draws is left out, unless there is one draw only.
    """
    if not hasattr(data, "data_vars"):
        return None
    children = getattr(data, "children", {})
    if children and "posterior" not in children:
        return None
    posterior = data["posterior"] if children else data
    dims = [dim for dim in SAMPLE_DIMS if dim in posterior.dims]
    sizes = {dim: posterior.sizes[dim] for dim in dims}
    count, arrays = math.prod(sizes.values()), {}
    for name, variable in posterior.data_vars.items():
        own = [dim for dim in dims if dim in variable.dims]
        if own == dims or count == 1:
            values = variable.transpose(*own, ...).to_numpy()
            arrays[str(name)] = values.reshape(count, *values.shape[len(own) :])
    return StackedDraws(arrays, sizes)
