"""Variables of ArviZ data whose values are computed when they are first read."""

__all__ = ["computed_later"]

from collections.abc import Callable, Sequence
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
