"""Posterior draws of a gp fitted in PyMC, read from ArviZ data and checked."""

__all__ = ["check_later_draws", "read_fitted_draws", "split_draws"]

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pymc as pm

from pymc_botorch.config import config
from pymc_botorch.errors import DataError
from pymc_botorch.graph.gps.latent import is_latent, read_latent, read_latent_posterior
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.fitted import FittedGP, read_fitted_graphs
from pymc_botorch.inference.points import model_in_context, read_point


def split_draws(point: Any) -> list[Any]:
    """Return the draws of ArviZ data, or of their posterior as a dataset, one dict each; a point is the only entry.

    Raises:
        DataError: If there are no draws.
    """
    stacked = stack_draws(point)
    if stacked is None:
        return [point]
    if stacked.count == 0:
        raise DataError("The posterior has no draws. Pass ArviZ data with at least one.")
    return [{name: values[s] for name, values in stacked.arrays.items()} for s in range(stacked.count)]


def check_later_draws(draws: Sequence[Mapping[str, np.ndarray]], names: Iterable[str]) -> list[dict[str, np.ndarray]]:
    """Return the values of ``names`` in each draw but the first, of which another check was made.

    Raises:
        DataError: If one is not finite.
    """
    names = list(names)
    later = draws[1:]
    for s, draw in enumerate(later, start=1):
        for name in names:
            if not np.isfinite(draw[name]).all():
                raise DataError(f"Draw {s} has {name} = {draw[name]}. Leave this draw out.")
    return [{name: np.asarray(draw[name]) for name in names} for draw in later]


def read_fitted_draws(
    gp: pm.gp.Marginal | pm.gp.Latent,
    idata: Any,
    num_draws: int | None,
    *,
    model: pm.Model | None,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    inputs_transformed: bool,
) -> tuple[FittedGP, FittedGP | None, dict[str, np.ndarray]]:
    """Return ``gp`` with draws of its hyperparameters, as ``read_fitted`` does with a point.

    The third value holds draws of the PyMC model's other free variables and scalar deterministics, ``S x ...``.

    Raises:
        DataError: If there are too few draws, or a parameter is missing or not finite in one of them; and as ``read_fitted``.
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
    function, *observation = [fitted.with_draws_of_model(stacked, len(draws)) for fitted in graphs]
    others = _variables_to_keep(pm_model, function, draws[0]) - needed
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
    return [FittedGP(graph, data, {"X": "X"}, {}, 1, function.kind, config.linker, function.raw_X)]


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


def _variables_to_keep(pm_model: pm.Model, fitted: FittedGP, draw: Mapping[str, np.ndarray]) -> set[str]:
    """Return the names of free variables and scalar deterministics, without whitened copies of others."""
    whitened = (fitted.graph.latent, fitted.graph.signs and fitted.graph.signs.name)
    free = {rv.name for rv in pm_model.free_RVs} - {f"{name}_rotated_" for name in whitened}
    scalars = {variable.name for variable in pm_model.deterministics if np.ndim(draw.get(variable.name, ())) == 0}
    return (free | scalars) & set(draw)


def _select_draws(idata: Any, num_draws: Any) -> tuple[list[dict[str, np.ndarray]], list[str]]:
    """Return evenly spaced draws of all chains, each with its chain and draw in words."""
    stacked = stack_draws(idata)
    if stacked is None or not stacked.sizes:
        raise DataError(
            f"idata is a {type(idata).__name__} without a posterior of draws. Pass what pm.sample() returns, or its "
            "posterior as a dataset with the dimensions chain and draw; for a single point use PyMCGP."
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
