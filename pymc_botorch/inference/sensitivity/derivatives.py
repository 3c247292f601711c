"""Derivatives of one model, at its data, as functions of a vector of unconstrained parameters."""

__all__ = [
    "Derivatives",
    "read_derivatives",
    "read_derivatives_of_built",
    "read_expressions",
    "read_expressions_of_built",
]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.config import Tier, config
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.functions import as_given, making_graphs
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.density import flatten
from pymc_botorch.inference.fit.objective import itself
from pymc_botorch.inference.fit.scales import Layout, Scales
from pymc_botorch.inference.fitted import read_fitted_graphs
from pymc_botorch.inference.points import model_in_context
from pymc_botorch.inference.sensitivity.builds import (
    constrained_pullback,
    curvature,
    prediction_pullback,
    quantity_pullback,
    score,
)
from pymc_botorch.inference.sensitivity.graph import SensitivityGraph, SensitivityInputs, read_sensitivity_graph
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
        names: Names of the parameters.
        owners: Name of the parameter that each entry of ``u`` belongs to.
        transformed: Whether each entry of ``u`` is of a parameter with a transform (a logarithm, a logit).
        jacobian: Weight of the log Jacobian in the density: 0 for that of the parameters on their constrained scale.
    """

    def __init__(
        self, pm_model: pm.Model, graph: SensitivityGraph, inputs: SensitivityInputs, wrt: Sequence[str], *, jacobian: bool
    ) -> None:
        tier: Tier = "numba" if config.linker == "numba" else "numpy"
        self._functions = compiled(graph, itself, tier)
        self.wrt, self.jacobian = tuple(wrt), float(jacobian)
        self._data = [np.array(inputs.values[name], symbol.type.dtype) for name, symbol in graph.data.items()]
        self.values = {name: np.array(inputs.values[key]) for name, key in zip(wrt, graph.wrt, strict=True)}
        self._scales = Scales(pm_model, graph, inputs.leaves, [])
        support = self._scales.support_point(self._data)
        self._layout = Layout(self._scales.names, support)
        self._shapes = [np.shape(part) for part in support]
        self.names, self.owners = self._scales.names, self._layout.owners
        transformed = dict(zip(self.names, self._scales.transformed, strict=True))
        self.transformed = np.array([transformed[name] for name in self.owners])
        self.d = graph.X_new.type.shape[1]

    def unconstrained(self, point: Mapping[str, Any]) -> np.ndarray:
        """Return the vector of a point, which is given in any form that ``from_fitted`` takes.

        Raises:
            DataError: If the point does not fit the model.
        """
        return flatten(self._scales.unconstrained(self._scales.read(point), self._data))

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
        zeros = [np.zeros(shape) for shape in self._shapes_of_constrained(u)]
        rows = []
        for i, zero in enumerate(zeros):
            for j in range(zero.size):
                bars = [other.copy() for other in zeros]
                bars[i].flat[j] = 1.0
                rows.append(self._split(self._call(constrained_pullback, u, *bars)[len(zeros) :]))
        in_data = {name: np.stack([mixed[name] for _, mixed in rows]) for name in self.wrt}
        values = self._call(constrained_pullback, u, *zeros)[: len(zeros)]
        return dict(zip(self.names, values, strict=True)), np.stack([row for row, _ in rows]), in_data

    def quantity(self, u: np.ndarray) -> tuple[float, ByData]:
        """Return the user's quantity and its gradients in the data, the parameters ``u`` being fixed."""
        value, *gradients = self._call(quantity_pullback, u)
        return float(value), dict(zip(self.wrt, gradients, strict=True))

    def _shapes_of_constrained(self, u: np.ndarray) -> list[tuple[int, ...]]:
        values = self._scales.constrained(self._layout.split(u), self._data)
        return [values[name].shape for name in self.names]

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
    quantity: TensorVariable | None = None,
) -> Derivatives:
    """Return the derivatives of a gp's model in the data ``wrt``.

    Args:
        gp: A gp whose ``marginal_likelihood`` was called in ``model``.
        wrt: Names of ``pm.Data``; ``"X"`` and ``"y"`` are the gp's own, whether they are ``pm.Data`` or arrays.
        model: The PyMC model; None takes the one in context.
        jacobian: Whether the density is that of the unconstrained parameters.
        quantity: A scalar expression of the model's variables, or None.

    Raises:
        UnsupportedGPError: If ``gp`` is of a class that has no Gaussian marginal likelihood.
        DataError: If gp and model do not fit together, or there are no data of a name in ``wrt``.
    """
    with making_graphs():
        return Derivatives(*read_expressions(gp, wrt, model=model, quantity=quantity), wrt, jacobian=jacobian)


def read_derivatives_of_built(built: BuiltGP, data: TrainingData, wrt: Sequence[str], *, jacobian: bool = False) -> Derivatives:
    """Return the derivatives of a built gp given data, with respect to ``"X"``, ``"y"`` and ``"sigma"``, the known sds."""
    with making_graphs():
        return Derivatives(*read_expressions_of_built(built, data, wrt), wrt, jacobian=jacobian)


def read_expressions(
    gp: pm.gp.Marginal, wrt: Sequence[str], *, model: pm.Model | None, quantity: TensorVariable | None = None
) -> tuple[pm.Model, SensitivityGraph, SensitivityInputs]:
    """Return a gp's model and its expressions; the arguments are those of :func:`read_derivatives`."""
    pm_model = model_in_context(model)
    (fitted, known), *_ = read_fitted_graphs(gp, pm_model, None)
    named = {name: pt.as_tensor_variable(getattr(gp, name)) for name in ("X", "y") if hasattr(gp, name)}
    sources = {**known, **named}
    named |= {"sigma": known["sigma"]} if "sigma" in known else {}
    return pm_model, *read_sensitivity_graph(pm_model, fitted.graph, fitted.data, sources, named, wrt, quantity)


def read_expressions_of_built(
    built: BuiltGP, data: TrainingData, wrt: Sequence[str]
) -> tuple[pm.Model, SensitivityGraph, SensitivityInputs]:
    """Return the model of a built gp and its expressions; the arguments are those of :func:`read_derivatives_of_built`."""
    pm_model, function = built.scales.pm_model, built.function
    leaves: dict[str, Variable] = {"X": pm_model["train_X"], "y": pm_model["train_Y"]}
    if data.sigma is not None:
        leaves["sigma"] = pm_model["train_sd"]
    every: dict[str, Variable] = {**leaves, "n": pm_model.dim_lengths["obs_id"], "d": pm_model.dim_lengths["feature"]}
    sources = {name: every[role] for name, role in function.roles.items()}
    graph, inputs = read_sensitivity_graph(pm_model, function.graph, function.data, sources, leaves, wrt)
    values = {every[role]: data.value(role) for role in {*function.roles.values(), *built.objective_roles.values()}}
    given = {key: values[leaf] for key, leaf in inputs.leaves.items() if leaf in values}
    return pm_model, graph, replace(inputs, values={**inputs.values, **given})
