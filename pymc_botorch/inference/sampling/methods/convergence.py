"""Convergence of chains: of hyperparameters, and of what predictions depend on."""

__all__ = ["Convergence", "of_hyperparameters", "of_predictions"]

from typing import NamedTuple

import numpy as np

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.predictions import predictions_at

TAIL_QUANTILES = 0.1, 0.9
"""Quantiles whose effective sample sizes are those of the tails."""
DRAWS_PER_CHAIN = 250
"""Number of draws of each chain at which predictions are compared: each costs a factorisation of the training covariance.

Of four chains these are a thousand: the effective sample size is at most their number, and is to be 400."""


class Convergence(NamedTuple):
    """Diagnostics of chains.

    Attributes:
        ess: Smallest effective sample size, of bulk and tails.
        r_hat: Largest R-hat; None of one chain, or of fewer than four draws.
        num_draws: Number of draws, of all chains.
    """

    ess: float
    r_hat: float | None
    num_draws: int


def of_hyperparameters(chains: np.ndarray) -> Convergence:
    """Return the diagnostics of draws ``chain x draw x D``, the worst over ``D``."""
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # documented, but not exported; slow to import

    C, S, D = chains.shape
    if S < 4:  # ArviZ needs four for diagnostics
        return Convergence(0.0, None, C * S)
    sizes = [array_stats.ess(chains[..., i], method="bulk") for i in range(D)]
    sizes += [array_stats.ess(chains[..., i], method="tail", prob=TAIL_QUANTILES) for i in range(D)]
    r_hats = [array_stats.rhat(chains[..., i]) for i in range(D)] if C > 1 else []
    return Convergence(float(np.min(sizes)), float(np.max(r_hats)) if r_hats else None, C * S)


def of_predictions(density: Density, chains: np.ndarray, log_density: np.ndarray) -> Convergence | None:
    """Return the diagnostics of the function at training inputs and elsewhere, of the noise and of the log density.

    Different hyperparameters may be one model: a weight and its negative, two exchangeable components, a rotation. The effective
    sample size is at most the number of draws that are looked at.

    Args:
        density: Log posterior density.
        chains: Unconstrained draws, ``chain x draw x D``.
        log_density: Of each draw, ``chain x draw``.

    Returns:
        None where the training covariance can't be factorised at a draw.
    """
    C, S, _ = chains.shape
    some = np.unique(np.linspace(0, S - 1, DRAWS_PER_CHAIN).astype(int))
    points = [density.constrained(u) for u in chains[:, some].reshape(C * len(some), -1)]
    try:
        features = predictions_at(density.built, density.data, points).features
    except FitError:
        return None
    every = np.column_stack([features, log_density[:, some].ravel()])
    return of_hyperparameters(every.reshape(C, len(some), -1))
