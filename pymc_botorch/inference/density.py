"""A built gp and data come in, the log posterior density of one vector of parameters goes out, where to start, and its optima."""

__all__ = ["Density", "Optimum", "Start", "climb", "join", "read_warm_start", "starts"]

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from pymc.logprob.utils import ParameterValueError
from scipy.optimize import minimize

from pymc_botorch.config import Tier
from pymc_botorch.errors import DataError
from pymc_botorch.graph.structures import compiled
from pymc_botorch.inference.build import BuiltGP, TrainingData
from pymc_botorch.inference.objective import compile_objective
from pymc_botorch.inference.scales import Layout

REJECTED = 1e12
"""The value of a step where density or gradient are not finite, if the first is not larger: L-BFGS-B takes a shorter one."""
FLAT = 1e-2
"""Change of the log density under a unit step, unconstrained (a factor e of a scale), that says nothing."""

_prior_modes: weakref.WeakKeyDictionary[BuiltGP, np.ndarray] = weakref.WeakKeyDictionary()


class Density:
    """The log posterior density, compiled, as a function of one vector of unconstrained parameters.

    Attributes:
        built: The gp.
        values: A value for each of the objective's data.
        support: PyMC's initial point, one vector.
        names: The parameter that each entry of a vector belongs to.
        split: Returns the parameters of a vector, each in its shape.
        linker: What evaluates: ``"numba"`` or ``"python"``.
        evaluations: How often it was evaluated.
    """

    def __init__(self, built: BuiltGP, data: TrainingData, tier: Tier, *, jacobian: bool) -> None:
        self._objective = compiled(built.objective, compile_objective, tier)
        self.built, self.linker = built, self._objective.linker
        self.values = built.objective_values(data)
        self._inputs: list[np.ndarray] = [*self.values, np.asarray(float(jacobian))]
        like = built.scales.support_point(self.values)
        self.support = join(like)
        layout = Layout(built.scales.names, like)
        self.names, self.split = layout.owners, layout.split
        self.evaluations = 0

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log density and gradient; ``-inf`` and zeros where either is not finite."""
        self.evaluations += 1
        try:
            value, *gradient = self._objective.function(*self.split(u), *self._inputs)
        except (ParameterValueError, np.linalg.LinAlgError):
            return -np.inf, np.zeros_like(u)
        slope = join(gradient)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return -np.inf, np.zeros_like(u)
        return float(value), slope

    def natural(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the natural values of a vector, by name."""
        return self.built.scales.natural(self.split(u), self.values)

    def without_data(self, data: TrainingData, tier: Tier) -> "Density":
        """Return the density of the prior, without Jacobian."""
        none = TrainingData(data.X[:0], data.y[:0], None if data.sigma is None else data.sigma[:0])
        return Density(self.built, none, tier, jacobian=False)

    def answered(self, u: np.ndarray) -> None:
        """Say that an answer was had, so that a quicker function may be compiled beside the work."""
        if self._objective.answered is not None:
            self._objective.answered([*self.split(u), *self._inputs])


class Optimum(NamedTuple):
    """Where a climb ended.

    Attributes:
        u: The best of its steps, unconstrained.
        value: Log density there; ``-inf`` if that of the start is.
        spread: Rough sd of each entry, from the optimiser's Hessian; infinite where nothing depends on it.
    """

    u: np.ndarray
    value: float
    spread: np.ndarray


class Start(NamedTuple):
    """Where a climb begins, and what that is: ``"warm start"``, ``"prior mode"``, ``"initial point"`` or ``"prior draw"``."""

    name: str
    u: np.ndarray


def join(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return one vector of all numbers."""
    return np.concatenate([np.ravel(part) for part in parts])


def climb(density: Density, start: np.ndarray, maxiter: int) -> Optimum:
    """Climb from one start by L-BFGS-B; the result is taken by its value, whatever the optimiser says of it."""
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
    """Return where to begin: the warm start where there is one, the mode of the prior, and draws from it.

    Raises:
        DataError: If the warm start does not fit the model.
    """
    scales = density.built.scales
    found = []
    if warm_start is not None:
        found.append(Start("warm start", read_warm_start(density, warm_start)))
    if len(found) < num_starts:
        if scales.priors_need_data:  # the mode of the prior is found without data
            found.append(Start("initial point", density.support))
        else:
            found.append(Start("prior mode", _prior_mode(density, data, tier)))
    if (k := num_starts - len(found)) > 0:
        support = density.split(density.support)
        for drawn in scales.draws(k, seed, density.values):
            parts = [u if np.isfinite(u).all() else default for u, default in zip(drawn, support, strict=True)]
            found.append(Start("prior draw", join(parts)))
    return found[:num_starts]


def read_warm_start(density: Density, point: Mapping[str, Any]) -> np.ndarray:
    """Return a point of the same model, unconstrained.

    Raises:
        DataError: If it does not fit the model.
    """
    scales = density.built.scales
    natural = scales.read(point)
    unconstrained = scales.unconstrained(natural, density.values)
    for name, u, default in zip(scales.names, unconstrained, density.split(density.support), strict=True):
        if np.shape(u) != np.shape(default) or not np.isfinite(u).all():
            raise DataError(
                f"The warm start has {name} = {natural[name]}, which this model cannot have. Pass a point of the same model."
            )
    return join(unconstrained)


def _prior_mode(density: Density, data: TrainingData, tier: Tier) -> np.ndarray:
    """Return the mode of the prior, which is the density without data; where the prior is flat, PyMC's initial point.

    It depends on the builder alone, and is computed once for it.
    """
    if density.built not in _prior_modes:
        prior = density.without_data(data, tier)
        mode = climb(prior, prior.support, maxiter=100).u
        slope = prior(mode)[1]
        ran_off = []
        for i, reached in enumerate(mode):
            ahead = mode.copy()
            ahead[i] += np.sign(reached - prior.support[i]) or 1.0
            ran_off.append(abs(prior(ahead)[1][i] - slope[i]) < FLAT)  # no curvature: it ran off, or never moved
        _prior_modes[density.built] = np.where(ran_off, prior.support, mode)
    return _prior_modes[density.built]
