"""Claim: of data sets drawn from a model's own prior, at most 2 % are said to contradict it.

200 data sets of each of four models, of 5 to 40 observations in one to four inputs: hyperparameters from the prior, the function
and the noise from them, and a MAP fit with the priors that they came from.
"""

import warnings
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import torch
from pytensor.compile import Mode

from pymc_botorch import PyMCGP

DATA_SETS = 200
MAX_ALARMS = 0.02


def unit_cube(X: Any, y: Any) -> pm.gp.Marginal:
    """Matern 5/2 of variance one, as in the unit cube."""
    reach = pm.LogNormal("reach", -1, 0.7, dims="feature")
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


def free_size(X: Any, y: Any) -> pm.gp.Marginal:
    """Squared exponential with a variance, and a level."""
    size, level = pm.LogNormal("size", 0, 1), pm.Normal("level", 0, 1)
    cov = size**2 * pm.gp.cov.ExpQuad(X.type.shape[1], ls=pm.Gamma("reach", 2, 4, dims="feature"))
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(level), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=pm.Gamma("noise", 2, 6))
    return gp


def heavy_tails(X: Any, y: Any) -> pm.gp.Marginal:
    """Matern 3/2, with priors that are highest at zero or have heavy tails."""
    size = pm.HalfNormal("size", 1)
    gp = pm.gp.Marginal(cov_func=size**2 * pm.gp.cov.Matern32(X.type.shape[1], ls=pm.InverseGamma("reach", 3, 1, dims="feature")))
    gp.marginal_likelihood("y", X, y, sigma=pm.HalfCauchy("noise", 0.3))
    return gp


def natural_units(X: Any, y: Any) -> pm.gp.Marginal:
    """Doses in kg/ha and yields in kg/ha."""
    d = X.type.shape[1]
    level, size = pm.Normal("level", 6000, 1500), pm.LogNormal("size", np.log(800), 0.6)
    reach = pm.LogNormal("reach", np.log(60), 0.5, dims="feature")
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(level), cov_func=size**2 * pm.gp.cov.Matern52(d, ls=reach))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", np.log(200), 0.7))
    return gp


def simulated(build_gp: Any, X: np.ndarray, seed: int) -> np.ndarray:
    """Return outcomes drawn from the prior by PyMC."""
    with pm.Model(coords={"feature": range(X.shape[1])}) as pm_model:
        build_gp(pt.as_tensor(X), np.zeros(len(X)))
    (y,) = pm_model.observed_RVs
    return pm.draw(y, random_seed=seed, mode=Mode(linker="py", optimizer="fast_compile"))


def main() -> None:
    """Count the alarms."""
    for build_gp in (unit_cube, free_size, heavy_tails, natural_units):
        alarms = other = 0
        for seed in range(DATA_SETS):
            rng = np.random.default_rng(seed)
            n, d = int(rng.integers(5, 41)), int(rng.integers(1, 5))
            X = rng.random((n, d)) * (160 if build_gp is natural_units else 1)
            y = simulated(build_gp, X, seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = PyMCGP(torch.from_numpy(X), torch.from_numpy(y)[:, None], outcome_transform=None, build_gp=build_gp)
                warning = model.fit().fit_result.warning or ""
            alarms += "contradict" in warning
            other += bool(warning) and "contradict" not in warning
        print(f"{build_gp.__name__}: {alarms} of {DATA_SETS} data sets from the prior contradict it; {other} had other warnings")
        assert alarms <= MAX_ALARMS * DATA_SETS, build_gp.__name__


if __name__ == "__main__":
    main()
