"""Log posterior density of a built gp given data, as a function of one vector of unconstrained parameters."""

__all__ = ["Density", "flatten"]

from collections.abc import Iterable

import numpy as np
from pymc.logprob.utils import ParameterValueError

from pymc_botorch.config import Tier
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.objective import density_and_gradient, itself
from pymc_botorch.inference.fit.scales import Layout
from pymc_botorch.inference.training_data import TrainingData


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
        linker: ``"numba"`` or ``"numpy"``, which compiled the density.
        evaluations: Number of evaluations so far.
    """

    def __init__(self, built: BuiltGP, data: TrainingData, tier: Tier, *, jacobian: bool) -> None:
        self._objective = compiled(built.objective, itself, tier)
        self.built, self.data, self.tier, self.linker = built, data, tier, self._objective.linker
        self.values = built.objective_values(data)
        self._inputs: list[np.ndarray] = [*self.values, np.asarray(float(jacobian))]
        like = built.scales.support_point(self.values)
        self.support = flatten(like)
        layout = Layout(built.scales.names, like)
        self.names, self.split = layout.owners, layout.split
        self.evaluations = 0

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """Return log density and gradient; ``-inf`` and zeros where either is not finite."""
        self.evaluations += 1
        try:
            value, *gradient = self._objective(density_and_gradient, *self.split(u), *self._inputs)
        except (ParameterValueError, np.linalg.LinAlgError):
            return -np.inf, np.zeros_like(u)
        slope = flatten(gradient)
        if not (np.isfinite(value) and np.isfinite(slope).all()):
            return -np.inf, np.zeros_like(u)
        return float(value), slope

    def constrained(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters on their constrained scale, by name."""
        return self.built.scales.constrained(self.split(u), self.values)

    def shown(self, u: np.ndarray, name: str) -> str:
        """Return the constrained value of a parameter, for a message."""
        return np.array2string(self.constrained(u)[name], precision=3, threshold=6, edgeitems=2)

    def without_data(self) -> "Density":
        """Return the density of the prior, without Jacobian."""
        return Density(self.built, self.data.without_observations(), self.tier, jacobian=False)


def flatten(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the arrays as one vector."""
    return np.concatenate([np.ravel(part) for part in parts])
