"""Laplace approximation of a gp's hyperposterior, corrected by importance sampling.

The proposal is a mixture of Student-t distributions, one at each mode of the log density, with the inverse of the curvature there
as covariance.
"""

__all__ = ["laplace"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.importance import WeightedDraws
from pymc_botorch.inference.fit.optimise import NO_FINITE_START, Optimum, climb
from pymc_botorch.inference.fit.starts import Start

DEGREES_OF_FREEDOM = 4.0
"""Degrees of freedom of the Student-t distributions: normal tails are too thin for the posteriors of scale parameters."""
DIFFERENCE_STEP = 1e-4
"""Step of the finite differences of gradients; unconstrained parameters are of order one."""
SAME_MODE_DISTANCE = 0.05
"""Distance, in posterior sds per dimension, below which two optima are the same mode."""
NEGLIGIBLE_LOG_EVIDENCE = 12.0
"""A mode whose log evidence (log of density times volume) is this far below the best is left out."""
DEFENSIVE_WEIGHT = 0.1
"""Weight of the proposal that the modes share equally, as in defensive importance sampling: their evidences are estimates."""
MIN_CURVATURE = 1e-8
"""Lower limit of the curvature: a direction along which the density is flat gets an sd of 10,000."""


class _Component(NamedTuple):
    mode: np.ndarray
    root: np.ndarray  # D x D, covariance = root @ root.T
    log_volume: float  # log |det root|
    log_evidence: float


def laplace(
    density: Density, starts: Sequence[Start], num_proposals: int, maxiter: int, seed: int
) -> tuple[WeightedDraws, float]:
    """Return weighted draws, and Pareto's ``k`` of their weights.

    Args:
        density: Log posterior density with Jacobian: its modes are those of the unconstrained parameters.
        starts: Starts of the optimisations that look for modes.
        num_proposals: Number of draws.
        maxiter: Maximum number of L-BFGS-B iterations per start.
        seed: Random seed of the draws.

    Raises:
        FitError: If the density is finite at none of the starts.
    """
    optima = [climb(density, start.u, maxiter, otherwise=start.origin) for start in starts]
    if not any(np.isfinite(optimum.value) for optimum in optima):
        raise FitError(NO_FINITE_START.format(len(starts)))
    components = _components(density, optima)
    log_evidence = np.array([component.log_evidence for component in components])
    shares = (1 - DEFENSIVE_WEIGHT) * np.exp(log_evidence - logsumexp(log_evidence)) + DEFENSIVE_WEIGHT / len(components)
    rng, D = np.random.default_rng(seed), len(density.support)
    which = np.searchsorted(np.cumsum(shares), (np.arange(num_proposals) + 0.5) / num_proposals * shares.sum())
    scales = np.sqrt(DEGREES_OF_FREEDOM / rng.chisquare(DEGREES_OF_FREEDOM, size=num_proposals))
    noise = scales[:, None] * rng.normal(size=(num_proposals, D))
    draws = np.stack([components[c].mode + components[c].root @ z for c, z in zip(which, noise, strict=True)])
    log_proposal = logsumexp([np.log(share) + _student(draws, c) for share, c in zip(shares, components, strict=True)], axis=0)
    return WeightedDraws.unweighted(draws, log_proposal).reweighted(np.array([density(u)[0] for u in draws]))


def _components(density: Density, optima: Sequence[Optimum]) -> list[_Component]:
    """Return the distinct modes with a part of the posterior, each with its inverse curvature as covariance."""
    found: list[_Component] = []
    for optimum in sorted(optima, key=lambda optimum: -optimum.value):
        tolerance = SAME_MODE_DISTANCE * np.sqrt(len(optimum.u))
        known = any(_distance(optimum.u, component) < tolerance for component in found)
        if known or not np.isfinite(optimum.value):
            continue
        curvature, directions = np.linalg.eigh(_hessian(density, optimum.u))
        sds = 1 / np.sqrt(np.maximum(np.abs(curvature), MIN_CURVATURE))
        log_volume = float(np.log(sds).sum())
        found.append(_Component(optimum.u, directions * sds, log_volume, optimum.value + log_volume))
    best = max(component.log_evidence for component in found)
    return [component for component in found if component.log_evidence > best - NEGLIGIBLE_LOG_EVIDENCE]


def _hessian(density: Density, u: np.ndarray) -> np.ndarray:
    """Return the negative Hessian of the log density, by central differences of its gradient."""
    steps = DIFFERENCE_STEP * np.eye(len(u))
    H = np.stack([(density(u - step)[1] - density(u + step)[1]) / (2 * DIFFERENCE_STEP) for step in steps])
    return 0.5 * (H + H.T)


def _distance(u: np.ndarray, component: _Component) -> float:
    """Return the Mahalanobis distance of a point from a component."""
    return float(np.linalg.norm(np.linalg.solve(component.root, u - component.mode)))


def _student(draws: np.ndarray, component: _Component) -> np.ndarray:
    """Return the log density of a multivariate Student-t distribution at ``S x D`` points."""
    D, nu = draws.shape[1], DEGREES_OF_FREEDOM
    square = np.square(np.linalg.solve(component.root, (draws - component.mode).T)).sum(0)
    constant = gammaln((nu + D) / 2) - gammaln(nu / 2) - D / 2 * np.log(nu * np.pi) - component.log_volume
    return constant - (nu + D) / 2 * np.log1p(square / nu)
