"""The page docs/shape.md: what knowledge of shape is worth, and where it hurts."""

import pathlib
from typing import Any

import numpy as np
from rows import Row

DOCS = pathlib.Path(__file__).parent.parent / "docs"

PROSE = """\
# Knowledge of shape: what it is worth

A `MonotoneGP` is told in which inputs a function rises or falls. The measurements use the priors of the library's default model,
a squared exponential of variance one for standardised outcomes, with 15 sites of one input and the default 7 x 7 of two; they know
nothing of the truths below, which rise from about 0 to 1 over the unit interval (benchmarks/shape.py).

**Errors.** Error is the root mean square of posterior mean less truth. Both models are fitted by default. A ratio below one says that
the knowledge helped.

- It helps where the function rises everywhere (saturating, linear and logarithmic curves), where outcomes are noisy, and where
  there are gaps between them.
- It does not help, or hurts, on long plateaus: slopes that are held positive can not average to zero there, and the mean is
  lifted. It is the price of drawing functions from a truncated gp (Zhou, Ray, Pati and Bhattacharya call it mass shifting).

**Hyperparameters.** `fit()` takes the maximum a posteriori of the gp *without* signs. With few noisy outcomes that is often a function
that follows the noise up and down, which signs repair in part: `fit_result` then says by how much the outcomes make the signs less
probable at this point, and warns where chains mixed poorly (R-hat above 1.05 below). Two others were compared over ten kinds of data,
and none is best everywhere: `fit("importance")` draws hyperparameters, too, with much the same errors; `fit("joint")`, the maximum of the joint density of outcomes
and signs, has longer lengthscales. That is better on functions that rise everywhere, and worse on a steep sigmoid and with nine plots in
two inputs (tutorials/08_what_you_know.ipynb). benchmarks/shape_hyperparameters.py is the study.
"""


def write_page(found: dict[str, dict[str, Any]]) -> None:
    """Write docs/shape.md from what there is."""
    lines = [PROSE, *_cases(found), "", "![Errors of each data set, and regret by season](shape.png)", ""]
    rows = [Row(**row) for part in found.values() for row in part["rows"]]
    lines += ["## Bars", "", "One thread. Medians, with quartiles where there are several data sets.", ""]
    lines += ["| | measured | bar | |", "|---|---|---|---|"]
    for row in rows:
        bar = f"at most {row.bar:g}" if row.kind == "at most" and row.bar is not None else row.bar_shown
        lines.append(f"| {row.work} | {row.shown} | {bar} | {'not met' if row.missed else ''} |")
    lines += ["", *_regret(found.get("regret", {}).get("regrets", []))]
    (DOCS / "shape.md").write_text("\n".join(lines).rstrip() + "\n")


def _cases(found: dict[str, dict[str, Any]]) -> list[str]:
    cases = {name: case for part in ("slopes", "errors") for name, case in found.get(part, {}).get("cases", {}).items()}
    lines = ["| truth | data sets | with knowledge | without | ratio | better in | draws that rise everywhere | R-hat |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, case in cases.items():
        rising, plain = np.array(case["rising"]), np.array(case["plain"])
        lines.append(
            f"| {name} | {len(rising)} | {rising.mean():.3f} | {plain.mean():.3f} | {rising.mean() / plain.mean():.2f} "
            f"| {(rising < plain).mean():.0%} | {np.median(case['monotone']):.2f} | {np.median(case['r_hat']):.3f} |"
        )
    return lines


def _regret(runs: list[dict[str, list[float]]]) -> list[str]:
    if not runs:
        return []
    knowing, plain = (np.array([run[name] for run in runs]) for name in ("knowing", "plain"))
    lines = ["## Simple regret", "", f"{len(runs)} paired repeats (benchmarks/shape_regret.py); mean of the difference with its "]
    lines[-1] += "standard error; below zero it is the knowledge that helps."
    lines += ["", "| season | with knowledge | without | difference |", "|---|---|---|---|"]
    for season in range(knowing.shape[1]):
        difference = knowing[:, season] - plain[:, season]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        lines.append(
            f"| {season} | {knowing[:, season].mean():.4f} | {plain[:, season].mean():.4f} | {difference.mean():.4f} ± {error:.4f} |"
        )
    return lines
