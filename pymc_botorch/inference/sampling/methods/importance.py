"""Pareto-smoothed importance sampling: weights that make draws from one density draws from another, and their diagnostics."""

__all__ = ["MIN_EFFECTIVE_SIZE", "WeightedDraws", "effective_size", "find_problem", "select", "weigh"]

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import logsumexp

MIN_EFFECTIVE_SIZE = 400.0
"""Effective sample size below which draws are not trusted: a small Pareto k alone can come with a few dozen effective draws."""
MIN_LOG_RATIO_RANGE = 1e-3
"""Range of log ratios below which all weights are equal: Pareto k would be that of rounding errors."""
MIN_DRAWS = 25
"""Number of draws below which the tail of their weights cannot be judged."""
MAX_K = 0.7
"""Pareto k from which importance sampling converges too slowly to be useful, with any number of draws."""


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Draws from a proposal, with their importance weights for a posterior.

    Attributes:
        unconstrained: Draws of the unconstrained parameters, ``S x D``.
        log_proposal: Log density that they were drawn from, up to a constant, ``S``.
        log_density: Log density of the posterior that they are weighted for, up to a constant, ``S``.
        log_weights: Normalised log weights, ``S``: their exponentials sum to one.
        efficiency: Relative efficiency of the unweighted draws, effective sample size over ``S``: below one for a Markov chain.
        chains: Number of chains, of equal length, one after another.
        log_normaliser: Log of the integral of what ``log_proposal`` is the log of; None where it is not known.
        normaliser_error: Standard error of that, where it is an estimate.
        runs: Number of independent runs, of equal length, one after another, that the draws are from.
    """

    unconstrained: np.ndarray
    log_proposal: np.ndarray
    log_density: np.ndarray
    log_weights: np.ndarray
    efficiency: float = 1.0
    chains: int = 1
    log_normaliser: float | None = None
    normaliser_error: float = 0.0
    runs: int = 1

    @classmethod
    def unweighted(
        cls,
        unconstrained: np.ndarray,
        log_proposal: np.ndarray,
        efficiency: float = 1.0,
        chains: int = 1,
        log_normaliser: float | None = None,
    ) -> Self:
        """Return draws of equal weight, whose posterior is the density that they were drawn from."""
        weights = np.full(len(log_proposal), -np.log(len(log_proposal)))
        return cls(unconstrained, log_proposal, log_proposal, weights, efficiency, chains, log_normaliser)

    @property
    def effective_size(self) -> float:
        """Effective sample size: the number of independent, equally weighted draws that are worth as much."""
        return self.efficiency * effective_size(self.log_weights)

    @property
    def log_evidence(self) -> float | None:
        """Log of the mean importance ratio: of the integral of ``exp(log_density)``; None where ``log_normaliser`` is."""
        if self.log_normaliser is None:
            return None
        return float(logsumexp(self._log_ratios) - np.log(len(self._log_ratios)) + self.log_normaliser)

    @property
    def log_evidence_error(self) -> float | None:
        """Standard error of ``log_evidence``, to first order."""
        if self.log_normaliser is None:
            return None
        raw = self._log_ratios - logsumexp(self._log_ratios)
        count = len(raw) * self.efficiency
        return float(np.sqrt(self.normaliser_error**2 + max(np.exp(logsumexp(2 * raw)) * len(raw) - 1, 0.0) / count))

    @property
    def _log_ratios(self) -> np.ndarray:
        return np.where(np.isfinite(self.log_density), self.log_density - self.log_proposal, -np.inf)

    def some(self, chosen: np.ndarray) -> Self:
        """Return the draws with these indices, which do not depend on their weights."""
        log_weights = self.log_weights[chosen] - logsumexp(self.log_weights[chosen])
        parts = self.unconstrained[chosen], self.log_proposal[chosen], self.log_density[chosen], log_weights
        return type(self)(*parts, self.efficiency, 1, self.log_normaliser, normaliser_error=self.normaliser_error)

    def reweighted(self, log_density: np.ndarray) -> tuple[Self, float]:
        """Return the same draws weighted for another log density (``S``), and Pareto's k of the weights."""
        log_weights, k = weigh(log_density - self.log_proposal, self.efficiency)
        return replace(self, log_density=log_density, log_weights=log_weights), k


def weigh(log_ratios: np.ndarray, efficiency: float = 1.0) -> tuple[np.ndarray, float]:
    """Return Pareto-smoothed log weights, normalised, and the shape ``k`` of the tail of the ratios.

    Args:
        log_ratios: Log density of the target minus that of the proposal, up to a constant, ``S``; ``-inf`` gives weight zero.
        efficiency: Relative efficiency of the unweighted draws.

    Returns:
        Log weights ``S`` and ``k``: infinite where no ratio is finite or there are too few draws, zero where all are equal.

    References:
        Vehtari, Simpson, Gelman, Yao & Gabry (2024), Pareto Smoothed Importance Sampling, https://arxiv.org/abs/1507.02646
    """
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # documented, but not exported; slow to import

    finite = np.isfinite(log_ratios)
    if not finite.any() or np.ptp(log_ratios) < MIN_LOG_RATIO_RANGE:
        return np.full(len(log_ratios), -np.log(len(log_ratios))), 0.0 if finite.any() else np.inf
    if len(log_ratios) < MIN_DRAWS:
        return log_ratios - logsumexp(log_ratios), np.inf
    ratios = np.where(finite, log_ratios, log_ratios[finite].min() - 1e3)
    log_weights, k = array_stats.psislw(-ratios, r_eff=efficiency)  # it takes log likelihoods, the negative log ratios
    return log_weights - logsumexp(log_weights), float(k)


def effective_size(log_weights: np.ndarray) -> float:
    """Return ``1 / sum(weights²)`` for normalised log weights."""
    return float(np.exp(-logsumexp(2 * log_weights)))


def find_problem(k: float, size: float, draws: int) -> str | None:
    """Return why weights should not be trusted, or None if they can be."""
    if draws < MIN_DRAWS:
        return f"there are only {draws} draws"
    limit = min(1 - 1 / np.log10(draws), MAX_K)
    if not np.isfinite(k):
        return "hardly any draw has a finite density"
    if not k < limit:
        return f"Pareto k is {k:.2f}, not below {limit:.2f}"
    if size < MIN_EFFECTIVE_SIZE:
        return f"there are {size:.0f} effective draws, fewer than {MIN_EFFECTIVE_SIZE:.0f}"
    return None


def select(log_weights: np.ndarray, count: int, offset: float = 0.5) -> np.ndarray:
    """Return the indices of ``count`` draws of equal weight, by systematic resampling with an offset between 0 and 1.

    Where the weights are equal, these are evenly spaced draws.
    """
    cumulative = np.cumsum(np.exp(log_weights))
    positions = (np.arange(count) + offset) / count * cumulative[-1]
    return np.minimum(np.searchsorted(cumulative, positions, side="right"), len(cumulative) - 1)
