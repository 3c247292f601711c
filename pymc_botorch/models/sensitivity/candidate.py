"""The maximum of an acquisition function near a candidate, found to rounding, with its second derivatives."""

__all__ = ["STENCIL", "Candidate", "gradient_of", "polish", "value_of"]

from typing import NamedTuple

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction

from pymc_botorch.models.errors import InvalidDataError
from pymc_botorch.models.posterior.arrays import to_numpy

STENCIL = tuple((sign * at, sign * weight) for at, weight in ((1.0, 3 / 4), (2.0, -3 / 20), (3.0, 1 / 60)) for sign in (-1, 1))
"""Points and weights of a first derivative to sixth order."""
STEP = 5e-4
"""Step of the differences, in ranges of an input."""
FAR = 0.1
"""Distance from the maximum, in ranges of an input, that a candidate may have: optimisers stop early where a function is flat."""
HIGHER = 0.01
"""Rise to the maximum that a candidate may have, of the function's value or of its fall to that distance."""
CLOSE = 1e-9
"""The same of a Newton step that is the last."""
MAX_STEPS = 30


class Candidate(NamedTuple):
    """A maximum of an acquisition function over batches.

    Attributes:
        X: The batch, ``q x d``.
        value: The acquisition function there.
        free: Which entries are free to move, ``q x d``: neither held nor at a bound.
        curvature: Second derivatives in the ``F`` free entries, ``F x F``, in ranges of the inputs.
    """

    X: np.ndarray
    value: float
    free: np.ndarray
    curvature: np.ndarray


def gradient_of(acqf: AcquisitionFunction, X: np.ndarray) -> np.ndarray:
    """Return the gradient of an acquisition function at a batch, ``q x d``."""
    points = torch.from_numpy(X).unsqueeze(0).requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(acqf(points).sum(), points)
    return to_numpy(gradient[0])


def polish(
    acqf: AcquisitionFunction,
    start: np.ndarray,
    spans: np.ndarray,
    bounds: np.ndarray | None,
    held: np.ndarray,
    *,
    longer: float = 1.0,
) -> Candidate:
    """Return the maximum near a candidate, by Newton's method.

    Args:
        acqf: The acquisition function.
        start: The candidate, ``q x d``, as an optimiser found it.
        spans: Range of each input, ``d``.
        bounds: Lower and upper bounds, ``2 x d``; None where there are none.
        held: Which inputs stay where they are, ``d``.
        longer: What steps of the differences are multiplied by: averages over samples have kinks.

    Raises:
        InvalidDataError: If the candidate is not close to a maximum.
    """
    X, first = start, value_of(acqf, start)
    for _ in range(MAX_STEPS):
        gradient = gradient_of(acqf, X) * spans
        free = np.broadcast_to(~held, X.shape).copy()
        if bounds is not None:
            near = 1e-6 * spans
            free &= ~((bounds[0] + near >= X) & (gradient < 0)) & ~((bounds[1] - near <= X) & (gradient > 0))
        curvature = _curvature(acqf, X, spans, free, longer * STEP)
        if not np.isfinite(curvature).all() or (free.any() and np.linalg.eigvalsh(curvature)[-1] >= 0):
            raise InvalidDataError(
                "The candidate is not a maximum of acqf, which does not fall off from it in all directions. Pass what "
                "optimize_acqf returned for this acqf; where it is flat, or points of the batch are equal, there is no maximum."
            )
        step = np.zeros_like(X)
        step[free] = np.linalg.solve(-curvature, gradient[free])  # in ranges
        X = X + step * spans
        if bounds is not None:
            X = np.clip(X, bounds[0], bounds[1])
        known = max(abs(first), FAR**2 * np.abs(curvature).max(initial=0.0))
        _check(X, start, value_of(acqf, X) - first, known, spans, bounds)
        if not free.any() or np.abs(step).max() < CLOSE:
            break
    return Candidate(X, value_of(acqf, X), free, curvature)


def _check(X: np.ndarray, start: np.ndarray, rise: float, known: float, spans: np.ndarray, bounds: np.ndarray | None) -> None:
    """Refuse a candidate that is far below the maximum, or far from it."""
    away = np.abs(X - start) / spans
    if (abs(rise) > HIGHER * known and away.max() > 1e-3) or away.max() > FAR or not np.isfinite(rise):
        _, j = np.unravel_index(away.argmax(), X.shape)
        advice = "" if bounds is not None else " If it is at a bound of the search, pass bounds=, as to optimize_acqf."
        raise InvalidDataError(
            f"The candidate is not a maximum of acqf, which rises from it along input {j}. Pass what optimize_acqf returned for "
            f"this acqf.{advice}"
        )


def value_of(acqf: AcquisitionFunction, X: np.ndarray) -> float:
    """Return the value of an acquisition function at a batch, ``q x d``."""
    with torch.no_grad():
        return float(acqf(torch.from_numpy(X).unsqueeze(0)))


def _curvature(acqf: AcquisitionFunction, X: np.ndarray, spans: np.ndarray, free: np.ndarray, step: float) -> np.ndarray:
    """Return second derivatives in the free entries of a batch, in ranges of the inputs."""
    columns = []
    for i, j in np.argwhere(free):
        unit = np.zeros_like(X)
        unit[i, j] = step * spans[j]
        slope = sum((weight * gradient_of(acqf, X + at * unit) for at, weight in STENCIL), np.zeros_like(X)) / step
        columns.append((slope * spans)[free])
    H = np.stack(columns, axis=1) if columns else np.empty((0, 0))
    return (H + H.T) / 2
