"""The page docs/draws.md: which method draws hyperparameters, when and why, and what the benchmarks measured."""

import json
import pathlib
from typing import Any

from rows import Row

DOCS = pathlib.Path(__file__).parent.parent / "docs"

PROSE = """\
# Draws: which method, when, and why

`FullyBayesianPyMCGP(X, Y).fit()` is enough in most cases. Its default, `method="auto"`, goes from cheap to sure; each step is
judged by its own diagnostics, and the first that passes is the model:

1. **The draws of `warm_start` with new weights**, where an earlier fit is given. A few observations change the posterior little,
   and weights cost one evaluation of the density a draw. Refused where too few draws carry the weight: after a surprise, say.
2. **Adaptive importance sampling.** Optimisations from five starts find modes (Laplace's method), scouts (a small tempered
   population that begins about the prior) look for what they missed, and a mixture of Student t distributions is fitted to the
   weighted draws, round after round. It is the quickest way for the 3 to 12 parameters of an ordinary gp. Refused by Pareto's k,
   by the effective size of the weights, and where the scouts had no time. (Of more than 200 observations no scouts are sent.)
3. **Tempered sequential Monte Carlo.** A population goes from the prior to the posterior in steps of temperature. It needs no
   modes and no gradient, and copes with ridges and funnels. Its runs are independent, and are refused where they disagree.
4. **NUTS**, which comes before SMC where there are more than twelve parameters: populations thin out in many dimensions,
   gradients do not. Refused by R-hat, effective sizes and divergences.

Choose a method yourself when you know more than these diagnostics do. A method that you name is the only one that runs:

| method | choose it when |
|---|---|
| `"auto"` | you have no reason for another |
| `"importance"` | a fit must be quick and have its evidence, and the density has a few compact modes |
| `"smc"` | you expect modes or ridges that optimisers do not find, and there are at most about twelve parameters |
| `"nuts"` | there are many parameters (SAAS, latent gps, hierarchies), or you want chains that colleagues can read |
| `"laplace"` | you want the plainest and cheapest draws around the modes, and will look at `k` |

**Trusted and doubtful.** `fit_result.trusted` says that the last diagnostics passed. Where none passes within `max_seconds`,
which bounds all steps together, the best draws so far are the model all the same, `trusted` is False, and one `FitWarning` says
what is doubtful by numbers and what to do. Doubtful draws are often good enough to choose the next trial and too poor to quote an
interval from. `strict=True` raises `ModelFittingError` instead, for a script that must not go on. No diagnostic sees a mode that
nothing has visited: trust is a matter of frequency, measured below.

**Evidence.** Importance sampling and SMC estimate the log evidence with its error (`fit_result.log_evidence`,
`.log_evidence_error`); NUTS does not. The error is that of the weights: of nine and ten parameters, evidences were up to 0.1
below those of ten times as many draws. `pymc_botorch.compare(models)` makes a table of it. Evidence compares models of the same
outcomes in the same units, with proper priors: a flat prior, such as that of the default model's mean, leaves a constant that
only models with the same flat prior share.
"""


def write_page() -> None:
    """Write docs/draws.md from the numbers that there are."""
    parts = [PROSE, *_trust(), *_calibration(), *_seasons(), *_draws()]
    (DOCS / "draws.md").write_text("\n".join(parts).rstrip() + "\n")


