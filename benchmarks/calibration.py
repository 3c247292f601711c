"""Claim: the default fit is calibrated. Over 300 data sets of 10 observations and 300 of 30, simulated from the prior and none
left out, the ranks of the true hyperparameters and of the function at a new point among the draws are uniform (p above 0.01); and
over 200 problems that no gp has made, intervals of 50 and 90 % at new points cover within 2 points of what they say.

Run by ``make bench``. Simulation-based calibration (Talts, Betancourt, Simpson, Vehtari & Gelman 2018,
https://arxiv.org/abs/1804.06788): two inputs, 99 draws of each fit, ranks from 0 to 99 in ten bins, a chi-square test for each of
five quantities and both sizes. The limit is not lowered for their number: of ten tests at 0.01, one would fail by chance in about
a tenth of all runs of a perfect sampler. Doubtful fits are kept; a fit that has no draws counts as a failure of the claim.
Coverage is explained in :mod:`interval_coverage`. Prints all, writes docs/calibration.json and docs/calibration.png, and ends
with an error where a bar is missed.
"""

import argparse
import json
import pathlib
import sys
import warnings
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import torch
from botorch.exceptions.errors import ModelFittingError
from coverage_problems import NUM_PROBLEMS
from interval_coverage import coverage, is_off
from scipy.stats import chisquare
from threadpoolctl import threadpool_limits

from pymc_botorch import FullyBayesianPyMCGP, config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
DATA_SETS, OBSERVATIONS, DRAWS, BINS = 300, (10, 30), 99, 10
NAMES = ("ell 1", "ell 2", "eta", "sigma", "f at a new point")
LIMIT = 0.01


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


def simulate(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs with the new point last, outcomes without it, and what the ranks are of."""
    X = rng.uniform(size=(n + 1, 2))
    ell, eta, sigma = np.exp(rng.normal(-0.7, 0.6, 2)), np.exp(rng.normal(0.0, 0.5)), np.exp(rng.normal(-1.5, 0.6))
    r = np.sqrt(5) * np.linalg.norm((X[:, None] - X[None]) / ell, axis=-1)
    cov = eta**2 * (1 + r + r**2 / 3) * np.exp(-r)
    f = np.linalg.cholesky(cov + 1e-10 * np.eye(len(X))) @ rng.normal(size=len(X))
    return X, f[:-1] + sigma * rng.normal(size=n), np.array([*ell, eta, sigma, f[-1]])


def ranks(n: int, count: int) -> tuple[np.ndarray, int, int]:
    """Ranks ``data sets x names``, how many fits were doubtful, and how many had no draws."""
    rng, found, doubtful, refused = np.random.default_rng([20261123, n]), [], 0, 0
    for i in range(count):
        X, y, truth = simulate(n, rng)
        of_f = rng.normal(size=DRAWS)
        inputs, outcomes = torch.from_numpy(X[:-1]), torch.from_numpy(y).unsqueeze(-1)
        try:
            model = SimulatedGP(inputs, outcomes).fit(num_draws=DRAWS, seed=i, progressbar=False)
        except ModelFittingError as error:
            print(f"  n = {n}, data set {i}: {error}")
            refused += 1
            continue
        doubtful += not model.fit_result.trusted
        posterior = model.posterior(torch.from_numpy(X[-1:]))
        f = posterior.mean[:, 0, 0] + posterior.variance[:, 0, 0].sqrt() * torch.from_numpy(of_f)
        draws = np.column_stack([model.draws["ell"], model.draws["eta"], model.draws["sigma"], f.numpy()])
        found.append((draws < truth).sum(0))
    return np.array(found), doubtful, refused


def judge_ranks(found: np.ndarray, label: str) -> dict[str, float]:
    """Print and return the p-value of each column of ranks."""
    values = {}
    for name, column in zip(NAMES, found.T, strict=True):
        values[name] = float(chisquare(_counts(column)).pvalue)
        print(
            f"  {label}, {name:<18} p = {values[name]:.3f}   limit {LIMIT:g}   mean rank {column.mean() / DRAWS:.3f}", flush=True
        )
    return values


def draw(found: dict[int, np.ndarray], path: pathlib.Path) -> None:
    """Draw, by ArviZ, by how much more ranks are below each value than uniform ones would be, with its p-value of uniformity."""
    columns = {f"{name}, n = {n}": column for n, ranked in found.items() for name, column in zip(NAMES, ranked.T, strict=True)}
    spread = np.random.default_rng(0).uniform(size=next(iter(found.values())).shape[0])  # in the bin of a rank
    shares = {name: ((column + spread[: len(column)]) / (DRAWS + 1))[None] for name, column in columns.items()}
    figure = az.plot_ecdf_pit(
        az.from_dict({"prior_sbc": shares}), col_wrap=len(NAMES), figure_kwargs={"figsize": (13, 5.6), "layout": "constrained"}
    )
    figure.savefig(path, dpi=110)


def main() -> None:
    """Simulate, fit, rank, cover, draw, and fail where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=int, help="the first so many data sets and problems; writes nothing")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # they are in fit_result
    found, values, doubtful, missed = {}, {}, {}, []
    with config.change_flags(linker="numba"), threadpool_limits(1):
        for n in OBSERVATIONS:
            found[n], doubtful[n], refused = ranks(n, only or DATA_SETS)
            print(f"n = {n}: {len(found[n])} data sets with draws, {doubtful[n]} doubtful")
            values[n] = judge_ranks(found[n], f"n = {n}")
            missed += [f"ranks of {name}, n = {n}" for name, p in values[n].items() if p < LIMIT]
            missed += [f"{refused} data sets without draws, n = {n}"] * bool(refused)
        covered = coverage(only or NUM_PROBLEMS)
    missed += [name for name, value in covered.items() if is_off(value)]
    if only is None:
        draw(found, DOCS / "calibration.png")
        numbers = {
            "p_values": values,
            "ranks": {n: ranked.tolist() for n, ranked in found.items()},
            "coverage": covered,
            "doubtful": doubtful,
            "data_sets": DATA_SETS,
            "problems": NUM_PROBLEMS,
        }
        (DOCS / "calibration.json").write_text(json.dumps(numbers, indent=1) + "\n")
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


def _counts(column: np.ndarray) -> np.ndarray:
    return np.histogram(column, bins=BINS, range=(0, DRAWS + 1))[0]


if __name__ == "__main__":
    main()
