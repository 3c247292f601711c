"""A built gp and data come in, the maximum a posteriori from several starts goes out, and what happened on the way."""

__all__ = ["FitResult", "fit_map"]

import time
import warnings
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pymc.logprob.utils import ParameterValueError
from scipy.optimize import minimize

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import DataError, FitError, FitWarning
from pymc_botorch.graph.structures import compiled
from pymc_botorch.inference.build import BuiltGP, TrainingData
from pymc_botorch.inference.objective import compile_objective

REJECTED = 1e12
"""The value of a step where density or gradient are not finite, if the first is not larger: L-BFGS-B takes a shorter one."""
DRIFT = 6.0
"""Distance from PyMC's initial point, unconstrained, beyond which a parameter may be on its way to a bound."""
FLAT = 1e-2
"""Change of the log density under a unit step, unconstrained (a factor e of a scale), that says nothing."""
NEAR = 0.7
"""Difference of log densities below which another optimum is nearly as probable: a factor of two."""

_prior_modes: weakref.WeakKeyDictionary[BuiltGP, list[np.ndarray]] = weakref.WeakKeyDictionary()


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


class _Optimum(NamedTuple):
    u: np.ndarray
    value: float
    spread: np.ndarray  # rough sd of each coordinate, from the optimiser's Hessian; inf where nothing depends on it


class _Objective:
    """The negative log density as a function of one vector."""

    def __init__(self, function: Any, data: Sequence[np.ndarray], like: Sequence[np.ndarray]) -> None:
        self.function, self.data = function, data
        self.shapes = [np.shape(part) for part in like]
        self.ends = np.cumsum([np.size(part) for part in like]).tolist()
        self.evaluations = 0
        self.rejected = REJECTED
        self.best = np.inf, np.zeros(0)  # of the steps since begin

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        self.evaluations += 1
        try:
            log_density, *gradient = self.function(*self.split(u), *self.data)
        except (ParameterValueError, np.linalg.LinAlgError):
            return self.rejected, np.zeros_like(u)
        value, slope = -float(log_density), -join(gradient)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return self.rejected, np.zeros_like(u)
        if value < self.best[0]:
            self.best = value, u.copy()
        return value, slope

    def begin(self, start: np.ndarray) -> float:
        """Forget the best step, and return the value of the first, infinite where that is rejected."""
        self.best, self.rejected = (np.inf, start), REJECTED
        value, _ = self(start)
        if np.isfinite(self.best[0]):
            self.rejected = max(REJECTED, 10 * abs(value))
        return self.best[0]

    def split(self, u: np.ndarray) -> list[np.ndarray]:
        parts = zip(self.shapes, [0, *self.ends], self.ends, strict=False)
        return [u[start:end].reshape(shape) for shape, start, end in parts]


