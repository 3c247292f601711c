"""Posterior moments at torch tensors, differentiable through PyTensor's own gradient functions.

PyTensor differentiates; this module only transposes: ``backward`` is the compiled vector-Jacobian product of the moments.
Everything is computed in float64 on the CPU and handed back on the device of the inputs, in their dtype.
"""

__all__ = ["joint_moments", "joint_moments_of_draws", "mean_and_rows", "point_variances"]

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.graph.compiling.functions import Arrays
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.pointwise import VARIANCE_FLOOR
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.posterior.arrays import (
    Points,
    cotangent,
    differentiable_once,
    to_numpy,
    to_torch,
    without_nan,
)


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


def point_variances(posterior: ConditionedPosterior, X: Tensor) -> Tensor:
    """Return the posterior variance ``...`` at single points ``... x d``."""
    points = X.reshape(-1, X.shape[-1])
    if points.shape[0] == 0:
        return points.sum(-1).reshape(X.shape[:-1])  # empty, and in the graph of X
    if torch.is_grad_enabled() and X.requires_grad:
        return _Variances.apply(points, posterior).reshape(X.shape[:-1])
    return _evaluate_variances(points, posterior).reshape(X.shape[:-1])


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
        X_bar = ctx.posterior.vjp(points, cotangent(mean_bar, b, q), cotangent(cov_bar, b, q, q), ctx.solves)
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return differentiable_once(to_torch(X_bar, X), X, mean_bar, cov_bar), None


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
        mean_bars, cov_bars = cotangent(mean_bar, b, len(ctx.solves), q), cotangent(cov_bar, b, len(ctx.solves), q, q)
        X_bar = np.zeros(X.shape)
        for s, (posterior, solves) in enumerate(zip(ctx.posteriors, ctx.solves, strict=True)):
            X_bar += posterior.vjp(points, mean_bars[:, s], cov_bars[:, s], solves)
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return differentiable_once(to_torch(X_bar, X), X, mean_bar, cov_bar), None


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
        (points, spoilt), bar = without_nan(to_numpy(X)), cotangent(mean_bar, b, q)
        if rows_bar is not None and ctx.k:
            X_bar = ctx.posterior.rows_vjp(points, ctx.k, bar, cotangent(rows_bar, b, ctx.k, q))
        else:  # a mean depends on its own point only, and often few of many are asked for
            X_bar, asked = np.zeros(X.shape), bar != 0
            none = np.zeros((1, 0, int(asked.sum())))
            if asked.any():
                X_bar[asked] = ctx.posterior.rows_vjp(points[asked][None], 0, bar[asked][None], none)[0]
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return differentiable_once(to_torch(X_bar, X), X, mean_bar, rows_bar), None, None


class _Variances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, posterior: ConditionedPosterior) -> Tensor:
        ctx.posterior = posterior
        ctx.save_for_backward(X)
        return _evaluate_variances(X, posterior)

    @staticmethod
    def backward(ctx: Any, variance_bar: Tensor) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        points, spoilt = without_nan(to_numpy(X))
        X_bar = ctx.posterior.variances_vjp(points, to_numpy(variance_bar))
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return differentiable_once(to_torch(X_bar, X), X, variance_bar), None


def _evaluate(X: Tensor, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor, Points, Arrays]:
    """Return mean ``b x q`` and covariance ``b x q x q`` as tensors, and the points and solves that the gradient needs."""
    points, spoilt = without_nan(to_numpy(X))
    with botorch_errors():
        mean, cov, solves = posterior.moments(points)
    if spoilt is not None:
        mean[spoilt], cov[spoilt], cov.mT[spoilt] = np.nan, np.nan, np.nan
    variance = np.einsum("bii->bi", cov)  # a view of the diagonals
    np.maximum(variance, VARIANCE_FLOOR, out=variance)
    return to_torch(mean, X), to_torch(cov, X), (points, spoilt), solves


def _evaluate_rows(X: Tensor, k: int, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor]:
    """Return mean ``b x q`` and the last ``k`` rows of the covariance; a mean that batches share is computed once."""
    b, q, d = X.shape
    points, spoilt = without_nan(to_numpy(X))
    if X.numel() == 0:
        mean, rows = np.zeros((b, q)), np.zeros((b, k, q))
    elif k:
        with botorch_errors():
            mean, rows = posterior.rows(points, k)
    else:
        shared = (points == points[:1]).all(axis=(0, 2))  # q: the same point in every batch, as a baseline is
        mean, rows = np.empty((b, q)), np.zeros((b, 0, q))
        with botorch_errors():
            mean[:, shared] = posterior.rows(points[:1, shared], 0)[0]
            mean[:, ~shared] = posterior.rows(points[:, ~shared].reshape(1, -1, d), 0)[0].reshape(b, -1)
    if spoilt is not None:
        mean[spoilt], rows.mT[spoilt], rows[spoilt[:, q - k :]] = np.nan, np.nan, np.nan
    return torch.from_numpy(mean).to(X), torch.from_numpy(rows).to(X)


def _evaluate_variances(X: Tensor, posterior: ConditionedPosterior) -> Tensor:
    """Return the variance ``N`` at points ``N x d``."""
    points, spoilt = without_nan(to_numpy(X))
    with botorch_errors():
        variance = np.maximum(posterior.variances(points), VARIANCE_FLOOR)
    if spoilt is not None:
        variance[spoilt] = np.nan
    return to_torch(variance, X)
