"""Acquisition functions of BoTorch whose value and gradient are one compiled function."""

__all__ = ["CompiledAcquisitionFunction", "NoFactorError", "ScoredAcquisitionFunction"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_not
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from torch import Tensor

from pymc_botorch.models.acquisition.reading import models_of
from pymc_botorch.models.acquisition.scores import AbstractScore
from pymc_botorch.models.categories import warn_of_values_between
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.posterior.arrays import cotangent, to_numpy, to_torch, without_nan
from pymc_botorch.models.posterior.functions import Bars, evaluate, is_transformed


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
        AcquisitionFunction.__init__(self, model=model)  # not that of a class of BoTorch that a subclass is, too
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

    def _score_and_inputs(self, X: Tensor) -> tuple[AbstractScore, Tensor]:
        """Return the score of batches of points, and these as it takes them."""
        if X.ndim < 2:
            raise ValueError(f"X has shape {tuple(X.shape)}. Pass batches of points, ... x q x d.")
        score, parts = self.score(X.shape[-2]), []
        for model in models_of(self.model):
            parts.append(model.read_inputs(X)[1])
            if parts[-1].requires_grad and model.state.index_columns:
                warn_of_values_between(model, model.state.index_columns, parts[-1])
        if score.raw_columns:
            parts.append(X.to(parts[0]))
        return score, parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


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

    def _score_and_inputs(self, X: Tensor) -> tuple[AbstractScore, Tensor]:
        pending = self.X_pending
        if pending is not None:
            X = torch.cat([X, pending.expand(*X.shape[:-2], *pending.shape[-2:])], dim=-2)
        return super()._score_and_inputs(X)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: all but the scores, which are read again."""
        return {**self.__dict__, "_states": (), "_scores": {}}

    def __getattr__(self, name: str) -> Any:
        """Return what only the original has, such as its sampler."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("original"), name)
