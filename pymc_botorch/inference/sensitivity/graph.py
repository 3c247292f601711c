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
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph, leaves_to_lift
from pymc_botorch.graph.rewrites.differentiable import differentiable
from pymc_botorch.inference.fit.objective import check_parameters, density_terms, gaussian_log_likelihood


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
        own = [] if self.quantity is None else [self.quantity]
        return [self.log_density, *self.constrained.values(), self.mean, self.cov, *own, *self.asked]


@dataclass(frozen=True)
class SensitivityInputs:
    """Where the data of a :class:`SensitivityGraph` come from.

    Attributes:
        leaves: Shared variable, constant or symbol of the PyMC model that each of ``graph.data`` stands for, by its name there.
        values: A value for each.
        names: Names of ``graph.data`` by those that users know: of a ``pm.Data``, ``"X"`` and ``"y"``.
    """

    leaves: Mapping[str, Variable]
    values: Mapping[str, np.ndarray]
    names: Mapping[str, str]


def read_sensitivity_graph(
    pm_model: pm.Model,
    posterior: PosteriorGraph,
    values: Mapping[str, np.ndarray],
    sources: Mapping[str, Variable],
    named: Mapping[str, Variable],
    wrt: Sequence[str],
    quantity: TensorVariable | None = None,
) -> tuple[SensitivityGraph, SensitivityInputs]:
    """Return the expressions of a model, and where their data come from.

    Args:
        pm_model: The model.
        posterior: The posterior of a gp of the model.
        values: A value for each of the posterior's data.
        sources: What of the model they stand for, by name: a shared variable, a constant, or an expression of these.
        named: The gp's training data by the names of users, ``"X"`` and ``"y"``, before those of ``pm.Data``.
        wrt: What derivatives are taken with respect to: names of these, or of ``pm.Data``.
        quantity: A scalar expression of the model's variables, or None.

    Raises:
        DataError: If the model has no parameters or discrete ones, or there are no data of a name in ``wrt``.
    """
    check_parameters(pm_model)
    parameters = {rv.name: pm_model.rvs_to_values[rv] for rv in pm_model.free_RVs}
    jacobian = pt.scalar("jacobian", dtype="float64")
    rest, likelihoods = density_terms(pm_model, jacobian)
    own = {name: posterior.data[name].type(name) for name in posterior.data if name not in sources}
    moments = _of_model(posterior, {**own, **sources}, pm_model)
    asked = [] if quantity is None else pm_model.replace_rvs_by_values([quantity])
    parts = [part for likelihood in likelihoods for part in likelihood[1:]]
    constrained = pm_model.replace_rvs_by_values(list(pm_model.free_RVs))
    rest, *written = differentiable([rest, *parts, *moments, *asked])
    for i, (y, *_) in enumerate(likelihoods):
        rest = rest + gaussian_log_likelihood(y, *written[2 * i : 2 * i + 2])
    outputs = [rest, *constrained, *written[len(parts) :]]
    _check_no_randomness(outputs, pm_model)
    data, leaves, replacements = _lift(outputs, own)
    outputs = graph_replace(outputs, replacements, strict=False)
    log_density, (mean, cov, *asked) = outputs[0], outputs[1 + len(constrained) :]
    names = _names(leaves, named)
    keys = tuple(_key(name, names, leaves, named) for name in wrt)
    known = set(ancestors([log_density]))
    if silent := [name for name, key in zip(wrt, keys, strict=True) if data[key] not in known]:
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
    )
    held = {key: values[key] if key in own else _value(leaf) for key, leaf in leaves.items()}
    return graph, SensitivityInputs(leaves, held, names)


def _of_model(posterior: PosteriorGraph, sources: Mapping[str, Variable], pm_model: pm.Model) -> list[TensorVariable]:
    """Return the posterior's mean and covariance as expressions of the model's value variables and data."""
    random = {symbol: pm_model[name] for name, symbol in posterior.parameters.items()}
    known = {posterior.data[name]: source.astype(posterior.data[name].type.dtype) for name, source in sources.items()}
    moments = graph_replace([posterior.mean, posterior.cov], {posterior.given_noise: posterior.noise}, strict=False)
    return pm_model.replace_rvs_by_values(graph_replace(moments, random | known, strict=False))


def _check_no_randomness(outputs: Sequence[Variable], pm_model: pm.Model) -> None:
    for variable in ancestors(outputs):
        if variable.owner is not None and isinstance(variable.owner.op, RandomVariable | SymbolicRandomVariable):
            raise DataError(
                f"There is the random variable {variable.name or variable} in it, which is no free variable of the PyMC model "
                f"({', '.join(rv.name for rv in pm_model.free_RVs)}). Write predictions by pymc_botorch.symbolic_posterior, and "
                "pass the model in which the gp was defined, model=...."
            )


def _lift(
    outputs: Sequence[TensorVariable], own: Mapping[str, Variable]
) -> tuple[dict[str, Variable], dict[str, Variable], dict[Variable, Variable]]:
    """Return symbols for all data in ``outputs``, the first variable that each stands for, and what to replace by what.

    Equal constants are one: PyMC makes one of an array at each place where it stands.
    """
    data, leaves, replacements = dict(own), dict(own), {}
    for leaf in leaves_to_lift(outputs):
        key = next((key for key, known in leaves.items() if _are_equal_constants(known, leaf)), None)
        if key is None:
            key = f"data_{len(data)}"
            leaves[key], data[key] = leaf, pt.tensor(key, dtype=leaf.type.dtype, shape=_shape(leaf))
        replacements[leaf] = data[key]
    return data, leaves, replacements


def _are_equal_constants(one: Variable, two: Variable) -> bool:
    both = isinstance(one, TensorConstant) and isinstance(two, TensorConstant)
    return both and one.type.dtype == two.type.dtype and np.array_equal(one.data, two.data)


def _shape(leaf: Variable) -> tuple[int | None, ...]:
    """Return the static shape of the symbol for a leaf, whose number of rows may change."""
    if isinstance(leaf, SharedVariable):
        return leaf.type.shape
    *rows, columns = leaf.type.shape
    kept = columns if rows or columns == 1 else None
    return (*(1 if length == 1 else None for length in rows), kept)


def _value(leaf: Variable) -> np.ndarray:
    return np.asarray(leaf.get_value() if isinstance(leaf, SharedVariable) else leaf.data)


def _names(leaves: Mapping[str, Variable], named: Mapping[str, Variable]) -> dict[str, str]:
    """Return our names of data by their users': those of shared variables, then the gp's own."""
    found = {leaf.name: key for key, leaf in leaves.items() if isinstance(leaf, SharedVariable) and leaf.name}
    for name, variable in named.items():
        for key, leaf in leaves.items():
            if leaf is variable or _are_equal_constants(leaf, variable):
                found[name] = key
    return found


def _key(name: str, names: Mapping[str, str], leaves: Mapping[str, Variable], named: Mapping[str, Variable]) -> str:
    if name not in names:
        why = ""
        if name in named:
            is_array = isinstance(named[name], SharedVariable | TensorConstant)
            why = "holds it as integers" if is_array else "computes it from other data, which you can ask for"
            why = f" The model {why}."
        raise DataError(f"wrt has {name!r}, but there are derivatives with respect to {', '.join(map(repr, names))} only.{why}")
    if (leaf := leaves[names[name]]).type.dtype != "float64":
        raise DataError(
            f"The data {name} are of type {leaf.type.dtype}. Pass them as float64 to differentiate with respect to them."
        )
    return names[name]
