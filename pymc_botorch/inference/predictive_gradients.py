"""Predictive mean, variance and sd with their gradients, of one posterior or a mixture of draws, in NumPy."""

__all__ = ["PredictiveGradients", "mixture", "with_sd"]

from typing import Any, NamedTuple

import numpy as np

from pymc_botorch.graph.posterior.pointwise import VARIANCE_FLOOR


class PredictiveGradients(NamedTuple):
    """Mean, variance and standard deviation of a function at points, and their gradients.

    ``variance_gradient`` is the gradient of the variance, not the variance of the gradient, which
    :func:`pymc_botorch.gradient_posterior` returns. With ``v`` the variance, ``sd = sqrt(v)`` and ``sd' = v' / (2 sd)``.

    Attributes:
        mean: ``...``, in the units of the outcome.
        variance: ``...``, in their square.
        sd: ``...``, in the units of the outcome.
        mean_gradient: ``... x d``, per unit of each input.
        variance_gradient: ``... x d``.
        sd_gradient: ``... x d``; NaN where the variance is zero, whose root has no derivative.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     slopes = pymc_botorch.compile_predict(gp, {}).gradients(X)
        >>> slopes.mean.shape, slopes.mean_gradient.shape
        ((8,), (8, 1))
    """

    mean: Any
    variance: Any
    sd: Any
    mean_gradient: Any
    variance_gradient: Any
    sd_gradient: Any


def with_sd(
    mean: np.ndarray,
    variance: np.ndarray,
    mean_gradient: np.ndarray,
    variance_gradient: np.ndarray,
    *,
    floor: float = VARIANCE_FLOOR,
) -> PredictiveGradients:
    """Return mean and variance, not below ``floor``, with the standard deviation, and the gradients of all three."""
    variance = np.maximum(variance, floor)
    sd = np.sqrt(variance)
    twice = 2.0 * np.where(variance > floor, sd, np.nan)
    return PredictiveGradients(mean, variance, sd, mean_gradient, variance_gradient, variance_gradient / twice[..., None])


def mixture(draws: PredictiveGradients, weights: np.ndarray | None = None) -> PredictiveGradients:
    """Return mean, variance and gradients of a mixture of draws, whose axis ``S`` comes first.

    The law of total variance and its derivative, with averages over draws::

        M = E[m],    V = E[v] + E[(m - M)²],    M' = E[m'],    V' = E[v'] + 2 E[(m - M) (m' - M')]

    The gradient of the mixture's standard deviation is ``V' / (2 sqrt(V))``, not the average of the draws'.

    Args:
        draws: Predictive gradients of each draw.
        weights: Weights of the draws, ``S``, with sum one; None for equal weights.
    """
    weights = np.full(len(draws.mean), 1.0 / len(draws.mean)) if weights is None else weights
    mean, mean_gradient, variance, variance_gradient = (
        np.tensordot(weights, part, 1) for part in (draws.mean, draws.mean_gradient, draws.variance, draws.variance_gradient)
    )
    off, off_gradient = draws.mean - mean, draws.mean_gradient - mean_gradient
    variance = variance + np.tensordot(weights, off**2, 1)
    variance_gradient = variance_gradient + 2.0 * np.tensordot(weights, off[..., None] * off_gradient, 1)
    return with_sd(mean, variance, mean_gradient, variance_gradient, floor=0.0)
