"""Claims: no evidence that after 30 trials the regret of our default surrogate in Ax is larger than that of Ax's default; from the
third trial that a model suggests, a trial is had 6 times as fast with Numba, and 3 times at first use.

Run by ``make bench``. Branin (2 inputs) and Hartmann6 (6), without noise, 30 trials for each seed, five of them the centre and Sobol
points that are the same on all sides; all in one run, in turn, one thread. Ours is compiled by Numba, before a first campaign of each
problem that does not count (Ax's default has one, too); *first use* is the same with default settings in a fresh process for each
campaign, with empty compile caches. The regret is the best value seen less the optimum, at least 1e-6; differences are of its
log10, paired by seed, with 95 % intervals of their mean (Student's t). The seconds are those of ``get_next_trials`` for the trials that a
model suggests; their ratio is that of the sums over a campaign, of all these trials or from the third on, paired by seed, with the
interval of its mean logarithm. An interval that contains zero says that no difference was found, not that there is none. Prints
both, writes docs/ax.json, docs/ax.png and docs/ax.md, and ends with an error where our regret is larger beyond the interval, the time
with Numba not smaller beyond it, or the ratio from the third trial on below its bar. ``--quick`` runs little, and writes into a temporary folder.
"""

import argparse
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
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
OURS, FIRST_USE, THEIRS = SIDES = ("PyMCGP", "PyMCGP, first use", "Ax's default")
BARS = {OURS: 6.0, FIRST_USE: 3.0}  # times as fast from the third modelled trial on
SEEDS, TRIALS, INITIAL = 20, 30, 5
SETTLED = INITIAL + 2  # trials before the third modelled one
FLOOR_OF_REGRET = 1e-6  # beyond that the optimisers' last digits would be judged
OPTIMA = {"Branin": 0.39788735772973816, "Hartmann6": -3.322368011415514}  # BoTorch rounds them


def campaign(problem: Any, seed: int, side: str, trials: int) -> tuple[list[float], list[float]]:
    """Values in order, and the seconds that each suggestion took."""
    client = Client(random_seed=seed)
    bounds = [(float(low), float(high)) for low, high in problem.bounds.T]
    client.configure_experiment([RangeParameterConfig(f"x{i}", parameter_type="float", bounds=b) for i, b in enumerate(bounds)])
    client.configure_optimization("-value")
    if side != THEIRS:
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


def in_a_fresh_process(name: str, seed: int, trials: int) -> tuple[list[float], list[float]]:
    """A campaign of ours as a new user has it: default settings, and nothing compiled before."""
    with tempfile.TemporaryDirectory() as empty:
        settings = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={empty}", "PYMC_BOTORCH_LINKER": "auto"}
        command = [sys.executable, __file__, "--one", name, "--seed", str(seed), "--trials", str(trials)]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=settings).stdout
    return tuple(json.loads(printed.splitlines()[-1]))


def run(seeds: int, trials: int, folder: pathlib.Path) -> dict[str, Any]:
    """All sides of each problem, in turn, the first to go changing with the seed."""
    results: dict[str, Any] = {name: {side: {"values": [], "seconds": []} for side in SIDES} for name in PROBLEMS}
    for make in PROBLEMS.values():
        for side in (OURS, THEIRS):
            campaign(make(), 999, side, SETTLED + 2)  # compiles; does not count
    for seed in range(seeds):
        for name, make in PROBLEMS.items():
            for side in SIDES if seed % 2 else SIDES[::-1]:
                fresh = side == FIRST_USE
                values, seconds = in_a_fresh_process(name, seed, trials) if fresh else campaign(make(), seed, side, trials)
                results[name][side]["values"].append(values)
                results[name][side]["seconds"].append(seconds)
        (folder / "ax.json").write_text(json.dumps(results) + "\n")
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


def times_as_fast(results: dict[str, Any], name: str, side: str, first: int) -> tuple[float, float, float]:
    """Ratio of the seconds of all trials from ``first`` on, Ax's over ours: its mean over seeds, and its 95 % interval."""
    ours, theirs = (np.array(results[name][s]["seconds"])[:, first:].sum(1) for s in (side, THEIRS))
    ratio, low, high = np.exp(interval(np.log(theirs / ours)))
    return float(ratio), float(low), float(high)