def join(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return one vector of all numbers."""
    return np.concatenate([np.ravel(part) for part in parts])


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
    objective = compiled(built.objective, compile_objective, tier)
    values = built.objective_values(data)
    support = built.scales.support_point(values)
    function = _Objective(objective.function, values, support)
    starts = _starts(built, data, function, support, warm_start, num_starts, seed)
    optima = [_maximise(function, join(u), maxiter) for _, u in starts]
    best = max(optima, key=lambda optimum: optimum.value)
    if not np.isfinite(best.value):
        raise FitError(
            f"None of {len(starts)} starts gave a finite log density. Look for a prior that forbids its own draws, data far from "
            "the scale of the priors, or a covariance that needs a larger jitter."
        )
    point = built.scales.natural(function.split(best.u), values)
    warning = None if quiet else _warning(function, optima, best, join(support), built, values)
    if objective.answered is not None:
        objective.answered([*function.split(best.u), *function.data])
    result = FitResult(
        "map",
        tuple(name for name, _ in starts),
        tuple(optimum.value for optimum in optima),
        function.evaluations,
        time.perf_counter() - began,
        objective.linker,
        warning,
    )
    if warning is not None:
        warnings.warn(warning, FitWarning, stacklevel=3)
    return point, result


def _maximise(function: _Objective, start: np.ndarray, maxiter: int) -> _Optimum:
    """Climb from one start; the result is taken by its value, whatever the optimiser says of it."""
    if not np.isfinite(function.begin(start)):
        return _Optimum(start, -np.inf, np.ones_like(start))
    found = minimize(function, start, jac=True, method="L-BFGS-B", options={"maxiter": maxiter, "ftol": 1e-10, "gtol": 1e-5})
    spread = np.sqrt(np.abs(np.diag(found.hess_inv.todense())))
    value, u = function.best
    return _Optimum(u, -value, np.where(found.jac == 0, np.inf, spread))


def _starts(
    built: BuiltGP,
    data: TrainingData,
    function: _Objective,
    support: list[np.ndarray],
    warm_start: Mapping[str, Any] | None,
    num_starts: int,
    seed: int,
) -> list[tuple[str, list[np.ndarray]]]:
    starts = []
    values = function.data
    if warm_start is not None:
        starts.append(("warm start", _warm(built, values, support, warm_start)))
    if len(starts) < num_starts:
        if built.scales.priors_need_data:  # the mode of the prior is found without data
            starts.append(("initial point", support))
        else:
            starts.append(("prior mode", _prior_mode(built, data, function, support)))
    if (k := num_starts - len(starts)) > 0:
        for drawn in built.scales.draws(k, seed, values):
            parts = [u if np.isfinite(u).all() else default for u, default in zip(drawn, support, strict=True)]
            starts.append(("prior draw", parts))
    return starts[:num_starts]


def _warm(
    built: BuiltGP, values: Sequence[np.ndarray], support: Sequence[np.ndarray], point: Mapping[str, Any]
) -> list[np.ndarray]:
    natural = built.scales.read(point)
    unconstrained = built.scales.unconstrained(natural, values)
    for name, u, default in zip(built.scales.names, unconstrained, support, strict=True):
        if np.shape(u) != np.shape(default) or not np.isfinite(u).all():
            raise DataError(
                f"The warm start has {name} = {natural[name]}, which this model cannot have. Pass a point of the same model."
            )
    return unconstrained


def _prior_mode(built: BuiltGP, data: TrainingData, function: _Objective, support: list[np.ndarray]) -> list[np.ndarray]:
    """Return the mode of the prior, which is the objective without data; where the prior is flat, PyMC's initial point.

    It depends on the builder alone, and is computed once for it.
    """
    if built not in _prior_modes:
        none = TrainingData(data.X[:0], data.y[:0], None if data.sigma is None else data.sigma[:0])
        prior = _Objective(function.function, built.objective_values(none), support)
        start = join(support)
        mode = _maximise(prior, start, maxiter=100).u.copy()
        slope = prior(mode)[1]
        ran_off = []
        for i, reached in enumerate(mode):
            ahead = mode.copy()
            ahead[i] += np.sign(reached - start[i]) or 1.0
            ran_off.append(abs(prior(ahead)[1][i] - slope[i]) < FLAT)  # no curvature: it ran off, or never moved
        mode = np.where(ran_off, start, mode)
        _prior_modes[built] = [part.copy() for part in prior.split(mode)]
    return _prior_modes[built]


def _warning(
    function: _Objective,
    optima: Sequence[_Optimum],
    best: _Optimum,
    support: np.ndarray,
    built: BuiltGP,
    values: Sequence[np.ndarray],
) -> str | None:
    """Return one sentence or two about a fit that should not be trusted as it is."""
    owners = [name for name, part in zip(built.scales.names, function.split(best.u), strict=True) for _ in range(np.size(part))]

    def shown(u: np.ndarray, name: str) -> str:
        return np.array2string(built.scales.natural(function.split(u), values)[name], precision=3)

    # The distances are those of logarithms and the like; parameters on their natural scale have units of their own
    scaled = np.repeat(built.scales.transformed, [np.size(part) for part in function.split(best.u)])
    suspicious = scaled & ((np.abs(best.u - support) > DRIFT) | (best.spread > DRIFT))
    for i in np.flatnonzero(suspicious | np.isinf(best.spread)):
        outwards = np.sign(best.u[i] - support[i]) or 1.0
        change = []
        for step in (outwards, -outwards):
            moved = best.u.copy()
            moved[i] += step
            change.append(abs(function(moved)[0] + best.value))
        if change[0] < FLAT and abs(best.u[i] - support[i]) > DRIFT:
            return (
                f"The maximum a posteriori of {owners[i]} is at a bound ({shown(best.u, owners[i])}), where the posterior has "
                "no peak. Give it a prior that vanishes there, such as LogNormal or Gamma(2, ...)."
            )
        if max(change) < FLAT:
            return (
                f"Neither data nor prior determine {owners[i]} ({shown(best.u, owners[i])}): the posterior is flat there. Give "
                "it an informative prior."
            )
    for other in optima:
        if best.value - other.value < NEAR and np.abs(other.u - best.u).max() > 1:
            name = owners[int(np.abs(other.u - best.u).argmax())]
            return (
                f"There are two different optima of nearly the same log posterior density, {best.value:.2f} and "
                f"{other.value:.2f}, with {name} = {shown(best.u, name)} and {shown(other.u, name)}; the first was taken. More "
                "data, or a prior that says which is meant, would decide it."
            )
    return None
