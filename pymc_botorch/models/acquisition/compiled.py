"""Acquisition functions of BoTorch whose value and gradient are one compiled function."""

__all__ = ["CompiledAcquisitionFunction", "NoFactorError", "Score", "ScoredAcquisitionFunction"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from scipy.special import logsumexp
from torch import Tensor

from pymc_botorch.graph.compiling.functions import Build, as_input
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.models.categories import warn_of_values_between
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.posterior.arrays import cotangent, to_numpy, to_torch, without_nan
from pymc_botorch.models.posterior.functions import Bars, evaluate, is_transformed


@dataclass(frozen=True)
class Score:
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

    def __call__(self, X: np.ndarray, *, with_gradient: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Return values ``b`` and gradients ``b x q x d`` at ``X``, ``b x q x d``."""
        points = X[:, 0] if self.single else X
        build = self.build(with_gradient)
        results = [self._evaluated(p, build, points, given) for p, given in zip(self.posteriors, self.arguments, strict=True)]
        if len(results) == 1:
            value, gradient = results[0][0], results[0][1] if with_gradient else None
        else:
            values = np.stack([result[0] for result in results])  # S x b
            value = logsumexp(values, axis=0) - np.log(len(values)) if self.log else values.mean(axis=0)
            gradient = None
            if with_gradient:
                weights = (np.exp(values - value) if self.log else np.ones_like(values)) / len(values)
                gradient = sum(w.reshape(-1, *[1] * (points.ndim - 1)) * r[1] for w, r in zip(weights, results, strict=True))
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


class NoFactorError(Exception):
    """A covariance has no Cholesky factor, so that there are no samples."""


@dataclass(frozen=True)
class _ScoreAt:
    """A score as a function of tensors, whose gradient is computed with its value."""

    score: Score
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

    def __init__(self, model: Any, read: Callable[[int], Score]) -> None:
        AcquisitionFunction.__init__(self, model=model)  # not that of a class of BoTorch that a subclass is, too
        self._read = read
        self._state: object = None
        self._scores: dict[int, Score] = {}  # by number of points

    def score(self, q: int) -> Score:
        """Return the compiled score for batches of ``q`` points."""
        state = getattr(self.model, "state", None)  # any model but ours is refused when it is read
        if self._state is not state:
            self._state = state
            self._scores.clear()
        if q not in self._scores:
            self._scores[q] = self._read(q)
        return self._scores[q]

    def forward(self, X: Tensor) -> Tensor:
        """Return the values ``...`` of batches ``... x q x d``, in raw units.

        Raises:
            NoFactorError: If a value is NaN.
        """
        score, inputs = self._score_and_inputs(X)
        flat = inputs if inputs.ndim == 3 else inputs.reshape(-1, *inputs.shape[-2:])
        with_gradient = is_transformed() or (inputs.requires_grad and torch.is_grad_enabled())
        (value,) = evaluate(_ScoreAt(score, with_gradient), flat)
        if X.dtype is not torch.float64:
            value = value.to(X.dtype)
        return value if inputs.ndim == 3 else value.reshape(inputs.shape[:-2] or (1,))

    def value_and_gradient(self, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return values ``b`` and gradients ``b x q x d`` of batches ``b x q x d`` as arrays, for an optimiser.

        Raises:
            NoFactorError: If a value is NaN.
        """
        X = X.detach().requires_grad_()
        score, inputs = self._score_and_inputs(X)
        (value,), gradient = _ScoreAt(score, with_gradient=True).values(inputs)
        if gradient is None:
            raise AssertionError("There is a gradient where it is asked for.")
        if inputs is not X:  # transformed, or joined to pending points
            gradient = to_numpy(torch.autograd.grad(inputs, X, to_torch(gradient, inputs))[0])
        return to_numpy(value), gradient

    def _score_and_inputs(self, X: Tensor) -> tuple[Score, Tensor]:
        """Return the score of batches of points, and these as it takes them."""
        if X.ndim < 2:
            raise ValueError(f"X has shape {tuple(X.shape)}. Pass batches of points, ... x q x d.")
        score, model = self.score(X.shape[-2]), self.model
        inputs = model.read_inputs(X)[1]
        if inputs.requires_grad and model.state.index_columns:
            warn_of_values_between(model, model.state.index_columns, inputs)
        return score, torch.cat([inputs, X.to(inputs)], dim=-1) if score.raw_columns else inputs


class CompiledAcquisitionFunction(ScoredAcquisitionFunction):
    """An acquisition function with the values of another of BoTorch's, computed with their gradients by one compiled function.

    What the other was told (incumbent, trade-off, base samples) is read when a number of points is first asked for, and again
    after ``set_X_pending`` or a fit of the model.

    Attributes:
        original: The acquisition function that it was made from.
    """

    def __init__(self, original: AcquisitionFunction, read: Callable[[Any, int], Score]) -> None:
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
        try:
            return super().forward(X)
        except NoFactorError:  # BoTorch tries again with more and more jitter
            return self.original(X)

    def value_and_gradient(self, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return values ``b`` and gradients ``b x q x d`` of batches ``b x q x d`` as arrays, for an optimiser."""
        try:
            return super().value_and_gradient(X)
        except NoFactorError:
            X = X.detach().requires_grad_()
            value = self.original(X)
            return to_numpy(value), to_numpy(torch.autograd.grad(value.sum(), X)[0])

    def _score_and_inputs(self, X: Tensor) -> tuple[Score, Tensor]:
        pending = self.X_pending
        if pending is not None:
            X = torch.cat([X, pending.expand(*X.shape[:-2], *pending.shape[-2:])], dim=-2)
        return super()._score_and_inputs(X)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: all but the scores, which are read again."""
        return {**self.__dict__, "_state": None, "_scores": {}}

    def __getattr__(self, name: str) -> Any:
        """Return what only the original has, such as its sampler."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("original"), name)
