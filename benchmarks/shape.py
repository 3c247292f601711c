"""Claims for a function that is known to rise (the default model with a ``MonotoneGP``, squared exponential, 15 sites of one input).

1. Steep sigmoid, n = 12, noise sd 0.1, 20 data sets: in the median at least 0.80 of joint draws rise (slope >= -1e-3) at all of 101
   points, without knowledge at most 0.2; at least 0.99 of the slopes are positive; R-hat is at most 1.02; gradients agree with finite
   differences within 1e-6; the mean error (root mean square over the unit interval) is below that without knowledge.
2. Two inputs, n = 25, the default 7 x 7 sites: at least 0.99 of the slopes are positive, sampling takes under three minutes.
3. Twelve points in two dimensions with measured slopes: an error at least five times lower than with values alone.

Simple regret of a dose trial with a price, 20 repeats, paired, and errors for other truths are printed without a bar. Run by ``make
bench``; ``--part`` runs a part. Writes docs/shape.json, .png and .md, and ends with an error where a bar is missed.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from rows import Row, line, quartiles
from shape_cases import CASES, THE_CASE
from shape_measures import errors, fits, rows_in_the_plane, rows_of_slopes, rows_of_slopes_as_data
from shape_page import write_page
from shape_regret import campaign
from threadpoolctl import threadpool_limits

from pymc_botorch import config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PARTS = ("data", "plane", "slopes", "errors", "regret")
REPEATS = 20


def measure(part: str, repeats: int) -> dict[str, Any]:
    """Return what a part finds: rows, errors of each case, regrets."""
    if part == "data":
        return {"rows": rows_of_slopes_as_data(min(repeats, 5))}
    if part == "plane":
        return {"rows": rows_in_the_plane(min(repeats, 5))}
    if part == "slopes":
        both = fits(THE_CASE, repeats)
        found = errors(THE_CASE, both)
        ratio = float(np.mean(found["plain"]) / np.mean(found["rising"]))
        below = quartiles("mean error without knowledge, of that with it", [ratio], 1.0)
        return {"rows": [*rows_of_slopes(both, found), below], "cases": {THE_CASE.text: found}}
    if part == "errors":
        return {"rows": [], "cases": {case.text: errors(case, fits(case, repeats)) for case in CASES[1:]}}
    return {"rows": [], "regrets": [campaign(seed)._asdict() for seed in range(repeats)]}


def write_figure(found: dict[str, dict[str, Any]]) -> None:
    """Draw errors with and without knowledge of each data set, and regret by season."""
    cases = {name: case for part in ("slopes", "errors") for name, case in found.get(part, {}).get("cases", {}).items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    for name, case in cases.items():
        left.plot(case["plain"], case["rising"], "o", ms=4, alpha=0.7, label=name)
    top = max(max(*case["plain"], *case["rising"]) for case in cases.values())
    left.plot([0, top], [0, top], color="0.6", lw=1)
    left.set(xlabel="error without knowledge", ylabel="error with it", title="Each data set")
    left.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    for name, label in (("knowing", "with knowledge"), ("plain", "without")):
        regrets = np.array([run[name] for run in found.get("regret", {}).get("regrets", [])])
        if len(regrets):
            spread = regrets.std(0, ddof=1) / np.sqrt(len(regrets))
            right.errorbar(range(regrets.shape[1]), regrets.mean(0), spread, marker="o", capsize=3, label=label)
    right.set(xlabel="season", xticks=range(5), ylabel="simple regret, mean and standard error", title="Dose trial with a price")
    right.legend()
    figure.savefig(DOCS / "shape.png", dpi=110)
    plt.close(figure)


def main() -> None:
    """Measure, print, write, and fail where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be given several times")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = DOCS / "shape.json"
    found: dict[str, Any] = {}
    missed: list[str] = []
    with config.change_flags(linker="numba"), threadpool_limits(1):
        for part in options.part or PARTS:
            measured = measure(part, options.repeats)
            rows: list[Row] = measured["rows"]
            for row in rows:
                print(line(row), flush=True)
            for name, case in measured.get("cases", {}).items():
                print(
                    f"{name:<60} error {np.mean(case['rising']):.3f}, without knowledge {np.mean(case['plain']):.3f}", flush=True
                )
            missed += [row.work for row in rows if row.missed]
            found = json.loads(path.read_text()) if path.exists() else {}
            found[part] = {**measured, "rows": [row._asdict() for row in rows]}
            path.write_text(json.dumps(found, indent=1) + "\n")
    write_figure(found)
    write_page(found)
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
