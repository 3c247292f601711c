"""Attempts to draw from a gp's hyperposterior, each by one method and with its own diagnostics."""

__all__ = ["Attempt", "Source", "Target", "by_importance", "by_laplace", "by_nuts", "by_smc", "reweight"]

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.prior import Prior, read_prior
from pymc_botorch.inference.fit.starts import starts, step_off
from pymc_botorch.inference.sampling.adaptive import adapt
from pymc_botorch.inference.sampling.budget import Budget
from pymc_botorch.inference.sampling.convergence import Convergence, of_hyperparameters, of_predictions
from pymc_botorch.inference.sampling.importance import MIN_EFFECTIVE_SIZE, WeightedDraws, find_problem
from pymc_botorch.inference.sampling.laplace import modes
from pymc_botorch.inference.sampling.mixture import Mixture, joined
from pymc_botorch.inference.sampling.nuts import nuts
from pymc_botorch.inference.sampling.options import SamplingOptions
from pymc_botorch.inference.sampling.smc import temper
from pymc_botorch.inference.training_data import TrainingData

type Source = Literal["reweighted", "importance", "smc", "nuts", "laplace"]

MAX_R_HAT = 1.05
"""R-hat above which chains, or runs, have not mixed well enough."""
MAX_K, MAX_DIVERGENT_FRACTION = 1.0, 0.1
"""Pareto k from which weights have no mean, and fraction of divergent draws from which regions are missing."""
WIDENED = 1.5
"""Scale of the wide distribution, in prior sds."""
EFFORT = {60: (4000, (50, 20)), 200: (2000, (25, 16))}
"""Effective size that importance sampling aims at, and its scouts, up to some numbers of observations: more cost more."""
EFFORT_OF_MORE = (1000, None)
MAX_REWEIGHTED = 6000
"""Number of draws of a warm start that are weighted anew."""
GOOD_SIZE = 1000.0
"""Effective size of draws weighted anew below which new ones are drawn: it costs seconds."""
RUNS = 4
"""Number of independent runs of SMC, which are each other's diagnostic."""
MAX_EVIDENCE_SD = 0.5
"""Standard deviation between the log evidences of runs from which they do not agree."""


class Attempt(NamedTuple):
    """What one method gave.

    Attributes:
        method: The method.
        draws: Weighted draws.
        stats: Statistics of NUTS, ``chain x draw``.
        k: Pareto's ``k`` of importance weights.
        convergence: Effective sample size and R-hat of the hyperparameters.
        of_predictions: The same of what predictions depend on, where it was looked at.
        divergences: Number of divergences of NUTS.
        problem: Which diagnostics are not as they should be, or None.
        remark: On diagnostics that passed.
    """

    method: Source
    draws: WeightedDraws
    stats: xr.Dataset | None
    k: float | None
    convergence: Convergence
    of_predictions: Convergence | None
    divergences: int | None
    problem: str | None
    remark: str = ""

    @property
    def score(self) -> float:
        """How much the draws are worth, to choose between attempts none of which passed: effective draws, with discounts."""
        decisive = self.of_predictions or self.convergence
        score = decisive.ess if np.isfinite(decisive.ess) else 0.0
        if self.k is not None:
            score *= 1.0 if self.k < 0.7 else 0.1 if self.k < MAX_K else 0.01
        if decisive.r_hat is not None:
            score /= 1 + 50 * max(decisive.r_hat - MAX_R_HAT, 0.0) if np.isfinite(decisive.r_hat) else np.inf
        if self.divergences and self.divergences > MAX_DIVERGENT_FRACTION * decisive.num_draws:
            score *= 0.1
        return float(score)


@dataclass(frozen=True)
class Target:
    """What is drawn from, and with which means.

    Attributes:
        density: Log posterior density with Jacobian.
        data: Its training data.
        options: Options of the methods.
        budget: The time there is.
        points: Unconstrained points to begin at: those of a warm start.
        old: Draws of a warm start, of the same parameters.
    """

    density: Density
    data: TrainingData
    options: SamplingOptions
    budget: Budget
    points: list[np.ndarray]
    old: WeightedDraws | None

    @property
    def rng(self) -> np.random.Generator:
        """A source of random numbers, the same at each call."""
        return np.random.default_rng(self.options.seed)


def reweight(target: Target) -> Attempt:
    """Weigh the original draws of the warm start for the new data, not those that earlier weights resampled."""
    old = target.old
    assert old is not None  # a caller's mistake
    if len(old.log_weights) > MAX_REWEIGHTED and old.chains == 1:
        old = old.some(np.sort(target.rng.permutation(len(old.log_weights))[:MAX_REWEIGHTED]))
    return _weighted("reweighted", *old.reweighted(target.density.at_all(old.unconstrained)))


def by_importance(target: Target) -> Attempt:
    """Draw by adaptive importance sampling, from the modes, the draws of a warm start and a wide distribution."""
    density, n = target.density, len(target.data.y)
    base = _wide(read_prior(density))
    try:
        first = _modes(target)
    except OutOfTime:
        raise
    except FitError:
        first = base  # SMC will say so if the density is finite nowhere
    if target.old is not None:
        first = joined((0.5, first), (0.5, _around(target.old)))
    aimed_at, scouts = next((how for most, how in EFFORT.items() if n <= most), EFFORT_OF_MORE)
    return _weighted("importance", *adapt(density.at_all, first, base, aimed_at, scouts, target.rng))


