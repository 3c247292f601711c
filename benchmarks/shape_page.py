"""The page docs/shape.md: what knowledge of shape is worth, and where it hurts."""

import pathlib
from typing import Any

import numpy as np
from rows import Row

DOCS = pathlib.Path(__file__).parent.parent / "docs"

PROSE = """\
# Knowledge of shape: what it is worth

A `MonotoneGP` is told in which inputs a function rises or falls. The measurements use the priors of the library's default model,
a squared exponential of variance one for standardised outcomes, with 15 sites of one input and 5 x 5 of two; they know nothing of
the truths below, which rise from about 0 to 1 over the unit interval (benchmarks/shape.py).

**Errors.** Error is the root mean square of posterior mean less truth. Hyperparameters are the maximum a posteriori of the gp
*without* signs. A ratio below one says that the knowledge helped.

- It helps where the function rises everywhere and noise is moderate: saturating, linear and logarithmic curves.
- It does not help, or hurts, on long plateaus: slopes that are held positive can not average to zero there, and the mean is
  lifted. It is the price of drawing functions from a truncated gp (Zhou, Ray, Pati and Bhattacharya call it mass shifting).
- It is not to be trusted where the plain gp takes noise for wiggles (noise of 0.3 below). Its short lengthscale and small noise
  then contradict the signs: the chains mix poorly, and draws fall between sites. Look at `prob_monotone` and at R-hat before you
  use the model.

Other hyperparameters may serve better: benchmarks/shape_hyperparameters.py compares the maximum without signs with that of the
joint density of outcomes and signs, and with that divided by the prior probability of the signs.
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
