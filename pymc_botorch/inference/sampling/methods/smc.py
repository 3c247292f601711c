"""Tempered sequential Monte Carlo: a population moves from a wide distribution to the posterior, modes and ridges included.

It needs neither gradients nor modes to be found. At each step the density is ``base^(1 - t) posterior^t``, with ``t`` such that
half of the population is effective; ancestors are resampled, and each starts a chain of moves, all of whose states are the next
population. The product of the mean weights estimates the evidence without bias.

References:
    Del Moral, Doucet & Jasra (2006), Sequential Monte Carlo samplers, https://doi.org/10.1111/j.1467-9868.2006.00553.x
    Dau & Chopin (2022), Waste-free sequential Monte Carlo, https://doi.org/10.1111/rssb.12475
    ter Braak & Vrugt (2008), Differential evolution Markov chain, https://doi.org/10.1007/s11222-008-9104-9
"""

__all__ = ["Population", "temper"]

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pymc_botorch.errors import FitError
from pymc_botorch.inference.sampling.methods.importance import select
from pymc_botorch.inference.sampling.methods.mixture import Mixture, log_sum

EFFECTIVE_FRACTION = 0.5
"""Effective part of the population that each step of the temperature leaves."""
MAX_STEPS = 200
"""Number of temperatures after which a population is given up."""
ARCHIVE_SIZE = 1000
"""Number of points whose covariance and differences moves are made of."""


class Population(NamedTuple):
    """Equally weighted draws of a posterior.

    Attributes:
        unconstrained: Draws, ``ancestors x length x D``: chains of the last temperature.
        log_density: Of each, ``ancestors x length``.
        log_evidence: Estimate of the log of the integral of the density.
    """

    unconstrained: np.ndarray
    log_density: np.ndarray
    log_evidence: float


def temper(
    at_all: Callable[[np.ndarray], np.ndarray], base: Mixture, ancestors: int, length: int, rng: np.random.Generator
) -> Population:
    """Return a population of ``ancestors * length`` draws.

    Args:
        at_all: Log density of the posterior at ``N x D`` points.
        base: Where the population begins.
        ancestors: Number of chains at each temperature.
        length: Number of states of each.
        rng: Source of random numbers.

    Raises:
        FitError: If the density is finite nowhere in the first population, or the temperatures do not end.
    """
    count = ancestors * length
    U = base.draw(count, rng)
    log_base, log_density = base.log_density(U), at_all(U)
    if not np.isfinite(log_density).any():
        raise FitError(
            f"None of {count} points around the prior has a finite log density. Look for priors or potentials that contradict "
            "each other, or for data far from the scale of the priors."
        )
    temperature, log_evidence = 0.0, 0.0
    for _ in range(MAX_STEPS):
        ratios = log_density - log_base
        warmer = _next_temperature(ratios, temperature)
        log_weights = (warmer - temperature) * ratios
        total = log_sum(log_weights)
        log_evidence += float(total) - np.log(count)
        log_weights, temperature = log_weights - total, warmer
        archive = U[select(log_weights, min(count, ARCHIVE_SIZE), rng.uniform())]
        start = select(log_weights, ancestors, rng.uniform())
        states = _chains(at_all, base, temperature, (U[start], log_base[start], log_density[start]), archive, length, rng)
        U, log_base, log_density = states
        if temperature == 1.0:
            chains = U.reshape(length, ancestors, -1).swapaxes(0, 1)
            return Population(chains, log_density.reshape(length, ancestors).T, log_evidence)
    raise FitError(f"{MAX_STEPS} temperatures did not lead to the posterior. Give the model more informative priors.")


def _next_temperature(ratios: np.ndarray, temperature: float) -> float:
    """Return the temperature at which a part of the population is effective, by bisection; one if it is there."""
    target = np.log(EFFECTIVE_FRACTION * len(ratios))
    shifted = ratios - ratios.max()

    def log_effective(step: float) -> float:
        weights = np.exp(step * shifted)
        return float(2 * np.log(weights.sum()) - np.log(np.square(weights).sum()))

    low, high = 0.0, 1.0 - temperature
    if log_effective(high) >= target:
        return 1.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if log_effective(middle) >= target else (low, middle)
    return temperature + max(low, 1e-12)


def _chains(
    at_all: Callable[[np.ndarray], np.ndarray],
    base: Mixture,
    temperature: float,
    start: tuple[np.ndarray, np.ndarray, np.ndarray],
    archive: np.ndarray,
    length: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all states of Metropolis chains, step by step: points, and their log densities under base and posterior.

    Moves alternate between steps with the archive's covariance and differences of two of its points, of some coordinates or of
    all, which lead from mode to mode.
    """
    states, (U, log_base, log_density) = [start], start
    root = _spread(archive)
    for i in range(1, length):
        proposal = U + (_walk(root, len(U), rng) if i % 3 == 0 else _difference(archive, len(U), rng))
        new_base, new_density = base.log_density(proposal), at_all(proposal)
        with np.errstate(invalid="ignore"):  # a start may have density zero at low temperatures
            gain = (1 - temperature) * (new_base - log_base) + temperature * (new_density - log_density)
        accepted = np.log(rng.uniform(size=len(U))) < np.where(np.isnan(gain), -np.inf, gain)
        U = np.where(accepted[:, None], proposal, U)
        log_base, log_density = np.where(accepted, new_base, log_base), np.where(accepted, new_density, log_density)
        states.append((U, log_base, log_density))
    points, bases, densities = (np.concatenate(parts) for parts in zip(*states, strict=True))
    return points, bases, densities


def _spread(archive: np.ndarray) -> np.ndarray:
    """Return a root of the covariance of points, ``D x D``."""
    covariance = np.atleast_2d(np.cov(archive.T))
    values, axes = np.linalg.eigh(covariance)
    return axes * np.sqrt(np.maximum(values, 1e-12 * max(values[-1], 1e-12)))


def _walk(root: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return steps of a random walk, ``count x D``."""
    D = len(root)
    return 2.38 / np.sqrt(D) * rng.uniform(0.3, 1.2, size=(count, 1)) * (rng.normal(size=(count, D)) @ root.T)


def _difference(archive: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return differences of two points each, ``count x D``, in half of the cases of some coordinates only."""
    D = archive.shape[1]
    first, second = rng.integers(len(archive), size=(2, count))
    moved = rng.uniform(size=(count, D)) < np.where(rng.uniform(size=(count, 1)) < 0.5, 1.0, rng.uniform(size=(count, 1)))
    moved[np.arange(count), rng.integers(D, size=count)] = True
    factor = np.where(rng.uniform(size=count) < 0.2, 1.0, 2.38 / np.sqrt(2 * moved.sum(1)) * rng.uniform(0.4, 1.1, size=count))
    jitter = 1e-4 * archive.std(0) * rng.normal(size=(count, D))
    return moved * (factor[:, None] * (archive[first] - archive[second]) + jitter)
