"""Acquisition functions of BoTorch whose value and gradient are one compiled function."""

__all__ = [
    "AbstractScore",
    "CompiledAcquisitionFunction",
    "NoFactorError",
    "Score",
    "ScoredAcquisitionFunction",
    "ValueAndGradient",
    "average",
]

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_not
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from scipy.special import logsumexp
from torch import Tensor

from pymc_botorch.graph.compiling.functions import Build, as_input
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.models.acquisition.reading import models_of
from pymc_botorch.models.categories import warn_of_values_between
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.posterior.arrays import cotangent, to_numpy, to_torch, without_nan
from pymc_botorch.models.posterior.functions import Bars, evaluate, is_transformed

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


class NoFactorError(Exception):
    """A covariance has no Cholesky factor, so that there are no samples."""


@dataclass(frozen=True)
class _ScoreAt:
    """A score as a function of tensors, whose gradient is computed with its value."""

    score: AbstractScore
    with_gradient: bool

    def values(self, X: Tensor) -> tuple[tuple[Tensor], np.ndarray | None]:
        """Return the value, and the gradient."""
        points, spoilt = without_nan(to_numpy(X))
        with botorch_errors():
            value, gradient = self.score(points, with_gradient=self.with_gradient)
        if (total := value.sum()) != total:  # quicker than to ask for NaN
            raise NoFactorError
        if spoilt is not None:
            value[spoilt.any(-1)] = np.nan
            if gradient is not None:
                gradient[spoilt.any(-1)] = np.nan
        return (to_torch(value, X),), gradient

    def pull_back(self, X: Tensor, gradient: np.ndarray, bars: Bars) -> np.ndarray:
        """Return the gradient, scaled."""
        (bar,) = bars
        return cotangent(bar, len(X))[:, None, None] * gradient


class ScoredAcquisitionFunction(AcquisitionFunction):
    """An acquisition function that is a score, read when a number of points is first asked for, and again after a fit."""

    def __init__(self, model: Any, read: Callable[[int], AbstractScore]) -> None:
        super().__init__(model=model)
        self._read = read
        self._states: Sequence[object] = ()
        self._scores: dict[int, AbstractScore] = {}  # by number of points

    def score(self, q: int) -> AbstractScore:
        """Return the compiled score for batches of ``q`` points."""
        states = [getattr(one, "state", None) for one in models_of(self.model)]  # any but ours are refused when they are read
        if len(states) != len(self._states) or any(map(is_not, states, self._states)):
            self._states = states
            self._scores.clear()
        if q not in self._scores:
            self._scores[q] = self._read(q)
        return self._scores[q]

    def forward(self, X: Tensor) -> Tensor:
        """Return the values ``...`` of batches ``... x q x d``, in raw units.

        Raises:
            NoFactorError: If a value is NaN.
        """
        if X.ndim < 2:
            raise ValueError(f"X has shape {tuple(X.shape)}. Pass batches of points, ... x q x d.")
        score, parts = self.score(X.shape[-2]), []
        for model in models_of(self.model):
            parts.append(model.read_inputs(X)[1])
            if parts[-1].requires_grad and model.state.index_columns:
                warn_of_values_between(model, model.state.index_columns, parts[-1])
        if score.raw_columns:
            parts.append(X.to(parts[0]))
        inputs = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        has_gradient = inputs.requires_grad
        flat = inputs if inputs.ndim == 3 else inputs.reshape(-1, *inputs.shape[-2:])
        with_gradient = is_transformed() or (has_gradient and torch.is_grad_enabled())
        (value,) = evaluate(_ScoreAt(score, with_gradient), flat)
        if X.dtype is not torch.float64:
            value = value.to(X.dtype)
        return value if inputs.ndim == 3 else value.reshape(inputs.shape[:-2] or (1,))


class CompiledAcquisitionFunction(ScoredAcquisitionFunction):
    """An acquisition function with the values of another of BoTorch's, computed with their gradients by one compiled function.

    What the other was told (incumbent, trade-off, base samples) is read when a number of points is first asked for, and again
    after ``set_X_pending`` or a fit of the model.

    Attributes:
        original: The acquisition function that it was made from.
    """

    def __init__(self, original: AcquisitionFunction, read: Callable[[Any, int], AbstractScore]) -> None:
        super().__init__(original.model, partial(read, original))
        self.original = original
        self._may_have_pending = hasattr(original, "X_pending")

    @property
    def X_pending(self) -> Tensor | None:
        """Points that are being observed, where the original joins them to new ones."""
        return self.original.X_pending if self._may_have_pending else None

    @X_pending.setter
    def X_pending(self, X_pending: Tensor | None) -> None:
        if X_pending is not None:
            self.set_X_pending(X_pending)

    def set_X_pending(self, X_pending: Tensor | None = None) -> None:
        """Say which points are being observed, as to the original."""
        self.original.set_X_pending(X_pending)
        self._scores.clear()

    def forward(self, X: Tensor) -> Tensor:
        """Return the values ``...`` of batches ``... x q x d``, in raw units, as the original does."""
        pending = self.X_pending
        joined = X if pending is None else torch.cat([X, pending.expand(*X.shape[:-2], *pending.shape[-2:])], dim=-2)
        try:
            return super().forward(joined)
        except NoFactorError:  # BoTorch tries again with more and more jitter
            return self.original(X)

    def __getattr__(self, name: str) -> Any:
        """Return what only the original has, such as its sampler."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("original"), name)
