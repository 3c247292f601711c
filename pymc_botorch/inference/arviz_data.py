"""Posterior draws in ArviZ data, stacked along one axis."""

__all__ = ["StackedDraws", "stack_draws"]

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLE_DIMS = ("chain", "draw", "sample")  # az.extract names its dimension "sample"


@dataclass(frozen=True)
class StackedDraws:
    """Draws of all chains, one chain after another.

    Attributes:
        arrays: Draws of each variable by its name, ``S x ...``.
        sizes: Length of each sample dimension of the data (chain, draw), by its name.
    """

    arrays: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]

    @property
    def count(self) -> int:
        """Number of draws ``S``; 1 where the data have no sample dimension."""
        return math.prod(self.sizes.values())

    def spread(self, most: int | None) -> dict[str, np.ndarray]:
        """Return at most so many draws of each variable, evenly spaced; None takes all."""
        count = self.count if most is None else min(most, self.count)
        chosen = ((np.arange(count) + 0.5) * self.count / count).astype(int)
        return {name: values[chosen] for name, values in self.arrays.items()}


def stack_draws(data: Any) -> StackedDraws | None:
    """Return the draws in ArviZ data with a posterior, or in a dataset of posterior draws; None for anything else.

    A variable that lacks one of the sample dimensions is left out, unless there is only one draw.
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