def _read(name: str) -> Any:
    path = DOCS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _trust() -> list[str]:
    found = _read("trust")
    if found is None:
        return []
    lines = [
        "## Is trust deserved?",
        "",
        f"{len(found['rows'])} data sets of one to eight inputs and 8 to 100 observations, BoTorch's default model, seed 0, "
        "against long reference runs (benchmarks/trust.py). Right means: mean and sd of the function within 0.05 of its sd (root "
        "mean square over new points), means of all hyperparameters within 0.15 of theirs.",
        "",
        "| | share | bar |",
        "|---|---|---|",
    ]
    for name, figure in found["figures"].items():
        bar = "" if figure["at least"] is None else f"at least {figure['at least']:.0%}"
        lines.append(f"| {name} | {figure['share']:.1%} | {bar} |")
    lines += ["", "| data set | method | trusted | seconds | evaluations | function off by | hyperparameters off by |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in found["rows"]:
        numbers = f"{row['seconds']:.2f} | {row['evaluations']} | {row['function']:.3f} | {row['parameters']:.3f}"
        lines.append(f"| {row['name']} | {row['method'] or 'none'} | {'yes' if row['trusted'] else 'no'} | {numbers} |")
    return [*lines, ""]


def _calibration() -> list[str]:
    found = _read("calibration")
    if found is None:
        return []
    lines = [
        "## Calibration",
        "",
        f"Ranks of the truth among 99 draws of the default fit, {found['data_sets']} data sets simulated from the prior for each "
        "size, none left out (benchmarks/calibration.py). The smallest p of a chi-square test is "
        + " and ".join(f"{min(p.values()):.3f} of {len(p)} for n = {n}" for n, p in found["p_values"].items())
        + "; the limit for each is 0.01, which one of ten tests of a perfect sampler would miss in a tenth of all runs.",
        "",
        "![By how much more ranks are below each value than uniform ones would be](calibration.png)",
        "",
        "The figure is ArviZ's `plot_ecdf_pit` of these ranks, which are in docs/calibration.json. Its test is sharper in tails than "
        "chi-square with ten bins; it marks the function at a new point for n = 10 (p = 0.004). That was chance: of 900 further data "
        "sets of ten observations from another seed the same test gives p = 0.33 for the function, and 0.09 to 0.47 for the "
        "hyperparameters.",
        "",
        f"Intervals at new points over {found['problems']} problems of other kinds than the prior:",
        "",
        "| interval | covers | standard error | bar |",
        "|---|---|---|---|",
    ]
    for name, (_, share, error, most_off) in found["coverage"].items():
        bar = "" if most_off is None else f"within {100 * most_off:g} points"
        lines.append(f"| {name} | {share:.1%} | {error:.1%} | {bar} |")
    lines += [
        "",
        "Coverage is a matter of the model too. BoTorch's default expects smoother functions than these and covers too little, "
        "by exact draws as well (45 and 86 % of new observations, 42 and 83 % of the function); the smooth model's priors were "
        "chosen on other problems of the same generator (benchmarks/interval_coverage.py).",
    ]
    return [*lines, ""]


def _seasons() -> list[str]:
    found = _read("seasons")
    if found is None:
        return []
    methods = [season["method"] or "none" for season in found["seasons"]]
    counts = ", ".join(f"{method} {methods.count(method)}" for method in sorted(set(methods)))
    return [
        "## Ten seasons with a warm start",
        "",
        f"{len(found['long_runs'])} campaigns, 4 new observations a season (benchmarks/seasons.py). Methods of the "
        f"{len(methods)} fits: {counts}. Fits without draws to trust: {found['refused']} (bar 0). Runs of NUTS or "
        f"SMC in a campaign: at most {max(found['long_runs'].values())} (bar 2).",
        "",
    ]


def _draws() -> list[str]:
    found = _read("draws")
    if found is None:
        return []
    lines = [
        "## How right and how fast",
        "",
        "One thread; medians of interleaved runs (benchmarks/draws.py). Where BoTorch is compared the model is its SAAS "
        "on both sides, with the same data and priors. Effective draws are those of all draws after tuning, before any are "
        "thinned: of chains the least over bulk and tail for each parameter, of weighted draws one over the sum of squared "
        "weights, the same for each parameter. The two are not quite the same thing: the second does not look at tails.",
        "",
        "| | measured (quartiles) | bar |",
        "|---|---|---|",
    ]
    rows = (Row(**values) for values in found)
    return [*lines, *(f"| {row.work} | {row.shown} | {row.bar_shown} |" for row in rows), ""]


if __name__ == "__main__":
    write_page()
