"""Claim: draws by Laplace's method and by NUTS are calibrated: over 100 data sets simulated from the prior, the ranks of the true
hyperparameters and of the function at a new point among the draws are uniform (p above 0.01 / 5 for each).

Run by ``make bench``. Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari & Gelman 2018,
https://arxiv.org/abs/1804.06788): data sets of 12 observations of two inputs, 99 draws of each fit, ranks from 0 to 99. Fits that
warn are kept: leaving them out would bias the ranks. Those that are refused (ModelFittingError) have no draws and are counted.
Prints the p-values, writes docs/calibration.png, and ends with an error where one is below its limit.
"""

import pathlib
import sys
import warnings
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import torch
from botorch.exceptions.errors import ModelFittingError
from scipy.stats import chisquare
from threadpoolctl import threadpool_limits

from pymc_botorch import FullyBayesianPyMCGP, config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
DATA_SETS, OBSERVATIONS, DRAWS, BINS = 100, 12, 99, 10
NAMES = ("ell 1", "ell 2", "eta", "sigma", "f at a new point")
LIMIT = 0.01 / len(NAMES)


class SimulatedGP(FullyBayesianPyMCGP):
    """The model that the data sets are simulated from."""

    units = "natural"

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        """Matern 5/2 with a lengthscale for each input."""
        ell = pm.LogNormal("ell", -0.7, 0.6, dims="feature")
        eta, sigma = pm.LogNormal("eta", 0.0, 0.5), pm.LogNormal("sigma", -1.5, 0.6)
        gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(X.type.shape[1], ls=ell))
        gp.marginal_likelihood("y", X, y, sigma=sigma)
        return gp


def simulate(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs with the new point last, outcomes without it, and what the ranks are of."""
    X = rng.uniform(size=(OBSERVATIONS + 1, 2))
    ell, eta, sigma = np.exp(rng.normal(-0.7, 0.6, 2)), np.exp(rng.normal(0.0, 0.5)), np.exp(rng.normal(-1.5, 0.6))
    r = np.sqrt(5) * np.linalg.norm((X[:, None] - X[None]) / ell, axis=-1)
    cov = eta**2 * (1 + r + r**2 / 3) * np.exp(-r)
    f = np.linalg.cholesky(cov + 1e-10 * np.eye(len(X))) @ rng.normal(size=len(X))
    return X, f[:-1] + sigma * rng.normal(size=OBSERVATIONS), np.array([*ell, eta, sigma, f[-1]])


def ranks(method: str) -> tuple[np.ndarray, int]:
    """Ranks ``data sets x names``, and how many fits warned."""
    rng, found, warned = np.random.default_rng(20261123), [], 0
    for i in range(DATA_SETS):
        X, y, truth = simulate(rng)
        inputs, outcomes = torch.from_numpy(X[:-1]), torch.from_numpy(y).unsqueeze(-1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = SimulatedGP(inputs, outcomes).fit(method, num_draws=DRAWS, seed=i, progressbar=False)
            except ModelFittingError as error:
                print(f"  data set {i}: {error}")
                continue
        warned += model.fit_result.warning is not None
        posterior = model.posterior(torch.from_numpy(X[-1:]))
        f = posterior.mean[:, 0, 0] + posterior.variance[:, 0, 0].sqrt() * torch.from_numpy(rng.normal(size=DRAWS))
        draws = np.column_stack([model.draws["ell"], model.draws["eta"], model.draws["sigma"], f.numpy()])
        found.append((draws < truth).sum(0))
    return np.array(found), warned


def main() -> None:
    """Simulate, fit, rank, draw, and fail where ranks are not uniform."""
    torch.set_num_threads(1)
    figure, axes = plt.subplots(2, len(NAMES), figsize=(11, 4.2), sharex=True, sharey=True, layout="constrained")
    failed = []
    with config.change_flags(linker="numba"), threadpool_limits(1):
        for row, method in zip(axes, ("laplace", "nuts"), strict=True):
            found, warned = ranks(method)
            print(f"{method}: {len(found)} of {DATA_SETS} data sets, {warned} fits warned")
            for axis, name, column in zip(row, NAMES, found.T, strict=True):
                counts = np.histogram(column, bins=BINS, range=(0, DRAWS + 1))[0]
                p = float(chisquare(counts).pvalue)
                print(f"  {name:<18} p = {p:.3f}   limit {LIMIT:g}   mean rank {column.mean() / DRAWS:.3f}", flush=True)
                if p < LIMIT:
                    failed.append(f"{name} by {method}")
                axis.bar(np.arange(BINS) + 0.5, counts, width=0.9, color="C0" if method == "nuts" else "C1")
                axis.axhspan(*_band(), color="0.85", zorder=0)
                axis.set_title(name, fontsize=9)
                axis.text(0.97, 0.95, f"p = {p:.2f}", transform=axis.transAxes, ha="right", va="top", fontsize=8)
            row[0].set_title(f"{method}\n{NAMES[0]}", fontsize=9)
            row[0].set_ylabel("data sets")
    for axis in axes[1]:
        axis.set_xticks([0, BINS / 2, BINS], ["0", "rank", str(DRAWS)])
    figure.suptitle(
        f"Ranks of the truth among {DRAWS} draws, {DATA_SETS} data sets (grey: 95 % of counts if uniform)", fontsize=10
    )
    figure.savefig(DOCS / "calibration.png", dpi=110)
    if failed:
        sys.exit(f"ranks are not uniform: {', '.join(failed)}")


def _band() -> tuple[float, float]:
    """Counts of a bin that 95 % of uniform ranks would give."""
    counts = np.random.default_rng(0).binomial(DATA_SETS, 1 / BINS, size=100_000)
    low, high = np.quantile(counts, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
