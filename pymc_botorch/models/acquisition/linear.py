"""Objectives and constraints as linear functions of outcomes, found by evaluating them.

They are Python callables of samples. One is taken for linear if it is, to rounding, at points on all sides of the data, from a
tenth of their spread to a thousand times as far, and at inputs on all sides of the data: a kink that none of these is beyond
stays unseen.
"""

__all__ = ["Linear", "Spread", "linear_in_outcomes"]

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import UnsupportedModelError

TOLERANCE = 1e-9
"""Largest deviation, relative to the sum of the absolute terms."""
SCALES = (0.1, 0.3, 1.0, 3.0, 10.0, 1e3)
DISTANCES = (0.6, 1.5, 5.0, 100.0)
"""How far from the middle of the data inputs are, too, in their ranges."""
PROBES = 16
"""Number of points at each of the scales, on each side."""


class Linear(NamedTuple):
    """``constant + <weights, outcomes>``.

    Attributes:
        constant: The number.
        weights: ``m``.
    """

    constant: float
    weights: np.ndarray


class Spread(NamedTuple):
    """Where outcomes are.

    Attributes:
        centre: ``m``.
        scale: ``m``, positive.
    """

    centre: np.ndarray
    scale: np.ndarray


def linear_in_outcomes(name: str, function: Callable[[Tensor, Tensor], Any], spread: Spread, X: Tensor) -> Linear:
    """Return a function of samples as a linear one of the outcomes.

    Args:
        name: What it is, for messages.
        function: Of samples ``s x b x q x m`` and of inputs ``b x q x d``, to ``s x b x q``.
        spread: Of the outcomes.
        X: Some raw inputs, ``n x d``.

    Raises:
        UnsupportedError: If it is not linear, or depends on the inputs or on other samples.
    """
    m = len(spread.centre)
    largest = np.abs(spread.centre) + spread.scale
    steps = 2.0 ** np.ceil(np.log2(largest))  # of two, so that a quotient by them is exact
    read = _evaluated(name, function, np.concatenate([np.zeros((1, m)), np.diag(steps)])[:, None, None], X[None, :1])[:, 0, 0]
    if not np.isfinite(read).all():
        raise UnsupportedModelError(f"{name} is not a linear function of the outcomes.")
    constant, weights = read[0], (read[1:] - read[0]) / steps

    rng = np.random.default_rng(0)
    away = np.array(SCALES)[:, None, None] * rng.standard_normal((len(SCALES), PROBES, m))
    around_data = spread.centre + spread.scale * np.concatenate([away, -away])[:, None]  # s x 1 x q x m
    around_zero = largest * np.stack([away, -away])  # s x b x q x m: another shape, so that what mixes samples is found
    probes = [(samples, X[rng.integers(len(X), size=samples.shape[1:3])]) for samples in (around_data, around_zero)]
    far = _around(X)
    probes.append((spread.centre + spread.scale * rng.standard_normal((2, 1, len(far), m)), far[None]))
    for samples, inputs in probes:
        values = _evaluated(name, function, samples, inputs)
        terms = np.abs(constant) + np.abs(samples) @ np.abs(weights)
        if not (np.abs(values - (constant + samples @ weights)) <= TOLERANCE * terms).all():  # NaN neither
            raise UnsupportedModelError(f"{name} is not a linear function of the outcomes.")
    return Linear(float(constant), weights)


def _around(X: Tensor) -> Tensor:
    """Return inputs on all sides of some, ``n x d``, near and far."""
    middle, span = (X.amin(0) + X.amax(0)) / 2, X.amax(0) - X.amin(0)
    span = torch.where(span > 0, span, X.abs().amax(0).clamp_min(1.0))
    sides = torch.cat([torch.eye(X.shape[-1]), torch.ones(1, X.shape[-1])]).to(X)
    return torch.cat([middle + distance * span * sides for distance in (*DISTANCES, *(-distance for distance in DISTANCES))])


def _evaluated(name: str, function: Callable[[Tensor, Tensor], Any], samples: np.ndarray, X: Tensor) -> np.ndarray:
    """Return the values at samples ``s x b x q x m``: ``s x b x q``."""
    try:
        with torch.no_grad():
            values = function(torch.from_numpy(np.ascontiguousarray(samples)), X)
    except Exception as error:  # whatever a user's function does with samples that no model has made
        raise UnsupportedModelError(f"{name} cannot be evaluated at samples of outcomes ({error}).") from error
    if not isinstance(values, Tensor) or values.shape != samples.shape[:-1]:
        shape = tuple(values.shape) if isinstance(values, Tensor) else f"{type(values).__name__}"
        raise UnsupportedModelError(f"{name} makes {shape} of samples {samples.shape}, and not one number for each.")
    return values.to(torch.float64).numpy()
