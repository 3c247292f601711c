"""Fits of functions whose derivatives have signs: hyperparameters, then the derivatives given these."""

__all__ = ["NUM_DRAWS", "NUM_POINTS", "WithSigns", "redrawn", "warning_of", "with_signs"]

import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.sampling.methods.convergence import of_hyperparameters
from pymc_botorch.inference.sampling.slopes import SlopesReport
from pymc_botorch.models.shape.signs import draw_signs

NUM_DRAWS = 128
"""Number of draws that a model keeps: each carries a function."""
NUM_POINTS = 64
"""Number of points of the hyperparameters that it keeps where they are draws, too."""
CHAINS, DRAWS = 4, 1000
THINNINGS = (10, 40)
"""Of how many steps one is kept: first, and where chains mix slowly."""


class WithSigns(NamedTuple):
    """Draws of hyperparameters and derivatives.

    Attributes:
        draws: ``S x ...`` by name.
        size: ``S``.
        report: How the derivatives were drawn.
    """

    draws: dict[str, np.ndarray]
    size: int
    report: SlopesReport


def with_signs(fitted: FittedGP, draws: Mapping[str, np.ndarray], *, num_draws: int, seed: int) -> WithSigns:
    """Return draws of hyperparameters ``S x ...`` with derivatives drawn given each.

    Args:
        fitted: The gp at ``S`` draws of its hyperparameters; a point is one.
        draws: Those of all parameters of the PyMC model.
        num_draws: How many draws of both to return, at least one of each of the hyperparameters.
        seed: Random seed.
    """
    began, count = time.perf_counter(), fitted.num_draws
    signs, each = fitted.graph.signs, max(-(-num_draws // count), 1)
    if signs is None:
        raise AssertionError("The gp has signs.")
    found, r_hat, ess = [], None, np.nan
    for s, posterior in enumerate(fitted.conditioned()):
        if count == 1:
            chains, r_hat, ess = _mixed(posterior, signs.nu, max(DRAWS, -(-each // CHAINS)), seed)
            every = chains.reshape(-1, chains.shape[-1])
            chosen = ((np.arange(each) + 0.5) * len(every) / each).astype(int)
            total, values = len(every), every[chosen]
        else:
            values = draw_signs(posterior, signs.nu, chains=each, draws=1, seed=seed + s)[:, 0]
            total = count * each
        found.append(values)
    repeated = {name: np.repeat(values, each, axis=0) for name, values in draws.items()}
    report = SlopesReport(fitted.num_signs, total, float(ess), r_hat, time.perf_counter() - began)
    return WithSigns({**repeated, signs.name: np.concatenate(found)}, count * each, report)


def _mixed(posterior: ConditionedPosterior, nu: float, draws: int, seed: int) -> tuple[np.ndarray, float | None, float]:
    """Return draws ``chain x draw x M``, R-hat and effective size; those of chains that mix slowly are of more steps."""
    for thinning in THINNINGS:
        chains = draw_signs(posterior, nu, chains=CHAINS, draws=draws, seed=seed, thinning=thinning)
        convergence = of_hyperparameters(chains)
        if convergence.r_hat is None or (convergence.r_hat <= 1.01 and convergence.ess >= 0.1 * chains.shape[0] * draws):
            break
    return chains, convergence.r_hat, convergence.ess


def warning_of(report: SlopesReport) -> str | None:
    """Return a warning if chains of derivatives did not mix, or None."""
    if report.r_hat is None or (report.r_hat <= 1.05 and report.ess >= 100):
        return None
    return (
        f"The draws of {report.num_sites} derivatives with signs may not represent their posterior: R-hat {report.r_hat:.3f}, "
        f"effective {report.ess:.0f} of {report.num_draws}. Data may contradict the signs (fit with method='joint'), or sites be "
        "close (pass fewer, at=...)."
    )


def redrawn(fitted: FittedGP, seed: int = 0) -> FittedGP:
    """Return a gp whose derivatives are drawn anew, given its data and each draw of its hyperparameters.

    Args:
        fitted: The gp; its present values of the derivatives, of any number, do not matter.
        seed: Random seed.
    """
    signs, count = fitted.graph.signs, fitted.num_draws
    if signs is None:
        return fitted
    others = {name: values for name, values in fitted.draws.items() if name != signs.name}
    every = np.hstack([values.reshape(count, -1) for values in others.values()])
    first = np.flatnonzero(np.r_[True, (every[1:] != every[:-1]).any(1)])  # of each run of the same hyperparameters
    if len(set(np.diff([*first, count]))) > 1:
        first = np.arange(count)
    few = {name: values[first] for name, values in others.items()}
    given = fitted.with_draws_of_model(few, len(first))
    drawn = with_signs(given, few, num_draws=count, seed=seed)
    return fitted.with_draws_of_model(drawn.draws, count)
