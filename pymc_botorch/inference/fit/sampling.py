"""Draws from a gp's hyperposterior: reweighted ones, Laplace's method or NUTS, and the diagnostics that choose between them."""

__all__ = ["SamplingResult", "fit_draws"]

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import PACKAGE_FOLDER, DataError, FitError, FitWarning
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.conflict import find_conflict
from pymc_botorch.inference.fit.convergence import Convergence, of_hyperparameters, of_predictions
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.importance import MIN_EFFECTIVE_SIZE, WeightedDraws, find_problem, select
from pymc_botorch.inference.fit.laplace import laplace
from pymc_botorch.inference.fit.nuts import nuts
from pymc_botorch.inference.fit.options import Method, SamplingOptions
from pymc_botorch.inference.fit.prior import read_prior
from pymc_botorch.inference.fit.starts import starts, starts_of_chains, step_off
from pymc_botorch.inference.fit.threads import one_blas_thread
from pymc_botorch.inference.training_data import TrainingData

type Source = Literal["nuts", "laplace", "reweighted"]

MAX_TRUSTED_R_HAT = 1.05
"""R-hat above which the chains have not mixed well enough: the fit warns."""
MAX_USABLE_R_HAT = 1.2
"""R-hat above which the chains disagree: the draws are not used."""
MAX_USABLE_DIVERGENT_FRACTION = 0.1
"""Fraction of divergent draws above which regions of the posterior are missing: the draws are not used."""
NUM_CHECKED = 24
"""Number of draws whose median is compared with the prior."""
MAX_USABLE_K = 1.0
"""Pareto k from which importance weights have no finite mean: the draws are not used."""

REMEDIES: Mapping[Source, str] = {
    "nuts": "Sample longer (tune=, draws=) or with a larger target_accept, or give the model more informative priors.",
    "laplace": "Use method='nuts' or 'auto'.",
    "reweighted": "Use method='nuts' or 'auto'.",
}


@dataclass(frozen=True)
class SamplingResult:
    """Report of a fit by draws.

    Attributes:
        method: Where the draws are from: ``"nuts"``, ``"laplace"``, or ``"reweighted"`` draws of the warm start.
        reason: Why it was this method: those that were tried before it, and the diagnostics that ruled them out.
        k: Pareto's ``k`` of the importance weights, the shape of their tail (None for NUTS).
        ess: Effective sample size: that of the importance weights, or the smallest over hyperparameters, of bulk and tail, for
            NUTS.
        r_hat: Largest R-hat over hyperparameters (None unless there are several chains).
        ess_of_predictions: Smallest effective sample size over what predictions depend on (the function at training inputs and
            elsewhere, the noise, the log density), of up to 100 draws per chain; None where that of the hyperparameters passes.
        r_hat_of_predictions: Largest R-hat over the same. It decides: a weight and its negative, or two exchangeable components,
            are different hyperparameters of one function.
        divergences: Number of divergences of NUTS after tuning (None for other methods).
        num_draws: Number of draws that ``ess`` is the effective size of.
        evaluations: Number of evaluations of density and gradient; PyMC's own sampler, which compiles its own, is not counted.
        seconds: Wall time, compilation included.
        linker: Compiler of the density, ``"numba"`` or ``"numpy"``.
        warning: Text of the warning that the fit gave, or None.
    """

    method: Source
    reason: str
    k: float | None
    ess: float
    r_hat: float | None
    ess_of_predictions: float | None
    r_hat_of_predictions: float | None
    divergences: int | None
    num_draws: int
    evaluations: int
    seconds: float
    linker: Linker
    warning: str | None


