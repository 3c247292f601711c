"""ArviZ data of a fit by draws: parameters and deterministics, statistics, weights, log densities, replicates and data."""

__all__ = ["SampleRecord", "as_datatree", "draws_to_datatree", "prior_draws", "to_datatree"]

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from pytensor.compile.sharedvalue import SharedVariable

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.components import TOTAL
from pymc_botorch.inference.fit.scales import Layout
from pymc_botorch.inference.sampling.computed import for_each_draw
from pymc_botorch.inference.sampling.log_prior import PriorDensities
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws, select
from pymc_botorch.inference.sampling.pointwise import log_densities, replicates
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.inference.training_data import TrainingData

TRAINING_DATA_NAMES = ("train_X", "train_Y", "train_sd")


MAX_RESAMPLED = 4000
"""Largest number of draws of equal weight that are made of weighted ones."""
MIN_RESAMPLED = 100
"""Smallest number of them, where there are as many: ArviZ can do nothing with a few."""
PRIOR_DRAWS = 500


@dataclass(frozen=True, eq=False)
class SampleRecord:
    """Draws of a fit, with all that their ArviZ data are made from.

    Attributes:
        draws: The draws with their weights.
        stats: The sampler's statistics, ``chain x draw``; None if the draws are not from a sampler.
        data: Training data that the posterior is given.
        result: Report of the fit.
    """

    draws: WeightedDraws
    stats: xr.Dataset | None
    data: TrainingData
    result: SamplingResult


