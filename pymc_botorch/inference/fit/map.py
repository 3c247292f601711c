"""Maximum a posteriori (MAP) estimate of a gp's hyperparameters, by L-BFGS-B from several starts."""

__all__ = ["FitResult", "fit_map"]

import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import PACKAGE_FOLDER, FitError, FitWarning
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.budget import Budget
from pymc_botorch.inference.fit.conflict import find_conflict
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.optimise import FLAT_CHANGE, NO_FINITE_START, Optimum, climb
from pymc_botorch.inference.fit.predictions import predictions_at
from pymc_botorch.inference.fit.prior import Prior, prior_quantiles, read_prior
from pymc_botorch.inference.fit.starts import starts
from pymc_botorch.inference.fit.threads import one_blas_thread
from pymc_botorch.inference.sampling.slopes import SlopesReport
from pymc_botorch.inference.table import AbstractReported, Report, seconds_text
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.logs import took

SUSPICIOUS_DISTANCE = 6.0
"""Unconstrained distance from PyMC's initial point beyond which a parameter may be on its way to the boundary."""
SIMILAR_LOG_DENSITY = 0.7
"""Difference of log densities below which two modes are similarly probable: a factor of two."""
DISTINCT_MODE_DISTANCE = 1.0
"""Distance of some parameter beyond which two modes are different: a factor of e of a positive one, else half a prior sd."""
SAME_PREDICTION = 0.1
"""Fraction of the predicted sd of an observation by which the means of two modes may differ that are the same function."""


@dataclass(frozen=True, repr=False)
class FitResult(AbstractReported):
    """Report of a MAP fit; it prints as a table.

    Attributes:
        method: ``"map"``; or ``"joint"``, with the signs of a gp whose derivatives have signs.
        starts: Where each optimisation started: ``"warm start"``, ``"prior mode"`` (PyMC's ``"initial point"`` where the priors
            depend on the data), ``"prior draw"`` or ``"without signs"``, the maximum a posteriori before a joint fit.
        values: Log posterior density that each optimisation reached, without Jacobian, for the data in the units of the gp;
            ``-inf`` where the density of its start is not finite. Of a joint fit with the log probability of the signs.
        evaluations: Number of evaluations of density and gradient, over all starts.
        seconds: Wall time, compilation included.
        linker: Compiler of the density, ``"numba"`` or ``"numpy"``.
        warning: Text of the warning that the fit gave, or None.
        slopes: How derivatives with signs were drawn at the point, where the gp has any.
        prior_quantiles: Share of the prior of each hyperparameter that is below its fitted value, by name, from 200 draws; those
            with improper priors are left out.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> result = PyMCGP(X, (6 * X).sin()).fit().fit_result
        >>> result.method, result.warning, sorted(result.prior_quantiles)
        ('map', None, ['lengthscale', 'noise'])
        >>> result.log_posterior == max(result.values)
        True
    """

    method: str
    starts: tuple[str, ...]
    values: tuple[float, ...]
    evaluations: int
    seconds: float
    linker: Linker
    warning: str | None
    slopes: SlopesReport | None = None
    prior_quantiles: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def log_posterior(self) -> float:
        """Log posterior density of the fitted point, the largest of ``values``."""
        return max(self.values)

    @property
    def trusted(self) -> bool:
        """False where the fit warned: of a parameter without a peak, of another mode, of data that contradict the priors."""
        return self.warning is None

    def report(self) -> Report:
        """Return what a person reads."""
        reached = (f"{value:.2f} ({start})" for value, start in zip(self.values, self.starts, strict=True))
        rows = {
            "trusted": "yes" if self.trusted else "no",
            "method": self.method,
            "log posterior": f"{self.log_posterior:.2f}",
            "from its starts": len(self.starts) > 1 and ", ".join(reached),
            "evaluations": f"{self.evaluations} in {seconds_text(self.seconds)} ({self.linker})",
            "derivatives": self.slopes is not None and self.slopes.text,
            "warning": self.warning,
        }
        what = "maximum a posteriori" if self.method == "map" else "most probable together with the signs"
        return Report(f"Fit of a point ({what})", rows)


