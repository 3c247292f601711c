"""Posterior moments at torch tensors, differentiable through PyTensor's own gradient functions.

PyTensor differentiates; this module only transposes: ``backward`` is the compiled vector-Jacobian product of the moments.
Everything is computed in float64 on the CPU and handed back on the device of the inputs, in their dtype.
"""

__all__ = ["joint_moments", "joint_moments_of_draws", "mean_and_rows", "point_variances"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.graph.compiling.functions import Arrays
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.posterior.arrays import Points, cotangent, to_numpy, to_torch, without_nan
from pymc_botorch.models.posterior.functions import Bars, evaluate


def joint_moments(posterior: ConditionedPosterior, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean ``... x q`` and covariance ``... x q x q`` at ``X``, ``... x q x d``.

    Gradients flow to ``X`` once (no second derivatives). Without a gradient to take, none is prepared.
    """
    *batch, q, d = X.shape
    flat = X if X.ndim == 3 else X.reshape(math.prod(batch), q, d)
    if flat.shape[0] == 0 or q == 0:
        mean = flat.sum(-1)  # empty, and in the graph of X
        cov = mean.unsqueeze(-1).expand(*mean.shape, q)
    else:
        mean, cov = evaluate(_Moments(posterior), flat)
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
    else:
        mean, cov = evaluate(_MomentsOfDraws(posteriors), flat)
    return mean.reshape(*batch, S, q), cov.reshape(*batch, S, q, q)


def mean_and_rows(posterior: ConditionedPosterior, X: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the posterior mean ``... x q`` and the last ``k`` rows of the covariance, ``... x k x q``.

    With ``k = 0`` it is the mean alone: a product with the weights, no triangular solve.
    """
    *batch, q, d = X.shape
    flat = X.reshape(math.prod(batch), q, d)
    mean, rows = evaluate(_Rows(posterior, k), flat)
    return mean.reshape(*batch, q), rows.reshape(*batch, k, q)


def point_variances(posterior: ConditionedPosterior, X: Tensor) -> Tensor:
    """Return the posterior variance ``...`` at single points ``... x d``."""
    points = X.reshape(-1, X.shape[-1])
    if points.shape[0] == 0:
        return points.sum(-1).reshape(X.shape[:-1])  # empty, and in the graph of X
    (variance,) = evaluate(_Variances(posterior), points)
    return variance.reshape(X.shape[:-1])


@dataclass(frozen=True)
class _Moments:
    """Mean ``b x q`` and covariance ``b x q x q`` at ``X``, ``b x q x d``."""

    posterior: ConditionedPosterior

    def values(self, X: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Points, Arrays]]:
        """Return the moments, and the points and solves that the gradient needs."""
        points, spoilt = without_nan(to_numpy(X))
        with botorch_errors():
            mean, cov, solves = self.posterior.moments(points)
        if spoilt is not None:
            mean[spoilt], cov[spoilt], cov.mT[spoilt] = np.nan, np.nan, np.nan
        variance = np.einsum("bii->bi", cov)  # a view of the diagonals
        np.maximum(variance, self.posterior.variance_floor, out=variance)
        return (to_torch(mean, X), to_torch(cov, X)), ((points, spoilt), solves)

    def pull_back(self, X: Tensor, saved: tuple[Points, Arrays], bars: Bars) -> np.ndarray:
        """Return ``X_bar``."""
        mean_bar, cov_bar = bars
        b, q, _ = X.shape
        (points, spoilt), solves = saved
        X_bar = self.posterior.vjp(points, cotangent(mean_bar, b, q), cotangent(cov_bar, b, q, q), solves)
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return X_bar


@dataclass(frozen=True)
class _MomentsOfDraws:
    """Means ``b x S x q`` and covariances ``b x S x q x q`` of ``S`` posteriors at ``X``, ``b x q x d``."""

    posteriors: Sequence[ConditionedPosterior]

    def values(self, X: Tensor) -> tuple[tuple[Tensor, Tensor], list[tuple[Points, Arrays]]]:
        """Return the moments, and what the gradient of each draw needs."""
        moments, saved = zip(*(_Moments(posterior).values(X) for posterior in self.posteriors), strict=True)
        means, covs = zip(*moments, strict=True)
        return (torch.stack(means, dim=1), torch.stack(covs, dim=1)), list(saved)

    def pull_back(self, X: Tensor, saved: list[tuple[Points, Arrays]], bars: Bars) -> np.ndarray:
        """Return ``X_bar``."""
        mean_bar, cov_bar = bars
        S = len(saved)
        means = [None] * S if mean_bar is None else mean_bar.unbind(1)
        covs = [None] * S if cov_bar is None else cov_bar.unbind(1)
        X_bar = np.zeros(X.shape)
        for posterior, kept, mean, cov in zip(self.posteriors, saved, means, covs, strict=True):
            X_bar += _Moments(posterior).pull_back(X, kept, (mean, cov))
        return X_bar


@dataclass(frozen=True)
class _Rows:
    """Mean ``b x q`` and the last ``k`` rows of the covariance, ``b x k x q``, at ``X``, ``b x q x d``."""

    posterior: ConditionedPosterior
    k: int

    def values(self, X: Tensor) -> tuple[tuple[Tensor, Tensor], None]:
        """Return mean and rows; a mean that batches share is computed once."""
        (b, q, d), k = X.shape, self.k
        points, spoilt = without_nan(to_numpy(X))
        with botorch_errors():
            if X.numel() == 0:
                mean, rows = np.zeros((b, q)), np.zeros((b, k, q))
            elif k:
                mean, rows = self.posterior.rows(points, k)
            else:
                shared = (points == points[:1]).all(axis=(0, 2))  # q: the same point in every batch, as a baseline is
                mean, rows = np.empty((b, q)), np.zeros((b, 0, q))
                mean[:, shared] = self.posterior.rows(points[:1, shared], 0)[0]
                mean[:, ~shared] = self.posterior.rows(points[:, ~shared].reshape(1, -1, d), 0)[0].reshape(b, -1)
        if spoilt is not None:
            mean[spoilt], rows.mT[spoilt], rows[spoilt[:, q - k :]] = np.nan, np.nan, np.nan
        return (torch.from_numpy(mean).to(X), torch.from_numpy(rows).to(X)), None

    def pull_back(self, X: Tensor, _: None, bars: Bars) -> np.ndarray:
        """Return ``X_bar``."""
        mean_bar, rows_bar = bars
        b, q, _d = X.shape
        (points, spoilt), bar = without_nan(to_numpy(X)), cotangent(mean_bar, b, q)
        if rows_bar is not None and self.k:
            X_bar = self.posterior.rows_vjp(points, self.k, bar, cotangent(rows_bar, b, self.k, q))
        else:  # a mean depends on its own point only, and often few of many are asked for
            X_bar, asked = np.zeros(X.shape), bar != 0
            none = np.zeros((1, 0, int(asked.sum())))
            if asked.any():
                X_bar[asked] = self.posterior.rows_vjp(points[asked][None], 0, bar[asked][None], none)[0]
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return X_bar


@dataclass(frozen=True)
class _Variances:
    """Variance ``N`` at points ``X``, ``N x d``."""

    posterior: ConditionedPosterior

    def values(self, X: Tensor) -> tuple[tuple[Tensor], None]:
        """Return the variance."""
        points, spoilt = without_nan(to_numpy(X))
        with botorch_errors():
            variance = np.maximum(self.posterior.variances(points), self.posterior.variance_floor)
        if spoilt is not None:
            variance[spoilt] = np.nan
        return (to_torch(variance, X),), None

    def pull_back(self, X: Tensor, _: None, bars: Bars) -> np.ndarray:
        """Return ``X_bar``."""
        (variance_bar,) = bars
        points, spoilt = without_nan(to_numpy(X))
        X_bar = self.posterior.variances_vjp(points, cotangent(variance_bar, len(X)))
        if spoilt is not None:
            X_bar[spoilt] = np.nan
        return X_bar
