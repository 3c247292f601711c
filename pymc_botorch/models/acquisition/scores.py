"""Acquisition functions of arrays of points: compiled functions, and what they are given beside points."""

__all__ = ["AbstractScore", "Score", "ValueAndGradient", "average"]

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from pymc_botorch.graph.compiling.functions import Build, as_input
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import CutPosterior

type ValueAndGradient = tuple[np.ndarray, np.ndarray | None]


class AbstractScore(ABC):
    """An acquisition function of arrays of points.

    Attributes:
        raw_columns: Number of raw columns that points have after the inputs of the gp.
    """

    raw_columns: int = 0

    @abstractmethod
    def __call__(self, X: np.ndarray, *, with_gradient: bool) -> ValueAndGradient:
        """Return values ``b`` and gradients ``b x q x d`` at ``X``, ``b x q x d``; of several models, their columns in turn."""


@dataclass(frozen=True)
class Score(AbstractScore):
    """An acquisition function of a posterior, or its average over draws.

    Attributes:
        posteriors: One, or one for each draw.
        build: Of whether there is to be a gradient: the function to be compiled.
        arguments: What it is given for each posterior, between points and frozen arrays.
        log: Whether values are logarithms, of which draws are averaged as such.
        single: Whether each batch has one point, and the build takes these as ``N x d``.
        needs_frozen: Whether the build takes the frozen arrays of the posterior last.
        raw_columns: Number of raw columns that points have after the inputs of the gp; the build takes them apart.
    """

    posteriors: Sequence[ConditionedPosterior]
    build: Callable[[bool], Build[CutPosterior]]
    arguments: Sequence[Sequence[np.ndarray]]
    log: bool
    single: bool
    needs_frozen: bool = True
    raw_columns: int = 0

    def __call__(self, X: np.ndarray, *, with_gradient: bool) -> ValueAndGradient:
        """Return values ``b`` and gradients ``b x q x d`` at ``X``, ``b x q x d``."""
        points = X[:, 0] if self.single else X
        build = self.build(with_gradient)
        results = [self._evaluated(p, build, points, given) for p, given in zip(self.posteriors, self.arguments, strict=True)]
        value, gradient = average([(result[0], result[1] if with_gradient else None) for result in results], log=self.log)
        return value, gradient if gradient is None or not self.single else gradient[:, None]

    def _evaluated(
        self, posterior: ConditionedPosterior, build: Build[CutPosterior], points: np.ndarray, arguments: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        if self.raw_columns:
            return posterior(build, points[..., : -self.raw_columns], points[..., -self.raw_columns :], *arguments)
        if self.needs_frozen:
            return posterior(build, points, *arguments)
        posterior.check_indices(points)
        return posterior.functions(build, as_input(points), *arguments)


def average(results: Sequence[ValueAndGradient], *, log: bool) -> ValueAndGradient:
    """Return the average over draws of values ``b`` and gradients ``b x ...``; of logarithms, that of what they are of."""
    if len(results) == 1:
        return results[0]
    values = np.stack([value for value, _ in results])  # S x b
    value = logsumexp(values, axis=0) - np.log(len(values)) if log else values.mean(axis=0)
    weights = (np.exp(values - value) if log else np.ones_like(values)) / len(values)
    weighed = [
        weight.reshape(-1, *[1] * (gradient.ndim - 1)) * gradient
        for weight, (_, gradient) in zip(weights, results, strict=True)
        if gradient is not None
    ]
    return value, sum(weighed) if weighed else None
