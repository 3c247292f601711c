"""Waste-free tempered sequential Monte Carlo with moves between modes, for reference runs.

The particles go from a normal about the prior with 1.5 times its sd to the posterior, by the geometric path; the next temperature
leaves an effective size of 0.7. Some of them are resampled, and each makes a chain all of whose states are the next particles
(Dau & Chopin 2022, https://arxiv.org/abs/2011.02328). A step of all chains is a random walk with the population's covariance, a
difference of two of its members in some of the coordinates, or a proposal from a mixture of normals about members with the
covariances of their neighbourhoods, which jumps between modes of different shapes. The last particles are thinned states of
longer chains.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from default_gp import DefaultGP
from scipy.special import logsumexp

LENGTH = 40
CHAINS = {50: 500, 100: 250}  # most observations: number of chains
EFFECTIVE = 0.7
COMPONENTS, NEIGHBOURS, MEMBERS = 150, 150, 4000
WIDE, WIDTH = 0.1, 1.3  # share of the mixture that has the covariance of all, and what sds are multiplied by

type LogDensity = Callable[[np.ndarray], np.ndarray]


class Particles(NamedTuple):
    """Unconstrained parameters ``S x D``, with the log densities of base and posterior, ``S``."""

    U: np.ndarray
    base: np.ndarray
    target: np.ndarray

    def where(self, chosen: np.ndarray, other: "Particles") -> "Particles":
        """Return these where chosen, else the others."""
        parts = zip(self, other, strict=True)
        return Particles(*(np.where(chosen[:, None] if a.ndim == 2 else chosen, a, b) for a, b in parts))


class Mixture:
    """Normals about members of a population with the covariances of their neighbourhoods, and a wide one, ``K`` in all."""

    def __init__(self, population: np.ndarray, rng: np.random.Generator) -> None:
        members = population[rng.integers(len(population), size=MEMBERS)]
        white = np.linalg.solve(np.linalg.cholesky(_covariance(members)), members.T).T
        centres = rng.integers(MEMBERS, size=COMPONENTS)
        covariances = []
        for centre in centres:
            distances = np.square(white - white[centre]).sum(-1)
            covariances.append(_covariance(members[np.argpartition(distances, NEIGHBOURS)[:NEIGHBOURS]]))
        self.means = np.concatenate([members[centres], members.mean(0, keepdims=True)])  # K x D
        covariance = (
            np.stack([*covariances, 2 * _covariance(members)]) + 1e-3 * np.diag(members.var(0)) + 1e-10 * np.eye(white.shape[1])
        )
        self.factors = WIDTH * np.linalg.cholesky(covariance)  # K x D x D
        self.precisions = np.linalg.inv(self.factors)
        self.weights = np.append(np.full(COMPONENTS, (1 - WIDE) / COMPONENTS), WIDE)

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return ``count x D`` draws."""
        chosen = rng.choice(len(self.weights), size=count, p=self.weights)
        return self.means[chosen] + np.einsum("sij,sj->si", self.factors[chosen], rng.normal(size=(count, self.means.shape[1])))

    def log_density(self, U: np.ndarray) -> np.ndarray:
        """Return the log density up to a constant, ``S``."""
        log_scale = np.log(self.weights) + np.log(np.diagonal(self.precisions, axis1=1, axis2=2)).sum(-1)
        shifts = np.einsum("kij,kj->ki", self.precisions, self.means)
        white = np.tensordot(U, self.precisions, axes=(1, 2)) - shifts  # S x K x D
        return logsumexp(log_scale - 0.5 * np.square(white).sum(-1), axis=1)


def smc(gp: DefaultGP, rng: np.random.Generator, *, larger: int = 1) -> tuple[np.ndarray, float]:
    """Return particles ``N x D`` of the posterior, chain after chain, and the log evidence; more particles, if it is to be larger."""
    chains = larger * next(number for most, number in CHAINS.items() if gp.n <= most)
    location, sd = gp.prior_location, 1.5 * gp.prior_sd

    def log_base(U: np.ndarray) -> np.ndarray:
        return -0.5 * np.square((U - location) / sd).sum(-1) - np.log(sd * np.sqrt(2 * np.pi)).sum()

    def evaluated(U: np.ndarray) -> Particles:
        U = np.clip(U, location - 20 * sd, location + 20 * sd)  # exponentials stay finite; there is no mass
        return Particles(U, log_base(U), gp.log_density(U))

    particles, temperature, log_evidence = evaluated(location + sd * rng.normal(size=(chains * LENGTH, len(sd)))), 0.0, 0.0
    while temperature < 1:
        ratio = particles.target - particles.base
        step = _next_step(ratio, 1 - temperature)
        temperature = 1.0 if step >= 1 - temperature else temperature + step
        log_weights = step * ratio
        log_evidence += logsumexp(log_weights) - np.log(len(ratio))
        chosen = _systematic(log_weights, len(ratio), rng)
        archive, first = particles.U[chosen], rng.permutation(chosen)[:chains]
        mixture, factor = Mixture(archive, rng), np.linalg.cholesky(_covariance(archive))
        state = Particles(*(part[first] for part in particles))
        kept, thin = [state], 4 * larger if temperature == 1 else 1
        for move in range(1, (LENGTH - 1) * thin + 1):
            U, log_correction = _proposed(state.U, archive, factor, mixture, rng)
            new = evaluated(U)
            gain = (1 - temperature) * (new.base - state.base) + temperature * (new.target - state.target)
            state = new.where(np.log(rng.random(chains)) < gain + log_correction, state)
            if move % thin == 0:
                kept.append(state)
        particles = Particles(*(np.stack(parts, 1).reshape(-1, *parts[0].shape[1:]) for parts in zip(*kept, strict=True)))
    return particles.U, float(log_evidence)


def _proposed(
    U: np.ndarray, archive: np.ndarray, factor: np.ndarray, mixture: Mixture, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | float]:
    """Return proposals of one kind for all chains, and the log ratio of the densities to propose the way back and forth."""
    chains, d = U.shape
    kind = rng.random()
    if kind < 0.3:
        new = mixture.draw(chains, rng)
        return new, mixture.log_density(U) - mixture.log_density(new)
    if kind < 0.55:
        scale = 2.38 / np.sqrt(d) * np.exp(rng.normal(scale=0.7, size=(chains, 1)))
        return U + scale * rng.normal(size=U.shape) @ factor.T, 0.0
    one, other = archive[rng.integers(len(archive), size=(2, chains))]
    moving = rng.random(U.shape) < rng.choice([0.3, 0.6, 1.0], size=(chains, 1))
    moving[np.arange(chains), rng.integers(d, size=chains)] = True
    gamma = np.where(rng.random(chains) < 0.2, 1.0, 2.38 / np.sqrt(2 * moving.sum(-1)))
    return U + moving * (gamma[:, None] * (one - other) + 1e-4 * rng.normal(size=U.shape)), 0.0


def _next_step(ratio: np.ndarray, most: float) -> float:
    """Return the increase of the temperature that leaves the effective size wanted, or ``most``."""

    def share(step: float) -> float:
        return np.exp(2 * logsumexp(step * ratio) - logsumexp(2 * step * ratio)) / len(ratio)

    if share(most) >= EFFECTIVE:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) >= EFFECTIVE else (low, middle)
    return low


def _systematic(log_weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(np.exp(log_weights - logsumexp(log_weights)))
    return np.minimum(np.searchsorted(edges, (rng.random() + np.arange(count)) / count), len(log_weights) - 1)


def _covariance(U: np.ndarray) -> np.ndarray:
    return np.cov(U.T) + 1e-12 * np.eye(U.shape[1])
