"""A built gp and data come in; draws of its posterior go out, by the cheapest method that passes, and what was done."""

__all__ = ["SamplingResult", "fit_draws"]

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import DataError, FitError, FitWarning
from pymc_botorch.inference.build import BuiltGP, TrainingData
from pymc_botorch.inference.density import Density, Start, read_warm_start, starts
from pymc_botorch.inference.laplace import laplace
from pymc_botorch.inference.nuts import nuts
from pymc_botorch.inference.options import Method, SamplingOptions
from pymc_botorch.inference.weights import MIN_EFFECTIVE_SIZE, WeightedDraws, refusal, select

GOOD_R_HAT, WORST_R_HAT = 1.05, 1.2
"""Above the first, chains have not mixed well enough to be trusted blindly; above the second, they say different things."""
MOST_DIVERGENT = 0.1
"""Part of the draws: with more divergences than that, regions of the posterior are missing."""
WORST_K = 1.0
"""From it on, importance weights have no mean."""
TAILS = 0.1, 0.9
"""Quantiles that the effective size of the tails is of."""

REMEDIES = {
    "nuts": "Sample longer (tune=, draws=) or with a larger target_accept, or give the model more informative priors.",
    "laplace": "Use method='nuts' or 'auto'.",
    "reweighted": "Use method='nuts' or 'auto'.",
}


@dataclass(frozen=True)
class SamplingResult:
    """What a fit by draws did.

    Attributes:
        method: What the draws are from: ``"nuts"``, ``"laplace"``, or ``"reweighted"`` draws of the warm start.
        reason: Why that: what was tried before it, and by which numbers it was refused.
        k: Shape of the tail of the importance weights, of Pareto's distribution (None for NUTS).
        ess: Effective draws: of importance weights, or the least over hyperparameters and, of NUTS, over bulk and tail.
        r_hat: The largest over hyperparameters (None without several chains).
        divergences: Of NUTS after tuning (else None).
        num_draws: How many draws ``ess`` is of.
        evaluations: Evaluations of density and gradient, but for those of PyMC's own sampler, which has functions of its own.
        seconds: Wall time, compilation included.
        linker: ``"numba"`` or ``"python"``: what evaluated.
        warning: What was warned of, or None.
    """

    method: Literal["nuts", "laplace", "reweighted"]
    reason: str
    k: float | None
    ess: float
    r_hat: float | None
    divergences: int | None
    num_draws: int
    evaluations: int
    seconds: float
    linker: Linker
    warning: str | None


class _Attempt(NamedTuple):
    method: Literal["nuts", "laplace", "reweighted"]
    draws: WeightedDraws
    stats: xr.Dataset | None
    k: float | None
    ess: float
    r_hat: float | None
    divergences: int | None
    doubt: str | None  # a number that is not as it should be
    useless: bool  # so bad that it is no posterior at all


# For matrices of some hundred rows more threads take longer, up to fifty times
@threadpool_limits.wrap(limits=1, user_api="blas")  # type: ignore[untyped-decorator]
def fit_draws(
    built: BuiltGP,
    data: TrainingData,
    *,
    method: Method,
    warm_start: WeightedDraws | Mapping[str, Any] | None,
    options: SamplingOptions,
    tier: Tier,
) -> tuple[WeightedDraws, xr.Dataset | None, Density, SamplingResult]:
    """Return draws of the posterior, the sampler's statistics if there was one, the density, and what was done.

    Args:
        built: What the builder made.
        data: Training data.
        method: ``"auto"`` takes the first whose diagnostics pass: old draws with new weights, Laplace's method, NUTS.
        warm_start: Draws of the same model given other data, or a point of it.
        options: How.
        tier: How the density is compiled.

    Raises:
        DataError: If the warm start does not fit the model.
        FitError: If no start has a finite density, or nothing passes.
    """
    began = time.perf_counter()
    density = Density(built, data, tier, jacobian=True)
    old = warm_start if isinstance(warm_start, WeightedDraws) else None
    if old is not None and old.unconstrained.shape[1] != len(density.support):
        raise DataError(
            f"The warm start has draws of {old.unconstrained.shape[1]} numbers, but this model has {len(density.support)} "
            f"hyperparameters ({', '.join(built.scales.names)}). Pass a fit of the same model."
        )
    begin = _begin(density, warm_start, options)
    refused: list[str] = []
    for name in {"auto": ("reweighted", "laplace", "nuts"), "laplace": ("laplace",), "nuts": ("nuts",)}[method]:
        try:
            if name == "reweighted":
                if old is None:
                    if warm_start is not None:
                        refused.append("reweighted: the warm start is a point, or draws whose weights are not known")
                    continue
                attempt = _reweighted(density, old)
            elif name == "laplace":
                attempt = _laplace(density, data, tier, begin, options)
            else:
                attempt = _nuts(density, data, begin, options)
        except FitError as error:
            if method != "auto":
                raise
            refused.append(f"{name}: {error}")
            continue
        if attempt.doubt is None or (not attempt.useless and (method != "auto" or name == "nuts")):
            break
        refused.append(f"{name}: {attempt.doubt}")
    else:
        raise FitError(
            f"No draws of the posterior could be had ({'; '.join(refused)}). {REMEDIES['nuts' if method == 'auto' else method]}"
        )
    warning = attempt.doubt and f"The draws are from {attempt.method}, and {attempt.doubt}. {REMEDIES[attempt.method]}"
    result = SamplingResult(
        attempt.method,
        "; ".join([*refused, f"{attempt.method}: {attempt.doubt or 'passed'}"]) if method == "auto" else "asked for",
        attempt.k,
        attempt.ess,
        attempt.r_hat,
        attempt.divergences,
        len(attempt.draws.unconstrained),
        density.evaluations,
        time.perf_counter() - began,
        density.linker,
        warning,
    )
    density.answered(attempt.draws.unconstrained[int(np.argmax(attempt.draws.log_weights))])
    if warning is not None:
        warnings.warn(warning, FitWarning, stacklevel=4)
    return attempt.draws, attempt.stats, density, result


