"""ArviZ data of a fit by draws: parameters and deterministics, sample statistics, weights and training data."""

__all__ = ["SampleRecord", "as_datatree", "draws_to_datatree", "to_datatree"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from pytensor.compile.sharedvalue import SharedVariable

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.scales import Layout
from pymc_botorch.inference.sampling.importance import WeightedDraws, select
from pymc_botorch.inference.training_data import TrainingData

TRAINING_DATA_NAMES = ("train_X", "train_Y", "train_sd")


@dataclass(frozen=True, eq=False)
class SampleRecord:
    """Draws of a fit, with all that their ArviZ data are made from.

    Attributes:
        draws: The draws with their weights.
        stats: The sampler's statistics, ``chain x draw``; None if the draws are not from a sampler.
        data: Training data that the posterior is given.
    """

    draws: WeightedDraws
    stats: xr.Dataset | None
    data: TrainingData


def to_datatree(built: BuiltGP, record: SampleRecord) -> xr.DataTree:
    """Return the ArviZ data of a fit, with the dims and coords of its model.

    The groups are ``posterior`` (draws of equal weight: those of the chains, or resampled by their weights), ``sample_stats``,
    ``observed_data`` and ``constant_data``. Where draws have weights there are also ``weighted_posterior``, the draws before
    resampling, and ``weights``: their ``log_weight``, and the log densities ``lp`` and ``log_proposal``.
    """
    values = built.objective_values(record.data)
    layout = Layout(built.scales.names, built.scales.support_point(values))
    recorded = [built.scales.recorded(layout.split(u), values) for u in record.draws.unconstrained]
    draws = {name: np.stack([draw[name] for draw in recorded]) for name in recorded[0]}
    n, chains = len(record.data.y), record.draws.chains
    groups: dict[str, xr.Dataset] = {}
    if record.stats is not None:
        groups["posterior"] = _labelled(built, n, draws, chains)
        groups["sample_stats"] = record.stats
    else:
        chosen = select(record.draws.log_weights, len(record.draws.log_weights))
        log_density = record.draws.log_density
        groups["posterior"] = _labelled(built, n, {name: array[chosen] for name, array in draws.items()}, 1)
        groups["sample_stats"] = _labelled(built, n, {"lp": log_density[chosen]}, 1)
        weights = {"log_weight": record.draws.log_weights, "lp": log_density, "log_proposal": record.draws.log_proposal}
        groups["weighted_posterior"] = _labelled(built, n, draws, chains)
        groups["weights"] = _labelled(built, n, weights, chains)
    groups["observed_data"], groups["constant_data"] = _data(built, record.data)
    return xr.DataTree.from_dict(groups)


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


def _data(built: BuiltGP, data: TrainingData) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the datasets ``observed_data``, by the names of the likelihoods, and ``constant_data``."""
    pm_model = built.scales.pm_model
    observed = {rv.name: data.y for rv in pm_model.observed_RVs if pm_model.rvs_to_values[rv].name == "train_Y"}
    observed = observed or {"train_Y": data.y}  # a sparse approximation has a potential in place of a likelihood
    constant = {"train_X": data.X}
    if data.sigma is not None:
        constant["train_sd"] = data.sigma
    for variable in pm_model.data_vars:
        if variable.name not in TRAINING_DATA_NAMES and isinstance(variable, SharedVariable):
            constant[variable.name] = np.asarray(variable.get_value())
    return _labelled(built, len(data.y), observed, None), _labelled(built, len(data.y), constant, None)
