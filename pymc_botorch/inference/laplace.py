"""A log density comes in; draws from a mixture of Student-t distributions at its optima go out, weighted to be its own."""

__all__ = ["laplace"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from pymc_botorch.errors import FitError
from pymc_botorch.inference.density import Density, Optimum, Start, climb
from pymc_botorch.inference.map import NO_START
from pymc_botorch.inference.weights import WeightedDraws

DEGREES = 4.0
"""Of freedom of the Student-t distributions: a normal proposal has tails too thin for the posteriors of scales."""
STEP = 1e-4
"""Of the differences of gradients; unconstrained parameters are of order one."""
APART = 0.05
"""Optima nearer than this, in every direction and in units of the posterior's sd there, are one."""
NEGLIGIBLE = 12.0
"""An optimum whose log evidence (density times volume) is that much below the best is left out."""
DEFENCE = 0.1
"""Part of the proposal that is shared by all optima alike, because the weights that their curvatures give them may be wrong."""
FLATTEST = 1e-8
"""Least curvature: a direction along which nothing changes gets an sd of 10,000."""


class _Component(NamedTuple):
    mode: np.ndarray
    root: np.ndarray  # D x D, whose product with its transpose is the covariance
    log_volume: float  # log determinant of the root
    log_evidence: float


def laplace(
    density: Density, starts: Sequence[Start], num_proposals: int, maxiter: int, seed: int
) -> tuple[WeightedDraws, float]:
    """Return weighted draws, and Pareto's ``k`` of their weights.

    Args:
        density: With Jacobian: the mode that Laplace's method expands at is that of the unconstrained parameters.
        starts: Of the climbs.
        num_proposals: How many draws.
        maxiter: Iterations of each climb.
        seed: Of the draws.

    Raises:
        FitError: If no start has a finite density.
    """
    optima = [climb(density, start.u, maxiter) for start in starts]
    if not any(np.isfinite(optimum.value) for optimum in optima):
        raise FitError(NO_START.format(len(starts)))
    components = _components(density, optima)
    log_shares = np.array([component.log_evidence for component in components])
    shares = (1 - DEFENCE) * np.exp(log_shares - logsumexp(log_shares)) + DEFENCE / len(components)
    rng, D = np.random.default_rng(seed), len(density.support)
    which = np.searchsorted(np.cumsum(shares), (np.arange(num_proposals) + 0.5) / num_proposals * shares.sum())
    scales = np.sqrt(DEGREES / rng.chisquare(DEGREES, size=num_proposals))
    noise = scales[:, None] * rng.normal(size=(num_proposals, D))
    draws = np.stack([components[c].mode + components[c].root @ z for c, z in zip(which, noise, strict=True)])
    log_proposal = logsumexp([np.log(share) + _student(draws, c) for share, c in zip(shares, components, strict=True)], axis=0)
    return WeightedDraws.unweighted(draws, log_proposal).reweighted(np.array([density(u)[0] for u in draws]))


def _components(density: Density, optima: Sequence[Optimum]) -> list[_Component]:
    """Return the distinct optima that have a part of the posterior, each with the covariance that the curvature gives it."""
    found: list[_Component] = []
    for optimum in sorted(optima, key=lambda optimum: -optimum.value):
        known = any(_distance(optimum.u, component) < APART * np.sqrt(len(optimum.u)) for component in found)
        if known or not np.isfinite(optimum.value):
            continue
        curvature, directions = np.linalg.eigh(_hessian(density, optimum.u))
        sds = 1 / np.sqrt(np.maximum(np.abs(curvature), FLATTEST))
        log_volume = float(np.log(sds).sum())
        found.append(_Component(optimum.u, directions * sds, log_volume, optimum.value + log_volume))
    best = max(component.log_evidence for component in found)
    return [component for component in found if component.log_evidence > best - NEGLIGIBLE]


def _hessian(density: Density, u: np.ndarray) -> np.ndarray:
    """Return minus the second derivatives of the log density, by central differences of its gradient."""
    steps = STEP * np.eye(len(u))
    H = np.stack([(density(u - step)[1] - density(u + step)[1]) / (2 * STEP) for step in steps])
    return 0.5 * (H + H.T)


def _distance(u: np.ndarray, component: _Component) -> float:
    """Return Mahalanobis' distance of a point from a component."""
    return float(np.linalg.norm(np.linalg.solve(component.root, u - component.mode)))


def _student(draws: np.ndarray, component: _Component) -> np.ndarray:
    """Return the log density of a multivariate Student-t distribution at ``S x D`` points."""
    D = draws.shape[1]
    square = np.square(np.linalg.solve(component.root, (draws - component.mode).T)).sum(0)
    constant = gammaln((DEGREES + D) / 2) - gammaln(DEGREES / 2) - D / 2 * np.log(DEGREES * np.pi) - component.log_volume
    return constant - (DEGREES + D) / 2 * np.log1p(square / DEGREES)