def _begin(density: Density, warm_start: Any, options: SamplingOptions) -> list[np.ndarray]:
    """Return points to begin at, of the warm start: the same for climbs and chains."""
    if warm_start is None:
        return []
    if isinstance(warm_start, WeightedDraws):
        return [warm_start.unconstrained[i] for i in select(warm_start.log_weights, options.nuts.chains)]
    return [read_warm_start(density, warm_start)]


def _reweighted(density: Density, old: WeightedDraws) -> _Attempt:
    """Weigh the draws as they were first made: cumulatively, not those that an earlier weighing selected."""
    draws, k = old.reweighted(np.array([density(u)[0] for u in old.unconstrained]))
    return _weighted("reweighted", draws, k)


def _laplace(density: Density, data: TrainingData, tier: Tier, begin: list[np.ndarray], options: SamplingOptions) -> _Attempt:
    warm = [Start("warm start", u) for u in begin[:1]]
    others = starts(density, data, tier, None, max(options.num_starts - len(warm), 0), options.seed)
    draws, k = laplace(density, [*warm, *others], options.num_proposals, options.maxiter, options.seed)
    return _weighted("laplace", draws, k)


def _weighted(method: Literal["laplace", "reweighted"], draws: WeightedDraws, k: float) -> _Attempt:
    size = draws.effective_size
    doubt = refusal(k, size, len(draws.log_weights))
    return _Attempt(method, draws, None, k, size, None, None, doubt, useless=not k < WORST_K)


def _nuts(density: Density, data: TrainingData, begin: list[np.ndarray], options: SamplingOptions) -> _Attempt:
    draws, stats = nuts(density, data, options.nuts, begin, options.seed)
    by_chain = draws.unconstrained.reshape(draws.chains, -1, draws.unconstrained.shape[1])
    ess, r_hat = _convergence(by_chain)
    divergences = int(stats["diverging"].sum())
    part = divergences / len(draws.unconstrained)
    doubts = []
    if r_hat is not None and not r_hat <= GOOD_R_HAT:
        doubts.append(f"R-hat is {r_hat:.2f}")
    if not ess >= MIN_EFFECTIVE_SIZE:
        doubts.append(f"the smallest effective size is {ess:.0f} of {len(draws.unconstrained)} draws")
    if divergences:
        doubts.append(f"there are {divergences} divergences")
    useless = part > MOST_DIVERGENT or (r_hat is not None and not r_hat <= WORST_R_HAT)
    efficiency = float(np.clip(ess / len(draws.unconstrained), 1e-3, 1.0)) if np.isfinite(ess) else 1.0
    return _Attempt(
        "nuts", replace(draws, efficiency=efficiency), stats, None, ess, r_hat, divergences, " and ".join(doubts) or None, useless
    )


def _convergence(chains: np.ndarray) -> tuple[float, float | None]:
    """Return the least effective size and the largest R-hat of draws ``chain x draw x D``."""
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # slow to import; documented, not declared

    C, S, D = chains.shape
    if S < 4:  # nothing can be said of so few
        return 0.0, None
    sizes = [array_stats.ess(chains[..., i], method="bulk") for i in range(D)]
    sizes += [array_stats.ess(chains[..., i], method="tail", prob=TAILS) for i in range(D)]
    r_hats = [array_stats.rhat(chains[..., i]) for i in range(D)] if C > 1 else []
    return float(np.min(sizes)), float(np.max(r_hats)) if r_hats else None
