"""Laplace approximation of a gp's hyperposterior: a mixture of Student-t distributions, one at each mode of the log density.

The inverse of the curvature at a mode is the squared scale of its component, and density times volume its evidence.
"""

__all__ = ["modes"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.optimise import NO_FINITE_START, Optimum, climb
from pymc_botorch.inference.fit.starts import Start
from pymc_botorch.inference.sampling.methods.mixture import Mixture

DIFFERENCE_STEP = 1e-4
"""Step of the finite differences of gradients; unconstrained parameters are of order one."""
SAME_MODE_DISTANCE = 0.05
"""Distance, in posterior sds per dimension, below which two optima are the same mode."""
NEGLIGIBLE_LOG_EVIDENCE = 12.0
"""A mode whose log evidence (log of density times volume) is this far below the best is left out."""
DEFENSIVE_WEIGHT = 0.1
"""Weight of the proposal that the modes share equally, as in defensive importance sampling: their evidences are estimates."""
MIN_CURVATURE = 1e-2
"""Lower limit of the curvature: a direction along which the density is flat gets a scale of 10."""


class _Component(NamedTuple):
    mode: np.ndarray
    root: np.ndarray  # D x D, covariance = root @ root.T
    log_evidence: float


def modes(density: Density, starts: Sequence[Start], maxiter: int) -> Mixture:
    """Return the mixture of the modes that climbs from some starts find.

    Args:
        density: Log posterior density with Jacobian: its modes are those of the unconstrained parameters.
        starts: Starts of the optimisations that look for modes.
        maxiter: Maximum number of L-BFGS-B iterations per start.

    Raises:
        FitError: If the density is finite at none of the starts.
    """
    optima = [climb(density, start.u, maxiter, otherwise=start.origin) for start in starts]
    if not any(np.isfinite(optimum.value) for optimum in optima):
        raise FitError(NO_FINITE_START.format(len(starts)))
    components = _components(density, optima)
    log_evidence = np.array([component.log_evidence for component in components])
    shares = (1 - DEFENSIVE_WEIGHT) * np.exp(log_evidence - logsumexp(log_evidence)) + DEFENSIVE_WEIGHT / len(components)
    covariances = np.stack([component.root @ component.root.T for component in components])
    return Mixture.of_covariances(np.stack([component.mode for component in components]), covariances, shares)


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
        found.append(_Component(optimum.u, directions * sds, optimum.value + float(np.log(sds).sum())))
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
