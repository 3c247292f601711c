"""Optima of a log posterior density: starting points, the mode of the prior among them, and L-BFGS-B."""

__all__ = ["FLAT_CHANGE", "NO_FINITE_START", "Optimum", "Start", "climb", "start_from_point", "starts"]

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from pymc_botorch.config import Tier
from pymc_botorch.errors import DataError
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.density import Density, flatten
from pymc_botorch.inference.training_data import TrainingData

REJECTED = 1e12
"""Least objective of a step at which density or gradient are not finite, so that L-BFGS-B takes a shorter one."""
FLAT_CHANGE = 1e-2
"""Change of the log density, or its slope, under a unit step (a factor e of a scale) below which it counts as flat."""
NO_FINITE_START = (
    "None of {} starts gave a finite log density. Look for a prior or potential that rules out its own draws, data far from the "
    "scale of the priors, or a covariance that needs a larger jitter."
)

_prior_modes: weakref.WeakKeyDictionary[BuiltGP, np.ndarray] = weakref.WeakKeyDictionary()


class Optimum(NamedTuple):
    """Result of a climb.

    Attributes:
        u: The step of highest density, unconstrained.
        value: Log density there; ``-inf`` if it is not finite at the start.
        spread: Rough sd of each entry, from the optimiser's Hessian; infinite where the density does not depend on it.
    """

    u: np.ndarray
    value: float
    spread: np.ndarray


class Start(NamedTuple):
    """Start of a climb: ``"warm start"``, ``"prior mode"``, ``"initial point"`` or ``"prior draw"``, and its vector."""

    name: str
    u: np.ndarray


def climb(density: Density, start: np.ndarray, maxiter: int) -> Optimum:
    """Climb from one start by L-BFGS-B; the step of highest density counts, whatever the optimiser reports."""
    first, _ = density(start)
    if not np.isfinite(first):
        return Optimum(start, -np.inf, np.ones_like(start))
    rejected, best = max(REJECTED, 10 * abs(first)), (first, start)

    def descend(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        value, slope = density(u)
        if value > best[0]:
            best = value, u.copy()
        return (-value, -slope) if np.isfinite(value) else (rejected, slope)

    options = {"maxiter": maxiter, "ftol": 1e-10, "gtol": 1e-5}
    found = minimize(descend, start, jac=True, method="L-BFGS-B", options=options)
    spread = np.sqrt(np.abs(np.diag(found.hess_inv.todense())))
    return Optimum(best[1], best[0], np.where(found.jac == 0, np.inf, spread))


def starts(
    density: Density, data: TrainingData, tier: Tier, warm_start: Mapping[str, Any] | None, num_starts: int, seed: int
) -> list[Start]:
    """Return the starting points: the warm start if there is one, the mode of the prior, and draws from the prior.

    Raises:
        DataError: If the warm start does not fit the model.
    """
    scales = density.built.scales
    found = []
    if warm_start is not None:
        found.append(Start("warm start", start_from_point(density, warm_start)))
    if len(found) < num_starts:
        if scales.priors_need_data:  # the mode of the prior is found without data
            found.append(Start("initial point", density.support))
        else:
            found.append(Start("prior mode", _prior_mode(density, data, tier)))
    if (k := num_starts - len(found)) > 0:
        support = density.split(density.support)
        for drawn in scales.draws(k, seed, density.values):
            parts = [u if np.isfinite(u).all() else default for u, default in zip(drawn, support, strict=True)]
            found.append(Start("prior draw", flatten(parts)))
    return found[:num_starts]


def start_from_point(density: Density, point: Mapping[str, Any]) -> np.ndarray:
    """Return the unconstrained vector of a point.

    Raises:
        DataError: If the point does not fit the model.
    """
    scales = density.built.scales
    constrained = scales.read(point)
    unconstrained = scales.unconstrained(constrained, density.values)
    for name, u, default in zip(scales.names, unconstrained, density.split(density.support), strict=True):
        if np.shape(u) != np.shape(default) or not np.isfinite(u).all():
            raise DataError(
                f"The warm start has {name} = {constrained[name]}, which this model cannot have. Pass a point of the same model."
            )
    return flatten(unconstrained)


def _prior_mode(density: Density, data: TrainingData, tier: Tier) -> np.ndarray:
    """Return the mode of the prior, which is the density without data; where the prior is flat, PyMC's initial point.

    It depends on the builder alone, and is computed once per builder.
    """
    if density.built not in _prior_modes:
        prior = density.without_data(data, tier)
        mode = climb(prior, prior.support, maxiter=100).u
        slope = prior(mode)[1]
        ran_off = []
        for i, reached in enumerate(mode):
            ahead = mode.copy()
            ahead[i] += np.sign(reached - prior.support[i]) or 1.0
            ran_off.append(abs(prior(ahead)[1][i] - slope[i]) < FLAT_CHANGE)  # no curvature: it ran off, or never moved
        _prior_modes[density.built] = np.where(ran_off, prior.support, mode)
    return _prior_modes[density.built]
