"""Acquisition functions of several outcomes: each outcome's compiled moments, and one compiled function of all of them."""

__all__ = ["OutcomesScore"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pymc_botorch.graph.acquisition.blocks import blocks_at, blocks_vjp
from pymc_botorch.graph.acquisition.outcomes import MomentsGraph, gradients, value
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import Arrays, as_input
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.models.acquisition.scores import AbstractScore, ValueAndGradient, average


@dataclass(frozen=True)
class OutcomesScore(AbstractScore):
    """An acquisition function of the posteriors of ``m`` outcomes, or its average over draws.

    Attributes:
        posteriors: Of each draw, of each outcome.
        baseline: Of each draw, what new points do not change in the moments of each outcome beside a baseline; None without one.
        scalarization: Weights of the outcomes in the one that samples are drawn of; None draws them of each.
        constant: That of this outcome.
        columns: Number of inputs of each outcome's gp, which points have in turn.
        functions: Of the moments.
        given: Of each draw, what these are given beyond moments.
        log: Whether values are logarithms, of which draws are averaged as such.
    """

    posteriors: Sequence[Sequence[ConditionedPosterior]]
    baseline: Sequence[Sequence[Arrays]] | None
    scalarization: np.ndarray | None
    constant: float
    columns: Sequence[int]
    functions: CompiledGraph[MomentsGraph]
    given: Sequence[Sequence[np.ndarray]]
    log: bool

    def __call__(self, X: np.ndarray, *, with_gradient: bool) -> ValueAndGradient:
        """Return values ``b`` and gradients ``b x q x sum d`` at ``X``, ``b x q x sum d``."""
        points = [as_input(part) for part in np.split(X, np.cumsum(self.columns)[:-1], axis=-1)]
        return average([self._of_draw(s, points, with_gradient) for s in range(len(self.posteriors))], log=self.log)

    def _of_draw(self, s: int, points: Sequence[np.ndarray], with_gradient: bool) -> ValueAndGradient:
        outcomes = [
            _Outcome(posterior, None if self.baseline is None else self.baseline[s][i])
            for i, posterior in enumerate(self.posteriors[s])
        ]
        found, saved = zip(*(outcome.moments(X) for outcome, X in zip(outcomes, points, strict=True)), strict=True)
        moments = [np.stack(parts) for parts in zip(*found, strict=True)]  # of each kind, m x b x ...
        weights = self.scalarization
        if weights is not None:
            powers = [weights, *[weights**2] * (len(moments) - 1)]
            moments = [np.tensordot(power, part, axes=1)[None] for power, part in zip(powers, moments, strict=True)]
            moments[0] += self.constant
        values, *bars = self.functions(gradients if with_gradient else value, *map(as_input, moments), *self.given[s])
        if not with_gradient:
            return values, None
        if weights is not None:
            bars = [power.reshape(-1, *[1] * (bar.ndim - 1)) * bar for power, bar in zip(powers, bars, strict=True)]
        pulled = [
            outcome.pull_back(X, [bar[i] for bar in bars], saved[i])
            for i, (outcome, X) in enumerate(zip(outcomes, points, strict=True))
        ]
        return values, np.concatenate(pulled, axis=-1)


@dataclass(frozen=True)
class _Outcome:
    """The posterior of an outcome, at new points or beside a baseline, in the units of the outcome."""

    posterior: ConditionedPosterior
    baseline: Arrays | None

    def moments(self, X: np.ndarray) -> tuple[list[np.ndarray], Arrays]:
        """Return mean, covariance and, beside a baseline, that with it; and what the pullback needs."""
        if self.baseline is None:
            mean, cov, solves = self.posterior.moments(X)
            return [mean, cov], solves
        offset, scale = self.posterior.offset, self.posterior.scale
        self.posterior.check_indices(X)
        mean, cov, cross = self.posterior.functions(blocks_at, X, *self.baseline)
        return [offset + scale * mean, scale**2 * cov, scale**2 * cross], ()

    def pull_back(self, X: np.ndarray, bars: Sequence[np.ndarray], saved: Arrays) -> np.ndarray:
        """Return the gradient at ``X``, ``b x q x d``, from those with respect to the moments."""
        if self.baseline is None:
            mean_bar, cov_bar = bars
            return self.posterior.vjp(X, mean_bar, cov_bar, saved)
        scale = self.posterior.scale
        scaled = [as_input(factor * bar) for factor, bar in zip((scale, scale**2, scale**2), bars, strict=True)]
        return self.posterior.functions(blocks_vjp, X, *scaled, *self.baseline)[0]
