"""Acquisition functions of arrays of points: compiled functions, and what they are given beside points."""

__all__ = ["AbstractScore", "Score", "ValueAndGradient", "average"]

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pymc_botorch.graph.compiling.functions import Build, as_given, as_input
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
        split = points.shape[-1] - self.raw_columns
        parts = (
            [as_input(points)] if split == points.shape[-1] else [as_input(points[..., :split]), as_input(points[..., split:])]
        )
        build = self.build(with_gradient)
        results = []
        for posterior, given in zip(self.posteriors, self._given, strict=True):
            if posterior.frozen is None and self.needs_frozen:
                outputs = posterior(build, *parts, *given)
            else:
                posterior.check_indices(parts[0])
                outputs = posterior.functions(build, *parts, *given)
            results.append((outputs[0], outputs[1] if with_gradient else None))
        value, gradient = average(results, log=self.log)
        return value, gradient if gradient is None or not self.single else gradient[:, None]

    @cached_property
    def _given(self) -> Sequence[Sequence[np.ndarray]]:
        """What compiled functions are given after points, for each posterior: arguments, and frozen arrays if it has them."""
        return [
            [*map(as_given, given), *(posterior.frozen or () if self.needs_frozen else ())]
            for posterior, given in zip(self.posteriors, self.arguments, strict=True)
        ]


def average(results: Sequence[ValueAndGradient], *, log: bool) -> ValueAndGradient:
    """Return the average over draws of values ``b`` and gradients ``b x ...``; of logarithms, that of what they are of."""
    if len(results) == 1:
        return results[0]
    values = np.stack([value for value, _ in results])  # S x b
    if log:
        top = values.max(axis=0)
        shares = np.exp(values - np.where(np.isfinite(top), top, 0.0))
        mean = shares.mean(axis=0)
        with np.errstate(divide="ignore"):
            value = top + np.log(mean) if np.isfinite(top).all() else np.where(np.isfinite(top), top + np.log(mean), top)
        weights = shares / (len(values) * mean)
    else:
        value, weights = values.mean(axis=0), np.full_like(values, 1.0 / len(values))
    gradients = [gradient for _, gradient in results if gradient is not None]
    if not gradients:
        return value, None
    return value, np.einsum("sb,sb...->b...", weights, np.stack(gradients))
