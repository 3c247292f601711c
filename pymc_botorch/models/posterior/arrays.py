"""The border between torch tensors and the arrays of compiled functions."""

__all__ = ["Points", "cotangent", "differentiable_once", "to_numpy", "to_torch", "without_nan"]

from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import UnsupportedModelError

type Points = tuple[np.ndarray, np.ndarray | None]
"""Points without NaN, ``b x q x d``, and which had NaN, ``b x q`` (None: none)."""


class _Once(torch.autograd.Function):
    """The first argument, a gradient, which depends on the others in a way that is not differentiated again."""

    @staticmethod
    def forward(ctx: Any, X_bar: Tensor, *_: Tensor) -> Tensor:
        return X_bar.view_as(X_bar)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> NoReturn:
        raise UnsupportedModelError(
            "Second derivatives of a posterior are not computed. Take differences of its gradient, or gradient_posterior."
        )


def differentiable_once(X_bar: Tensor, *sources: Tensor | None) -> Tensor:
    """Return a gradient that refuses to be differentiated, where somebody keeps its graph.

    PyTorch's ``once_differentiable`` would do so only where a cotangent has a graph, and take the gradient for a constant in
    ``X`` where none has.
    """
    return _Once.apply(X_bar, *(s for s in sources if s is not None)) if torch.is_grad_enabled() else X_bar


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
