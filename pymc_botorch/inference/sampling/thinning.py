"""Choice of a few draws that stand for all: their average moments are those of all draws, as closely as may be.

A random choice of 16 has a quarter of an sd of Monte Carlo error in every mean. What is matched are the first two moments of the
function at training inputs and elsewhere, and of the hyperparameters.
"""

__all__ = ["choose"]

import numpy as np

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.predictions import predictions_at
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws, select

MAX_CANDIDATES = 400
"""Number of draws of equal weight to choose from: each costs a factorisation of the training covariance."""
COST = 4e8
"""Sum over candidates of the cube of the number of observations, from which there are fewer of them."""
MIN_CANDIDATES = 64
MAX_EXCHANGES = 10
"""Number of rounds of exchanges, in which each chosen draw may be replaced once."""
TINY = np.finfo(np.float64).tiny
MAX_CHOSEN = 64
"""Number of draws from which evenly spaced ones are as good."""


def choose(density: Density, draws: WeightedDraws, count: int) -> np.ndarray:
    """Return the indices of ``count`` draws, of equal weight.

    Args:
        density: Log posterior density of the draws.
        draws: Weighted draws.
        count: Number of draws to keep.
    """
    n = max(len(density.data.y), 1)
    candidates = select(draws.log_weights, int(np.clip(COST / n**3, MIN_CANDIDATES, MAX_CANDIDATES)))
    if count > min(MAX_CHOSEN, len(candidates) // 4):
        return select(draws.log_weights, count)
    U = draws.unconstrained[candidates]
    points = [density.constrained(u) for u in U]
    try:
        predicted = predictions_at(density.built, density.data, points)
    except (FitError, np.linalg.LinAlgError):
        moments = np.empty((len(U), 0))
    else:
        centre = predicted.mean.mean(0)
        scale = np.maximum(np.sqrt(predicted.mean.var(0) + np.square(predicted.sd).mean(0)), TINY)
        mean = (predicted.mean - centre) / scale
        moments = np.column_stack([mean, np.square(mean) + np.square(predicted.sd / scale)])
    weights = np.exp(draws.log_weights)
    centre = weights @ draws.unconstrained
    scale = np.sqrt(weights @ np.square(draws.unconstrained - centre))
    Z = (U - centre) / np.maximum(scale, TINY)
    hyper = np.column_stack([Z, np.square(Z) / 2])
    wanted = np.repeat((0.0, 0.5), U.shape[1])  # of all draws
    parts = [(moments, moments.mean(0)), (hyper, wanted)]
    offsets = [(part - of_all) / np.sqrt(part.shape[1]) for part, of_all in parts if part.shape[1]]
    return candidates[_matching(np.column_stack(offsets), count)]


def _matching(features: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of ``count`` rows whose mean is close to zero: chosen one by one, then exchanged."""
    chosen, total = list[int](), np.zeros(features.shape[1])
    for i in range(1, count + 1):
        best = int(np.argmin(np.square((total + features) / i).sum(1)))
        chosen.append(best)
        total = total + features[best]
    for _ in range(MAX_EXCHANGES):
        before = list(chosen)
        for place, old in enumerate(chosen):
            rest = total - features[old]
            chosen[place] = int(np.argmin(np.square((rest + features) / count).sum(1)))
            total = rest + features[chosen[place]]
        if chosen == before:
            break
    return np.sort(np.array(chosen))
