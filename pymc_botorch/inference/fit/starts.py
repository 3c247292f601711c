"""Starting points of optimisations: a warm start, the mode of the prior, and draws from the prior."""

__all__ = ["Start", "start_from_point", "starts", "step_off"]

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pymc_botorch.errors import DataError
from pymc_botorch.inference.fit.density import Density, flatten
from pymc_botorch.inference.fit.prior import Prior

STEP_OFF = 0.03
"""Length of a step off a start, in prior sds: a point of symmetry is stationary, and may be a saddle."""


class Start(NamedTuple):
    """Start of a climb.

    Attributes:
        name: ``"warm start"``, ``"prior mode"``, ``"initial point"`` or ``"prior draw"``.
        u: Unconstrained vector.
        origin: What ``u`` is a step away from, if it is.
    """

    name: str
    u: np.ndarray
    origin: np.ndarray | None = None


def starts(density: Density, prior: Prior, warm_start: Mapping[str, Any] | None, num_starts: int, seed: int) -> list[Start]:
    """Return the starting points: the warm start if there is one, the mode of the prior, and draws from the prior.

    The first two are moved a little: where priors are symmetric (a ``Normal`` weight about zero, components that share a prior)
    their mode is a stationary point of the posterior, whatever the data say, and so is an earlier fit that stayed there.

    Raises:
        DataError: If the warm start does not fit the model.
    """
    scales = density.built.scales
    found = []
    if warm_start is not None:
        found.append(step_off(density, prior, start_from_point(density, warm_start)))
    if len(found) < num_starts:
        moved = step_off(density, prior, prior.mode)
        found.append(moved._replace(name="initial point" if scales.priors_need_data else "prior mode"))
    if (k := num_starts - len(found)) > 0:
        support = density.split(density.support)
        for drawn in scales.draws(k, seed, density.values):
            parts = [u if np.isfinite(u).all() else default for u, default in zip(drawn, support, strict=True)]
            found.append(Start("prior draw", flatten(parts)))
    return found[:num_starts]


def step_off(density: Density, prior: Prior, u: np.ndarray) -> Start:
    """Return a warm start a little away from a point."""
    step = STEP_OFF * prior.spread * np.random.default_rng(0).normal(size=len(density.support))
    return Start("warm start", u + step, u)


def start_from_point(density: Density, point: Mapping[str, Any]) -> np.ndarray:
    """Return the unconstrained vector of a point.

    Raises:
        DataError: If the point does not fit the model.
    """
    scales = density.built.scales
    constrained = scales.read(point)
    for name, like in density.constrained(density.support).items():
        if constrained[name].shape != like.shape:
            raise DataError(
                f"The warm start's {name} has shape {constrained[name].shape}. Pass a value of shape {like.shape}, or a point of "
                "the same model."
            )
    unconstrained = scales.unconstrained(constrained, density.values)
    for name, u, default in zip(scales.names, unconstrained, density.split(density.support), strict=True):
        if np.shape(u) != np.shape(default) or not np.isfinite(u).all():
            raise DataError(
                f"The warm start has {name} = {constrained[name]}, which this model cannot have. Pass a point of the same model."
            )
    return flatten(unconstrained)
