"""Derivatives of density, parameters and predictions, as functions to compile: builds of a :class:`SensitivityGraph`.

All take ``*parameters, *data, jacobian, X_new`` first; those that are pullbacks take cotangents then.
"""

__all__ = [
    "ExpectationTerms",
    "constrained_pullback",
    "curvature",
    "expectation_terms",
    "gradients",
    "inner",
    "prediction_pullback",
    "score",
]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import NullTypeGradError
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.posterior.pointwise import point_variances
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.inference.sensitivity.graph import SensitivityGraph


class ExpectationTerms[Number: (float, np.ndarray)](NamedTuple):
    """A quantity at a draw, with derivatives at fixed unconstrained parameters; of many draws with ``S`` as first axis.

    Attributes:
        f: The quantity.
        in_data: Its gradients in the data that were asked for, then in its own new inputs, one after another.
        slope: Gradient of the log density in the ``D`` unconstrained parameters.
        score: Gradients of the log density in the data that were asked for, one after another.
    """

    f: Number
    in_data: np.ndarray
    slope: np.ndarray
    score: np.ndarray


def score(graph: SensitivityGraph) -> Compilable:
    """Build ``... -> log density, *its gradient in the parameters, *its gradient in the data``."""
    wrt = [*graph.parameters.values(), *graph.asked]
    return graph.symbols, without_zero_steps([graph.log_density, *gradients(graph.log_density, wrt)])


def curvature(graph: SensitivityGraph) -> Compilable:
    """Build ``..., *direction -> *second derivatives`` of the log density, in a direction of the parameters.

    They are with respect to that direction and the parameters, then to that direction and the data.
    """
    parameters = list(graph.parameters.values())
    direction = [symbol.type(f"{name}_direction") for name, symbol in graph.parameters.items()]
    along = inner(direction, gradients(graph.log_density, parameters))
    return [*graph.symbols, *direction], without_zero_steps(gradients(along, [*parameters, *graph.asked]))


def prediction_pullback(graph: SensitivityGraph) -> Compilable:
    """Build ``..., mean_bar, variance_bar -> mean, variance, *gradients`` in parameters, data and new inputs.

    With ``q`` new inputs, the gradients are those of ``sum(mean_bar * mean + variance_bar * variance)``.
    """
    bars = [pt.vector("mean_bar", dtype="float64"), pt.vector("variance_bar", dtype="float64")]
    moments = [graph.mean, point_variances(graph.cov, graph.X_new)]
    wrt = [*graph.parameters.values(), *graph.asked, graph.X_new]
    return [*graph.symbols, *bars], without_zero_steps([*moments, *gradients(inner(bars, moments), wrt)])


def constrained_pullback(graph: SensitivityGraph) -> Compilable:
    """Build ``..., *bars -> *constrained parameters, *gradients`` of ``sum(bar * parameter)``, in parameters and data."""
    values = list(graph.constrained.values())
    bars = [value.type(f"{name}_bar") for name, value in graph.constrained.items()]
    return [*graph.symbols, *bars], [*values, *gradients(inner(bars, values), [*graph.parameters.values(), *graph.asked])]


def expectation_terms(graph: SensitivityGraph) -> Compilable:
    """Build ``... -> the user's quantity, *its gradients, *gradients of the log density``.

    Those of the quantity are in the data and its new inputs, the parameters being fixed; those of the density in parameters and
    data.
    """
    moved = [*graph.asked, *(graph.data[name] for name in graph.new_inputs)]
    of_density = gradients(graph.log_density, [*graph.parameters.values(), *graph.asked])
    return graph.symbols, without_zero_steps([graph.quantity, *gradients(graph.quantity, moved), *of_density])


def inner(bars: Sequence[Variable], values: Sequence[Variable]) -> TensorVariable:
    """Return the sum of the products of cotangents, or tangents, and values."""
    return pt.add(0.0, *(pt.sum(bar * value) for bar, value in zip(bars, values, strict=True)))


def gradients(cost: TensorVariable, wrt: Sequence[Variable]) -> list[Variable]:
    """Return the gradients of a number, zero where it does not depend on a variable.

    Raises:
        UnsupportedGPError: If PyTensor has no derivative of an operation.
    """
    try:
        return pt.grad(cost, wrt, disconnected_inputs="ignore", return_disconnected="zero")
    except (NullTypeGradError, NotImplementedError) as error:
        raise UnsupportedGPError(
            f"An operation of the PyMC model has no second derivative in PyTensor ({error}). Write the model without it, a "
            "product of columns for example as X[:, 0] * X[:, 1]."
        ) from error
