"""A built gp and data come in, the maximum a posteriori from several starts goes out, and what happened on the way."""

__all__ = ["FitResult", "fit_map"]

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import FitError, FitWarning
from pymc_botorch.inference.build import BuiltGP, TrainingData
from pymc_botorch.inference.density import FLAT, Density, Optimum, climb, starts

DRIFT = 6.0
"""Distance from PyMC's initial point, unconstrained, beyond which a parameter may be on its way to a bound."""
NEAR = 0.7
"""Difference of log densities below which another optimum is nearly as probable: a factor of two."""

NO_START = (
    "None of {} starts gave a finite log density. Look for a prior that forbids its own draws, data far from the scale of the "
    "priors, or a covariance that needs a larger jitter."
)


@dataclass(frozen=True)
class FitResult:
    """What a fit did.

    Attributes:
        method: ``"map"``.
        starts: Where each optimisation began: ``"warm start"``, ``"prior mode"`` (PyMC's ``"initial point"`` where the priors
            depend on the data) or ``"prior draw"``.
        values: Log posterior density that each reached, without Jacobian, for the data in the units of the gp; ``-inf`` where
            none of its steps was finite.
        evaluations: Evaluations of density and gradient, over all starts.
        seconds: Wall time, compilation included.
        linker: ``"numba"`` or ``"python"``: what evaluated.
        warning: What was warned of, or None.
    """

    method: str
    starts: tuple[str, ...]
    values: tuple[float, ...]
    evaluations: int
    seconds: float
    linker: Linker
    warning: str | None

    @property
    def log_posterior(self) -> float:
        """The best of ``values``, that of the fitted point."""
        return max(self.values)


def fit_map(
    built: BuiltGP,
    data: TrainingData,
    *,
    warm_start: Mapping[str, Any] | None,
    num_starts: int,
    seed: int,
    maxiter: int,
    tier: Tier,
    quiet: bool = False,
) -> tuple[dict[str, np.ndarray], FitResult]:
    """Return the parameters of largest posterior density, on their natural scale, and how they were found.

    Args:
        built: What the builder made.
        data: Training data.
        warm_start: Natural values by name, the first start; None begins at the mode of the prior.
        num_starts: Optimisations: after warm start and prior mode, draws from the prior.
        seed: Of these draws.
        maxiter: Iterations of L-BFGS-B in each.
        tier: How the objective is compiled.
        quiet: Whether to leave out warnings.

    Raises:
        DataError: If the warm start does not fit the model.
        FitError: If no start gave a finite density.
    """
    began = time.perf_counter()
    density = Density(built, data, tier, jacobian=False)
    begun = starts(density, data, tier, warm_start, num_starts, seed)
    optima = [climb(density, start.u, maxiter) for start in begun]
    best = max(optima, key=lambda optimum: optimum.value)
    if not np.isfinite(best.value):
        raise FitError(NO_START.format(len(begun)))
    point = density.natural(best.u)
    warning = None if quiet else _warning(density, optima, best)
    density.answered(best.u)
    result = FitResult(
        "map",
        tuple(start.name for start in begun),
        tuple(optimum.value for optimum in optima),
        density.evaluations,
        time.perf_counter() - began,
        density.linker,
        warning,
    )
    if warning is not None:
        warnings.warn(warning, FitWarning, stacklevel=3)
    return point, result


def _warning(density: Density, optima: Sequence[Optimum], best: Optimum) -> str | None:
    """Return one sentence or two about a fit that should not be trusted as it is."""

    def shown(u: np.ndarray, name: str) -> str:
        return np.array2string(density.natural(u)[name], precision=3, threshold=6, edgeitems=2)

    # The distances are those of logarithms and the like; parameters on their natural scale have units of their own
    of_name = dict(zip(density.built.scales.names, density.built.scales.transformed, strict=True))
    scaled = np.array([of_name[name] for name in density.names])
    distance = np.abs(best.u - density.support)
    suspicious = scaled & ((distance > DRIFT) | (best.spread > DRIFT))
    for i in np.flatnonzero(suspicious | np.isinf(best.spread)):
        name, outwards = density.names[i], np.sign(best.u[i] - density.support[i]) or 1.0
        change = []
        for step in (outwards, -outwards):
            moved = best.u.copy()
            moved[i] += step
            change.append(abs(density(moved)[0] - best.value))
        if change[0] < FLAT and distance[i] > DRIFT:
            return (
                f"The maximum a posteriori of {name} is at a bound ({shown(best.u, name)}), where the posterior has "
                "no peak. Give it a prior that vanishes there, such as LogNormal or Gamma(2, ...)."
            )
        if max(change) < FLAT:
            return (
                f"Neither data nor prior determine {name} ({shown(best.u, name)}): the posterior is flat there. Give "
                "it an informative prior."
            )
    for other in optima:
        if best.value - other.value < NEAR and np.abs(other.u - best.u).max() > 1:
            name = density.names[int(np.abs(other.u - best.u).argmax())]
            return (
                f"There are two different optima of nearly the same log posterior density, {best.value:.2f} and "
                f"{other.value:.2f}, with {name} = {shown(best.u, name)} and {shown(other.u, name)}; the first was taken. More "
                "data, or a prior that says which is meant, would decide it."
            )
    return None