def report(results: dict[str, Any], folder: pathlib.Path) -> list[str]:
    """Print, draw and write; return what failed."""
    draw(results, folder / "ax.png")
    lines = ["# Ax: campaigns against its default", "", " ".join((__doc__ or "").split("\n\n")[1].split()), ""]
    lines += [
        "![Regret of all sides over trials, and differences](ax.png)",
        "",
        "| problem | ours | seeds | log10 regret after the last trial, ours less Ax's (95 %) | times as fast (95 %) | "
        "from the third modelled trial on (95 %) | bar | median seconds of a modelled trial, ours and Ax's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    failed = []
    for name in PROBLEMS:
        for side, bar in BARS.items():
            differences = (regrets(results, name, side) - regrets(results, name, THEIRS))[:, -1]
            mean, low, high = interval(differences)
            ratio, least, most = times_as_fast(results, name, side, INITIAL)
            settled = times_as_fast(results, name, side, SETTLED)
            a, b = (np.median(np.array(results[name][s]["seconds"])[:, INITIAL:]) for s in (side, THEIRS))
            lines.append(
                f"| {name} | {'first use' if side == FIRST_USE else 'Numba'} | {len(differences)} | {mean:.2f} ({low:.2f} to {high:.2f}) "
                f"| {ratio:.2f} ({least:.2f} to {most:.2f}) | {settled[0]:.2f} ({settled[1]:.2f} to {settled[2]:.2f}) | {bar:g} "
                f"| {a:.2f}, {b:.2f} |"
            )
            print(lines[-1])
            failed += [f"{side}: regret on {name}"] * bool(low > 0) + [f"{side}: time on {name}"] * (side == OURS and least < 1)
            is_met = settled[0] >= bar
            print(
                f"  {name}, {side}, from the third modelled trial on: {settled[0]:.1f} times, bar {bar:g}: {'met' if is_met else 'MISSED'}"
            )
            failed += [f"{side}: {settled[0]:.1f} times as fast on {name}, not {bar:g}"] * (not is_met)
    (folder / "ax.md").write_text("\n".join(lines) + "\n")
    return failed


def draw(results: dict[str, Any], path: pathlib.Path) -> None:
    """Draw the regret of all sides, and the differences."""
    figure, axes = plt.subplots(2, len(PROBLEMS), figsize=(9, 6), sharex=True, layout="constrained", height_ratios=[3, 2])
    colours = dict(zip(SIDES, ("C0", "C2", "C1"), strict=True))
    for (upper, lower), name in zip(axes.T, PROBLEMS, strict=True):
        found = {side: regrets(results, name, side) for side in SIDES}
        trials = np.arange(1, found[THEIRS].shape[1] + 1)
        lower.axhline(0, color="0.6", linewidth=0.8)
        for side, regret in found.items():
            upper.plot(trials, np.median(regret, axis=0), color=colours[side], label=side)
            upper.fill_between(trials, *np.quantile(regret, [0.25, 0.75], axis=0), color=colours[side], alpha=0.15)
            if side != THEIRS:
                mean, low, high = interval(regret - found[THEIRS])
                lower.plot(trials, mean, color=colours[side])
                lower.fill_between(trials, low, high, color=colours[side], alpha=0.2)
        upper.set_title(name)
        lower.set_xlabel("trial")
    axes[0, 0].set_ylabel("log10 regret\nmedian and quartiles")
    axes[1, 0].set_ylabel("difference, ours less Ax's\nmean and 95 % interval")
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all campaigns, or read those of the last run (``--report``)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", action="store_true", help="only draw and write what docs/ax.json has")
    parser.add_argument("--quick", action="store_true", help="two seeds and nine trials, into a temporary folder")
    parser.add_argument("--one", choices=PROBLEMS, help="print one campaign of ours as JSON")
    parser.add_argument("--seed", type=int, default=0, help="that of the one campaign")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Ax's own
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    if options.one:
        with threadpool_limits(1):
            print(json.dumps(campaign(PROBLEMS[options.one](), options.seed, FIRST_USE, options.trials)))
        return
    folder = pathlib.Path(tempfile.mkdtemp()) if options.quick else DOCS
    if options.report:
        results = json.loads((DOCS / "ax.json").read_text())
    else:
        seeds, trials = (2, 9) if options.quick else (options.seeds, options.trials)
        with config.change_flags(linker="numba"), threadpool_limits(1):
            results = run(seeds, trials, folder)
    failed = report(results, folder)
    print(f"written to {folder}")
    if failed:
        sys.exit(f"worse than Ax's default, or below a bar: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
