"""Maximum of a posterior density, found to rounding by Newton's method, and how it moves with the data.

At the maximum ``z`` of ``M(z, h)`` the gradient in ``z`` stays zero while the data ``h`` move, so that, by the implicit function
theorem::

    dz/dh = -A⁻¹ d²M/dzdh,    A = d²M/dzdz

A parameter whose density has no maximum (it rises towards the boundary of its support, or is flat) has no such derivative. It is
found by its curvature and held fixed, which is exact for the others as it goes to the boundary.
"""

__all__ = ["Maximum", "find_maximum"]

from dataclasses import dataclass

import numpy as np

from pymc_botorch.errors import DataError
from pymc_botorch.inference.sensitivity.derivatives import ByData, Derivatives

FLAT = 1e-6
"""Curvature, relative to that of the best determined direction, below which a parameter is at a boundary or undetermined."""
SADDLE = 1e-2
"""The same with the sign of a minimum, above which a point is no maximum."""
TOO_FAR = 0.05
"""Rise of the log density promised by the first Newton step, above which a point is no maximum."""
LAST_STEP = 1e-7
"""A step after which the next would be rounding: its square."""
MAX_STEPS = 100
"""Number of Newton steps; towards a boundary each is half a unit of a logarithm."""


@dataclass(frozen=True)
class Maximum:
    """A maximum of the log density, and its derivatives in the data.

    Attributes:
        u: The point, unconstrained, ``D``.
        log_density: Log density there.
        gradient: Its gradient, ``D``.
        free: Whether each entry has a maximum; the others are held fixed, ``D``.
        eigenvalues: Of the negative second derivatives of the free entries, rising; entries without a transform are in units of
            their own curvature.
        movement: Derivatives of ``u`` in the data, ``D x ...``; zero where it is held fixed.
    """

    u: np.ndarray
    log_density: float
    gradient: np.ndarray
    free: np.ndarray
    eigenvalues: np.ndarray
    movement: ByData


def find_maximum(derivatives: Derivatives, start: np.ndarray) -> Maximum:
    """Return the maximum at a point where an optimiser has stopped.

    Raises:
        DataError: If the point is not close to a maximum.
    """
    u = start
    for _ in range(MAX_STEPS):
        _, gradient, _ = derivatives.score(u)
        A, _ = derivatives.curvature(u)
        unit = _units(A, derivatives.transformed)
        free, _ = _free(A, unit)
        step = _solve(A, free, gradient)
        rise = 0.5 * float(step @ gradient)
        if not np.isfinite(rise) or rise > TOO_FAR:
            raise DataError(
                f"The point is not a maximum of the posterior density: the log density rises by about {rise:.2g} from it. Pass "
                "what pm.find_MAP() returns, or a model after model.fit(); means of draws are another point."
            )
        u = u + step
        if np.all(np.abs(step) < LAST_STEP * unit):
            break
    else:
        raise DataError(f"Newton's method found no maximum near the point in {MAX_STEPS} steps. Fit with other starts.")
    value, gradient, _ = derivatives.score(u)
    A, mixed = derivatives.curvature(u)
    free, eigenvalues = _free(A, _units(A, derivatives.transformed))
    movement = {name: _solve(A, free, cross) for name, cross in mixed.items()}
    return Maximum(u, value, gradient, free, eigenvalues, movement)


def _solve(A: np.ndarray, free: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return ``-A⁻¹ right`` of the free entries, ``D x ...``, and zero for the others."""
    solved = np.zeros_like(right)
    columns = right[free].reshape(int(free.sum()), -1)
    solved[free] = np.linalg.solve(-A[np.ix_(free, free)], columns).reshape(right[free].shape)
    return solved


def _units(A: np.ndarray, transformed: np.ndarray) -> np.ndarray:
    """Return a unit for each entry: one of a logarithm or logit; of others, which have units of their own, their curvature's."""
    curvature = -np.diag(A)
    return np.where(transformed | (curvature <= 0), 1.0, 1.0 / np.sqrt(np.where(curvature > 0, curvature, 1.0)))


def _free(A: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which entries have a maximum, and the eigenvalues of their negative second derivatives.

    Raises:
        DataError: If the density has a minimum in some direction.
    """
    scaled, free = -A * unit[:, None] * unit, np.ones(len(A), bool)
    while free.any():
        values, vectors = np.linalg.eigh(scaled[np.ix_(free, free)])
        if values[0] < -SADDLE * max(values[-1], 0.0):
            raise DataError(
                "The point is not a maximum of the posterior density, which rises from it in two opposite directions. Pass what "
                "pm.find_MAP() returns, or a fitted PyMCGP."
            )
        if values[0] >= FLAT * values[-1]:
            return free, values
        free[np.flatnonzero(free)[np.abs(vectors[:, 0]).argmax()]] = False
    return free, np.empty(0)
