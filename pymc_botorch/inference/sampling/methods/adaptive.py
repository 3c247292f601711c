"""Adaptive multiple importance sampling: a mixture of Student-t distributions that learns the posterior from its own draws.

All draws of all rounds count, each weighted by the posterior's density over the average density of all rounds' mixtures. Part of
each mixture is a wide distribution about the prior, which bounds the weights of regions that the prior allows, and scouts, a
small tempered population, look for modes that no climb has found.

References:
    Cornuet, Marin, Mira & Robert (2012), Adaptive multiple importance sampling, https://doi.org/10.1111/j.1467-9469.2011.00756.x
    Cappé, Douc, Guillin, Marin & Robert (2008), Adaptive importance sampling in general mixture classes,
    https://doi.org/10.1007/s11222-008-9059-x
"""

__all__ = ["MANY_PARAMETERS", "Adapted", "adapt"]

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.inference.sampling.methods.mixture import Mixture, joined, log_sum
from pymc_botorch.inference.sampling.methods.smc import temper

BASE_SHARE = 0.1
"""Share of the wide distribution in each mixture."""
FIRST_ROUNDS = (500, 500, 500)
"""Numbers of draws of the first rounds, after which the mixture changes most."""
DRAWS_PER_ROUND = 1000
MAX_ROUNDS = 24
SPLIT_ROUNDS = (1, 8)
"""Rounds after which components are split."""
MAX_SPLIT = 6
"""Number of components up to which they are split."""
SCOUTED_ROUNDS = (2, 9)
"""Rounds after which scouts are sent in any case."""
MANY_PARAMETERS = 12
"""Number of parameters above which gradients lead further than populations."""
HOPELESS_ROUND, HOPELESS_SIZE = 7, 50
"""Round after which, and number of effective draws below which, no mixture comes close to a posterior of many parameters."""
MAX_SCOUTINGS = 4
UNSEEN = 2.0
"""Log weight of a scout, above that of an average draw, from which the mixtures have not seen the region where it is."""
NEW_FRACTION = 0.003
"""Part of the scouts that makes a region worth a component."""
MAX_GROUPS = 4
"""Number of components that one population of scouts adds."""
MAX_NEW_SHARE = 0.5
CLEAR_K = 0.5
"""Pareto k below which weights have a finite variance: rounds go on while it is larger."""


class Adapted(NamedTuple):
    """What the rounds gave.

    Attributes:
        draws: Weighted draws of all rounds.
        k: Pareto's ``k`` of their weights.
        searched: Whether scouts looked for other modes, or none were to be sent.
    """

    draws: WeightedDraws
    k: float
    searched: bool


def adapt(
    at_all: Callable[[np.ndarray], np.ndarray],
    first: Mixture,
    base: Mixture,
    aimed_at: int,
    scouts: tuple[int, int] | None,
    rng: np.random.Generator,
    *,
    larger: float = 1.0,
) -> Adapted:
    """Return weighted draws, Pareto's ``k`` of their weights, and whether other modes were looked for.

    Rounds end when ``k`` and the effective size are as they should be and a new population of scouts has found nothing new.

    Args:
        at_all: Log density of the posterior at ``S x D`` points.
        first: Mixture of the first round.
        base: The wide distribution.
        aimed_at: Effective sample size at which rounds end.
        scouts: Number of ancestors of the scouts, and of states of each of their chains; None sends none.
        rng: Source of random numbers.
        larger: What the number of draws in each round, and of scouts, is multiplied by.

    Raises:
        OutOfTime: If time ends before the first round does.
    """
    mixture, rounds, remaining, settled = first, _Rounds(base), MAX_SCOUTINGS if scouts else 0, scouts is None
    searched = scouts is None
    for i in range(MAX_ROUNDS):
        try:
            count = FIRST_ROUNDS[i] if i < len(FIRST_ROUNDS) else DRAWS_PER_ROUND
            rounds.add(mixture, int(larger * count), at_all, rng)
        except OutOfTime:
            if i == 0:
                raise
            break
        weighted, k = rounds.weighted()
        done = k < CLEAR_K and weighted.effective_size >= aimed_at
        if done and (settled or (remaining == 0 and i > SCOUTED_ROUNDS[0])):
            break
        if not np.isfinite(k):
            continue
        if i == HOPELESS_ROUND and weighted.effective_size < HOPELESS_SIZE and first.centres.shape[1] > MANY_PARAMETERS:
            break
        mixture = mixture.refitted(weighted.unconstrained, weighted.log_weights, rounds.log_parts)
        if i in SPLIT_ROUNDS and len(mixture.shares) <= MAX_SPLIT:
            mixture = mixture.split().refitted(weighted.unconstrained, weighted.log_weights)
        if scouts is not None and remaining and (i in SCOUTED_ROUNDS or (done and i > SCOUTED_ROUNDS[0])):
            remaining -= 1
            try:
                found = _found_by_scouts(at_all, base, (int(larger * scouts[0]), scouts[1]), rounds, rng)
            except OutOfTime:
                break
            except FitError:
                continue
            searched, settled = True, found is None and i > SCOUTED_ROUNDS[0]
            if found is not None:
                mixture = joined((1 - found[0], mixture), found)
            elif done:
                break
    return Adapted(weighted, k, searched)


