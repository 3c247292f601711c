"""Claim: over ten seasons with a warm start, no season's default fit is refused or doubtful, and a campaign takes at most two
runs of NUTS or SMC.

Run by ``make bench``. Five campaigns of different functions and noise begin with 8 observations; each season ends with 4 new
ones, where noisy expected improvement by the model's draws is largest among 256 random points, and the next model begins from the
last. Prints a line for each season, writes docs/seasons.json, and ends with an error where a bar is missed.
"""

import argparse
import json
import pathlib
import sys
import warnings
from typing import NamedTuple

import numpy as np
import torch
from botorch.acquisition import qLogNoisyExpectedImprovement
from botorch.exceptions.errors import ModelFittingError
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from ordinary_data import FUNCTIONS
from threadpoolctl import threadpool_limits
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
CAMPAIGNS = {"hartmann6": 0.05, "hartmann3": 0.1, "branin2": 0.02, "ackley4": 0.2, "levy5": 0.1}  # noise in sds of the function
SEASONS, FIRST, BATCH, CANDIDATES = 10, 8, 4, 256
MAX_LONG_RUNS = 2
LONG = ("nuts", "smc")


class Season(NamedTuple):
    """One fit of a campaign; without a model where ``method`` is None."""

    campaign: str
    season: int
    n: int
    method: str | None
    trusted: bool
    long_runs: int
    seconds: float
    note: str


def campaign(name: str, noise: float) -> list[Season]:
    """Run one campaign of minimisation."""
    d, function = FUNCTIONS[name]
    rng = np.random.default_rng([16, d])
    sd = function(rng.random((4096, d))).std()

    def observe(X: Tensor) -> Tensor:
        y = -function(X.numpy()) + noise * sd * rng.normal(size=len(X))
        return torch.from_numpy(y).unsqueeze(-1)

    X = torch.from_numpy(rng.random((FIRST, d)))
    Y, before, seasons = observe(X), None, []
    for season in range(1, SEASONS + 1):
        torch.manual_seed(season)
        try:
            model = FullyBayesianPyMCGP(X, Y).fit(warm_start=before, seed=season, progressbar=False)
        except ModelFittingError as error:
            seasons.append(Season(name, season, len(X), None, False, 0, np.nan, str(error)))
            model = None
        else:
            result = model.fit_result
            long_runs = sum(attempt.method in LONG for attempt in result.attempts)
            note = result.warning or ""
            seasons.append(Season(name, season, len(X), result.method, bool(result.trusted), long_runs, result.seconds, note))
            before = model
        print(line(seasons[-1]), flush=True)
        choices = torch.from_numpy(rng.random((CANDIDATES, d)))
        chosen = choices[:BATCH] if model is None else _best(model, X, choices)
        X, Y = torch.cat([X, chosen]), torch.cat([Y, observe(chosen)])
    return seasons


def _best(model: FullyBayesianPyMCGP, X: Tensor, choices: Tensor) -> Tensor:
    sampler = SobolQMCNormalSampler(torch.Size([64]), seed=0)
    acquisition = qLogNoisyExpectedImprovement(model, X, sampler=sampler, prune_baseline=True)
    return optimize_acqf_discrete(acquisition, q=BATCH, choices=choices)[0]


def line(season: Season) -> str:
    """Return a season as it is printed."""
    verdict = "trusted" if season.trusted else f"DOUBTFUL: {season.note}"
    return (
        f"{season.campaign:<10} season {season.season:2d}, n = {season.n:2d}   {season.method or 'no model':<11} "
        f"{season.seconds:5.2f} s   long runs {season.long_runs}   {verdict}"
    )


def main() -> None:
    """Run the campaigns, write, and fail where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=int, help="the first so many campaigns; writes nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # they are in fit_result
    with config.change_flags(linker="numba"), threadpool_limits(1):
        names = list(CAMPAIGNS)[: options.only]
        campaigns = {name: campaign(name, CAMPAIGNS[name]) for name in names}
    long_runs = {name: sum(season.long_runs for season in seasons) for name, seasons in campaigns.items()}
    refused = [season for seasons in campaigns.values() for season in seasons if not season.trusted]
    for name, runs in long_runs.items():
        print(f"{name:<10} {runs} runs of NUTS or SMC   at most {MAX_LONG_RUNS}")
    print(f"{len(refused)} seasons without draws to trust   at most 0")
    if options.only is None:
        rows = [season._asdict() for seasons in campaigns.values() for season in seasons]
        values = {"long_runs": long_runs, "refused": len(refused), "seasons": rows}
        (DOCS / "seasons.json").write_text(json.dumps(values, indent=1) + "\n")
    missed = [f"{season.campaign}, season {season.season}" for season in refused]
    missed += [f"{name}, {runs} long runs" for name, runs in long_runs.items() if runs > MAX_LONG_RUNS]
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
