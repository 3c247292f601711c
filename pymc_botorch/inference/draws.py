"""A point or posterior draws as people have them come in, one dict of values per draw goes out."""

__all__ = ["FittedDraws", "check_draws", "read_fitted_draws", "split_draws"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Integral
from typing import Any, Self

import numpy as np
import pymc as pm

from pymc_botorch.config import config
from pymc_botorch.errors import DataError
from pymc_botorch.graph.latent import is_latent, read_latent, read_latent_posterior
from pymc_botorch.graph.training import check_inputs
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.fitted import FittedGP, model_in_context, read_fitted_graphs
from pymc_botorch.inference.points import read_point


def split_draws(point: Any) -> list[Any]:
    """Return a point as it is, in a list; of ArviZ data, or their posterior as a dataset, a dict for each draw.

    Raises:
        DataError: If there are no draws.
    """
    stacked = stack_draws(point)
    if stacked is None:
        return [point]
    if stacked.count == 0:
        raise DataError("The posterior has no draws. Pass ArviZ data with at least one.")
    return [{name: values[s] for name, values in stacked.arrays.items()} for s in range(stacked.count)]


def check_draws(draws: Sequence[Mapping[str, np.ndarray]], names: Iterable[str]) -> list[dict[str, np.ndarray]]:
    """Return the values of ``names`` in each draw.

    Raises:
        DataError: If one is not finite.
    """
    names = list(names)
    for s, draw in enumerate(draws):
        for name in names:
            if not np.isfinite(draw[name]).all():
                raise DataError(f"Draw {s} has {name} = {draw[name]}. Leave this draw out.")
    return [{name: np.asarray(draw[name]) for name in names} for draw in draws]


@dataclass(frozen=True)
class FittedDraws(FittedGP):
    """A gp with ``S`` draws of its hyperparameters.

    Attributes:
        point: The draws of each of ``graph.parameters``, ``S x ...``.
        num_draws: ``S``.
    """

    num_draws: int

    @classmethod
    def of(cls, fitted: FittedGP, point: Mapping[str, np.ndarray], num_draws: int) -> Self:
        """Return a gp with the draws ``S x ...`` of each of its parameters, among others."""
        shared = {field.name: getattr(fitted, field.name) for field in fields(FittedGP)}
        return cls(**{**shared, "point": {name: point[name] for name in fitted.graph.parameters}}, num_draws=num_draws)

    @property
    def y(self) -> np.ndarray:
        """Training targets as the gp saw them, ``n``; of a latent gp the function at ``X`` in each draw, ``S x n``."""
        return super().y if self.graph.latent is None else self.point[self.graph.latent]

    def with_data(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Return the gp given other data, with the same hyperparameters; ``y`` is as in :attr:`y`.

        Raises:
            DataError: If the data are unusable, or do not fit each other or the draws.
        """
        if self.graph.latent is None:
            return super().with_data(X, y)
        check_inputs(X)
        if y.shape != (self.num_draws, len(X)):
            raise DataError(
                f"The draws of {self.graph.latent} have shape {y.shape}. Pass a value for each of {self.num_draws} draws at each "
                f"of {len(X)} inputs."
            )
        return replace(self, data={**self.data, "X": X}, point={**self.point, self.graph.latent: y}, raw_X=None)

    @cached_property
    def each(self) -> Sequence[FittedGP]:
        """The gp at each draw."""
        shared = {field.name: getattr(self, field.name) for field in fields(FittedGP)}
        return [
            FittedGP(**{**shared, "point": {name: draws[s, ...] for name, draws in self.point.items()}})
            for s in range(self.num_draws)
        ]

    def with_point(self, point: Mapping[str, np.ndarray]) -> Self:
        """Return the gp with other draws, also with more or fewer.

        Raises:
            DataError: If they are not of the same names and shapes, or differ in their number.
        """
        expected = {name: value.shape[1:] for name, value in self.point.items()}
        given = {name: np.shape(value)[1:] for name, value in point.items()}
        numbers = {len(value) if np.ndim(value) else 0 for value in point.values()} or {self.num_draws}
        if expected != given or len(numbers) != 1 or 0 in numbers:
            raise DataError(f"The draws have shapes {given} after their number, {numbers}. Pass as many of each, {expected}.")
        return replace(self, point={name: np.asarray(point[name]) for name in self.point}, num_draws=numbers.pop())


def read_fitted_draws(
    gp: pm.gp.Marginal | pm.gp.Latent,
    idata: Any,
    num_draws: int | None,
    *,
    model: pm.Model | None,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    inputs_transformed: bool,
) -> tuple[FittedDraws, FittedDraws | None, dict[str, np.ndarray]]:
    """Return everything that the posterior of ``gp`` at each draw needs, as ``read_fitted`` does for a point.

    The third is what else was drawn: the other free variables of the PyMC model and its scalar deterministics, ``S x ...``.

    Raises:
        DataError: If draws are too few, or a parameter is missing or not finite in one of them; and as ``read_fitted``.
    """
    pm_model = model_in_context(model)
    draws, labels = _select_draws(idata, num_draws)
    read = _read_latent_graph if is_latent(gp) else _read_graphs
    graphs = read(gp, pm_model, given, jitter=jitter, inputs_transformed=inputs_transformed)
    needed = {name for fitted in graphs for name in fitted.graph.parameters}
    _check_function(graphs[0], draws[0], labels[0])
    if missing := sorted(needed - set(draws[0])):
        raise DataError(
            f"The posterior has no draws of {', '.join(missing)} (it has {', '.join(draws[0]) or 'nothing'}). Pass what "
            "pm.sample() returned for this model."
        )
    for draw, label in zip(draws, labels, strict=True):
        for name in sorted(needed):
            if not np.isfinite(draw[name]).all():
                raise DataError(f"{name} is {draw[name]} at {label}. Leave this draw out.")
    read_point(pm_model, draws[0], needed)  # checks names, shapes and support
    stacked = {name: np.stack([draw[name] for draw in draws]) for name in needed}
    function, *observation = [FittedDraws.of(fitted, stacked, len(draws)) for fitted in graphs]
    others = _others(pm_model, function, draws[0]) - needed
    return (
        function,
        (observation[0] if observation else None),
        {name: np.stack([draw[name] for draw in draws]) for name in sorted(others)},
    )


def _read_graphs(gp: pm.gp.Marginal, *args: Any, **kwargs: Any) -> list[FittedGP]:
    return [fitted for fitted, _ in read_fitted_graphs(gp, *args, **kwargs)]


def _read_latent_graph(
    gp: pm.gp.Latent,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    *,
    jitter: float | None,
    inputs_transformed: bool,
) -> list[FittedGP]:
    function = read_latent(gp, pm_model, given, jitter, inputs_transformed=inputs_transformed)
    graph, data, _ = read_latent_posterior(function, pm_model)
    return [FittedGP(graph, data, {}, function.kind, config.linker, function.raw_X)]


def _check_function(fitted: FittedGP, draw: Mapping[str, np.ndarray], label: str) -> None:
    """Raise a ``DataError`` unless the draws of a latent function are there, with a value for each input."""
    name, n = fitted.graph.latent, len(fitted.X)
    if name is None:
        return
    if name not in draw:
        raise DataError(
            f"The posterior has no draws of the function {name} itself (it has {', '.join(draw) or 'nothing'}). Keep {name} when "
            "you sample or thin: pm.sample() does unless var_names leaves it out."
        )
    if draw[name].shape != (n,):
        raise DataError(
            f"{name} has shape {draw[name].shape} at {label}, but the gp has {n} inputs. Pass draws that were sampled with these "
            "inputs, and give the PyMC model its training data back where they were replaced by pm.set_data."
        )


def _others(pm_model: pm.Model, fitted: FittedGP, draw: Mapping[str, np.ndarray]) -> set[str]:
    """Return the names of free variables and of scalar deterministics, but for the whitened copy of a latent function."""
    free = {rv.name for rv in pm_model.free_RVs} - {f"{fitted.graph.latent}_rotated_"}
    scalars = {variable.name for variable in pm_model.deterministics if np.ndim(draw.get(variable.name, ())) == 0}
    return (free | scalars) & set(draw)


def _select_draws(idata: Any, num_draws: Any) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    """Return evenly spaced draws of all chains, and where each is."""
    stacked = stack_draws(idata)
    if stacked is None or not stacked.sizes:
        raise DataError(
            f"idata is a {type(idata).__name__} without a posterior of draws. Pass what pm.sample() returns, or its "
            "posterior as a dataset with the dimensions chain and draw; for a single point there is PyMCGP."
        )
    if num_draws is not None and (isinstance(num_draws, bool) or not isinstance(num_draws, Integral) or int(num_draws) < 1):
        raise DataError(f"num_draws is {num_draws!r}. Pass a whole number from 1 up, or None for all draws.")
    total = stacked.count
    count = total if num_draws is None else int(num_draws)
    if total < max(count, 1):
        raise DataError(f"The posterior has {total} draws, but num_draws is {num_draws}. Sample more, or ask for fewer.")
    chosen = ((np.arange(count) + 0.5) * total / count).astype(int)
    places = np.transpose(np.unravel_index(chosen, tuple(stacked.sizes.values())))
    labels = [", ".join(f"{dim} {index}" for dim, index in zip(stacked.sizes, place, strict=True)) for place in places]
    return [{name: values[s, ...] for name, values in stacked.arrays.items()} for s in chosen], labels
