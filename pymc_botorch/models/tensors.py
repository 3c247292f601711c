"""Tensors of what callers pass: tensors as they are, NumPy arrays and data frames in float64."""

__all__ = ["ArrayLike", "as_column", "as_tensor", "names_of"]

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError

type ArrayLike = Any
"""A tensor, a NumPy array, or a data frame or series (whatever has ``to_numpy``)."""


def as_tensor(name: str, value: ArrayLike) -> Tensor:
    """Return a tensor as it is, and a copy of an array or a data frame in float64.

    Args:
        name: What the value is called in messages.
        value: The value.

    Raises:
        InvalidDataError: If it is something else, or not numeric.
    """
    if isinstance(value, Tensor):
        return value
    array = value.to_numpy() if hasattr(value, "to_numpy") else value
    if hasattr(value, "isna") and array.dtype == object:
        array = np.where(value.isna(), np.nan, array)  # pandas' own sign of a missing number
    if not isinstance(array, np.ndarray):
        raise InvalidDataError(f"{name} is a {type(value).__name__}. Pass a torch.Tensor, a NumPy array or a data frame.")
    try:
        if np.iscomplexobj(array):
            raise TypeError("it is complex")
        return torch.from_numpy(np.array(np.ma.filled(np.ma.asarray(array, dtype=np.float64), np.nan)))
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{name} is not numeric ({error}). Pass numbers; give each category a number from 0.") from error


def as_column(name: str, value: ArrayLike) -> Tensor:
    """Return :func:`as_tensor` of one outcome; arrays and series ``n`` are ``n x 1``, as tensors by BoTorch's rule must be."""
    tensor = as_tensor(name, value)
    return tensor.unsqueeze(-1) if tensor.ndim == 1 and not isinstance(value, Tensor) else tensor


def names_of(value: ArrayLike) -> tuple[str, ...] | None:
    """Return the names of the columns of a data frame, or that of a series that has one; None for anything else."""
    if getattr(value, "columns", None) is not None:
        return tuple(map(str, value.columns))
    name = getattr(value, "name", None) if hasattr(value, "to_numpy") else None
    return None if name is None else (str(name),)
