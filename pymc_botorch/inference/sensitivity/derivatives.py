"""Derivatives of one model, at its data, as functions of a vector of unconstrained parameters."""

__all__ = ["ByData", "Derivatives", "read_derivatives", "read_derivatives_of_built"]

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm

from pymc_botorch.config import Tier, config
from pymc_botorch.errors import FitError
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.functions import as_given, making_graphs
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.density import flatten
from pymc_botorch.inference.fit.objective import itself
from pymc_botorch.inference.fit.scales import Layout, Scales
from pymc_botorch.inference.sensitivity.builds import (
    ExpectationTerms,
    constrained_pullback,
    curvature,
    expectation_terms,
    prediction_pullback,
    score,
)
from pymc_botorch.inference.sensitivity.graph import SensitivityGraph, SensitivityInputs
from pymc_botorch.inference.sensitivity.quantity import Quantity
from pymc_botorch.inference.sensitivity.reading import read_built_gp, read_gp
from pymc_botorch.inference.training_data import TrainingData

type ByData = dict[str, np.ndarray]
"""A derivative with respect to each of the data that were asked for, by the name that was asked for."""


class Derivatives:
    """Density, parameters and predictions of a model with their derivatives in parameters and data, compiled.

    Methods take a vector ``u`` of ``D`` unconstrained parameters. Compiled by the NumPy tier unless Numba is asked for: most
    functions are called a few times.

    Attributes:
        wrt: Names of the data, as they were asked for.
        values: These data, by name.
        new_inputs: New inputs of predictions in the user's quantity, ``q x d`` each.
        X_name: The one of ``wrt`` that is the gp's training inputs, or None.
        rough: Names of kernels with a kink at distance zero.
        names: Names of the parameters.
        owners: Name of the parameter that each entry of ``u`` belongs to.
        transformed: Whether each entry of ``u`` is of a parameter with a transform (a logarithm, a logit).
        jacobian: Weight of the log Jacobian in the density: 0 for that of the parameters on their constrained scale.
        d: Number of columns of the gp's inputs.
        computes_inputs: Whether the PyMC model computes these from other data, so that new ones cannot be told apart.
    """

    def __init__(
        self, pm_model: pm.Model, graph: SensitivityGraph, inputs: SensitivityInputs, wrt: Sequence[str], *, jacobian: bool
    ) -> None:
        tier: Tier = "numba" if config.linker == "numba" else "numpy"
        self._functions = compiled(graph, itself, tier)
        self.wrt, self.jacobian = tuple(wrt), float(jacobian)
        self._data = [np.array(inputs.values[name], symbol.type.dtype) for name, symbol in graph.data.items()]
        self.values = {name: np.array(inputs.values[key]) for name, key in zip(wrt, graph.wrt, strict=True)}
        self.new_inputs = [np.array(inputs.values[key]) for key in graph.new_inputs]
        self._scales = Scales(pm_model, graph, inputs.leaves, [])
        support = self._scales.support_point(self._data)
        self._layout = Layout(self._scales.names, support)
        self.names, self.owners = self._scales.names, self._layout.owners
        transformed = dict(zip(self.names, self._scales.transformed, strict=True))
        self.transformed = np.array([transformed[name] for name in self.owners])
        self.X_name = next((name for name, key in zip(wrt, graph.wrt, strict=True) if key == inputs.X), None)
        self.rough, self._support = graph.rough, flatten(support)
        self.d, self.computes_inputs = graph.X_new.type.shape[1], inputs.computes_inputs

    def unconstrained(self, point: Mapping[str, Any]) -> np.ndarray:
        """Return the vector of a point, which is given in any form that ``from_fitted`` takes.

        Raises:
            DataError: If the point does not fit the model.
        """
        return flatten(self._scales.unconstrained(self._scales.read(point), self._data))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter on its constrained scale, by name."""
        return {name: value.shape for name, value in self.constrained_values(self._support).items()}

    def unconstrained_draws(self, draws: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the vectors ``S x D`` of draws ``S x ...`` of all parameters; of a value outside its support NaN or infinite."""
        return self._layout.join_all(self._scales.unconstrained_all(draws, self._data))

    def score(self, u: np.ndarray) -> tuple[float, np.ndarray, ByData]:
        """Return the log density, its gradient ``D`` in the parameters, and its gradients in the data."""
        value, *gradients = self._call(score, u)
        in_parameters, in_data = self._split(gradients)
        return float(value), in_parameters, in_data

    def curvature(self, u: np.ndarray) -> tuple[np.ndarray, ByData]:
        """Return second derivatives of the log density: ``D x D``, and ``D x ...`` in parameters and data."""
        rows = [self._split(self._call(curvature, u, *self._parts(unit))) for unit in np.eye(len(u))]
        return np.stack([row for row, _ in rows]), {name: np.stack([mixed[name] for _, mixed in rows]) for name in self.wrt}

    def predictions(
        self, u: np.ndarray, X_new: np.ndarray, mean_bar: np.ndarray, variance_bar: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, ByData, np.ndarray]:
        """Return mean and variance at new inputs ``q x d``, and gradients of a weighted sum of them.

        These are in the parameters, ``D``, in the data, and in the new inputs, of
        ``sum(mean_bar * mean + variance_bar * variance)``.
        """
        mean, variance, *gradients, X_bar = self._call(prediction_pullback, u, mean_bar, variance_bar, X_new=X_new)
        return mean, variance, *self._split(gradients), X_bar

    def constrained(self, u: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, ByData]:
        """Return the parameters on their constrained scale, by name, and their derivatives.

        These are ``T x D`` and ``T x ...`` in unconstrained parameters and data, of all ``T`` numbers, one after another.
        """
        values = self.constrained_values(u)
        zeros = [np.zeros(values[name].shape) for name in self.names]
        rows = []
        for i, zero in enumerate(zeros):
            for j in range(zero.size):
                bars = [other.copy() for other in zeros]
                bars[i].flat[j] = 1.0
                rows.append(self._split(self._call(constrained_pullback, u, *bars)[len(zeros) :]))
        in_data = {name: np.stack([mixed[name] for _, mixed in rows]) for name in self.wrt}
        return values, np.stack([row for row, _ in rows]), in_data

    def expectation_terms(self, u: np.ndarray) -> ExpectationTerms[float]:
        """Return the user's quantity and the derivatives that those of its expectation are made of.

        Raises:
            FitError: If the training covariance cannot be factorised.
        """
        try:
            f, *rest = self._call(expectation_terms, u)
        except np.linalg.LinAlgError as error:
            raise FitError("The training covariance cannot be factorised there.") from error
        new, rest = len(self.wrt) + len(self.new_inputs), list(map(np.ravel, rest))
        parameters = new + len(self.names)
        return ExpectationTerms(float(f), flatten(rest[:new]), flatten(rest[new:parameters]), flatten(rest[parameters:]))

    def constrained_values(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters on their constrained scale, by name."""
        return self._scales.constrained(self._layout.split(u), self._data)

    def _parts(self, u: np.ndarray) -> list[np.ndarray]:
        return self._layout.split(np.array(u))

    def _call(self, build: Any, u: np.ndarray, *more: np.ndarray, X_new: np.ndarray | None = None) -> list[np.ndarray]:
        X = np.zeros((1, self.d)) if X_new is None else X_new
        arrays = [*self._parts(u), *self._data, np.asarray(self.jacobian), X, *more]
        return self._functions(build, *map(as_given, arrays))

    def _split(self, gradients: Sequence[np.ndarray]) -> tuple[np.ndarray, ByData]:
        count = len(self.names)
        return flatten(gradients[:count]), dict(zip(self.wrt, gradients[count:], strict=True))


def read_derivatives(
    gp: pm.gp.Marginal,
    wrt: Sequence[str],
    *,
    model: pm.Model | None,
    jacobian: bool = False,
    quantity: Quantity | None = None,
) -> Derivatives:
    """Return the derivatives of a gp's model in the data ``wrt``; see :func:`pymc_botorch.inference.sensitivity.reading.read_gp`.

    Args:
        gp: A gp whose ``marginal_likelihood`` was called in ``model``.
        wrt: Names of ``pm.Data``; ``"X"`` and ``"y"`` are the gp's own, whether they are ``pm.Data`` or arrays.
        model: The PyMC model; None takes the one in context.
        jacobian: Whether the density is that of the unconstrained parameters.
        quantity: A number that is asked about, or None.

    Raises:
        UnsupportedGPError: If ``gp`` is of a class that has no Gaussian marginal likelihood.
        DataError: If gp and model do not fit together, or there are no data of a name in ``wrt``.
    """
    with making_graphs():
        expressions = read_gp(gp, wrt, model=model, quantity=quantity)
        return Derivatives(*expressions, wrt, jacobian=jacobian)


def read_derivatives_of_built(
    built: BuiltGP,
    data: TrainingData,
    wrt: Sequence[str],
    *,
    jacobian: bool = False,
    quantity: Quantity | None = None,
) -> Derivatives:
    """Return the derivatives of a built gp given data, with respect to ``"X"``, ``"y"`` and ``"sigma"``, the known sds."""
    with making_graphs():
        return Derivatives(*read_built_gp(built, data, wrt, quantity=quantity), wrt, jacobian=jacobian)
