"""Tensors of what callers pass: tensors as they are, NumPy arrays and data frames in float64."""

__all__ = ["ArrayLike", "as_column", "as_tensor", "check_order", "names_of"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError

type ArrayLike = Any
"""A tensor, a NumPy array, or a data frame or series (whatever has ``to_numpy``)."""


def as_tensor(name: str, value: ArrayLike, columns: Sequence[str] | None = None, *, some: bool = False) -> Tensor:
    """Return a tensor as it is, and a copy of an array or a data frame in float64.

    Args:
        name: What the value is called in messages.
        value: The value.
        columns: Names of the columns that a model has, in whose order those of a data frame (the entries of a series, which is
            one row) are put; None takes them by position, as anything that has no names.
        some: Whether some of the columns may be missing.

    Raises:
        InvalidDataError: If it is something else, or not numeric; if it has columns of other names.
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
        numbers = np.array(np.ma.filled(np.ma.asarray(array, dtype=np.float64), np.nan))
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"{name} is not numeric ({error}). Pass numbers; give each category a number from 0.") from error
    order = None if columns is None else _order(name, _labels(value), columns, some=some)
    return torch.from_numpy(numbers if order is None else numbers[..., order])


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


def check_order(name: str, value: ArrayLike, columns: Sequence[str]) -> None:
    """Refuse a data frame with these columns in another order, or with others: what comes later without names is in this order.

    Raises:
        InvalidDataError: If it is one.
    """
    order = _order(name, _labels(value), columns, some=False)
    if order is not None and order != sorted(order):
        raise InvalidDataError(
            f"{name} has the columns {', '.join(names_of(value) or ())}, but the model has {', '.join(columns)}, in this order. "
            f"Pass frame[{list(columns)}], and bounds and transforms in its order."
        )


def _labels(value: ArrayLike) -> tuple[str, ...] | None:
    """Return the names of the columns of a data frame, or of the entries of a series that has some; None for anything else."""
    if getattr(value, "columns", None) is not None:
        return tuple(map(str, value.columns))
    index = getattr(value, "index", None) if hasattr(value, "to_numpy") and not callable(getattr(value, "index", None)) else None
    return tuple(index) if index is not None and all(isinstance(label, str) for label in index) else None


def _order(name: str, labels: tuple[str, ...] | None, columns: Sequence[str], *, some: bool) -> list[int] | None:
    """Return the positions of labels in the order of ``columns``; None where labels are none, or only count."""
    if labels is None or labels == tuple(columns):
        return None
    count = tuple(map(str, range(max(len(labels), len(columns)))))
    unknown, twice = set(labels) - set(columns), len(set(labels)) < len(labels)
    if unknown and (labels == count[: len(labels)] or tuple(columns) == count[: len(columns)]):
        return None
    if unknown or twice or (len(labels) < len(columns) and not some):
        raise InvalidDataError(
            f"{name} has the columns {', '.join(labels)}, but the model has {', '.join(columns)}. Pass these, or an array or "
            "a tensor, whose columns are read by position."
        )
    return [labels.index(column) for column in columns if column in labels]