def fit_map(
    built: BuiltGP,
    data: TrainingData,
    *,
    warm_start: Mapping[str, Any] | None,
    num_starts: int,
    seed: int,
    maxiter: int,
    tier: Tier,
    owner: str | None,
    progressbar: bool = False,
) -> tuple[dict[str, np.ndarray], FitResult]:
    """Return the parameters of largest posterior density, on their constrained scale, and a report of the fit.

    Args:
        built: A gp that a builder has built.
        data: Training data.
        warm_start: Point to start from first, values on the constrained scale by name; None starts from the mode of the prior.
        num_starts: Number of optimisations: from the warm start, the mode of the prior, and draws from the prior.
        seed: Random seed of these draws.
        maxiter: Maximum number of L-BFGS-B iterations per start.
        tier: What the objective is compiled with.
        owner: Name of the class or function whose priors they are, for warnings; None, for those of a default, gives none.
        progressbar: Whether to show what is being done after two seconds.

    Raises:
        DataError: If the warm start does not fit the model, or an input is an index of no category.
        FitError: If the density is finite at none of the starts.
    """
    began = time.perf_counter()
    density = Density(built, data, tier, jacobian=False)
    budget = Budget(float("inf"), show=progressbar)
    with closing(budget), one_blas_thread():
        prior = read_prior(density)
        initial = starts(density, prior, warm_start, num_starts, seed)
        built.check_categories(data, density.constrained(density.support))
        density.check_time = budget.check
        optima = []
        for i, start in enumerate(initial, start=1):
            budget.say(f"Fitting hyperparameters: start {i} of {len(initial)}")
            optima.append(climb(density, start.u, maxiter, otherwise=start.origin))
        best = max(optima, key=lambda optimum: optimum.value)
        if not np.isfinite(best.value):
            raise FitError(NO_FINITE_START.format(len(initial)))
        point = density.constrained(best.u)
        warning = None if owner is None else _warning(density, prior, optima, best, owner)
    result = FitResult(
        "map",
        tuple(start.name for start in initial),
        tuple(optimum.value for optimum in optima),
        density.evaluations,
        time.perf_counter() - began,
        density.linker,
        warning,
        prior_quantiles=prior_quantiles(prior, point),
    )
    took(result.seconds, f"Fit of a point to {len(data.y)} observations")
    if warning is not None:
        warnings.warn(warning, FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    return point, result


def _warning(density: Density, prior: Prior, optima: Sequence[Optimum], best: Optimum, owner: str) -> str | None:
    """Return a warning if the fit should not be trusted as it is."""
    conflict = find_conflict(density, prior, [best.u], owner)
    other = _undetermined(density, best) or _other_mode(density, prior, optima, best)
    return " ".join(text for text in (conflict, other) if text is not None) or None


def _undetermined(density: Density, best: Optimum) -> str | None:
    """Return a warning of a parameter that ran to a boundary, or along which the density is flat."""
    # Only transformed parameters (logarithms and the like) are of order one; the others have units of their own
    transformed = _is_transformed(density)
    distance = np.abs(best.u - density.support)
    suspicious = transformed & ((distance > SUSPICIOUS_DISTANCE) | (best.spread > SUSPICIOUS_DISTANCE))
    for i in np.flatnonzero(suspicious | np.isinf(best.spread)):
        name, outwards = density.names[i], np.sign(best.u[i] - density.support[i]) or 1.0
        change = []
        for step in (outwards, -outwards):
            moved = best.u.copy()
            moved[i] += step
            change.append(abs(density(moved)[0] - best.value))
        if change[0] < FLAT_CHANGE and distance[i] > SUSPICIOUS_DISTANCE:
            return (
                f"MAP estimate of `{name}` ran to the boundary ({density.shown(best.u, name)}): the posterior has no peak there. "
                "Give it a prior that vanishes there, such as LogNormal or Gamma(2, ...)."
            )
        if max(change) < FLAT_CHANGE:
            return (
                f"Neither data nor prior determine `{name}` ({density.shown(best.u, name)}): the posterior is flat there. Give "
                "it an informative prior."
            )
    return None


def _other_mode(density: Density, prior: Prior, optima: Sequence[Optimum], best: Optimum) -> str | None:
    """Return a warning of another mode that is nearly as probable and predicts something else."""
    unit = np.where(_is_transformed(density), 1.0, prior.spread / 2)
    for other in optima:
        difference = np.abs(other.u - best.u) / unit
        similar = best.value - other.value < SIMILAR_LOG_DENSITY
        if similar and difference.max() > DISTINCT_MODE_DISTANCE and not _predict_the_same(density, best.u, other.u):
            name = density.names[int(difference.argmax())]
            return (
                f"The posterior has two different modes of nearly the same log density, {best.value:.2f} and {other.value:.2f}, "
                f"at `{name}` = {density.shown(best.u, name)} and {density.shown(other.u, name)}; the first was taken. Collect "
                "more data, or give it a prior that favours one of them."
            )
    return None


def _predict_the_same(density: Density, one: np.ndarray, two: np.ndarray) -> bool:
    """Return whether two points give the same function and noise, as a weight and its negative do."""
    try:
        mean, sd, noise = predictions_at(density.built, density.data, [density.constrained(u) for u in (one, two)])
    except FitError:
        return False
    spread = np.hypot(sd, noise[:, None]).min(axis=0)  # P
    sds = np.hypot(sd, SAME_PREDICTION * spread)
    same_sd = np.abs(np.log(sds[0] / sds[1])).max() < SAME_PREDICTION
    return bool(np.all(np.abs(mean[0] - mean[1]) < SAME_PREDICTION * spread) and same_sd)


def _is_transformed(density: Density) -> np.ndarray:
    scales = density.built.scales
    transformed = dict(zip(scales.names, scales.transformed, strict=True))
    return np.array([transformed[name] for name in density.names])
