"""Claim: fitted as the README says, at least 95 % of sixty ordinary data sets have draws that are trusted, none is left without a
model, and trusted means right: in at least 95 % of them mean and sd of the function are within 0.05 of its sd of a long reference
run's, and the means of all hyperparameters within 0.15 of their sds.

Run by ``make bench``. Data: :mod:`ordinary_data`; references: :mod:`references`, made at the first run and kept in the folder of
``--references``. Errors of the function are root mean squares over new points, of its mean and of its sd, the larger counts; the
largest over the points stands beside it, without a bar, and that of the 16 draws that a model keeps. A data set whose two
reference runs disagree is marked with ``?`` and judged like the others. Prints a line for each data set, writes docs/trust.json,
and ends with an error where a bar is missed.
"""

import argparse
import json
import pathlib
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from default_gp import DefaultGP, Moments, mixture
from ordinary_data import DataSet, ordinary_data
from references import FOLDER, MAX_DISAGREEMENT, errors, reference, root_mean_square
from threadpoolctl import threadpool_limits

from pymc_botorch import FullyBayesianPyMCGP, config

DOCS = pathlib.Path(__file__).parent.parent / "docs"
MIN_TRUSTED, MIN_RIGHT = 0.95, 0.95
MAX_ERROR, MAX_ERROR_OF_PARAMETERS = 0.05, 0.15
NEGLIGIBLE = 1e-3  # share of the weight that the lightest draws may have together and be left out


class Row(NamedTuple):
    """A fit and its errors: of the function in its sds, of means of hyperparameters in theirs."""

    name: str
    d: int
    n: int
    method: str | None = None  # None: no model
    trusted: bool = False
    seconds: float = np.nan
    evaluations: int = 0
    function: float = np.nan  # root mean square
    function_at_worst: float = np.nan
    parameters: float = np.nan
    kept_draws: float = np.nan
    reference_apart: float = np.nan
    note: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the draws are those of the reference, as far as the bars say."""
        return self.function <= MAX_ERROR and self.parameters <= MAX_ERROR_OF_PARAMETERS


def judge(data: DataSet, folder: pathlib.Path) -> Row:
    """Fit a data set and compare it with its reference."""
    true = reference(data, folder)
    row = Row(data.name, data.X.shape[1], len(data.X), reference_apart=true.disagreement)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is in fit_result
        try:
            model = FullyBayesianPyMCGP(data.X, data.Y).fit(seed=0, progressbar=False)
        except ModelFittingError as error:
            return row._replace(note=str(error))
    gp, result = DefaultGP(data.X.numpy(), data.Y[:, 0].numpy()), model.fit_result
    U, weights = weighted_draws(model, gp)
    of_mean, of_sd = errors(gp.mixture(*heaviest(U, weights), data.X_new.numpy()), true.function)
    posterior = model.posterior(data.X_new)
    kept = Moments(posterior.mixture_mean[:, 0].numpy(), posterior.mixture_variance[:, 0].sqrt().numpy())
    means = mixture(Moments(U, np.zeros_like(U)), weights).mean
    return row._replace(
        method=result.method,
        trusted=bool(result.trusted),
        seconds=result.seconds,
        evaluations=result.evaluations,
        function=max(root_mean_square(of_mean), root_mean_square(of_sd)),
        function_at_worst=float(max(of_mean.max(), of_sd.max())),
        parameters=float(np.abs((means - true.mean) / true.sd).max()),
        kept_draws=max(map(root_mean_square, errors(kept, true.function))),
        note=result.warning or "",
    )


def weighted_draws(model: FullyBayesianPyMCGP, gp: DefaultGP) -> tuple[np.ndarray, np.ndarray]:
    """Return all draws of a fit, unconstrained, and their weights."""
    idata: Any = model.idata
    has_weights = "weights" in idata.children
    draws = idata["weighted_posterior" if has_weights else "posterior"]
    lengthscale, mean, noise = (flat(draws[name].to_numpy()) for name in ("lengthscale", "mean", "noise"))
    weights = np.exp(flat(idata["weights"]["log_weight"].to_numpy())) if has_weights else np.ones(len(mean))
    return gp.unconstrained(lengthscale, mean, noise), weights / weights.sum()


def flat(draws: np.ndarray) -> np.ndarray:
    """Return draws ``chain x draw x ...`` as ``S x ...``."""
    return draws.reshape(-1, *draws.shape[2:])


def heaviest(U: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the draws without the lightest ones, which have a negligible share of the weight together."""
    order = np.argsort(weights)
    kept = order[np.searchsorted(np.cumsum(weights[order]), NEGLIGIBLE) :]
    return U[kept], weights[kept]


def line(row: Row) -> str:
    """Return a row as it is printed."""
    if row.method is None:
        return f"{row.name:<26} no model: {row.note}"
    verdict = ("right" if row.is_right else "WRONG") if row.trusted else "doubtful, right" if row.is_right else "doubtful, wrong"
    apart = f"{row.reference_apart:.3f}{'?' if row.reference_apart > MAX_DISAGREEMENT else ''}"
    return (
        f"{row.name:<26} {row.method:<11} {row.seconds:6.2f} s {row.evaluations:8d}   function {row.function:.3f} (at worst "
        f"{row.function_at_worst:.3f}, 16 draws {row.kept_draws:.3f}, references apart {apart})   "
        f"hyperparameters {row.parameters:.3f}   {verdict}"
    )


def summary(rows: list[Row]) -> dict[str, dict[str, float | None]]:
    """Return each figure with its bar; None where there is none."""
    trusted = [row for row in rows if row.trusted]
    right = {
        "trusted whose function is right": np.mean([row.function <= MAX_ERROR for row in trusted]),
        "trusted whose hyperparameters are right": np.mean([row.parameters <= MAX_ERROR_OF_PARAMETERS for row in trusted]),
    }
    figures = {
        "trusted": (len(trusted) / len(rows), MIN_TRUSTED),
        "with a model": (np.mean([row.method is not None for row in rows]), 1.0),
        **{name: (value, MIN_RIGHT) for name, value in right.items()},
        "trusted that are right in both": (np.mean([row.is_right for row in trusted]), None),
        "trusted whose function is right at each point": (np.mean([row.function_at_worst <= MAX_ERROR for row in trusted]), None),
        "references whose runs agree": (np.mean([row.reference_apart <= MAX_DISAGREEMENT for row in rows]), None),
    }
    return {name: {"share": float(value), "at least": bar} for name, (value, bar) in figures.items()}


def main() -> None:
    """Fit all, judge, write, and fail where a bar is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--references", type=pathlib.Path, default=FOLDER, help="folder where reference runs are kept")
    parser.add_argument("--only", type=int, help="the first so many data sets; writes nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with config.change_flags(linker="numba"), threadpool_limits(1):
        for data in ordinary_data()[: options.only]:
            rows.append(judge(data, options.references))
            print(line(rows[-1]), flush=True)
    figures = summary(rows)
    for name, figure in figures.items():
        bar = "" if figure["at least"] is None else f"   at least {figure['at least']:.0%}"
        print(f"{name:<50} {figure['share']:.1%}{bar}")
    if options.only is None:
        values = {"figures": figures, "rows": [row._asdict() for row in rows]}
        (DOCS / "trust.json").write_text(json.dumps(values, indent=1) + "\n")
    bars = ((name, figure["share"], figure["at least"]) for name, figure in figures.items())
    if missed := [name for name, share, bar in bars if bar is not None and not share >= bar]:
        sys.exit(f"below the bar: {', '.join(missed)}")


if __name__ == "__main__":
    main()
