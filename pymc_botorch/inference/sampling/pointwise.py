"""Log densities and replicates of the training observations in each draw."""

__all__ = ["log_densities", "replicates", "with_pointwise"]

from functools import partial

import numpy as np
import xarray as xr

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.left_out import left_out
from pymc_botorch.inference.sampling.computed import for_each_draw


def log_densities(gp: FittedGP, scale: float) -> np.ndarray:
    """Return the log density of each observation given all others in each draw, ``log p(y_i | y_-i, draw)``, ``S x n``.

    Args:
        gp: The gp of the observations.
        scale: Densities are per unit of ``scale * y``.
    """
    return left_out(gp).log_density - np.log(scale)


def replicates(gp: FittedGP, offset: float, scale: float) -> np.ndarray:
    """Return new observations at the training inputs, noise included, drawn jointly: one vector for each draw, ``S x n``.

    Args:
        gp: The gp of the observations.
        offset: The result is in the units of ``offset + scale * y``.
        scale: See ``offset``.
    """
    rng = np.random.default_rng(0)
    return offset + scale * np.stack([_drawn(gp, s, posterior, rng) for s, posterior in enumerate(gp.conditioned())])


def with_pointwise(idata: xr.DataTree, gp: FittedGP, *, offset: float = 0.0, scale: float = 1.0) -> xr.DataTree:
    """Return ArviZ data of a gp's draws with those of ``log_likelihood`` and ``posterior_predictive`` that they lack.

    Both are computed when their values are first read, in the units of ``observed_data``.

    Args:
        idata: A tree with the group ``posterior``, which is not changed.
        gp: The gp of the observations, with all draws of ``posterior``.
        offset: Observations are ``offset + scale * y``, with the outcomes ``y`` of the gp.
        scale: See ``offset``.
    """
    posterior = idata["posterior"].to_dataset()
    if not {"chain", "draw"} <= set(posterior.dims):  # ArviZ takes no others
        return idata
    known = dict(idata["observed_data"].data_vars) if "observed_data" in idata.children else {}
    observed = offset + scale * gp.y
    of_gp = {name: array for name, array in known.items() if array.shape == observed.shape}
    equal = {name: array for name, array in of_gp.items() if np.array_equal(array, observed)} or of_gp
    name, y = next(iter(equal.items()), ("y", xr.DataArray(observed, {"obs_id": np.arange(len(observed))}, ["obs_id"])))
    groups = {
        "observed_data": lambda: xr.Dataset({name: y}),
        "log_likelihood": lambda: for_each_draw(posterior, y, {name: partial(log_densities, gp, scale)}),
        "posterior_predictive": lambda: for_each_draw(posterior, y, {name: partial(replicates, gp, offset, scale)}),
    }
    lacking = {group: xr.DataTree(made()) for group, made in groups.items() if group not in idata.children}
    return idata.copy().assign(lacking) if lacking else idata


def _drawn(gp: FittedGP, draw: int, posterior: ConditionedPosterior, rng: np.random.Generator) -> np.ndarray:
    mean, cov, _ = posterior.moments(gp.X[None])
    noise, n = gp.noise(draw), len(gp.y)
    of_noise = noise if noise.ndim == 2 else np.diag(np.broadcast_to(noise**2, n))
    K, standard = cov[0] + of_noise + posterior.variance_floor * np.eye(n), rng.normal(size=n)
    try:
        return mean[0] + np.linalg.cholesky(K) @ standard
    except np.linalg.LinAlgError:  # without noise the function has no variance where it was observed
        variances, vectors = np.linalg.eigh(K)
        return mean[0] + vectors @ (np.sqrt(variances.clip(0)) * standard)
