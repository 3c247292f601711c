"""Claims: compiled acquisition functions against BoTorch's on SingleTaskGP with the same hyperparameters, value and gradient, d = 6.

Run by ``make bench``. One thread, both sides in one run, medians and quartiles of interleaved pairs. *Numba* is compiled and called
once before it is measured; *first use* is the NumPy tier, which answers until Numba is ready. Monte Carlo functions have 128
samples; qLogNEI keeps all observations as its baseline (``prune_baseline=False``) but where it says that it was pruned, as Ax does;
16 draws are those of BoTorch's SAAS model, the same on both sides. ``optimize_acqf`` has 20 restarts and 512 raw samples, from the
same seeds, on our side with ``gen_candidates=gen_candidates_compiled`` but where it says otherwise; a whole round is a MAP refit of a
new model and ``optimize_acqf(LogEI)``. The deviation is the largest of values (relative) and of gradients (relative to their largest
entry) from those of the BoTorch function that ours was made from, for the optimiser by how much the value it reaches is lower at
most. Prints all with its bars, writes docs/compiled_acquisition.json, .md and .png, and ends with an error where a bar is missed, or
something is compiled twice. ``--quick`` measures little, and writes into a temporary folder.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile
import warnings

import matplotlib.pyplot as plt
import torch
from compilations import Counts, compilations
from compiled_cases import OPTIMIZER, TIERS, Effort, Row, measured
from speed import DOCS
from threadpoolctl import threadpool_limits

from pymc_botorch import config

NAME = "compiled_acquisition"
FULL, QUICK = Effort(repeats=9, seconds=0.1, seeds=9), Effort(repeats=3, seconds=0.01, seeds=2)


def main() -> None:
    """Measure, print, write, and fail where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="little of everything, without n = 500, into a temporary folder")
    quick = parser.parse_args().quick
    sizes, effort = ([50, 100], QUICK) if quick else (list(OPTIMIZER), FULL)
    warnings.simplefilter("ignore")  # BoTorch's own
    torch.set_num_threads(1)
    rows: list[Row] = []
    counts: dict[str, Counts] = {}
    for tier in TIERS:
        with config.change_flags(linker=tier), threadpool_limits(1):
            for row in measured(tier, sizes, effort):
                rows.append(row)
                print(line(row), flush=True)
            counts[tier] = compilations(sizes)
            print(f"{TIERS[tier]}: {counted(counts[tier])}", flush=True)
    write(pathlib.Path(tempfile.mkdtemp()) if quick else DOCS, rows, counts)
    misses = [miss for row in rows for miss in row.misses]
    misses += [f"compilations ({TIERS[tier]}): {counted(c)}" for tier, c in counts.items() if c.repeated or c.later]
    if misses:
        sys.exit("\n  ".join(["missed:", *misses]))
    print("all bars are met")


def line(row: Row) -> str:
    """Return a row as it is printed."""
    parts = [f"{row.work + ', ' + TIERS[row.tier]:<60}"]
    if row.result is not None:
        parts.append(f"{row.result.ratio:6.1f} ({row.result.low:.1f} to {row.result.high:.1f})")
        parts.append("" if row.floor is None else f"floor {row.floor:g}")
    if row.deviation is not None:
        parts.append(f"off by {row.deviation:.1e}, limit {row.limit:g}")
    return "   ".join([*parts, "MISSED" * bool(row.misses)])


def counted(counts: Counts) -> str:
    """Say what was compiled."""
    return (
        f"{counts.structures} structures (fit, posterior), {counts.functions} functions for LogEI, qLogEI and qLogNEI, at one point and at "
        f"several; {counts.later} more for other data, incumbents, n, b, q and samples, {counts.repeated} compiled again"
    )


def write(folder: pathlib.Path, rows: list[Row], counts: dict[str, Counts]) -> None:
    """Write the numbers, the table and the figure."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, one thread"
    numbers = {
        "machine": machine,
        "rows": [{**row._asdict(), "result": row.result and row.result._asdict()} for row in rows],
        "compilations": {tier: c._asdict() for tier, c in counts.items()},
    }
    (folder / f"{NAME}.json").write_text(json.dumps(numbers, indent=1) + "\n")
    works = {row.work: {r.tier: r for r in rows if r.work == row.work} for row in rows}
    lines = [
        "# Compiled acquisition functions",
        "",
        " ".join((__doc__ or "").split("\n\n")[1].split()) + f" Measured on {machine}.",
        "",
        f"![Ratios of all cases, with Numba and at first use]({NAME}.png)",
        "",
        "| work | BoTorch, ms | Numba, ms | times as fast (quartiles) | floor | first use, ms | times as fast (quartiles) | floor "
        "| deviation, Numba and first use | limit |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(f"| {' | '.join([work, *cells(of_tiers)])} |" for work, of_tiers in works.items()),
        "",
        *(f"Compilations, {TIERS[tier]}: {counted(c)}.  " for tier, c in counts.items()),
    ]
    (folder / f"{NAME}.md").write_text("\n".join(lines).rstrip() + "\n")
    figure(works, folder / f"{NAME}.png")
    print(f"written to {folder}")


def cells(of_tiers: dict[str, Row]) -> list[str]:
    """Return a line of the table, but for its first cell."""
    row = of_tiers["numba"]
    found = ["" if row.result is None else f"{row.result.theirs:.2f}"]
    for r in of_tiers.values():
        ratio = r.result and [f"{r.result.ours:.3g}", f"{r.result.ratio:.1f} ({r.result.low:.1f} to {r.result.high:.1f})"]
        found += [*(ratio or ["", ""]), "" if r.floor is None else f"{r.floor:g}"]
    off = ", ".join(f"{r.deviation:.1e}" for r in of_tiers.values() if r.deviation is not None)
    return [*found, off, "" if row.limit is None else f"{row.limit:g}"]


def figure(works: dict[str, dict[str, Row]], path: pathlib.Path) -> None:
    """Draw all ratios with their quartiles and floors."""
    timed = {work: of_tiers for work, of_tiers in works.items() if of_tiers["numba"].result is not None}
    names = list(timed)
    fig, axis = plt.subplots(figsize=(8, 1.5 + 0.27 * len(names)), layout="constrained")
    for tier, colour, shift in (("numba", "C0", -0.15), ("numpy", "C1", 0.15)):
        rows = [timed[work][tier] for work in names]
        results = [row.result for row in rows if row.result is not None]
        y = [i + shift for i in range(len(names))]
        spread = [[r.ratio - r.low for r in results], [r.high - r.ratio for r in results]]
        axis.errorbar([r.ratio for r in results], y, xerr=spread, fmt="o", ms=5, color=colour, label=TIERS[tier])
        floors = [(row.floor, at) for row, at in zip(rows, y, strict=True) if row.floor is not None]
        if floors:
            axis.plot(*zip(*floors, strict=True), "|", color=colour, ms=10, mew=2, label=f"its floor, {TIERS[tier]}")
    axis.axvline(1, color="grey", lw=1)
    axis.set(xscale="log", xlabel="times as fast as BoTorch's on SingleTaskGP")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    ticks = [1, 2, 5, 10, 20, 50, 100]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.grid(axis="y", color="0.93")
    axis.set_axisbelow(True)
    fig.legend(frameon=False, loc="outside lower center", ncols=4)
    fig.savefig(path, dpi=110)
    plt.close(fig)


if __name__ == "__main__":
    main()
