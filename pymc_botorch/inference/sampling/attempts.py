"""Attempts to draw from a gp's hyperposterior, each by one method and with its own diagnostics."""

__all__ = ["Attempt", "Source", "by_importance", "by_laplace", "by_nuts", "by_smc", "from_anywhere", "reweight"]

from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.inference.sampling.judging import MAX_R_HAT, in_words, judge
from pymc_botorch.inference.sampling.methods.adaptive import adapt
from pymc_botorch.inference.sampling.methods.convergence import Convergence, of_hyperparameters
from pymc_botorch.inference.sampling.methods.importance import MAX_K, WeightedDraws, find_problem
from pymc_botorch.inference.sampling.methods.mixture import Mixture, joined
from pymc_botorch.inference.sampling.methods.nuts import nuts
from pymc_botorch.inference.sampling.methods.smc import temper
from pymc_botorch.inference.sampling.target import Target

type Source = Literal["reweighted", "importance", "smc", "nuts", "laplace"]

NO_MEAN_K, MAX_DIVERGENT_FRACTION = 1.0, 0.1
"""Pareto k from which weights have no mean, and fraction of divergent draws from which regions are missing."""
EFFORT = {60: (4000, (50, 20)), 200: (2000, (25, 16))}
"""Effective size that importance sampling aims at, and its scouts, up to some numbers of observations: more cost more."""
EFFORT_OF_MORE = (1000, None)
FEW_PARAMETERS = 6
"""Number of parameters from which the effort grows with its square: fewer draws left out a part of posteriors of nine and ten."""
MOST_LARGER = 2.0
"""The root of what the effort is multiplied by at most, where there are many parameters."""
MAX_REWEIGHTED = 6000
"""Number of draws of a warm start that are weighted anew, of a few parameters."""
GOOD_SIZE = 600.0
"""Effective size of draws weighted anew below which new ones are drawn: it costs seconds."""
SHORT_CLIMB = 50
"""Number of iterations of a climb where time has run out."""
WIDE_FACTOR = 20
"""How many times as many draws a wide distribution is given."""
RUNS = 4
"""Number of independent runs of SMC, which are each other's diagnostic."""
OF_FEW_RUNS = 1.2
"""What the standard error of a mean of four is multiplied by: the sd between them is an estimate, too."""
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
        remark: On hyperparameters whose diagnostics did not pass, where predictions decided.
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
            score *= 1.0 if self.k < MAX_K else 0.1 if self.k < NO_MEAN_K else 0.01
        if decisive.r_hat is not None:
            score /= 1 + 50 * max(decisive.r_hat - MAX_R_HAT, 0.0) if np.isfinite(decisive.r_hat) else np.inf
        if self.divergences and self.divergences > MAX_DIVERGENT_FRACTION * decisive.num_draws:
            score *= 0.1
        return float(score)


def reweight(target: Target, old: WeightedDraws) -> Attempt:
    """Weigh the original draws of the warm start for the new data, not those that earlier weights resampled."""
    most = int(_effort(target) * MAX_REWEIGHTED)
    if len(old.log_weights) > most and old.chains == 1:
        old = old.some(np.sort(target.rng(0).permutation(len(old.log_weights))[:most]))
    return _weighted("reweighted", *old.reweighted(target.density.at_all(old.unconstrained)))


def by_importance(target: Target) -> Attempt:
    """Draw by adaptive importance sampling, from the modes, the draws of a warm start and a wide distribution."""
    density, n = target.density, len(target.data.y)
    try:
        first = target.modes()
    except OutOfTime:
        raise
    except FitError:
        base = first = target.wide()  # SMC will say so if the density is finite nowhere
    else:
        base = target.wide(first)
    if target.old is not None:
        first = joined((0.5, first), (0.5, _around(target.old)))
    aimed_at, scouts = next((how for most, how in EFFORT.items() if n <= most), EFFORT_OF_MORE)
    larger = _effort(target)
    found = adapt(density.at_all, first, base, int(larger * aimed_at), scouts, target.rng(1), larger=larger)
    attempt = _weighted("importance", found.draws, found.k)
    if found.searched:
        return attempt
    unsearched = "other modes could not be looked for"
    return attempt._replace(problem=unsearched if attempt.problem is None else f"{attempt.problem} and {unsearched}")


def by_laplace(target: Target) -> Attempt:
    """Draw from the Laplace approximation, and weigh the draws."""
    mixture = target.modes()
    draws = mixture.draw(target.options.num_proposals, target.rng(1))
    weighted = WeightedDraws.unweighted(draws, mixture.log_density(draws), log_normaliser=0.0)
    return _weighted("laplace", *weighted.reweighted(target.density.at_all(draws)))


