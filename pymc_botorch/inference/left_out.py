"""Predictions of each training observation given the others, in each draw of the hyperparameters."""

__all__ = ["LeftOut", "left_out"]

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from pymc_botorch.errors import DataError, FitError
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.training_data import TrainingData


class LeftOut(NamedTuple):
    """Normal distributions of the observations, each given all others, in the units of the gp.

    Attributes:
        mean: ``S x n``.
        variance: That of the observation, noise included and jitter not, ``S x n``.
        log_density: Log density of the observation with the jitter in its variance, which the likelihood has too, ``S x n``.
    """

    mean: np.ndarray
    variance: np.ndarray
    log_density: np.ndarray


def left_out(gp: FittedGP) -> LeftOut:
    """Return the prediction of each observation given the others, with the hyperparameters of each draw.

    With ``K`` the covariance of the observations and ``m`` their prior mean, a gp that is exact needs no other fit::

        mean_i = y_i - [K⁻¹ (y - m)]_i / [K⁻¹]_ii,    variance_i = 1 / [K⁻¹]_ii

    A sparse approximation is conditioned anew, ``n`` times. What the model computed from its data stays as it was in the
    first case, and follows the data in the second.

    References:
        Sundararajan & Keerthi (2001), Predictive Approaches for Choosing Hyperparameters in Gaussian Processes, Neural
        Computation 13(5), https://doi.org/10.1162/08997660151134343. Rasmussen & Williams (2006), section 5.4.2,
        https://gaussianprocess.org/gpml/

    Raises:
        DataError: If there is one observation, and the gp has no prior of its own.
        FitError: If a covariance cannot be factorised.
    """
    if gp.kind != "exact" and len(gp.y) < 2:
        raise DataError("Of one observation there are no others to predict it from. Add observations, or use pm.gp.Marginal.")
    if gp.kind == "exact":
        jitter, axis = gp.jitter, 0
        found = [_from_inverse(gp, s, prior) for s, prior in enumerate(gp.prior())]  # n each
    else:
        jitter, axis = 0.0, 1
        found = [_of_row(gp, i) for i in range(len(gp.y))]  # S each
    mean, variance = (np.stack(part, axis) for part in zip(*found, strict=True))
    noisy = variance + jitter
    log_density = -0.5 * (np.log(2 * np.pi * noisy) + (gp.y - mean) ** 2 / noisy)
    return LeftOut(mean, variance, log_density)


def _from_inverse(gp: FittedGP, draw: int, prior: ConditionedPosterior) -> tuple[np.ndarray, np.ndarray]:
    n = len(gp.y)
    mean, cov, _ = prior.moments(gp.X[None])
    noise = gp.noise(draw)
    K = cov[0] + gp.jitter * np.eye(n) + (noise if noise.ndim == 2 else np.diag(np.broadcast_to(noise**2, n)))
    try:
        root = np.linalg.cholesky(K)
    except np.linalg.LinAlgError as error:
        raise FitError(
            "The covariance of the observations is not positive definite with these hyperparameters. Pass a larger jitter (1e-6 "
            "is PyMC's default) or noise."
        ) from error
    inverse = solve_triangular(root, np.eye(n), lower=True)  # of the root
    variance = 1 / np.square(inverse).sum(0)
    weights = inverse.T @ (inverse @ (gp.y - mean[0]))  # K⁻¹ (y - m)
    floor = np.finfo(np.float64).eps * np.diag(K)  # where there is no noise, the jitter may be all there is
    return gp.y - weights * variance, np.maximum(variance - gp.jitter, floor)


def _of_row(gp: FittedGP, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of one observation given the others in each draw, ``S``."""
    X, y, sigma, _ = gp.training_data
    others = TrainingData(*(None if part is None else np.delete(part, i, axis=0) for part in (X, y, sigma)))  # type: ignore[arg-type]  # None stays None
    means, variances = [], []
    for s, posterior in enumerate(gp.with_data(others).conditioned()):
        mean, cov, _ = posterior.moments(X[None, i : i + 1])
        noise = gp.noise(s)
        means.append(mean[0, 0])
        variances.append(cov[0, 0, 0] + np.broadcast_to(noise, len(y))[i] ** 2)
    return np.array(means), np.array(variances)
