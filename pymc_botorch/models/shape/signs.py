"""Draws of derivatives that have a sign, given outcomes and hyperparameters.

With the likelihood ``Phi(g / nu)`` of a derivative ``g``, the normal variable ``u = g + nu e``, ``e ~ N(0, 1)``, is positive. So
``u`` is a truncated normal vector, which BoTorch's linear elliptical slice sampler draws without rejections (Gessner, Kanjilal &
Hennig 2020, https://arxiv.org/abs/1910.09328), and ``g`` given ``u`` is normal.
"""

__all__ = ["draw_signs"]

import numpy as np
import torch
from botorch.utils.probability.lin_ess import LinearEllipticalSliceSampler
from scipy.linalg import cho_factor, cho_solve

from pymc_botorch.errors import FitError
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.fit.signs import in_prior_sds

BURNIN, THINNING = 200, 10
"""Number of steps of each chain that are left out at first, and of which one is kept by default."""
ATTEMPTS = 5
"""Number of seeds that are tried."""
OUTSIDE = 1e-6
"""How far outside its domain a draw may be, by rounding."""


def draw_signs(
    posterior: ConditionedPosterior, nu: float, *, chains: int, draws: int, seed: int, thinning: int = THINNING
) -> np.ndarray:
    """Return draws of the derivatives at the sites, times their signs, ``chain x draw x M``.

    Args:
        posterior: The gp given data and hyperparameters, and any values of the derivatives.
        nu: Width of the probit, of a derivative's prior sd.
        chains: Number of chains.
        draws: Number of draws in each.
        seed: Random seed.
        thinning: Of how many steps one is kept.
    """
    mean, cov, scale = in_prior_sds(posterior)
    M = len(mean)
    noisy = cov + nu**2 * np.eye(M)
    start = np.maximum(mean, 0.0) + 0.1 * np.sqrt(np.diag(noisy))
    for attempt in range(ATTEMPTS):
        u = _truncated(mean, noisy, start, chains, draws, seed + attempt, thinning)
        if u is not None:
            break
    else:
        raise FitError("The derivatives with signs could not be drawn. Fit with another seed, or with fewer sites.")
    # given u, g = mean + C (C + nu² I)⁻¹ (u - mean) + the root of what is left of C
    factor = cho_factor(noisy, lower=True)
    weights = cho_solve(factor, cov)  # M x M
    left = cov - cov @ weights
    values, vectors = np.linalg.eigh((left + left.T) / 2)
    noise = np.random.default_rng(seed).normal(size=u.shape) * np.sqrt(np.maximum(values, 0.0))
    return (mean + (u - mean) @ weights + noise @ vectors.T) * scale


def _truncated(
    mean: np.ndarray, cov: np.ndarray, start: np.ndarray, chains: int, draws: int, seed: int, thinning: int
) -> np.ndarray | None:
    """Return draws of a normal vector that is positive, ``chain x draw x M``; None where a chain has left that domain.

    BoTorch's sampler does so by rounding, one time in hundreds: it then fails in its next step, or goes on outside.
    """
    M = len(mean)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sampler = LinearEllipticalSliceSampler(
            inequality_constraints=(-torch.eye(M, dtype=torch.float64), torch.zeros(M, 1, dtype=torch.float64)),
            interior_point=torch.from_numpy(start).unsqueeze(-1),
            mean=torch.from_numpy(mean).unsqueeze(-1),
            covariance_matrix=torch.from_numpy(cov),
            burnin=BURNIN,
            thinning=thinning,
            num_chains=chains,
        )
        try:
            u = sampler.draw(draws).reshape(chains, draws, M).numpy()
        except IndexError:
            return None
    return u if (u > -OUTSIDE).all() else None
