"""Functions of NumPy arrays with pullbacks of their own, as differentiable functions of torch tensors.

They serve ``backward``, ``torch.func`` (``grad``, ``jacrev``, ``vmap``) and vectorised Jacobians alike: a dimension of ``vmap``
joins the batches that every function here has in front.
"""

__all__ = ["Bars", "Differentiable", "evaluate", "is_transformed"]

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import UnsupportedModelError
from pymc_botorch.models.posterior.arrays import to_torch

type Bars = Sequence[Tensor | None]
"""Cotangents, one for each value; None for zeros."""


class Differentiable(Protocol):
    """A function of inputs ``X``, ``b x ...``, whose values have the same ``b`` in front."""

    def values(self, X: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        """Return the values, and what the pullback needs of their computation."""

    def pull_back(self, X: Tensor, saved: Any, bars: Bars) -> np.ndarray:
        """Return the gradient of ``sum_i <bars_i, values_i>`` with respect to ``X``."""


def is_transformed() -> bool:
    """Return whether a transform of ``torch.func`` is at work, inside which no program may look at the values of a tensor."""
    return torch._C._are_functorch_transforms_active()


def evaluate(function: Differentiable, X: Tensor) -> tuple[Tensor, ...]:
    """Return the values of a function, differentiable once in ``X``; without a gradient to take, none is prepared."""
    if is_transformed():
        return _TransformableValues.apply(X, function)
    if torch.is_grad_enabled() and X.requires_grad:
        return _Values.apply(X, function)
    return function.values(X)[0]


class _Values(torch.autograd.Function):
    """The values, for ``backward``: a separate ``setup_context`` costs each call the reading of a signature."""

    @staticmethod
    def forward(ctx: Any, X: Tensor, function: Differentiable) -> tuple[Tensor, ...]:
        values, ctx.saved = function.values(X)
        ctx.function = function
        ctx.save_for_backward(X)  # so that torch notices when X is changed in place before the backward pass
        ctx.set_materialize_grads(False)
        return values

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        if any(_is_vectorised(bar) for bar in bars):
            return _pull_back_vectorised(X, ctx.function, bars), None
        if torch.is_grad_enabled() or is_transformed():
            return _Pullback.apply(X, ctx.function, ctx.saved, *bars), None
        return to_torch(ctx.function.pull_back(X, ctx.saved, bars), X), None


class _TransformableValues(torch.autograd.Function):
    """The values, for ``torch.func``."""

    @staticmethod
    def forward(X: Tensor, function: Differentiable) -> tuple[Tensor, ...]:
        return function.values(X)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Differentiable], output: tuple[Tensor, ...]) -> None:
        X, ctx.function = inputs
        ctx.save_for_backward(X)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *bars: Tensor | None) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        return _Pullback.apply(X, ctx.function, None, *bars), None

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> NoReturn:
        raise UnsupportedModelError(
            "Derivatives of a posterior are computed in reverse mode, and once. Take torch.func.grad or jacrev instead of jvp, "
            "jacfwd or hessian."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], X: Tensor, function: Differentiable) -> tuple[Any, Any]:
        joined = _join(X, in_dims[0], info.batch_size)
        values = _TransformableValues.apply(joined, function)
        return tuple(value.unflatten(0, (info.batch_size, -1)) for value in values), (0,) * len(values)


class _Pullback(torch.autograd.Function):
    """The gradient, which is not differentiated again.

    PyTorch's ``once_differentiable`` would refuse only where a cotangent has a graph, and take the gradient for a constant in
    ``X`` where none has.
    """

    @staticmethod
    def forward(X: Tensor, function: Differentiable, saved: Any, *bars: Tensor | None) -> Tensor:
        saved = function.values(X)[1] if saved is None else saved
        return to_torch(function.pull_back(X, saved, bars), X)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> NoReturn:
        raise UnsupportedModelError(
            "Second derivatives of a posterior are not computed. Take differences of its gradient, or gradient_posterior."
        )

    jvp = backward

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], X: Tensor, function: Differentiable, saved: Any, *bars: Tensor | None
    ) -> tuple[Tensor, int]:
        size = info.batch_size
        joined = [None if bar is None else _join(bar, dim, size) for bar, dim in zip(bars, in_dims[3:], strict=True)]
        X_bar = _Pullback.apply(_join(X, in_dims[0], size), function, None, *joined)  # what was saved is of other batches
        return X_bar.unflatten(0, (size, -1)), 0


def _pull_back_vectorised(X: Tensor, function: Differentiable, bars: Bars) -> Tensor:
    """Return the gradients for many cotangents, as ``torch.autograd`` asks for a vectorised Jacobian.

    It does so with an older ``vmap`` than that of ``torch.func``, of whose tensors operations in NumPy must take the batches off.
    """
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    (size, *_) = (len(torch._remove_batch_dim(bar, level, 0, 0)) for bar in bars if bar is not None and _is_vectorised(bar))
    joined = [
        None if bar is None else torch._remove_batch_dim(bar, level, size, 0).flatten(0, 1)  # copies where it has no batches
        for bar in bars
    ]
    X_bar = _Pullback.apply(_join(X, None, size), function, None, *joined)
    return torch._add_batch_dim(X_bar.unflatten(0, (size, -1)), 0, level)


def _is_vectorised(bar: Tensor | None) -> bool:
    return bar is not None and torch._C._functorch.is_legacy_batchedtensor(bar)


def _join(tensor: Tensor, dim: int | None, size: int) -> Tensor:
    """Return a tensor whose dimension ``dim`` of ``vmap`` has joined its first one; without one, copies of it."""
    moved = tensor.expand(size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return moved.flatten(0, 1)
