"""Claims: no evidence that after 30 trials the regret of our default surrogate in Ax is larger than that of Ax's default, and each
trial that a model suggests is had in less time.

Run by ``make bench``. Branin (2 inputs) and Hartmann6 (6), without noise, 20 seeds, 30 trials each, five of them the centre and Sobol
points that are the same on both sides; both sides in one run, in turn, one thread. Ours is compiled by Numba, before a first
campaign of each problem and side that does not count (Ax's has one, too). The regret is the best value seen less the optimum, at
least 1e-6; differences are of its log10, paired by seed, with 95 % intervals of their mean (Student's t). The seconds are those of
``get_next_trials`` for the trials that a model suggests; their ratio is that of the sums over a campaign, paired by seed, with the
interval of its mean logarithm. An interval that contains zero says that no difference was found, not that there is none. Prints
both, writes docs/ax.json, docs/ax.png and docs/ax.md, and ends with an error where our regret is larger beyond the interval, or the
time not smaller beyond it.
"""

import argparse
import json
import logging
import pathlib
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from ax.api.client import Client
from ax.api.configs import RangeParameterConfig
from botorch.test_functions import Branin, Hartmann
from scipy.stats import t as student
from threadpoolctl import threadpool_limits

import pymc_botorch.ax
from pymc_botorch import PyMCGP, config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PROBLEMS: dict[str, Callable[[], Any]] = {"Branin": Branin, "Hartmann6": lambda: Hartmann(dim=6)}
SIDES = ("PyMCGP", "Ax's default")
SEEDS, TRIALS, INITIAL = 20, 30, 5
FLOOR_OF_REGRET = 1e-6  # beyond that the optimisers' last digits would be judged
OPTIMA = {"Branin": 0.39788735772973816, "Hartmann6": -3.322368011415514}  # BoTorch rounds them


def campaign(problem: Any, seed: int, side: str, trials: int) -> tuple[list[float], list[float]]:
    """Values in order, and the seconds that each suggestion took."""
    client = Client(random_seed=seed)
    bounds = [(float(low), float(high)) for low, high in problem.bounds.T]
    client.configure_experiment([RangeParameterConfig(f"x{i}", parameter_type="float", bounds=b) for i, b in enumerate(bounds)])
    client.configure_optimization("-value")
    if side == SIDES[0]:
        strategy = pymc_botorch.ax.generation_strategy(PyMCGP, initialization_budget=INITIAL, seed=seed)
        client.set_generation_strategy(strategy)
    else:
        client.configure_generation_strategy(
            initialization_budget=INITIAL, initialization_random_seed=seed, initialize_with_center=True
        )
    values, seconds = [], []
    for _ in range(trials):
        began = time.perf_counter()
        ((index, parameters),) = client.get_next_trials(max_trials=1).items()
        seconds.append(time.perf_counter() - began)
        point = torch.tensor([[parameters[f"x{i}"] for i in range(len(bounds))]], dtype=torch.double)
        values.append(problem(point).item())
        client.complete_trial(index, raw_data={"value": values[-1]})
    return values, seconds


def run(seeds: int) -> dict[str, Any]:
    """Both sides of each problem, in turn, the first to go changing with the seed."""
    results: dict[str, Any] = {name: {side: {"values": [], "seconds": []} for side in SIDES} for name in PROBLEMS}
    for make in PROBLEMS.values():
        for side in SIDES:
            campaign(make(), 999, side, INITIAL + 2)  # compiles; does not count
    for seed in range(seeds):
        for name, make in PROBLEMS.items():
            for side in SIDES if seed % 2 else SIDES[::-1]:
                values, seconds = campaign(make(), seed, side, TRIALS)
                results[name][side]["values"].append(values)
                results[name][side]["seconds"].append(seconds)
        (DOCS / "ax.json").write_text(json.dumps(results) + "\n")
        print(f"seed {seed} done", flush=True)
    return results


