"""A torch tensor of inputs comes in, posterior moments go out, differentiable through PyTensor's own gradient functions.

PyTensor differentiates; this module only transposes: ``backward`` is the compiled vector-Jacobian product of the moments.
Everything is computed in float64 on the CPU and handed back on the device of the inputs, in their dtype.
"""

__all__ = ["joint_moments", "joint_moments_of_draws", "mean_and_rows"]

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.graph.functions import Arrays
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

type Points = tuple[np.ndarray, np.ndarray | None]
"""Points without NaN, ``b x q x d``, and which had NaN, ``b x q`` (None: none)."""

VARIANCE_FLOOR = 1e-20
"""Least variance returned: linear_operator takes the root of a 1 x 1 covariance with no jitter, and PyTorch's derivative
of a root is infinite at zero. The gradient is that of the variance before the floor."""


def joint_moments(posterior: ConditionedPosterior, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean ``... x q`` and covariance ``... x q x q`` at ``X``, ``... x q x d``.

    Gradients flow to ``X`` once (no second derivatives). Without a gradient to take, none is prepared.
    """
    *batch, q, d = X.shape
    flat = X if X.ndim == 3 else X.reshape(math.prod(batch), q, d)
    if flat.shape[0] == 0 or q == 0:
        mean = flat.sum(-1)  # empty, and in the graph of X
        cov = mean.unsqueeze(-1).expand(*mean.shape, q)
    elif torch.is_grad_enabled() and X.requires_grad:
        mean, cov = _Moments.apply(flat, posterior)
    else:
        mean, cov, _, _ = _evaluate(flat, posterior)
    if X.ndim == 3:
        return mean, cov
    return mean.reshape(*batch, q), cov.reshape(*batch, q, q)


def joint_moments_of_draws(posteriors: Sequence[ConditionedPosterior], X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean ``... x S x q`` and covariance ``... x S x q x q`` of ``S`` posteriors at the same ``X``, ``... x q x d``.

    It is a loop over the draws, in one node of torch's graph.
    """
    *batch, q, d = X.shape
    flat, S = X.reshape(math.prod(batch), q, d), len(posteriors)
    if flat.shape[0] == 0 or q == 0:
        mean = flat.sum(-1).unsqueeze(-2).expand(-1, S, q)
        cov = mean.unsqueeze(-1).expand(*mean.shape, q)
    elif torch.is_grad_enabled() and X.requires_grad:
        mean, cov = _MomentsOfDraws.apply(flat, posteriors)
    else:
        mean, cov = _stacked([_evaluate(flat, posterior)[:2] for posterior in posteriors])
    return mean.reshape(*batch, S, q), cov.reshape(*batch, S, q, q)


def mean_and_rows(posterior: ConditionedPosterior, X: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the posterior mean ``... x q`` and the last ``k`` rows of the covariance, ``... x k x q``.

    With ``k = 0`` it is the mean alone: a product with the weights, no triangular solve.
    """
    *batch, q, d = X.shape
    flat = X.reshape(math.prod(batch), q, d)
    if torch.is_grad_enabled() and X.requires_grad:
        mean, rows = _Rows.apply(flat, k, posterior)
    else:
        mean, rows = _evaluate_rows(flat, k, posterior)
    return mean.reshape(*batch, q), rows.reshape(*batch, k, q)


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor]:
        mean, cov, ctx.points, ctx.solves = _evaluate(X, posterior)
        ctx.posterior = posterior
        ctx.save_for_backward(X)  # so that torch notices when X is changed in place before the backward pass
        ctx.set_materialize_grads(False)
        return mean, cov

    @staticmethod
    def backward(ctx: Any, mean_bar: Tensor | None, cov_bar: Tensor | None) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        b, q, _ = X.shape
        points, spoilt = ctx.points
        X_bar = ctx.posterior.vjp(points, _bar(mean_bar, b, q), _bar(cov_bar, b, q, q), ctx.solves)
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return _once(_to_torch(X_bar, X), X, mean_bar, cov_bar), None


class _MomentsOfDraws(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, posteriors: Sequence[ConditionedPosterior]) -> tuple[Tensor, Tensor]:
        ctx.posteriors, ctx.solves, moments = posteriors, [], []
        for posterior in posteriors:
            mean, cov, ctx.points, solves = _evaluate(X, posterior)
            moments.append((mean, cov))
            ctx.solves.append(solves)
        ctx.save_for_backward(X)
        ctx.set_materialize_grads(False)
        return _stacked(moments)

    @staticmethod
    def backward(ctx: Any, mean_bar: Tensor | None, cov_bar: Tensor | None) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        b, q, _ = X.shape
        points, spoilt = ctx.points
        mean_bars, cov_bars = _bar(mean_bar, b, len(ctx.solves), q), _bar(cov_bar, b, len(ctx.solves), q, q)
        X_bar = np.zeros(X.shape)
        for s, (posterior, solves) in enumerate(zip(ctx.posteriors, ctx.solves, strict=True)):
            X_bar += posterior.vjp(points, mean_bars[:, s], cov_bars[:, s], solves)
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return _once(_to_torch(X_bar, X), X, mean_bar, cov_bar), None


def _stacked(moments: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return means ``b x S x q`` and covariances ``b x S x q x q`` from those of each draw."""
    means, covs = zip(*moments, strict=True)
    return torch.stack(means, dim=1), torch.stack(covs, dim=1)


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, k: int, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor]:
        ctx.k, ctx.posterior = k, posterior
        ctx.save_for_backward(X)
        ctx.set_materialize_grads(False)
        return _evaluate_rows(X, k, posterior)

    @staticmethod
    def backward(ctx: Any, mean_bar: Tensor | None, rows_bar: Tensor | None) -> tuple[Tensor, None, None]:
        (X,) = ctx.saved_tensors
        b, q, _ = X.shape
        (points, spoilt), bar = _without_nan(_to_numpy(X)), _bar(mean_bar, b, q)
        if rows_bar is not None and ctx.k:
            X_bar = ctx.posterior.rows_vjp(points, ctx.k, bar, _bar(rows_bar, b, ctx.k, q))
        else:  # a mean depends on its own point only, and often few of many are asked for
            X_bar, asked = np.zeros(X.shape), bar != 0
            none = np.zeros((1, 0, int(asked.sum())))
            if asked.any():
                X_bar[asked] = ctx.posterior.rows_vjp(points[asked][None], 0, bar[asked][None], none)[0]
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return _once(_to_torch(X_bar, X), X, mean_bar, rows_bar), None, None


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


def _once(X_bar: Tensor, *sources: Tensor | None) -> Tensor:
    """Return a gradient that refuses to be differentiated, where somebody keeps its graph.

    PyTorch's ``once_differentiable`` would do so only where a cotangent has a graph, and take the gradient for a constant in
    ``X`` where none has.
    """
    return _Once.apply(X_bar, *(s for s in sources if s is not None)) if torch.is_grad_enabled() else X_bar


def _evaluate(X: Tensor, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor, Points, Arrays]:
    """Return mean ``b x q`` and covariance ``b x q x q`` as tensors, and the points and solves that the gradient needs."""
    points, spoilt = _without_nan(_to_numpy(X))
    try:
        mean, cov, solves = posterior.moments(points)
    except IndexError as error:
        raise _unknown_category(error) from error
    if spoilt is not None:
        mean[spoilt], cov[spoilt], cov.mT[spoilt] = np.nan, np.nan, np.nan
    variance = np.einsum("bii->bi", cov)  # a view of the diagonals
    np.maximum(variance, VARIANCE_FLOOR, out=variance)
    return _to_torch(mean, X), _to_torch(cov, X), (points, spoilt), solves


def _evaluate_rows(X: Tensor, k: int, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor]:
    """Return mean ``b x q`` and the last ``k`` rows of the covariance; a mean that batches share is computed once."""
    b, q, d = X.shape
    points, spoilt = _without_nan(_to_numpy(X))
    if X.numel() == 0:
        mean, rows = np.zeros((b, q)), np.zeros((b, k, q))
    elif k:
        try:
            mean, rows = posterior.rows(points, k)
        except IndexError as error:
            raise _unknown_category(error) from error
    else:
        shared = (points == points[:1]).all(axis=(0, 2))  # q: the same point in every batch, as a baseline is
        mean, rows = np.empty((b, q)), np.zeros((b, 0, q))
        try:
            mean[:, shared] = posterior.rows(points[:1, shared], 0)[0]
            mean[:, ~shared] = posterior.rows(points[:, ~shared].reshape(1, -1, d), 0)[0].reshape(b, -1)
        except IndexError as error:
            raise _unknown_category(error) from error
    if spoilt is not None:
        mean[spoilt], rows.mT[spoilt], rows[spoilt[:, q - k :]] = np.nan, np.nan, np.nan
    return torch.from_numpy(mean).to(X), torch.from_numpy(rows).to(X)


def _without_nan(points: np.ndarray) -> Points:
    """Return ``points`` with zeros in the rows that have NaN, and which these are, ``b x q`` (None: none).

    Most kernels carry NaN through by themselves; one that takes a column as an index cannot.
    """
    total = points.sum()
    if total == total:  # quicker than to ask for NaN
        return points, None
    spoilt = np.isnan(points).any(-1)
    return np.where(spoilt[..., None], 0.0, points), spoilt


def _unknown_category(error: IndexError) -> InvalidDataError:
    """Explain the one error that values of inputs can cause: an index that a kernel does not have."""
    return InvalidDataError(f"A column of X that a kernel takes as an index is out of its range ({error}).")


def _bar(bar: Tensor | None, *shape: int) -> np.ndarray:
    return np.zeros(shape) if bar is None else _to_numpy(bar)


def _to_numpy(tensor: Tensor) -> np.ndarray:
    if tensor.dtype is not torch.float64 or tensor.device.type != "cpu":
        tensor = tensor.to(device="cpu", dtype=torch.float64)
    return tensor.detach().numpy()


def _to_torch(array: np.ndarray, like: Tensor) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor if like.dtype is torch.float64 and like.device.type == "cpu" else tensor.to(like)
