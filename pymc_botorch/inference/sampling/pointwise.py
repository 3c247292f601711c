"""Log densities and replicates of the training observations in each draw."""

__all__ = ["log_densities", "replicates"]

import numpy as np

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.left_out import left_out


def log_densities(gp: FittedGP, scale: float) -> np.ndarray:
    """Return the log density of each observation given all others in each draw, ``log p(y_i | y_-i, draw)``, ``S x n``.

    Args:
        gp: The gp of the observations.
        scale: Densities are per unit of ``scale * y``.
    """
    return left_out(gp).log_density - np.log(scale)


def replicates(gp: FittedGP, offset: float, scale: float) -> np.ndarray:
    """Return new observations at the training inputs, noise included, drawn jointly: one vector for each draw, ``S x n``.

    Args:
        gp: The gp of the observations.
        offset: The result is in the units of ``offset + scale * y``.
        scale: See ``offset``.
    """
    rng = np.random.default_rng(0)
    return offset + scale * np.stack([_drawn(gp, s, posterior, rng) for s, posterior in enumerate(gp.conditioned())])


def _drawn(gp: FittedGP, draw: int, posterior: ConditionedPosterior, rng: np.random.Generator) -> np.ndarray:
    mean, cov, _ = posterior.moments(gp.X[None])
    noise, n = gp.noise(draw), len(gp.y)
    of_noise = noise if noise.ndim == 2 else np.diag(np.broadcast_to(noise**2, n))
    K, standard = cov[0] + of_noise + posterior.variance_floor * np.eye(n), rng.normal(size=n)
    try:
        return mean[0] + np.linalg.cholesky(K) @ standard
    except np.linalg.LinAlgError:  # without noise the function has no variance where it was observed
        variances, vectors = np.linalg.eigh(K)
        return mean[0] + vectors @ (np.sqrt(variances.clip(0)) * standard)
