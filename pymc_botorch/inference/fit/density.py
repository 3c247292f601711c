"""Log posterior density of a built gp given data, as a function of one vector of unconstrained parameters."""

__all__ = ["Density", "flatten"]

from collections.abc import Callable, Iterable

import numpy as np
from pymc.logprob.utils import ParameterValueError

from pymc_botorch.config import Tier
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.objective import densities, density_and_gradient, itself
from pymc_botorch.inference.fit.scales import Layout
from pymc_botorch.inference.training_data import TrainingData

NUMBERS_AT_ONCE = 50_000
"""Number of entries of the stack of training covariances in one call: more leave the processor's cache."""


class Density:
    """The log posterior density, compiled, as a function of one vector of unconstrained parameters.

    Attributes:
        built: The gp.
        data: Training data.
        tier: What it is compiled with.
        values: A value for each of the objective's data.
        support: PyMC's initial point, as one vector.
        names: Name of the parameter that each entry of a vector belongs to.
        split: Function that splits a vector into its parameters, each in its shape.
        split_all: The same of many vectors, ``S x D``, into parameters ``S x ...``.
        linker: ``"numba"`` or ``"numpy"``, which compiled the density.
        evaluations: Number of evaluations so far; of many points at once, each counts.
        check_time: Called before each evaluation; it raises an error where time has run out.
    """

    def __init__(self, built: BuiltGP, data: TrainingData, tier: Tier, *, jacobian: bool) -> None:
        self._objective = compiled(built.objective, itself, tier)
        self.built, self.data, self.tier, self.linker = built, data, tier, self._objective.linker
        self.values = built.objective_values(data)
        self._inputs: list[np.ndarray] = [*self.values, np.asarray(float(jacobian))]
        like = built.scales.support_point(self.values)
        self.support = flatten(like)
        layout = Layout(built.scales.names, like)
        self.names, self.split, self.split_all = layout.owners, layout.split, layout.split_all
        self.evaluations = 0
        self.check_time: Callable[[], None] = lambda: None

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log density and gradient; ``-inf`` and zeros where either is not finite."""
        self.check_time()
        self.evaluations += 1
        try:
            value, *gradient = self._objective(density_and_gradient, *self.split(u), *self._inputs)
        except (ParameterValueError, np.linalg.LinAlgError):
            return -np.inf, np.zeros_like(u)
        slope = flatten(gradient)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return -np.inf, np.zeros_like(u)
        return float(value), slope

    def at_all(self, U: np.ndarray) -> np.ndarray:
        """Return the log densities of many points ``S x D``, ``-inf`` where one is not finite, in few calls of one function."""
        size = max(1, NUMBERS_AT_ONCE // max(len(self.data.y), 1) ** 2)
        if not len(U):
            return np.empty(0)
        return np.concatenate([self._at_some(U[i : i + size]) for i in range(0, len(U), size)])

    def _at_some(self, U: np.ndarray) -> np.ndarray:
        self.check_time()
        parts = [np.array(part) for part in self.split_all(U)]
        try:
            (values,) = self._objective(densities, *parts, *self._inputs)
        except (ParameterValueError, np.linalg.LinAlgError):  # of one point, which the call does not tell
            if len(U) > 1:
                return np.concatenate([self._at_some(U[i : i + 1]) for i in range(len(U))])
            values = np.array([-np.inf])
        self.evaluations += len(U)
        return np.where(np.isfinite(values), values, -np.inf)

    def constrained(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters on their constrained scale, by name."""
        return self.built.scales.constrained(self.split(u), self.values)

    def shown(self, u: np.ndarray, name: str) -> str:
        """Return the constrained value of a parameter, for a message."""
        return np.array2string(self.constrained(u)[name], precision=3, threshold=6, edgeitems=2)

    def without_data(self, *, jacobian: bool = False) -> "Density":
        """Return the density of the prior, with or without Jacobian."""
        return Density(self.built, self.data.without_observations(), self.tier, jacobian=jacobian)


def flatten(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the arrays as one vector."""
    return np.concatenate([np.ravel(part) for part in parts])
