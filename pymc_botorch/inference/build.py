"""Gp built by a user's ``build_gp``, which runs once: later data reuse its graphs."""

__all__ = ["BuiltGP", "build", "build_default_gp"]

import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable

from pymc_botorch.config import config
from pymc_botorch.errors import PACKAGE_FOLDER, DataError
from pymc_botorch.graph.compiling.cache import register_builders
from pymc_botorch.graph.compiling.functions import making_graphs
from pymc_botorch.graph.gps.signs import only_marginal
from pymc_botorch.graph.gps.values import constant_value
from pymc_botorch.inference.builder_checks import FOLLOW_DATA, check_arguments, check_inducing
from pymc_botorch.inference.components import Parts, read_parts
from pymc_botorch.inference.fingerprint import fingerprint
from pymc_botorch.inference.fit.objective import ObjectiveGraph, read_objective
from pymc_botorch.inference.fit.scales import Scales
from pymc_botorch.inference.fitted import FittedGP, read_fitted_graphs
from pymc_botorch.inference.names import NO_NAMES, Names, names_in
from pymc_botorch.inference.pymc_model import run_builder
from pymc_botorch.inference.training_data import Role, TrainingData
from pymc_botorch.logs import took

MAX_BUILT = 64


_built: OrderedDict[Hashable, "BuiltGP"] = OrderedDict()
_warned: set[Any] = set()
_lock = Lock()
register_builders(_built)


@dataclass(frozen=True, eq=False)
class BuiltGP:
    """The graphs of a gp that a builder returned, for data of any length.

    Attributes:
        function: The gp given the data of the first build, without draws.
        observation: The gp of new observations where their noise is a covariance function, else None.
        objective: The log posterior density.
        fixed: Values of the objective's data; None for training data.
        objective_roles: Roles of those of the objective's data that are training data.
        scales: Transforms between constrained and unconstrained parameters, and starting points.
        parts: The sum and its components by name, where the gp is a sum or a component of one.
        names: Names of the entries of parameters, and of the outcome.
    """

    function: FittedGP
    observation: FittedGP | None
    objective: ObjectiveGraph
    fixed: Mapping[str, np.ndarray | None]
    objective_roles: Mapping[str, Role]
    scales: Scales
    parts: Parts = field(default_factory=dict)
    names: Names = NO_NAMES

    def of(self, name: str) -> Self:
        """Return the same with another part of the sum as its gp."""
        function, observation = self.parts[name]
        return replace(self, function=function, observation=observation)

    def given(self, data: TrainingData, draws: Mapping[str, np.ndarray], num_draws: int) -> tuple[FittedGP, FittedGP | None]:
        """Return the gp, and its observations where their noise is a covariance, with these data and hyperparameters.

        Args:
            data: Training data.
            draws: Draws of all parameters of the PyMC model, ``S x ...``.
            num_draws: Number of draws, ``S``.
        """

        def given(gp: FittedGP) -> FittedGP:
            return replace(gp.with_data(data).with_draws_of_model(draws, num_draws), tier=config.linker, is_built=True)

        return given(self.function), self.observation and given(self.observation)

    def check_categories(self, data: TrainingData, point: Mapping[str, np.ndarray]) -> None:
        """Raise a ``DataError`` where an input is used as an index that its table, at a point of the model, does not have."""
        fitted, _ = self.given(data, {name: value[None] for name, value in point.items()}, 1)
        fitted.check_categories()

    def objective_values(self, data: TrainingData) -> list[np.ndarray]:
        """Return a value for each of ``objective.data``, as compiled functions take it."""
        values = (data.value(self.objective_roles[name]) if fixed is None else fixed for name, fixed in self.fixed.items())
        symbols = self.objective.data.values()
        return [np.array(value, dtype=symbol.type.dtype) for value, symbol in zip(values, symbols, strict=True)]


def build(builder: Callable[..., Any], data: TrainingData, attributes: Mapping[str, Any] | None = None) -> BuiltGP:
    """Return the gp that a builder builds, from memory if the same builder ran before.

    Args:
        builder: ``build_gp(X, y)``, with known noise ``build_gp(X, y, sigma)``; returns a gp, ``(gp, given)`` or ``(total,
            components)``.
        data: The training data.
        attributes: Attributes that the user set on the object of which ``builder`` is a method, if it is one.

    Raises:
        DataError: If the builder cannot take these data, or what it returns does not fit them.
        UnsupportedGPError: If the gp is of a class without a Gaussian marginal likelihood.
    """
    check_arguments(builder, data)
    read, reason = fingerprint(builder, attributes)
    key = None if read is None else (read, data.X.shape[1], data.sigma is None)
    with _lock:
        if key is not None and key in _built:
            _built.move_to_end(key)
            return _built[key]
    began = time.perf_counter()
    with making_graphs():
        built = _build(builder, data)
        _check_noise(built, data)
        is_pure = key is None or builder is build_default_gp or _is_pure(built, builder, data)
    took(time.perf_counter() - began, "Running build_gp and reading its model")
    if not is_pure:
        key, reason = None, "values of its data, which it should take as symbolic"
    with _lock:
        if key is None:
            _warn_of_rebuilding(builder, reason)
        else:
            _built[key] = built
            while len(_built) > MAX_BUILT:
                _built.popitem(last=False)
    return built


