"""Climb of a log posterior density to a mode, by L-BFGS-B."""

__all__ = ["FLAT_CHANGE", "NO_FINITE_START", "Optimum", "climb"]

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from pymc_botorch.errors import OutOfTime
from pymc_botorch.inference.fit.density import Density

REJECTED = 1e12
"""Least objective of a step at which density or gradient are not finite, so that L-BFGS-B takes a shorter one."""
FLAT_CHANGE = 1e-2
"""Change of the log density, or its slope, under a unit step (a factor e of a scale) below which it counts as flat."""
NO_FINITE_START = (
    "None of {} starts gave a finite log density. Look for a prior or potential that rules out its own draws, data far from the "
    "scale of the priors, or a covariance that needs a larger jitter."
)


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


def climb(density: Density, start: np.ndarray, maxiter: int, *, otherwise: np.ndarray | None = None) -> Optimum:
    """Climb from one start by L-BFGS-B; the step of highest density counts, whatever the optimiser reports.

    Args:
        density: Log density.
        start: Where to begin.
        maxiter: Maximum number of iterations.
        otherwise: A point near ``start``, which counts too, and where to begin if the density is not finite at ``start``.

    Where the budget of time ends during the climb, the best step so far is the optimum.
    """
    first, _ = density(start)
    if not np.isfinite(first):
        return Optimum(start, -np.inf, np.ones_like(start)) if otherwise is None else climb(density, otherwise, maxiter)
    rejected, best = max(REJECTED, 10 * abs(first)), (first, start)

    def descend(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        value, slope = density(u)
        if value > best[0]:
            best = value, u.copy()
        return (-value, -slope) if np.isfinite(value) else (rejected, slope)

    options = {"maxiter": maxiter, "ftol": 1e-10, "gtol": 1e-5}
    try:
        found = minimize(descend, start, jac=True, method="L-BFGS-B", options=options)
    except OutOfTime:
        return Optimum(best[1], best[0], np.ones_like(start))
    if otherwise is not None and (known := density(otherwise)[0]) > best[0]:
        best = known, otherwise
    spread = np.sqrt(np.abs(np.diag(found.hess_inv.todense())))
    return Optimum(best[1], best[0], np.where(found.jac == 0, np.inf, spread))
