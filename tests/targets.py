"""Densities of which moments and evidence are known."""

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from pymc_botorch.inference.sampling.methods.mixture import Mixture

type Density = Callable[[np.ndarray], np.ndarray]

LOG_EVIDENCE = 3.7
BEND = 0.2


def banana(U: np.ndarray) -> np.ndarray:
    """``u₀ ~ N(0, 1), u₁ | u₀ ~ N(BEND (u₀² - 1), 0.4²)``: means of zero, the second's variance is ``2 BEND² + 0.4²``."""
    bent = (U[:, 1] - BEND * (np.square(U[:, 0]) - 1)) / 0.4
    return LOG_EVIDENCE - 0.5 * np.square(U[:, 0]) - 0.5 * np.square(bent) - np.log(0.4) - np.log(2 * np.pi)


def two_modes(distance: float, share: float) -> Density:
    """Return the density of normals with sds of 0.5 at ``±distance`` along the first of two axes; the right one has a share."""

    def log_density(U: np.ndarray) -> np.ndarray:
        parts = [
            np.log(mass) + multivariate_normal.logpdf(U, [centre, 0.0], 0.25 * np.eye(2)).reshape(-1)
            for mass, centre in ((1 - share, -distance), (share, distance))
        ]
        return LOG_EVIDENCE + logsumexp(parts, axis=0)

    return log_density


def normal(centre: float, sd: float, D: int = 2) -> Mixture:
    """Return a mixture of one component."""
    return Mixture.of_covariances(np.full((1, D), centre), sd**2 * np.eye(D)[None], np.ones(1))
