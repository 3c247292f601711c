"""Expressions of a model to be exported: of unconstrained parameters, of data by the names of users, and of new inputs."""

__all__ = ["ExportedGraph", "export"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.rewrites.plain import without_checks
from pymc_botorch.inference.sensitivity.graph import SensitivityGraph, SensitivityInputs


@dataclass(frozen=True)
class ExportedGraph:
    """Expressions of a model, written so that second derivatives are right everywhere.

    Attributes:
        parameters: Unconstrained parameters, by the name of their random variable.
        data: Symbolic data, by the names of users.
        values: Their present values.
        X_new: New inputs, ``q x d``.
        log_density: Log posterior density, up to a constant.
        constrained: The parameters on their constrained scale, by name.
        mean: Posterior mean of the noise-free function at ``X_new``, ``q``.
        covariance: Its covariance, ``q x q``, without jitter.
        fixed: Names of data whose length the model keeps as a number: of arrays that are no ``pm.Data``, or of all.
    """

    parameters: Mapping[str, Variable]
    data: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    X_new: TensorVariable
    log_density: TensorVariable
    constrained: Mapping[str, TensorVariable]
    mean: TensorVariable
    covariance: TensorVariable
    fixed: frozenset[str]


def export(pm_model: pm.Model, graph: SensitivityGraph, inputs: SensitivityInputs, *, jacobian: bool) -> ExportedGraph:
    """Return the expressions of a model with what is no datum of a user's as numbers, or as lengths of the data.

    Args:
        pm_model: The model.
        graph: Its expressions.
        inputs: Where their data come from.
        jacobian: Whether the density is that of the unconstrained parameters.

    Raises:
        DataError: If the model is in single precision.
        UnsupportedGPError: If the gp has no one array ``X`` of inputs and ``y`` of outcomes, as a ``MarginalKron`` has not.
    """
    dims = {length: name for name, length in pm_model.dim_lengths.items()}
    lengths = {key: dims[leaf] for key, leaf in inputs.leaves.items() if leaf in dims}
    own = {key for key, symbol in graph.data.items() if inputs.leaves[key] is symbol}  # of the posterior alone
    given = {key: symbol for key, symbol in graph.data.items() if key not in lengths and key not in own}
    known: dict[Variable, Variable] = {graph.jacobian: pt.constant(float(jacobian), dtype="float64")}
    names: dict[str, str] = {key: name for name, key in inputs.names.items() if name not in ("X", "y", "sigma")}
    names |= {key: name for name, key in inputs.names.items() if name in ("X", "y", "sigma")}
    for key in own:
        same = next((other for other in given if np.array_equal(inputs.values[other], inputs.values[key])), None)
        if same is None and key in ("X", "y"):
            raise UnsupportedGPError(
                f"The likelihood has no array that is the gp's {key}, so that density and predictions would be of different "
                "data. Pass a pm.gp.Marginal or MarginalApprox."
            )
        if same is not None:
            names.setdefault(same, key)
        known[graph.data[key]] = _constant(inputs.values[key], graph.data[key]) if same is None else given[same]
    fixed = {key for key in given if isinstance(inputs.leaves[key], TensorConstant)}
    for name, symbol in {**graph.parameters, **{names.get(key, key): given[key] for key in given}}.items():
        if symbol.type.dtype == "float32":
            raise DataError(
                f"The model has {name} in float32. Make it of float64 arrays, and under pytensor.config.floatX = 'float64'."
            )
    leaves = {leaf: given[key] for key, leaf in inputs.leaves.items() if key in given}
    for key, dim in lengths.items():
        length = next(_lengths(pm_model, dim, leaves), None)
        fixed |= set(given) if length is None else set()
        symbol = graph.data[key]
        known[symbol] = _constant(inputs.values[key], symbol) if length is None else length.astype(symbol.type.dtype)
    outputs = [graph.log_density, graph.mean, graph.cov, *graph.constrained.values()]
    log_density, mean, covariance, *constrained = without_checks(graph_replace(outputs, known, strict=False))
    return ExportedGraph(
        graph.parameters,
        {names.get(key, key): symbol for key, symbol in given.items()},
        {names.get(key, key): np.asarray(inputs.values[key]) for key in given},
        graph.X_new,
        log_density,
        dict(zip(graph.constrained, constrained, strict=True)),
        mean,
        covariance,
        frozenset(names.get(key, key) for key in fixed),
    )


def _lengths(pm_model: pm.Model, dim: str, leaves: Mapping[Variable, Variable]) -> Iterator[TensorVariable]:
    """Yield the length of a dimension as that of the data which have it."""
    for name, dims in pm_model.named_vars_to_dims.items():
        if dim in dims and (symbol := leaves.get(pm_model[name])) is not None:
            yield symbol.shape[list(dims).index(dim)]


def _constant(value: np.ndarray, like: Variable) -> Variable:
    return pt.constant(np.asarray(value, like.type.dtype))