class _Attempt(NamedTuple):
    method: Source
    draws: WeightedDraws
    stats: xr.Dataset | None
    k: float | None
    convergence: Convergence
    of_predictions: Convergence | None
    divergences: int | None
    problem: str | None  # a diagnostic that is not as it should be
    usable: bool  # with a warning, in spite of the problem
    remark: str = ""  # on diagnostics that passed


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
    """Return draws of the posterior, the sampler's statistics (None without a sampler), the density, and a report of the fit.

    Args:
        built: A gp that a builder has built.
        data: Training data.
        method: ``"nuts"`` or ``"laplace"``; ``"auto"`` takes the first method whose diagnostics pass: the draws of the warm
            start with new weights, Laplace's method, NUTS.
        warm_start: Weighted draws of the same model given other data, or a point of it.
        options: Options of the methods.
        tier: What the density is compiled with.
        owner: As in ``fit_map``.

    Raises:
        DataError: If the warm start does not fit the model, or an input is an index of no category.
        FitError: If the density is finite at none of the starts, or no method gives usable draws.
    """
    began = time.perf_counter()
    with one_blas_thread():
        density, attempt, rejected = _try_methods(built, data, method, warm_start, options, tier)
        some = attempt.draws.unconstrained[select(attempt.draws.log_weights, NUM_CHECKED)]
        conflict = None if owner is None else find_conflict(density, read_prior(density), list(some), owner)
    problem = attempt.problem
    doubt = problem and f"The {attempt.method} draws may not represent the posterior: {problem}. {REMEDIES[attempt.method]}"
    warning = " ".join(text for text in (conflict, doubt) if text) or None
    result = SamplingResult(
        attempt.method,
        "; ".join([*rejected, f"{attempt.method}: {problem or 'passed'}{attempt.remark}"]) if method == "auto" else "asked for",
        attempt.k,
        attempt.convergence.ess,
        attempt.convergence.r_hat,
        None if attempt.of_predictions is None else attempt.of_predictions.ess,
        None if attempt.of_predictions is None else attempt.of_predictions.r_hat,
        attempt.divergences,
        len(attempt.draws.unconstrained),
        density.evaluations,
        time.perf_counter() - began,
        density.linker,
        warning,
    )
    if warning is not None:
        warnings.warn(warning, FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    return attempt.draws, attempt.stats, density, result


def _try_methods(
    built: BuiltGP,
    data: TrainingData,
    method: Method,
    warm_start: WeightedDraws | Mapping[str, Any] | None,
    options: SamplingOptions,
    tier: Tier,
) -> tuple[Density, _Attempt, list[str]]:
    """Return the density, the attempt whose draws are used, and why each one before it was rejected."""
    density = Density(built, data, tier, jacobian=True)
    old = warm_start if isinstance(warm_start, WeightedDraws) else None
    if old is not None and old.unconstrained.shape[1] != len(density.support):
        raise DataError(
            f"The warm start's draws have {old.unconstrained.shape[1]} numbers each, but this model has {len(density.support)} "
            f"hyperparameters ({', '.join(built.scales.names)}). Pass a fit of the same model."
        )
    points = starts_of_chains(warm_start, density, options.nuts.chains)
    built.check_categories(data, density.constrained(density.support))
    rejected: list[str] = []
    for name in {"auto": ("reweighted", "laplace", "nuts"), "laplace": ("laplace",), "nuts": ("nuts",)}[method]:
        try:
            if name == "reweighted":
                if old is None:
                    if warm_start is not None:
                        rejected.append("reweighted: the warm start is a point, or draws without known weights")
                    continue
                attempt = _reweighted(density, old)
            elif name == "laplace":
                attempt = _laplace(density, data, tier, points, options)
            else:
                attempt = _nuts(density, data, points, options)
        except FitError as error:
            if method != "auto":
                raise
            rejected.append(f"{name}: {error}")
            continue
        if attempt.problem is None or (attempt.usable and (method != "auto" or name == "nuts")):
            return density, attempt, rejected
        rejected.append(f"{name}: {attempt.problem}")
    raise FitError(
        f"No method gave usable draws of the posterior ({'; '.join(rejected)}). "
        f"{REMEDIES['nuts' if method == 'auto' else method]}"
    )


def _reweighted(density: Density, old: WeightedDraws) -> _Attempt:
    """Reweight the original draws, not those that earlier weights resampled."""
    draws, k = old.reweighted(np.array([density(u)[0] for u in old.unconstrained]))
    return _weighted("reweighted", draws, k)


def _laplace(density: Density, data: TrainingData, tier: Tier, points: list[np.ndarray], options: SamplingOptions) -> _Attempt:
    prior = read_prior(density)
    warm = [step_off(density, prior, u) for u in points[:1]]
    others = starts(density, prior, None, max(options.num_starts - len(warm), 0), options.seed)
    draws, k = laplace(density, [*warm, *others], options.num_proposals, options.maxiter, options.seed)
    return _weighted("laplace", draws, k)


def _weighted(method: Source, draws: WeightedDraws, k: float) -> _Attempt:
    size = draws.effective_size
    count = len(draws.log_weights)
    problem = find_problem(k, size, count)
    return _Attempt(method, draws, None, k, Convergence(size, None, count), None, None, problem, usable=k < MAX_USABLE_K)


def _nuts(density: Density, data: TrainingData, points: list[np.ndarray], options: SamplingOptions) -> _Attempt:
    draws, stats = nuts(density, data, options.nuts, points, options.seed)
    by_chain = draws.unconstrained.reshape(draws.chains, -1, draws.unconstrained.shape[1])
    own = decisive = of_hyperparameters(by_chain)
    predicted, remark = None, ""
    if _problems(own):
        predicted = of_predictions(density, by_chain, draws.log_density.reshape(by_chain.shape[:2]))
        decisive = predicted or own
        remark = f" (of hyperparameters, {' and '.join(_problems(own))})" if decisive is predicted else ""
    divergences, num_draws = int(stats["diverging"].sum()), len(draws.unconstrained)
    problems = _problems(decisive) + ([f"there are {divergences} divergences"] if divergences else [])
    agree = decisive.r_hat is None or decisive.r_hat <= MAX_USABLE_R_HAT
    usable = agree and divergences / num_draws <= MAX_USABLE_DIVERGENT_FRACTION
    efficiency = float(np.clip(decisive.ess / decisive.num_draws, 1e-3, 1.0)) if np.isfinite(decisive.ess) else 1.0
    draws, problem = replace(draws, efficiency=efficiency), " and ".join(problems) or None
    return _Attempt("nuts", draws, stats, None, own, predicted, divergences, problem, usable, remark)


def _problems(convergence: Convergence) -> list[str]:
    """Return which diagnostics are not as they should be."""
    problems = []
    if convergence.r_hat is not None and not convergence.r_hat <= MAX_TRUSTED_R_HAT:
        problems.append(f"R-hat is {convergence.r_hat:.2f}")
    if not convergence.ess >= MIN_EFFECTIVE_SIZE:
        problems.append(f"the smallest effective sample size is {convergence.ess:.0f} of {convergence.num_draws} draws")
    return problems
