"""Density, parameters and predictions of one PyMC model as expressions of its unconstrained parameters and its data.

All are written so that second derivatives are right everywhere (:mod:`pymc_botorch.graph.rewrites.distance`). Data are inputs
of what is compiled, never constants: the same expressions serve other data of the same length or another.
"""

__all__ = ["SensitivityGraph", "SensitivityInputs", "read_sensitivity_graph"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph
from pymc_botorch.graph.posterior.symbolic import SymbolicPosterior
from pymc_botorch.graph.rewrites.differentiable import differentiable
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.inference.fit.objective import check_parameters, density_terms, gaussian_log_likelihood
from pymc_botorch.inference.sensitivity.data import data_key, data_names, data_value, is_same_data, lift_data
from pymc_botorch.inference.sensitivity.quantity import PosteriorAt, Quantity


@dataclass(frozen=True)
class SensitivityGraph(Graph):
    """What may be differentiated in the data, as expressions of unconstrained parameters and data.

    Attributes:
        parameters: Unconstrained parameters, by the name of their random variable.
        data: Symbolic data by a name of our own.
        wrt: Names of those of ``data`` that derivatives are taken with respect to.
        jacobian: A scalar, the weight of the log Jacobian of the parameters' transforms in the density: 0 or 1.
        X_new: New inputs, ``q x d``.
        log_density: Log posterior density, up to a constant.
        constrained: The parameters on their constrained scale, by name.
        mean: Posterior mean of the noise-free function at ``X_new``, ``q``.
        cov: Its covariance, ``q x q``, without jitter.
        quantity: A number of the user's, or None.
        new_inputs: Names of those of ``data`` that are new inputs of predictions in ``quantity``.
        rough: Names of kernels with a kink at distance zero.
    """

    parameters: Mapping[str, Variable]
    data: Mapping[str, Variable]
    wrt: tuple[str, ...]
    jacobian: TensorVariable
    X_new: TensorVariable
    log_density: TensorVariable
    constrained: Mapping[str, TensorVariable]
    mean: TensorVariable
    cov: TensorVariable
    quantity: TensorVariable | None = None
    new_inputs: tuple[str, ...] = ()
    rough: tuple[str, ...] = ()

    @property
    def symbols(self) -> list[Variable]:
        """Parameters, data, the weight of the Jacobian and new inputs."""
        return [*self.parameters.values(), *self.data.values(), self.jacobian, self.X_new]

    @property
    def asked(self) -> list[Variable]:
        """The data that derivatives are taken with respect to."""
        return [self.data[name] for name in self.wrt]

    @property
    def outputs(self) -> list[Variable]:
        """The expressions, and what derivatives are taken with respect to, which decides what is compiled."""
        own = [] if self.quantity is None else [self.quantity, *(self.data[name] for name in self.new_inputs)]
        return [self.log_density, *self.constrained.values(), self.mean, self.cov, *own, *self.asked]


@dataclass(frozen=True)
class SensitivityInputs:
    """Where the data of a :class:`SensitivityGraph` come from.

    Attributes:
        leaves: Shared variable, constant or symbol of the PyMC model that each of ``graph.data`` stands for, by its name there.
        values: A value for each.
        names: Names of ``graph.data`` by those that users know: of a ``pm.Data``, ``"X"`` and ``"y"``.
        X: That of ``graph.data`` which is the gp's training inputs; None where these are computed.
        computes_inputs: Whether the model computes the gp's inputs from other data, so that new ones cannot be told apart.
    """

    leaves: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    names: Mapping[str, str]
    X: str | None
    computes_inputs: bool = False


def read_sensitivity_graph(
    pm_model: pm.Model,
    posterior: PosteriorGraph,
    values: Mapping[str, np.ndarray],
    sources: Mapping[str, Variable],
    named: Mapping[str, Variable],
    wrt: Sequence[str],
    quantity: Quantity | None = None,
    known: Mapping[Variable, np.ndarray] | None = None,
) -> tuple[SensitivityGraph, SensitivityInputs]:
    """Return the expressions of a model, and where their data come from.

    Args:
        pm_model: The model.
        posterior: The posterior of a gp of the model.
        values: A value for each of the posterior's data.
        sources: What of the model they stand for, by name: a shared variable, a constant, or an expression of these.
        named: The gp's training data by the names of users, ``"X"`` and ``"y"``, before those of ``pm.Data``.
        wrt: What derivatives are taken with respect to: names of these, or of ``pm.Data``.
        quantity: A number that is asked about, or None.
        known: Values of data of the model in place of those that it holds.

    Raises:
        UnsupportedGPError: If the gp was built with signs of derivatives.
        DataError: If the model has no parameters or discrete ones, there are no data of a name in ``wrt``, or the quantity is no
            number of this model.
    """
    check_parameters(pm_model)
    parameters = {rv.name: pm_model.rvs_to_values[rv] for rv in pm_model.free_RVs}
    jacobian = pt.scalar("jacobian", dtype="float64")
    rest, likelihoods = density_terms(pm_model, jacobian)
    own = {name: posterior.data[name].type(name) for name in posterior.data if name not in sources}
    moments = _of_model(posterior, {**own, **sources}, pm_model)
    placed = None
    if quantity is not None:
        own, values, named = {**own, **quantity.units}, {**values, **quantity.values}, {**named, **quantity.units}
        every = {**pm_model.named_vars, **named}
        variables = [every[name] for name in wrt if name in every]
        placed = quantity.placed(pm_model, _at(posterior.X, moments), named.get("X"), variables, known or {})
        own, values = {**own, **placed.symbols}, {**values, **placed.values}
    asked = [] if placed is None else [placed.expression]
    parts = [part for likelihood in likelihoods for part in likelihood[1:]]
    constrained = pm_model.replace_rvs_by_values(list(pm_model.free_RVs))
    # a gradient through an inner graph stays with its operation, which others use and which can then not be pickled
    plain = inline_inner_graphs([rest, *parts, *moments, *asked], all_kinds=True)
    rest, *written = differentiable(plain)
    for i, (y, *_) in enumerate(likelihoods):
        rest = rest + gaussian_log_likelihood(y, *written[2 * i : 2 * i + 2])
    outputs = [rest, *constrained, *written[len(parts) :]]
    _check_no_randomness(outputs, pm_model)
    data, leaves, replacements = lift_data(outputs, own)
    outputs = graph_replace(outputs, replacements, strict=False)
    _check_symbols(outputs, [*parameters.values(), *data.values(), jacobian, posterior.X])
    log_density, (mean, cov, *asked) = outputs[0], outputs[1 + len(constrained) :]
    names = data_names(leaves, named)
    keys = tuple(data_key(name, names, leaves, named) for name in wrt)
    places = () if placed is None else (*placed.symbols, *(key for key, leaf in leaves.items() if leaf in placed.leaves))
    needed = set(ancestors([log_density, *asked])).union(own[name] for name in (quantity.units if quantity else ()))
    if silent := [name for name, key in zip(wrt, keys, strict=True) if data[key] not in needed]:
        raise DataError(f"The likelihood does not take {', '.join(silent)} as they are. Ask for other data: {', '.join(names)}.")
    graph = SensitivityGraph(
        parameters,
        data,
        keys,
        jacobian,
        posterior.X,
        log_density,
        dict(zip(parameters, outputs[1 : 1 + len(constrained)], strict=True)),
        mean,
        cov,
        asked[0] if asked else None,
        places,
        posterior.rough,
    )
    held = {key: values[key] if key in own else data_value(leaf) for key, leaf in leaves.items()}
    X = next((key for key, leaf in leaves.items() if "X" in named and is_same_data(leaf, named["X"])), None)
    return graph, SensitivityInputs(leaves, held, names, X)


def _of_model(posterior: PosteriorGraph, sources: Mapping[str, Variable], pm_model: pm.Model) -> list[TensorVariable]:
    """Return the posterior's mean and covariance as expressions of the model's value variables and data."""
    if any(name not in pm_model.named_vars for name in posterior.parameters):
        raise UnsupportedGPError(
            "The draws of this model carry derivatives with signs, which were drawn apart from its hyperparameters. Ask the same "
            "gp without signs, a pm.gp.Marginal."
        )
    random = {symbol: pm_model[name] for name, symbol in posterior.parameters.items()}
    known = {posterior.data[name]: source.astype(posterior.data[name].type.dtype) for name, source in sources.items()}
    moments = graph_replace([posterior.mean, posterior.cov], {posterior.given_noise: posterior.noise}, strict=False)
    return pm_model.replace_rvs_by_values(graph_replace(moments, random | known, strict=False))


def _at(symbol: TensorVariable, moments: Sequence[TensorVariable]) -> PosteriorAt:
    """Return the function of new inputs that moments at a symbol are."""
    return lambda X: SymbolicPosterior(*graph_replace(moments, {symbol: X}, strict=False))


def _check_no_randomness(outputs: Sequence[Variable], pm_model: pm.Model) -> None:
    for variable in ancestors(outputs):
        if variable.owner is not None and isinstance(variable.owner.op, RandomVariable | SymbolicRandomVariable):
            raise DataError(
                f"There is the random variable {variable.name or variable} in it, which is no free variable of the PyMC model "
                f"({', '.join(rv.name for rv in pm_model.free_RVs)}). Write predictions by pymc_botorch.symbolic_posterior, and "
                "pass the model in which the gp was defined, model=...."
            )


def _check_symbols(outputs: Sequence[Variable], known: Sequence[Variable]) -> None:
    strangers = [v for v in graph_inputs(outputs) if not isinstance(v, Constant) and v not in known]
    if strangers:
        names = ", ".join(sorted({v.name or str(v) for v in strangers}))
        raise DataError(f"f depends on {names}, which the PyMC model does not have. Replace it by a value, or by pm.Data.")
