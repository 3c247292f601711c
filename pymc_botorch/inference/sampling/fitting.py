"""Fit by draws: methods from cheap to sure, each refused by its own diagnostics, within a budget of time.

It never ends with nothing: where no method passes, the best draws so far are the model, and one warning says so in numbers.
"""

__all__ = ["fit_draws"]

import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from pymc_botorch.config import Tier
from pymc_botorch.errors import PACKAGE_FOLDER, DataError, FitError, FitWarning, OutOfTime
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.budget import Budget
from pymc_botorch.inference.fit.conflict import find_conflict
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.prior import prior_quantiles, read_prior
from pymc_botorch.inference.fit.starts import start_from_point
from pymc_botorch.inference.fit.threads import one_blas_thread
from pymc_botorch.inference.sampling.attempts import (
    GOOD_SIZE,
    Attempt,
    Source,
    by_importance,
    by_laplace,
    by_nuts,
    by_smc,
    from_anywhere,
    reweight,
)
from pymc_botorch.inference.sampling.methods.adaptive import MANY_PARAMETERS
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws, select
from pymc_botorch.inference.sampling.options import Method, SamplingOptions
from pymc_botorch.inference.sampling.result import AttemptReport, SamplingResult
from pymc_botorch.inference.sampling.target import Target
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.logs import took

NUM_CHECKED = 24
"""Number of draws whose median is compared with the prior."""
NUM_DRAWS = 400
"""Number of draws whose median is placed in the prior."""
LAST_RESORT = 200
"""Number of draws from a Laplace approximation, where time ran out before any method ended."""

type Way = Callable[[Target], Attempt]

WAYS: Mapping[Source, Way] = {
    "laplace": by_laplace,
    "importance": by_importance,
    "smc": partial(by_smc, ancestors=100, length=25),
    "nuts": by_nuts,
}
LONGER_SMC: Way = partial(by_smc, ancestors=400, length=25)
NAMES: Mapping[Source, str] = {
    "reweighted": "new weights of the warm start",
    "laplace": "Laplace's method",
    "importance": "importance sampling",
    "smc": "SMC",
    "nuts": "NUTS",
}
REMEDIES: Mapping[str, str] = {
    "auto": "Give the fit more time (max_seconds=), try another seed, or give the model more informative priors.",
    "nuts": "Sample longer (tune=, draws=) or with a larger target_accept, use method='auto', or give the model more informative "
    "priors.",
    "laplace": "Use method='auto'.",
    "importance": "Use method='auto', try another seed, or give the model more informative priors.",
    "smc": "Use method='auto', try another seed, or give the model more informative priors.",
}