def to_datatree(built: BuiltGP, record: SampleRecord, *, offset: float = 0.0, scale: float = 1.0) -> xr.DataTree:
    """Return the ArviZ data of a fit, with the dims and coords of its model.

    The groups are ``posterior`` (draws of equal weight: those of the chains, or resampled by their weights, as many as are
    effective, from 100 to 4000, in random order), ``sample_stats``, ``prior`` (500 draws; improper priors have none, so that
    their parameters and what depends on these are left out), ``observed_data`` and ``constant_data`` (as the gp sees them). Of
    the draws in
    ``posterior`` there are ``log_prior`` of each parameter (on its constrained scale; zero for an improper one) and
    ``log_marginal_likelihood``, of all observations together; unless derivatives have signs also ``log_likelihood``, of each
    observation given all others, and ``posterior_predictive``, new observations at the training inputs. These two are computed
    when their values are first read.

    Where draws have weights there are also ``weighted_posterior``, the draws before resampling, and ``weights``: their
    ``log_weight``, and the log densities ``lp`` and ``log_proposal``. Where they are from several runs, ``source`` in
    ``sample_stats`` and ``weights`` is the number of the run. The attributes of ``posterior`` and ``sample_stats`` say by which
    ``method`` and whether it is ``trusted`` (1 or 0), with the ``log_evidence`` and the ``warning`` where there is one.

    Args:
        built: What the builder made.
        record: The draws.
        offset: Observations, replicates and log densities are in the units of ``offset + scale * y``.
        scale: See ``offset``.
    """
    values = built.objective_values(record.data)
    layout = Layout(built.scales.names, built.scales.support_point(values))
    weighted, n = record.draws, len(record.data.y)
    points = layout.split_all(weighted.unconstrained)
    draws = built.scales.recorded(points, values)
    groups: dict[str, xr.Dataset] = {}
    if record.stats is not None:
        chosen, chains = np.arange(len(weighted.log_weights)), weighted.chains
        groups["posterior"] = _labelled(built, n, draws, chains)
        groups["sample_stats"] = record.stats.copy()
    else:
        S, chains = len(weighted.log_weights), 1
        count = int(np.clip(weighted.effective_size, min(MIN_RESAMPLED, S), MAX_RESAMPLED))
        chosen = select(weighted.log_weights, count)  # in the order of rounds, which ArviZ would take for autocorrelation
        chosen = np.random.default_rng(0).permutation(chosen)
        stats = {"lp": weighted.log_density}
        if weighted.runs > 1:
            stats["source"] = np.repeat(np.arange(weighted.runs), S // weighted.runs)
        groups["posterior"] = _labelled(built, n, {name: array[chosen] for name, array in draws.items()}, 1)
        groups["sample_stats"] = _labelled(built, n, {name: array[chosen] for name, array in stats.items()}, 1)
        weights = {"log_weight": weighted.log_weights, **stats, "log_proposal": weighted.log_proposal}
        groups["weighted_posterior"] = _labelled(built, n, draws, weighted.chains)
        groups["weights"] = _labelled(built, n, weights, weighted.chains)
    about = _attributes(record.result)
    for name in ("posterior", "sample_stats"):
        groups[name].attrs |= about
    if prior := prior_draws(built, record.data):
        groups["prior"] = _labelled(built, n, prior, 1)
    groups["observed_data"], groups["constant_data"] = _data(built, record.data, offset, scale)
    ((observation, y),) = groups["observed_data"].data_vars.items()
    later, one = partial(for_each_draw, groups["posterior"]), xr.DataArray(0.0)
    before = PriorDensities(built.scales, [part[chosen] for part in points], values)
    groups["log_prior"] = later(one, {parameter: partial(before.of, parameter) for parameter in built.scales.names})
    joint = partial(before.left_of, weighted.log_density[chosen], -n * np.log(scale))
    groups["log_marginal_likelihood"] = later(one, {observation: joint})
    observed = built.of(TOTAL) if built.function.kind == "component" else built
    if observed.function.graph.signs is None:
        gp, _ = observed.given(record.data, {name: array[chosen] for name, array in draws.items()}, len(chosen))
        groups["log_likelihood"] = later(y, {observation: partial(log_densities, gp, scale)})
        groups["posterior_predictive"] = later(y, {observation: partial(replicates, gp, offset, scale)})
    return xr.DataTree.from_dict(groups)


def prior_draws(built: BuiltGP, data: TrainingData) -> dict[str, np.ndarray]:
    """Return 500 draws of the hyperparameters and deterministics before the data, by the names of what has a proper prior."""
    scales, values = built.scales, built.objective_values(data)
    if not scales.proper:
        return {}
    drawn = scales.draws(PRIOR_DRAWS, 0, values)
    recorded = scales.recorded([np.stack(part) for part in zip(*drawn, strict=True)], values)
    return {name: array for name, array in recorded.items() if name in scales.proper}


def as_datatree(idata: Any) -> xr.DataTree:
    """Return ArviZ data unchanged, and a dataset of posterior draws as the group ``posterior``."""
    if getattr(idata, "children", None):
        return idata
    return xr.DataTree.from_dict({"posterior": getattr(idata, "dataset", idata)})


def draws_to_datatree(draws: Mapping[str, np.ndarray]) -> xr.DataTree:
    """Return draws of parameters, ``S x ...``, as ArviZ data with a posterior of one chain."""
    variables = {
        name: (("chain", "draw", *(f"{name}_dim_{i}" for i in range(values.ndim - 1))), values[None])
        for name, values in draws.items()
    }
    return xr.DataTree.from_dict({"posterior": xr.Dataset(variables)})


def _labelled(built: BuiltGP, n: int, arrays: Mapping[str, np.ndarray], chains: int | None) -> xr.Dataset:
    """Return arrays with the dims and coords of the PyMC model, after ``chain`` and ``draw`` unless ``chains`` is None."""
    pm_model = built.scales.pm_model
    known = {**pm_model.coords, "obs_id": np.arange(n)}
    variables, coords = {}, dict[str, np.ndarray]()
    for name, array in arrays.items():
        lead: tuple[str, ...] = ()
        if chains is not None:
            array = array.reshape(chains, -1, *array.shape[1:])
            lead = ("chain", "draw")
            coords |= {dim: np.arange(length) for dim, length in zip(lead, array.shape, strict=False)}
        own = pm_model.named_vars_to_dims.get(name) or [None] * (array.ndim - len(lead))
        dims = tuple(dim or f"{name}_dim_{i}" for i, dim in enumerate(own))
        coords |= {dim: np.asarray(known[dim]) for dim in dims if known.get(dim) is not None}
        variables[name] = ((*lead, *dims), array)
    return xr.Dataset(variables, coords)


def _attributes(result: SamplingResult) -> dict[str, str | int | float]:
    """Return what a fit says of its draws, as values that files can hold."""
    known = {"log_evidence": result.log_evidence, "log_evidence_error": result.log_evidence_error, "warning": result.warning}
    return {"method": result.method, "trusted": int(result.trusted)} | {k: v for k, v in known.items() if v is not None}


def _data(built: BuiltGP, data: TrainingData, offset: float, scale: float) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the datasets ``observed_data``, by the names of the likelihoods, and ``constant_data``."""
    pm_model, y = built.scales.pm_model, offset + scale * data.y
    observed = {rv.name: y for rv in pm_model.observed_RVs if pm_model.rvs_to_values[rv].name == "train_Y"}
    observed = observed or {"train_Y": y}  # a sparse approximation has a potential in place of a likelihood
    constant = {"train_X": data.X}
    if data.sigma is not None:
        constant["train_sd"] = data.sigma
    for variable in pm_model.data_vars:
        if variable.name not in TRAINING_DATA_NAMES and isinstance(variable, SharedVariable):
            constant[variable.name] = np.asarray(variable.get_value())
    return _labelled(built, len(data.y), observed, None), _labelled(built, len(data.y), constant, None)