class _Rounds:
    """The draws of all rounds, and the mixtures that they are from.

    Attributes:
        log_parts: Log parts of the last mixture, without the base, at all draws, ``K x S``.
    """

    def __init__(self, base: Mixture) -> None:
        self._base, D = base, base.centres.shape[1]
        self._proposals, self._sizes = list[Mixture](), list[int]()
        self._draws, self._log_density, self._log_proposals = np.empty((0, D)), np.empty(0), np.empty((0, 0))
        self.log_parts = np.empty((0, 0))

    def add(self, mixture: Mixture, count: int, at_all: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator) -> None:
        """Add a round of draws from a mixture with its share of the base."""
        proposal = joined((BASE_SHARE, self._base), (1 - BASE_SHARE, mixture))
        new = proposal.draw(count, rng)
        density = at_all(new)
        of_new = np.array([one.log_density(new) for one in self._proposals]).reshape(-1, count)
        self._proposals.append(proposal)
        self._sizes.append(count)
        self._draws, self._log_density = np.concatenate([self._draws, new]), np.concatenate([self._log_density, density])
        parts = proposal.log_parts(self._draws)  # K x S
        self.log_parts = parts[len(self._base.shares) :] - np.log1p(-BASE_SHARE)
        self._log_proposals = np.vstack([np.hstack([self._log_proposals, of_new]), log_sum(parts)])  # rounds x S

    def weighted(self) -> tuple[WeightedDraws, float]:
        """Return the draws weighted by the posterior's density over the average density of the mixtures, and ``k``."""
        log_proposal = self._average(self._log_proposals)
        return WeightedDraws.unweighted(self._draws, log_proposal, log_normaliser=0.0).reweighted(self._log_density)

    @property
    def log_evidence(self) -> float:
        """Log of the mean importance ratio so far."""
        ratios = self._log_density - self._average(self._log_proposals)
        return float(log_sum(ratios) - np.log(len(ratios)))

    def log_proposal_at(self, U: np.ndarray) -> np.ndarray:
        """Return the log of the average density of the mixtures at ``S x D`` points."""
        return self._average(np.stack([one.log_density(U) for one in self._proposals]))

    def _average(self, log_proposals: np.ndarray) -> np.ndarray:
        return log_sum(log_proposals + np.log(np.array(self._sizes)[:, None] / sum(self._sizes)))


def _found_by_scouts(
    at_all: Callable[[np.ndarray], np.ndarray],
    base: Mixture,
    scouts: tuple[int, int],
    rounds: _Rounds,
    rng: np.random.Generator,
) -> tuple[float, Mixture] | None:
    """Return a mixture where scouts found what the rounds so far have hardly seen, and its share; None where there is nothing."""
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import

    population = temper(at_all, base, *scouts, rng)
    U = population.unconstrained.reshape(-1, base.centres.shape[1])
    typical = rounds.log_evidence
    unseen = U[population.log_density.ravel() - rounds.log_proposal_at(U) > typical + UNSEEN]
    if len(unseen) < NEW_FRACTION * len(U):
        return None
    scale = np.maximum(U.std(0), 1e-9)
    groups = min(MAX_GROUPS, 1 + len(unseen) // 30)
    labels = fcluster(linkage(unseen / scale, "ward"), groups, "maxclust")
    parts = [unseen[labels == label] for label in np.unique(labels)]
    covariances = [np.atleast_2d(np.cov(part.T, bias=True)) + 0.1 * np.diag(scale**2) for part in parts]
    sizes = np.array([len(part) for part in parts])
    mixture = Mixture.of_covariances(np.stack([part.mean(0) for part in parts]), np.stack(covariances), sizes)
    return min(MAX_NEW_SHARE, 0.1 + len(unseen) / len(U)), mixture
