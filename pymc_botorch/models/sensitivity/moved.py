"""A fitted model whose raw data have moved, and its hyperparameters with them."""

__all__ = ["MovedModels"]

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pymc_botorch.inference.sensitivity.derivatives import read_derivatives_of_built
from pymc_botorch.inference.sensitivity.optimum import find_maximum
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.raw_data import RawData


class MovedModels:
    """Models of raw data near those of a fitted one, with the hyperparameters on the tangent of a refit's.

    Attributes:
        raw: The raw data.
        values: The same by the names that derivatives have.
        fixed_parameters: Hyperparameters whose density has no maximum, which stay where they are.
    """

    def __init__(self, model: PyMCGP, wrt: Sequence[str]) -> None:
        built, data = model.read_built()
        self._model, self.raw = model, RawData(model)
        self.values = self.raw.values
        self.raw.check(wrt, built.function.graph.rough)
        with botorch_errors():
            self._derivatives = read_derivatives_of_built(built, data, list(self.values))
            self._maximum = find_maximum(self._derivatives, self._derivatives.unconstrained(model.point))
        rows = [
            self.raw.pull({name: part[i] for name, part in self._maximum.movement.items()}) for i in range(len(self._maximum.u))
        ]
        self._movement = {name: np.stack([row[name] for row in rows]) for name in self.values}
        self.fixed_parameters = tuple(dict.fromkeys(np.array(self._derivatives.owners)[~self._maximum.free].tolist()))

    def at(self, change: Mapping[str, np.ndarray]) -> PyMCGP:
        """Return the model of raw data that have changed by so much."""
        moved = {name: value + change.get(name, 0.0) for name, value in self.values.items()}
        u = self._maximum.u + sum(
            (np.tensordot(self._movement[name], part, part.ndim) for name, part in change.items()), np.zeros(len(self._maximum.u))
        )
        point = self._derivatives.constrained_values(u)
        X, Y = torch.from_numpy(moved["X"]), torch.from_numpy(moved["y"]).unsqueeze(-1)
        Yvar = torch.from_numpy(np.square(moved["sigma"])).unsqueeze(-1) if "sigma" in moved else None
        return self._model.given_data(X, Y, Yvar, point)
