"""The border between torch tensors and the arrays of compiled functions."""

__all__ = ["Points", "cotangent", "to_numpy", "to_torch", "without_nan"]

import numpy as np
import torch
from torch import Tensor

type Points = tuple[np.ndarray, np.ndarray | None]
"""Points without NaN, ``b x q x d``, and which had NaN, ``b x q`` (None: none)."""


def without_nan(points: np.ndarray) -> Points:
    """Return ``points`` with zeros in the rows that have NaN, and which these are, ``b x q`` (None: none).

    Most kernels carry NaN through by themselves; one that takes a column as an index cannot.
    """
    total = points.sum()
    if total == total:  # quicker than to ask for NaN
        return points, None
    spoilt = np.isnan(points).any(-1)
    return np.where(spoilt[..., None], 0.0, points), spoilt


def cotangent(bar: Tensor | None, *shape: int) -> np.ndarray:
    """Return a cotangent as an array; zeros of this shape for None."""
    return np.zeros(shape) if bar is None else to_numpy(bar)


def to_numpy(tensor: Tensor) -> np.ndarray:
    """Return a detached tensor as float64 on the CPU."""
    if tensor.dtype is not torch.float64 or tensor.device.type != "cpu":
        tensor = tensor.to(device="cpu", dtype=torch.float64)
    return tensor.detach().numpy()


def to_torch(array: np.ndarray, like: Tensor) -> Tensor:
    """Return an array as a tensor of the dtype and device of ``like``."""
    tensor = torch.from_numpy(array)
    return tensor if like.dtype is torch.float64 and like.device.type == "cpu" else tensor.to(like)
