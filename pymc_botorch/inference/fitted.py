"""Fitted gp: its posterior graph, training data and draws of its hyperparameters."""

__all__ = ["FittedGP", "read_fitted", "read_fitted_graphs"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pymc as pm
from pytensor.graph.basic import Variable

from pymc_botorch.config import Tier, config
from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.gps.marginal import Kind, read_observations
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph, read_posterior
from pymc_botorch.graph.gps.sites import default_sites
from pymc_botorch.graph.gps.values import check_data, check_inputs
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior, compiled_posterior, condition, noise_of
from pymc_botorch.graph.posterior.cut import CutPosterior, subscripts_of_data
from pymc_botorch.graph.posterior.subscripts import check_subscripts
from pymc_botorch.inference.points import model_in_context, read_deterministic, read_point
from pymc_botorch.inference.training_data import Role, TrainingData


@dataclass(frozen=True)
class FittedGP:
    """A fitted gp, by value: it holds no reference to the PyMC model.

    Attributes:
        graph: The posterior of the noise-free function, or of new observations.
        data: A value for each of ``graph.data``.
        roles: Those of ``data`` that are training data, which new data replace.
        draws: ``S`` draws of each of ``graph.parameters``, ``S x ...``; a point is one draw.
        num_draws: ``S``.
        kind: ``"exact"`` where the posterior is the gp's prior given the data; that of a ``"sparse"`` approximation or a
            ``"component"`` of a sum is not.
        tier: How the posterior is compiled.
        raw_X: The data that the PyMC model computes the gp's inputs from, if it does; else None.
        is_built: Whether a builder made it from data.
        raw_y: The data that the PyMC model computes the gp's outcomes from, if it does, NaN where unknown; else None.
        has_own_sites: Whether sites of signs stay where they are with other data, as those that a user or a refinement gave do.
    """

    graph: PosteriorGraph
    data: Mapping[str, np.ndarray]
    roles: Mapping[str, Role]
    draws: Mapping[str, np.ndarray]
    num_draws: int
    kind: Kind
    tier: Tier
    raw_X: np.ndarray | None
    is_built: bool = False
    raw_y: np.ndarray | None = None
    has_own_sites: bool = False

    @property
    def is_latent(self) -> bool:
        """Whether each draw carries the function at the training inputs."""
        return self.graph.latent is not None

    @property
    def num_signs(self) -> int:
        """Number of derivatives that have a sign."""
        return 0 if self.graph.signs is None else len(self.data["sites"]) * len(self.graph.signs.kinds)

    @property
    def X(self) -> np.ndarray:
        """Training inputs as the gp saw them, ``n x d``."""
        return self.data["X"]

    @property
    def y(self) -> np.ndarray:
        """Training targets as the gp saw them, ``n``; of a latent gp the function at ``X`` in each draw, ``S x n``."""
        return self.data["y"] if self.graph.latent is None else self.draws[self.graph.latent]

    @property
    def training_data(self) -> TrainingData:
        """Inputs and targets as the gp saw them, with the known sds if a builder was given any."""
        sigma = next((self.data[name] for name, role in self.roles.items() if role == "sigma"), None)
        return TrainingData(self.X, self.y, sigma, self.data["sites"] if self.has_own_sites else None)

    @property
    def jitter(self) -> float:
        """Jitter on the diagonal of the training covariance (a variance)."""
        return float(self.data["jitter"])

    def with_data(self, new: TrainingData) -> Self:
        """Return the gp given other data, with the same hyperparameters; what it computes from data is recomputed.

        Raises:
            DataError: If the data are unusable, do not fit the draws of a latent function, or differ in length from known sds
                that are no training data.
        """
        n = len(new.X)
        data = {**self.data, **{name: new.value(role) for name, role in self.roles.items()}}
        own_sites = self.has_own_sites or new.sites is not None
        if (signs := self.graph.signs) is not None and (new.sites is not None or not own_sites):
            data["sites"] = default_sites(new.X, signs.indices) if new.sites is None else new.sites
        if self.graph.latent is not None:
            check_inputs(new.X)
            if new.y.shape != (self.num_draws, n):
                raise DataError(
                    f"The draws of {self.graph.latent} have shape {new.y.shape}. Pass a value for each of {self.num_draws} draws "
                    f"at each of {n} inputs."
                )
            return replace(self, data=data, draws={**self.draws, self.graph.latent: new.y}, raw_X=None)
        check_data(new.X, new.y)
        known = data.get("sigma", np.zeros(()))
        if known.ndim and len(known) != n:
            raise DataError(
                f"There are {n} observations, but {len(known)} known sds. Pass data of the same length, or construct the model "
                "from data, with the squares of the sds as train_Yvar."
            )
        return replace(self, data=data, raw_X=None, has_own_sites=own_sites)

    def with_draws(self, draws: Mapping[str, np.ndarray]) -> Self:
        """Return the gp with other draws of its hyperparameters, of any number.

        Raises:
            DataError: If names or shapes are not those of this gp, or the parameters differ in their number of draws.
        """
        expected = {name: np.shape(value)[1:] for name, value in self.draws.items()}
        given = {name: np.shape(value)[1:] for name, value in draws.items()}
        numbers = {len(value) if np.ndim(value) else 0 for value in draws.values()} or {self.num_draws}
        if expected != given or len(numbers) != 1 or 0 in numbers:
            what = "hyperparameters" if self.num_draws == 1 else "draws"
            raise DataError(
                f"The {what} have shapes {given} ({sorted(numbers)} draws of each). Pass as many draws of each of this gp's "
                f"hyperparameters, {expected}."
            )
        return replace(self, draws={name: np.asarray(draws[name]) for name in self.draws}, num_draws=numbers.pop())

    def with_draws_of_model(self, draws: Mapping[str, np.ndarray], num_draws: int) -> Self:
        """Return the gp with its draws ``S x ...``; derivatives with signs that are not among them are zero, to be drawn."""
        signs = self.graph.signs
        if signs is not None and signs.name not in draws:
            draws = {**draws, signs.name: np.zeros((num_draws, self.num_signs))}
        return replace(self, draws={name: draws[name] for name in self.graph.parameters}, num_draws=num_draws)

    def noise(self, draw: int) -> np.ndarray:
        """Return the noise of the training observations in a draw: one sd, ``n`` sds or their covariance ``n x n``."""
        return noise_of(compiled_posterior(self.graph, self.tier), self._inputs(draw), n=len(self.X))

    def check_categories(self) -> None:
        """Raise a ``DataError`` where a training input is used as an index that its table does not have."""
        self._check_categories(compiled_posterior(self.graph, self.tier))

    def _check_categories(self, functions: CompiledGraph[CutPosterior]) -> None:
        if not functions.subject.data_subscripts:
            return

        def read(X: np.ndarray) -> list[np.ndarray]:
            moved = {name: X for name, role in self.roles.items() if role == "X"}
            return functions(subscripts_of_data, *replace(self, data={**self.data, **moved})._inputs(0))

        check_subscripts(read, self.X)

    def conditioned(self) -> Iterator[ConditionedPosterior]:
        """Yield the posterior at each draw (compiles its structure where that is new).

        Raises:
            DataError: If the noise is that of another number of observations, or an input is an index of no category.
            FitError: If a training covariance cannot be factorised.
        """
        functions = compiled_posterior(self.graph, self.tier)
        self._check_categories(functions)
        return (condition(functions, self._values(s), n=len(self.X), y=self.y) for s in range(self.num_draws))

    def prior(self) -> Iterator[ConditionedPosterior]:
        """Yield the prior at each draw: the posterior given no data, with what the model computed from its data as it was."""
        functions = compiled_posterior(self.graph, self.tier)
        no_noise = np.zeros((0,) * self.graph.given_noise.type.ndim)
        none = replace(self, data={name: array[:0] if name in ("X", "y") else array for name, array in self.data.items()})
        if (latent := self.graph.latent) is not None:
            none = replace(none, draws={**self.draws, latent: self.draws[latent][:, :0]})
        return (condition(functions, none._values(s), n=0, noise=no_noise, y=self.y) for s in range(self.num_draws))

    def _inputs(self, draw: int) -> list[np.ndarray]:
        symbols = self.graph.inputs
        return [np.asarray(value, dtype=symbol.type.dtype) for value, symbol in zip(self._values(draw), symbols, strict=True)]

    def _values(self, draw: int) -> list[np.ndarray]:
        return [*self.data.values(), *(values[draw, ...] for values in self.draws.values())]


def read_fitted(
    gp: pm.gp.Marginal,
    point: Any,
    *,
    model: pm.Model | None,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    inputs_transformed: bool,
) -> tuple[FittedGP, FittedGP | None]:
    """Return ``gp`` with the hyperparameters ``point``; compiles nothing.

    The second value is the gp of new observations where their noise is a covariance function, else None: independent noise
    is added to the first.

    Args:
        gp: A gp as :meth:`pymc_botorch.PyMCGP.from_fitted` takes it.
        point: One value per parameter.
        model: The PyMC model; None takes the one in context.
        given: As in ``gp.conditional``, for additive components.
        jitter: Jitter of the training covariance; None reads it from the model.
        inputs_transformed: Whether the caller has declared the transform of the inputs that the model applies.

    Raises:
        UnsupportedGPError: If the gp is of another class.
        DataError: If gp, data, point and model do not fit together.
        TypeError: If there is no model.
    """
    pm_model = model_in_context(model)
    graphs = read_fitted_graphs(gp, pm_model, given, jitter=jitter, inputs_transformed=inputs_transformed)
    values = read_point(pm_model, point, {name for fitted, _ in graphs for name in fitted.graph.parameters})
    if (signs := graphs[0][0].graph.signs) is not None:
        values[signs.name] = read_deterministic(point, signs.name, graphs[0][0].num_signs)
    draws = {name: value[None] for name, value in values.items()}
    function, *observation = [fitted.with_draws_of_model(draws, 1) for fitted, _ in graphs]
    return function, (observation[0] if observation else None)


def read_fitted_graphs(
    gp: pm.gp.Marginal,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    *,
    jitter: float | None = None,
    inputs_transformed: bool = False,
    roles: Mapping[Variable, Role] | None = None,
) -> list[tuple[FittedGP, dict[str, Variable]]]:
    """Return the gp without draws, with the variables of the PyMC model that its data stand for; see :func:`read_fitted`.

    A second entry is the gp of new observations, where their noise is a covariance function. Of the arguments, which are those of
    :func:`read_fitted`, ``roles`` are the variables of the model that are training data; None takes the gp's own ``pm.Data``.
    """
    observations = read_observations(gp, pm_model, given, jitter, inputs_transformed=inputs_transformed)
    correlated = not isinstance(observations.noise, pm.gp.cov.WhiteNoise)
    known: Mapping[Variable, Role] = roles or {variable: role for role, variable in observations.variables.items()}
    graphs = []
    for noisy in (False, True)[: 1 + correlated]:
        graph, data, sources = read_posterior(observations, pm_model, pred_noise=noisy)
        own: dict[str, Role] = {"X": "X", "y": "y"}
        own |= {name: known[leaf] for name, leaf in sources.items() if leaf in known}
        others = (observations.raw_X, False, observations.raw_y, getattr(observations.gp, "at", None) is not None)
        fitted = FittedGP(graph, data, own, {}, 1, observations.kind, config.linker, *others)
        graphs.append((fitted, sources))
    return graphs