def from_anywhere(target: Target, count: int) -> Attempt:
    """Draw from the Laplace approximation of one short climb, or from the wide distribution where none leads anywhere."""
    few = replace(target, options=target.options._replace(num_starts=1, maxiter=SHORT_CLIMB, num_proposals=count), old=None)
    try:
        return by_laplace(few)
    except FitError:
        base = target.wide()
    draws = base.draw(WIDE_FACTOR * count, target.rng(1))
    weighted = WeightedDraws.unweighted(draws, base.log_density(draws), log_normaliser=0.0)
    return _weighted("laplace", *weighted.reweighted(target.density.at_all(draws)))


def by_smc(target: Target, ancestors: int, length: int) -> Attempt:
    """Draw by independent runs of tempered SMC, weighted by their evidences."""
    first = target.modes() if target.density.built.scales.improper else None
    rng, base = target.rng(2, ancestors), target.wide(first)
    runs = [temper(target.density.at_all, base, ancestors, length, rng) for _ in range(RUNS)]
    evidences = np.array([run.log_evidence for run in runs])
    D, log_density = len(target.density.support), np.concatenate([run.log_density.ravel() for run in runs])
    draws_by_run = np.stack([run.unconstrained.reshape(-1, D) for run in runs])
    proposal = log_density - np.repeat(evidences, ancestors * length)  # so that a run's weight is its evidence
    order = rng.permutation(ancestors * length)  # so that only what differs between runs makes a run's draws alike
    judged = judge(target.density, draws_by_run[:, order], log_density.reshape(RUNS, -1)[:, order])
    judged = judged.within(of_hyperparameters(np.concatenate([run.unconstrained for run in runs])))
    problems = judged.problems
    if evidences.std(ddof=1) > MAX_EVIDENCE_SD:
        problems.append(f"the log evidences of {RUNS} runs have an sd of {evidences.std(ddof=1):.2f}")
    draws = WeightedDraws.unweighted(draws_by_run.reshape(-1, D), proposal, log_normaliser=0.0)
    weights = np.repeat(evidences - logsumexp(evidences) - np.log(ancestors * length), ancestors * length)
    relative = np.exp(evidences - evidences.max())
    error = OF_FEW_RUNS * float(relative.std(ddof=1) / relative.mean() / np.sqrt(RUNS))
    draws = replace(draws, log_density=log_density, log_weights=weights, efficiency=judged.efficiency)
    draws = replace(draws, normaliser_error=error, runs=RUNS)
    return Attempt("smc", draws, None, None, judged.own, judged.of_predictions, None, in_words(problems), judged.remark)


def by_nuts(target: Target) -> Attempt:
    """Draw by NUTS."""
    density, options = target.density, target.options
    density.check_time, check_time = lambda: None, density.check_time  # an error in the density would be a divergence
    try:
        draws, stats = nuts(density, target.data, options.nuts, target.points, options.seed, target.budget)
    finally:
        density.check_time = check_time
    by_chain = draws.unconstrained.reshape(draws.chains, -1, draws.unconstrained.shape[1])
    judged = judge(target.density, by_chain, draws.log_density.reshape(by_chain.shape[:2]))
    divergences = int(stats["diverging"].sum())
    many = "is 1 divergence" if divergences == 1 else f"are {divergences} divergences"
    problems = judged.problems + ([f"there {many}"] if divergences else [])
    draws = replace(draws, efficiency=judged.efficiency)
    return Attempt("nuts", draws, stats, None, judged.own, judged.of_predictions, divergences, in_words(problems), judged.remark)


def _effort(target: Target) -> float:
    """Return how many times as many draws are made as of a few parameters."""
    return float(np.clip(len(target.density.support) / FEW_PARAMETERS, 1.0, MOST_LARGER)) ** 2


def _weighted(method: Source, draws: WeightedDraws, k: float) -> Attempt:
    size, count = draws.effective_size, len(draws.log_weights)
    if not np.isfinite(draws.log_density).any():
        raise FitError(f"None of {count} {method} draws has a finite log density.")
    problem = find_problem(k, size, count)
    return Attempt(method, draws, None, k, Convergence(size, None, count), None, None, problem)


def _around(draws: WeightedDraws) -> Mixture:
    """Return one component with the mean and covariance of weighted draws."""
    weights = np.exp(draws.log_weights)
    mean = weights @ draws.unconstrained
    offsets = draws.unconstrained - mean
    return Mixture.of_covariances(mean[None], ((offsets.T * weights) @ offsets)[None], np.ones(1))