def build_default_gp(X: pt.TensorVariable, y: pt.TensorVariable, sigma: pt.TensorVariable | None = None) -> pm.gp.Marginal:
    """Build the model of BoTorch 0.18's ``SingleTaskGP``, for ``X`` in the unit cube and a standardised ``y``.

    A squared exponential kernel of variance one, with dimension-scaled lengthscale priors; a flat constant mean; a prior on
    the noise *variance*. BoTorch's lower bounds truncate the priors.

    References:
        Hvarfner, Hellsten & Nardi (2024), Vanilla Bayesian Optimization Performs Great in High Dimensions,
        https://arxiv.org/abs/2402.02229
    """
    d = X.type.shape[1]
    location = np.sqrt(2) + np.log(d) / 2
    prior = pm.LogNormal.dist(mu=location, sigma=np.sqrt(3), shape=d)
    mode = np.full(d, np.exp(location - 3))  # where BoTorch begins, and its model stands before a fit
    lengthscale = pm.Truncated("lengthscale", prior, lower=0.025, dims="feature", initval=mode)
    mean = pm.Flat("mean")
    if sigma is None:
        sd = pt.sqrt(pm.Truncated("noise", pm.LogNormal.dist(mu=-4, sigma=1), lower=1e-4, initval=np.exp(-5)))
    else:
        sd = pt.maximum(sigma, 1e-3)  # GPyTorch rounds known noise variances up to 1e-6
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mean), cov_func=pm.gp.cov.ExpQuad(d, ls=lengthscale))
    gp.marginal_likelihood("observed", X, y, sigma=sd, jitter=0.0)
    return gp


def _is_pure(built: BuiltGP, builder: Callable, data: TrainingData) -> bool:
    """Return whether other data give the same graphs; a builder that reads values of its data bakes them in."""
    more = data.with_one_more()
    other = _build(builder, TrainingData(0.9 * more.X, 1.1 * more.y + 0.1, more.sigma))
    same = built.objective.structure == other.objective.structure
    same = same and built.function.graph.structure == other.function.graph.structure
    if built.function.has_own_sites:
        same = same and np.array_equal(built.function.data["sites"], other.function.data["sites"])
    pairs = zip(built.fixed.values(), other.fixed.values(), strict=True)
    return same and all(one is two is None or np.array_equal(np.asarray(one), np.asarray(two)) for one, two in pairs)


def _check_noise(built: BuiltGP, data: TrainingData) -> None:
    """Raise a ``DataError`` unless the noise is that of whatever data there are."""
    graph = built.function.graph
    if graph.noise.type.ndim == 0 or graph.noise in {graph.data[name] for name in built.function.roles}:
        return
    more = data.with_one_more()
    values = built.objective_values(more)
    point = built.scales.constrained(built.scales.support_point(values), values)
    built.check_categories(data, point)  # of which the noise may be that of one
    try:
        built.given(more, {name: value[None] for name, value in point.items()}, 1)[0].noise(0)
    except DataError as error:
        raise DataError(
            f"The noise that build_gp writes has an array of fixed length in it: it does not follow from {len(data.y)} "
            f"observations to {len(more.y)}. {FOLLOW_DATA}"
        ) from error


def _warn_of_rebuilding(builder: Callable, reason: str) -> None:
    """Warn, once for each builder, that it runs for each model, and why."""
    code = getattr(getattr(builder, "__func__", builder), "__code__", None)
    if code not in _warned:
        _warned.add(code)
        warnings.warn(
            f"build_gp runs anew for each model, which takes some tenths of a second, because it depends on {reason}. Give it "
            "numbers, arrays, functions and plain classes instead.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _build(builder: Callable, data: TrainingData) -> BuiltGP:
    with only_marginal():
        pm_model, arguments = run_builder(builder, data)
    gp, given, lengths = pm_model.gp, pm_model.given, pm_model.dim_lengths
    roles: dict[Variable, Role] = {variable: role for role, variable in arguments.items()}
    roles |= {lengths["obs_id"]: "n", lengths["feature"]: "d"}

    def read(gp: Any, given: Any) -> tuple[FittedGP, FittedGP | None]:
        function, *observation = (fitted for fitted, _ in read_fitted_graphs(gp, pm_model, given, roles=roles))
        return function, observation[0] if observation else None

    function, observation, _, parts = read_parts(read, gp, given)
    check_inducing(function, gp, arguments["X"])
    objective, sources = read_objective(pm_model)
    objective_roles = {name: roles[leaf] for name, leaf in sources.items() if leaf in roles}
    if unused := set(arguments) - set(objective_roles.values()):
        raise DataError(f"build_gp does not use its argument {', '.join(sorted(unused))}. Put it into the gp's likelihood.")
    changing = [variable for variable, role in roles.items() if role != "d"]
    scales = Scales(pm_model, objective, sources, changing)
    fixed = {name: None if name in objective_roles else constant_value(leaf) for name, leaf in sources.items()}
    return BuiltGP(function, observation, objective, fixed, objective_roles, scales, parts, names_in(pm_model))
