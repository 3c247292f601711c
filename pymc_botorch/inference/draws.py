"""A point or posterior draws as people have them come in, one dict of values per draw goes out."""

__all__ = ["check_draws", "split_draws"]

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from pymc_botorch.errors import DataError

SAMPLE_DIMS = ("chain", "draw", "sample")  # the last is ArviZ's extract


def split_draws(point: Any) -> list[Any]:
    """Return a point as it is, in a list; of ArviZ data, or their posterior as a dataset, a dict for each draw.

    Raises:
        DataError: If there are no draws.
    """
    draws = point["posterior"].dataset if hasattr(point, "children") and "posterior" in point.children else point
    if not hasattr(draws, "data_vars"):
        return [point]
    dims = [dim for dim in SAMPLE_DIMS if dim in draws.dims]
    size = int(np.prod([draws.sizes[dim] for dim in dims]))
    if size == 0:
        raise DataError("The posterior has no draws. Pass ArviZ data with at least one.")
    arrays: dict[str, np.ndarray] = {}
    for name, variable in draws.data_vars.items():
        own = [dim for dim in dims if dim in variable.dims]
        if own == dims:
            values = variable.transpose(*dims, ...).to_numpy()
            arrays[str(name)] = values.reshape(size, *values.shape[len(dims) :])
    return [{name: values[s] for name, values in arrays.items()} for s in range(size)]


def check_draws(draws: Sequence[Mapping[str, np.ndarray]], names: Iterable[str]) -> list[dict[str, np.ndarray]]:
    """Return the values of ``names`` in each draw.

    Raises:
        DataError: If one is not finite.
    """
    names = list(names)
    for s, draw in enumerate(draws):
        for name in names:
            if not np.isfinite(draw[name]).all():
                raise DataError(f"Draw {s} has {name} = {draw[name]}. Leave this draw out.")
    return [{name: np.asarray(draw[name]) for name in names} for draw in draws]
