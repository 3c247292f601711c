"""A fitted gp, its PyMC model and a point come in; graph, data and parameters go out, ready to be conditioned."""

__all__ = ["FittedGP", "model_in_context", "read_fitted", "read_fitted_graphs"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pymc as pm
from pytensor.graph.basic import Variable

from pymc_botorch.config import Tier, config
from pymc_botorch.errors import DataError
from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.graph.observations import Kind, read_observations
from pymc_botorch.graph.posterior import PosteriorGraph, read_posterior
from pymc_botorch.graph.readings import ConditionedReadings, readings
from pymc_botorch.graph.structures import compiled_posterior
from pymc_botorch.graph.training import check_data
from pymc_botorch.inference.points import read_point


@dataclass(frozen=True)
class FittedGP:
    """A gp as it was fitted: by value, without a reference to the PyMC model.

    Attributes:
        graph: The posterior of the noise-free function, or of new observations.
        data: A value for each of ``graph.data``.
        point: A value for each of ``graph.parameters``.
        kind: ``"exact"`` where the posterior is the gp's prior given the data; of a ``"sparse"`` approximation or a
            ``"component"`` of a sum it is not.
        tier: How the posterior is compiled.
        raw_X: The data that the gp's inputs are computed from inside the PyMC model, where they are; else None.
    """

    graph: PosteriorGraph
    data: Mapping[str, np.ndarray]
    point: Mapping[str, np.ndarray]
    kind: Kind
    tier: Tier
    raw_X: np.ndarray | None

    @property
    def X(self) -> np.ndarray:
        """Training inputs as the gp saw them, ``n x d``."""
        return self.data["X"]

    @property
    def y(self) -> np.ndarray:
        """Training targets as the gp saw them, ``n``."""
        return self.data["y"]

    def with_data(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Return the gp given other data, with the same hyperparameters.

        Raises:
            DataError: If the data are unusable, or each observation has a noise of its own and there are now more or fewer.
        """
        check_data(X, y)
        if len(y) != len(self.y) and self.graph.per_observation > {"X", "y"}:
            raise DataError(
                f"There are {len(y)} observations, but the noise of {len(self.y)}. Pass data of the same length, or refit."
            )
        return replace(self, data={**self.data, "X": X, "y": y}, raw_X=None)

    def with_noise_scaled(self, factor: float) -> Self:
        """Return the gp with the known sds of its observations multiplied: they are in the units of the outcome."""
        known = self.graph.per_observation - {"X", "y"}
        return replace(self, data={**self.data, **{name: factor * self.data[name] for name in known}})

    def with_point(self, point: Mapping[str, np.ndarray]) -> Self:
        """Return the gp with other hyperparameters.

        Raises:
            DataError: If they are not of the same names and shapes.
        """
        shapes = ({name: np.shape(value) for name, value in values.items()} for values in (self.point, point))
        if (expected := next(shapes)) != (given := next(shapes)):
            raise DataError(f"The hyperparameters have shapes {given}. Pass those of this gp, {expected}.")
        return replace(self, point={name: point[name] for name in self.point})

    @property
    def each(self) -> "Sequence[FittedGP]":
        """The gp at each of its draws, of which a point is one."""
        return [self]

    @cached_property
    def readings(self) -> ConditionedReadings:
        """What else can be read of the posterior, given data and point; factorised once."""
        return readings(self.graph, self.tier).condition([*self.data.values(), *self.point.values()])

    def prior(self) -> ConditionedPosterior:
        """Return the prior: the posterior given no data."""
        none = {name: array[:0] if name in self.graph.per_observation else array for name, array in self.data.items()}
        point = {name: array[:0] if name == self.graph.latent else array for name, array in self.point.items()}
        return compiled_posterior(self.graph, self.tier).condition([*none.values(), *point.values()])

    def condition(self) -> ConditionedPosterior:
        """Return the posterior, given data and point (compiles its structure where that is new)."""
        return compiled_posterior(self.graph, self.tier).condition([*self.data.values(), *self.point.values()])


def read_fitted(
    gp: pm.gp.Marginal,
    point: Any,
    *,
    model: pm.Model | None,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    inputs_transformed: bool,
) -> tuple[FittedGP, FittedGP | None]:
    """Return everything that the posterior of ``gp`` at ``point`` needs; compiles nothing.

    The second is the posterior of new observations where their noise is a covariance function, else None: independent
    noise is added to the first.

    Args:
        gp: See :meth:`pymc_botorch.PyMCGP.from_fitted`, also for the other arguments.
        point: One value per parameter.
        model: The PyMC model; None takes the one in context.
        given: For additive components.
        jitter: None reads it from the model.
        inputs_transformed: Whether a transform of the inputs was declared.

    Raises:
        UnsupportedGPError: If the gp is of another class.
        DataError: If gp, data, point and model do not fit together.
        TypeError: If there is no model.
    """
    pm_model = model_in_context(model)
    graphs = read_fitted_graphs(gp, pm_model, given, jitter=jitter, inputs_transformed=inputs_transformed)
    values = read_point(pm_model, point, {name for fitted, _ in graphs for name in fitted.graph.parameters})
    function, *observation = [
        replace(fitted, point={name: values[name] for name in fitted.graph.parameters}) for fitted, _ in graphs
    ]
    return function, (observation[0] if observation else None)


def model_in_context(model: pm.Model | None) -> pm.Model:
    """Return the model, or that in context where it is None.

    Raises:
        TypeError: If there is none.
    """
    if not isinstance(model, pm.Model | None):
        raise TypeError(f"model is a {type(model).__name__}. Pass the pm.Model of the gp.")
    if model is None and pm.Model.get_context(error_if_none=False) is None:
        raise TypeError("There is no PyMC model in context. Pass model=..., or call this inside 'with pm_model:'.")
    return pm.modelcontext(model)


def read_fitted_graphs(
    gp: pm.gp.Marginal,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    *,
    jitter: float | None = None,
    inputs_transformed: bool = False,
) -> list[tuple[FittedGP, dict[str, Variable]]]:
    """Return the gp without a point, and what in the PyMC model its data stand for; see :func:`read_fitted`.

    A second entry is the posterior of new observations, where their noise is a covariance function.
    """
    observations = read_observations(gp, pm_model, given, jitter, inputs_transformed=inputs_transformed)
    correlated = not isinstance(observations.noise, pm.gp.cov.WhiteNoise)
    found = []
    for noisy in (False, True)[: 1 + correlated]:
        graph, data, sources = read_posterior(observations, pm_model, pred_noise=noisy)
        found.append((FittedGP(graph, data, {}, observations.kind, config.linker, observations.raw_X), sources))
    return found