def by_laplace(target: Target) -> Attempt:
    """Draw from the Laplace approximation, and weigh the draws."""
    mixture = _modes(target)
    draws = mixture.draw(target.options.num_proposals, target.rng)
    weighted = WeightedDraws.unweighted(draws, mixture.log_density(draws), log_normaliser=0.0)
    return _weighted("laplace", *weighted.reweighted(target.density.at_all(draws)))


def by_smc(target: Target, ancestors: int, length: int) -> Attempt:
    """Draw by independent runs of tempered SMC, weighted by their evidences."""
    rng, base = target.rng, _wide(read_prior(target.density))
    runs = [temper(target.density.at_all, base, ancestors, length, rng) for _ in range(RUNS)]
    evidences = np.array([run.log_evidence for run in runs])
    log_density = np.concatenate([run.log_density for run in runs])
    proposal = log_density - np.repeat(evidences, ancestors * length)  # so that a run's weight is its evidence
    judged = _judge(target, np.stack([run.unconstrained for run in runs]), log_density.reshape(RUNS, -1))
    problems = judged.problems
    if evidences.std(ddof=1) > MAX_EVIDENCE_SD:
        problems.append(f"the log evidences of {RUNS} runs have an sd of {evidences.std(ddof=1):.2f}")
    draws = WeightedDraws.unweighted(np.concatenate([run.unconstrained for run in runs]), proposal, log_normaliser=0.0)
    weights = np.repeat(evidences - logsumexp(evidences) - np.log(ancestors * length), ancestors * length)
    relative = np.exp(evidences - evidences.max())
    error = float(relative.std(ddof=1) / relative.mean() / np.sqrt(RUNS))
    draws = replace(draws, log_density=log_density, log_weights=weights, efficiency=judged.efficiency)
    draws = replace(draws, normaliser_error=error, runs=RUNS)
    return Attempt("smc", draws, None, None, judged.own, judged.of_predictions, None, _joined(problems), judged.remark)


def by_nuts(target: Target) -> Attempt:
    """Draw by NUTS."""
    density, options = target.density, target.options
    density.check_time, check_time = lambda: None, density.check_time  # an error in the density would be a divergence
    try:
        draws, stats = nuts(density, target.data, options.nuts, target.points, options.seed, target.budget)
    finally:
        density.check_time = check_time
    by_chain = draws.unconstrained.reshape(draws.chains, -1, draws.unconstrained.shape[1])
    judged = _judge(target, by_chain, draws.log_density.reshape(by_chain.shape[:2]))
    divergences = int(stats["diverging"].sum())
    problems = judged.problems + ([f"there are {divergences} divergences"] if divergences else [])
    draws = replace(draws, efficiency=judged.efficiency)
    return Attempt("nuts", draws, stats, None, judged.own, judged.of_predictions, divergences, _joined(problems), judged.remark)


class _Judged(NamedTuple):
    """Diagnostics of chains, and what they say."""

    own: Convergence
    of_predictions: Convergence | None
    problems: list[str]
    remark: str
    efficiency: float


def _judge(target: Target, chains: np.ndarray, log_density: np.ndarray) -> _Judged:
    """Judge chains ``chain x draw x D`` by their hyperparameters, and where these do not pass, by their predictions."""
    own = decisive = of_hyperparameters(chains)
    predicted, remark = None, ""
    if problems := _problems(own):
        predicted = of_predictions(target.density, chains, log_density)
        if predicted is not None:
            decisive, remark = predicted, f" (of hyperparameters, {_joined(problems)})"
    efficiency = float(np.clip(decisive.ess / decisive.num_draws, 1e-3, 1.0)) if np.isfinite(decisive.ess) else 1.0
    return _Judged(own, predicted, _problems(decisive), remark, efficiency)


def _problems(convergence: Convergence) -> list[str]:
    """Return which diagnostics of chains are not as they should be."""
    problems = []
    if convergence.r_hat is not None and not convergence.r_hat <= MAX_R_HAT:
        problems.append(f"R-hat is {convergence.r_hat:.2f}")
    if not convergence.ess >= MIN_EFFECTIVE_SIZE:
        problems.append(f"the smallest effective sample size is {convergence.ess:.0f} of {convergence.num_draws} draws")
    return problems


def _weighted(method: Source, draws: WeightedDraws, k: float) -> Attempt:
    size, count = draws.effective_size, len(draws.log_weights)
    if not np.isfinite(draws.log_density).any():
        raise FitError(f"None of {count} {method} draws has a finite log density.")
    problem = find_problem(k, size, count)
    return Attempt(method, draws, None, k, Convergence(size, None, count), None, None, problem)


def _joined(problems: list[str]) -> str | None:
    return " and ".join(problems) or None


def _modes(target: Target) -> Mixture:
    """Return the mixture of the modes, climbed to from the warm start, the mode of the prior and its draws."""
    density, options = target.density, target.options
    prior = read_prior(density)
    warm = [step_off(density, prior, u) for u in target.points[:1]]
    others = starts(density, prior, None, max(options.num_starts - len(warm), 0), options.seed)
    return modes(density, [*warm, *others], options.maxiter)


def _wide(prior: Prior) -> Mixture:
    """Return a wide distribution about the prior."""
    return Mixture.of_covariances(prior.centre[None], np.diag(np.square(WIDENED * prior.spread))[None], np.ones(1))


def _around(draws: WeightedDraws) -> Mixture:
    """Return one component with the mean and covariance of weighted draws."""
    weights = np.exp(draws.log_weights)
    mean = weights @ draws.unconstrained
    offsets = draws.unconstrained - mean
    return Mixture.of_covariances(mean[None], ((offsets.T * weights) @ offsets)[None], np.ones(1))
