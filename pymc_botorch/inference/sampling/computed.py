"""Variables of ArviZ data whose values are computed when they are first read."""

__all__ = ["computed_later", "for_each_draw"]

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing


def computed_later(dims: Sequence[str], shape: Sequence[int], compute: Callable[[], np.ndarray]) -> xr.Variable:
    """Return a variable with the values that ``compute`` returns, in any shape of as many numbers; it is called once.

    References:
        https://docs.xarray.dev/en/stable/internals/how-to-add-new-backend.html
    """
    return xr.Variable(tuple(dims), indexing.LazilyIndexedArray(_Computed(tuple(shape), compute)))


def for_each_draw(posterior: xr.Dataset, like: xr.DataArray, computes: Mapping[Any, Callable[[], np.ndarray]]) -> xr.Dataset:
    """Return variables that are computed when they are read: an array like this one for each draw of a posterior."""
    dims: dict[Any, int] = {dim: posterior.sizes[dim] for dim in ("chain", "draw")} | dict(like.sizes)
    coords: dict[Any, xr.DataArray] = {dim: posterior.coords[dim] for dim in ("chain", "draw")} | dict(like.coords)
    return xr.Dataset({name: computed_later([*dims], [*dims.values()], compute) for name, compute in computes.items()}, coords)


class _Computed(BackendArray):
    """What xarray takes for an array in a file."""

    dtype = np.dtype(np.float64)

    def __init__(self, shape: tuple[int, ...], compute: Callable[[], np.ndarray]) -> None:
        self.shape, self._compute = shape, compute

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._values.__getitem__)

    def __deepcopy__(self, memo: dict) -> Self:
        return self  # never changed

    @cached_property
    def _values(self) -> np.ndarray:
        return np.reshape(self._compute(), self.shape)