def fit_draws(
    built: BuiltGP,
    data: TrainingData,
    *,
    method: Method,
    warm_start: WeightedDraws | Mapping[str, Any] | None,
    options: SamplingOptions,
    tier: Tier,
    owner: str | None,
) -> tuple[WeightedDraws, xr.Dataset | None, Density, SamplingResult]:
    """Return draws of the posterior, the sampler's statistics (None without NUTS), the density, and a report of the fit.

    Args:
        built: A gp that a builder has built.
        data: Training data.
        method: A method, or ``"auto"``: the first whose diagnostics pass, of the draws of the warm start with new weights,
            adaptive importance sampling, SMC and NUTS.
        warm_start: Weighted draws of the same model given other data, or a point of it.
        options: Options of the methods.
        tier: What the density is compiled with.
        owner: As in ``fit_map``.

    Raises:
        DataError: If the warm start does not fit the model, or an input is an index of no category.
        FitError: If the density is finite at none of the starts, or the method gives no draws; if the fit is to be strict, also
            where it would warn.
    """
    began = time.perf_counter()
    budget = Budget(options.seconds, show=options.nuts.progressbar and method != "nuts")
    try:
        with one_blas_thread():
            target = _target(built, data, warm_start, options, tier, budget)
            attempt, reports = _try_all(target, method)
            density = target.density
            prior, draws = read_prior(density), attempt.draws
            some = draws.unconstrained[select(draws.log_weights, NUM_CHECKED)]
            conflict = None if owner is None else find_conflict(density, prior, list(some), owner)
            median = np.median(draws.unconstrained[select(draws.log_weights, NUM_DRAWS)], axis=0)
            quantiles = prior_quantiles(prior, density.constrained(median))
    finally:
        budget.close()
    doubt = attempt.problem and (
        f"The draws by {NAMES[attempt.method]} may not represent the posterior: {attempt.problem}. {REMEDIES[method]}"
    )
    warning = " ".join(text for text in (conflict, doubt) if text) or None
    if warning is not None and options.strict:
        raise FitError(warning)
    if warning is not None:
        warnings.warn(warning, FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    predicted = attempt.of_predictions
    result = SamplingResult(
        method=attempt.method,
        attempts=tuple(reports),
        k=attempt.k,
        ess=attempt.convergence.ess,
        r_hat=attempt.convergence.r_hat,
        ess_of_predictions=None if predicted is None else predicted.ess,
        r_hat_of_predictions=None if predicted is None else predicted.r_hat,
        divergences=attempt.divergences,
        num_draws=len(attempt.draws.unconstrained),
        log_evidence=attempt.draws.log_evidence,
        log_evidence_error=attempt.draws.log_evidence_error,
        evaluations=density.evaluations,
        seconds=time.perf_counter() - began,
        linker=density.linker,
        warning=warning,
        improper_priors=built.scales.improper,
        prior_quantiles=quantiles,
    )
    took(result.seconds, f"Fit by draws to {len(data.y)} observations ({NAMES[attempt.method]})")
    return attempt.draws, attempt.stats, density, result


def _target(
    built: BuiltGP,
    data: TrainingData,
    warm_start: WeightedDraws | Mapping[str, Any] | None,
    options: SamplingOptions,
    tier: Tier,
    budget: Budget,
) -> Target:
    """Return what is drawn from; what is wrong with the data or the warm start is said before anything is drawn."""
    density = Density(built, data, tier, jacobian=True)
    old, points = None, []
    if isinstance(warm_start, WeightedDraws):
        old = warm_start
        if old.unconstrained.shape[1] != len(density.support):
            raise DataError(
                f"The warm start's draws have {old.unconstrained.shape[1]} numbers each, but this model has "
                f"{len(density.support)} hyperparameters ({', '.join(built.scales.names)}). Pass a fit of the same model."
            )
        points = [old.unconstrained[i] for i in select(old.log_weights, options.nuts.chains)]
    elif warm_start is not None:
        points = [start_from_point(density, warm_start)]
    built.check_categories(data, density.constrained(density.support))
    density.check_time = budget.check
    return Target(density, data, options, budget, points, old)


def _try_all(target: Target, method: Method) -> tuple[Attempt, list[AttemptReport]]:
    """Return the first attempt that passed, or the best, and a report of each."""
    attempts, reports = list[Attempt](), list[AttemptReport]()
    errors = list[FitError]()
    for name, way in _ways(target, method):
        if name == "nuts":
            target.budget.close()  # it shows its own progress
        else:
            target.budget.say(f"Sampling hyperparameters: {name}")
        began = time.perf_counter()
        try:
            attempt = way(target)
        except FitError as error:
            errors.append(error)
            reports.append(AttemptReport(name, str(error), None, time.perf_counter() - began))
            if isinstance(error, OutOfTime):
                break
            continue
        attempts.append(attempt)
        problem = attempt.problem
        if method == "auto" and name == "reweighted" and problem is None and attempt.draws.effective_size < GOOD_SIZE:
            problem = f"there are {attempt.draws.effective_size:.0f} effective draws, so that new ones are made"
        reports.append(AttemptReport(name, problem, attempt.convergence.ess, time.perf_counter() - began, attempt.remark))
        if problem is None:
            return attempt, reports
    target.density.check_time = lambda: None
    if not attempts:
        if not any(isinstance(error, OutOfTime) for error in errors):
            raise errors[-1]
        began = time.perf_counter()
        attempt = from_anywhere(target, LAST_RESORT)
        ended = f"the budget of {target.budget.seconds:.3g} s ended first"
        attempts.append(attempt._replace(problem=ended if attempt.problem is None else f"{ended}, and {attempt.problem}"))
        reports.append(AttemptReport("laplace", attempts[0].problem, attempts[0].convergence.ess, time.perf_counter() - began))
    return max(attempts, key=lambda attempt: (attempt.problem is None, attempt.score)), reports


def _ways(target: Target, method: Method) -> list[tuple[Source, Way]]:
    """Return the methods to try, in order."""
    if method != "auto":
        return [(method, WAYS[method])]
    smc: list[tuple[Source, Way]] = [("smc", WAYS["smc"]), ("smc", LONGER_SMC)]
    by_gradients: list[tuple[Source, Way]] = [("nuts", by_nuts)]
    old: list[tuple[Source, Way]] = [] if target.old is None else [("reweighted", partial(reweight, old=target.old))]
    few = len(target.density.support) <= MANY_PARAMETERS
    return [*old, ("importance", by_importance), *(smc + by_gradients if few else by_gradients + smc)]