def regrets(results: dict[str, Any], name: str, side: str) -> np.ndarray:
    """Log10 of best value so far less the optimum, ``seeds x trials``."""
    best = np.minimum.accumulate(np.array(results[name][side]["values"]), axis=1)
    return np.log10(np.maximum(best - OPTIMA[name], FLOOR_OF_REGRET))


def interval(differences: np.ndarray) -> tuple[Any, Any, Any]:
    """Mean over seeds, and its 95 % interval."""
    mean, sem = differences.mean(0), differences.std(0, ddof=1) / np.sqrt(len(differences))
    half = student.ppf(0.975, len(differences) - 1) * sem
    return mean, mean - half, mean + half


def report(results: dict[str, Any]) -> list[str]:
    """Print, draw and write; return what failed."""
    figure, axes = plt.subplots(2, len(PROBLEMS), figsize=(9, 6), sharex=True, layout="constrained", height_ratios=[3, 2])
    rows, failed = [], []
    for (upper, lower), name in zip(axes.T, PROBLEMS, strict=True):
        ours, theirs = (regrets(results, name, side) for side in SIDES)
        trials = np.arange(1, ours.shape[1] + 1)
        for side, regret, colour in ((SIDES[0], ours, "C0"), (SIDES[1], theirs, "C1")):
            upper.plot(trials, np.median(regret, axis=0), color=colour, label=side)
            upper.fill_between(trials, *np.quantile(regret, [0.25, 0.75], axis=0), color=colour, alpha=0.2)
        mean, low, high = interval(ours - theirs)
        lower.axhline(0, color="0.6", linewidth=0.8)
        lower.plot(trials, mean, color="C2")
        lower.fill_between(trials, low, high, color="C2", alpha=0.2)
        upper.set_title(name)
        lower.set_xlabel("trial")
        seconds = [np.array(results[name][side]["seconds"])[:, INITIAL:] for side in SIDES]
        ratio = np.exp(interval(np.log(seconds[1].sum(1) / seconds[0].sum(1))))
        rows.append((name, len(ours), (mean[-1], low[-1], high[-1]), ratio, [np.median(part) for part in seconds]))
        if low[-1] > 0:
            failed.append(f"regret on {name}")
        if ratio[1] < 1:
            failed.append(f"time on {name}")
    axes[0, 0].set_ylabel("log10 regret\nmedian and quartiles")
    axes[1, 0].set_ylabel("difference, ours less Ax's\nmean and 95 % interval")
    axes[0, 0].legend()
    figure.savefig(DOCS / "ax.png", dpi=110)
    lines = ["# Ax: campaigns against its default", "", " ".join((__doc__ or "").split("\n\n")[1].split()), ""]
    lines += [
        "![Regret of both sides over trials, and their difference](ax.png)",
        "",
        "| problem | seeds | log10 regret after 30 trials, ours less Ax's (95 %) | times as fast (95 %) | "
        "median seconds of a modelled trial, ours and Ax's |",
        "|---|---|---|---|---|",
    ]
    for name, seeds, (mean, low, high), (q2, q1, q3), (a, b) in rows:
        lines.append(
            f"| {name} | {seeds} | {mean:.2f} ({low:.2f} to {high:.2f}) | {q2:.2f} ({q1:.2f} to {q3:.2f}) | {a:.2f}, {b:.2f} |"
        )
        print(lines[-1])
    (DOCS / "ax.md").write_text("\n".join(lines) + "\n")
    return failed


def main() -> None:
    """Run all campaigns, or read those of the last run (``--report``)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", action="store_true", help="only draw and write what docs/ax.json has")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Ax's own
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if options.report:
        results = json.loads((DOCS / "ax.json").read_text())
    else:
        with config.change_flags(linker="numba"), threadpool_limits(1):
            results = run(options.seeds)
    if failed := report(results):
        sys.exit(f"worse than Ax's default: {', '.join(failed)}")


if __name__ == "__main__":
    main()
