"""Draws and their density come in; weights that make them draws of another density go out, and a verdict."""

__all__ = ["WeightedDraws", "effective_size", "refusal", "select", "weigh"]

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import logsumexp

MIN_EFFECTIVE_SIZE = 100.0
"""Fewer effective draws are not taken for a posterior: a small Pareto k alone has come with a few dozen."""
EQUAL = 1e-3
"""Ratios nearer than that, logarithms, give equal weights: the tail of rounding errors has a shape, too."""
FEWEST = 25
"""Of fewer draws, nothing can be said of the tail of their weights."""
MAX_K = 0.7
"""Above it, importance sampling converges too slowly to be of use, however many the draws."""


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Draws as they were first made, and what they weigh under a posterior.

    Attributes:
        unconstrained: ``S x D``, as PyMC transforms them.
        log_proposal: ``S``, log density that they were drawn from, up to a constant.
        log_density: ``S``, of the posterior that they are weighted to be of, up to a constant.
        log_weights: ``S``, normalised: their exponentials have sum one.
        efficiency: Effective draws for each of these, before weights: below one where they come from a Markov chain.
        chains: How many chains of equal length follow each other.
    """

    unconstrained: np.ndarray
    log_proposal: np.ndarray
    log_density: np.ndarray
    log_weights: np.ndarray
    efficiency: float = 1.0
    chains: int = 1

    @classmethod
    def unweighted(cls, unconstrained: np.ndarray, log_proposal: np.ndarray, efficiency: float = 1.0, chains: int = 1) -> Self:
        """Return draws of equal weight, as those of the density that they were drawn from."""
        weights = np.full(len(log_proposal), -np.log(len(log_proposal)))
        return cls(unconstrained, log_proposal, log_proposal, weights, efficiency, chains)

    @property
    def effective_size(self) -> float:
        """How many independent draws of the posterior say as much."""
        return self.efficiency * effective_size(self.log_weights)

    def reweighted(self, log_density: np.ndarray) -> tuple[Self, float]:
        """Return the same draws with the weights that another log density (``S``) gives them, and Pareto's k."""
        log_weights, k = weigh(log_density - self.log_proposal, self.efficiency)
        return replace(self, log_density=log_density, log_weights=log_weights), k


def weigh(log_ratios: np.ndarray, efficiency: float = 1.0) -> tuple[np.ndarray, float]:
    """Return Pareto-smoothed log weights, normalised, and the shape ``k`` of the tail of the ratios.

    Args:
        log_ratios: ``S``, log density of the target less that of the proposal, up to a constant; ``-inf`` weighs nothing.
        efficiency: Effective draws for each.

    Returns:
        Log weights ``S`` and ``k``: infinite where no ratio is finite or there are few, zero where all are equal.

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto Smoothed Importance Sampling, https://arxiv.org/abs/1507.02646
    """
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # slow to import; documented, not declared

    finite = np.isfinite(log_ratios)
    if not finite.any() or np.ptp(log_ratios) < EQUAL:
        return np.full(len(log_ratios), -np.log(len(log_ratios))), 0.0 if finite.any() else np.inf
    if len(log_ratios) < FEWEST:
        return log_ratios - logsumexp(log_ratios), np.inf
    ratios = np.where(finite, log_ratios, log_ratios[finite].min() - 1e3)
    log_weights, k = array_stats.psislw(-ratios, r_eff=efficiency)  # it takes log likelihoods, whose negative it weighs
    return log_weights - logsumexp(log_weights), float(k)


def effective_size(log_weights: np.ndarray) -> float:
    """Return ``1 / sum(weights²)`` for normalised log weights."""
    return float(np.exp(-logsumexp(2 * log_weights)))


def refusal(k: float, size: float, draws: int) -> str | None:
    """Return why weights are not to be trusted, or None where they are."""
    if draws < FEWEST:
        return f"there are only {draws} draws"
    limit = min(1 - 1 / np.log10(draws), MAX_K)
    if not k < limit:
        return f"Pareto k is {k:.2f}, not below {limit:.2f}"
    if size < MIN_EFFECTIVE_SIZE:
        return f"there are {size:.0f} effective draws, fewer than {MIN_EFFECTIVE_SIZE:.0f}"
    return None


def select(log_weights: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` indices of equal weight, by systematic resampling: evenly spaced along the sum of the weights.

    Of equal weights they are evenly spaced draws.
    """
    edges = np.cumsum(np.exp(log_weights))
    places = (np.arange(count) + 0.5) / count * edges[-1]
    return np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)
