"""Acquisition functions of BoTorch whose value and gradient are one compiled function."""

__all__ = ["CompiledAcquisitionFunction", "NoFactorError", "ScoredAcquisitionFunction"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_
from threading import RLock
from typing import Any, NamedTuple

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
    may_be_nan: bool

    def values(self, X: Tensor) -> tuple[tuple[Tensor], np.ndarray | None]:
        """Return the value, and the gradient."""
        points, spoilt = without_nan(to_numpy(X))
        with botorch_errors():
            value, gradient = self.score(points, with_gradient=self.with_gradient)
        total = value.sum()
        if total != total and not self.may_be_nan and np.isnan(value).any():  # the sum is quicker, but one of infinities is NaN
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


class _Known(NamedTuple):
    """Scores that were read, by number of points, without and with gradient, and the states of the models that they are of."""

    states: Sequence[object]
    scores: Mapping[int, tuple[_ScoreAt, _ScoreAt]]


_NOTHING = _Known((), {})
_reading = RLock()  # samplers, which are read for a number of points at a time, may be shared


class ScoredAcquisitionFunction(AcquisitionFunction):
    """An acquisition function that is a score, read when a number of points is first asked for, and again after a fit."""

    may_be_nan = False
    """Whether NaN is a value, and not the sign of a covariance that has no factor."""

    def __init__(self, model: Any, read: Callable[[int], AbstractScore]) -> None:
        AcquisitionFunction.__init__(self, model=model)  # not that of a class of BoTorch that a subclass is, too
        self._read = read

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; of another model everything is read again."""
        super().__setattr__(name, value)
        if name == "model":
            self._models = tuple(models_of(value))
            self.forget()

    def score(self, q: int) -> AbstractScore:
        """Return the compiled score for batches of ``q`` points."""
        return self._scores(q)[0].score

    def forget(self) -> None:
        """Read everything again when it is next asked for."""
        self._known = _NOTHING

    def _scores(self, q: int) -> tuple[_ScoreAt, _ScoreAt]:
        """Return the score for batches of ``q`` points, without and with gradient."""
        states, known = [getattr(model, "state", None) for model in self._models], self._known  # any but ours are refused later
        if q in known.scores and all(map(is_, states, known.states)):
            return known.scores[q]
        with _reading:
            score = self._read(q)
            both = (_ScoreAt(score, False, self.may_be_nan), _ScoreAt(score, True, self.may_be_nan))
            others = self._known.scores if all(map(is_, states, self._known.states)) else {}
            self._known = _Known(states, {**others, q: both})
        return both

    def forward(self, X: Tensor) -> Tensor:
        """Return the values ``...`` of batches ``... x q x d``, in raw units.

        Raises:
            NoFactorError: If a value is NaN, unless it may be.
        """
        scores, inputs = self._scores_and_inputs(X)
        flat = inputs if inputs.ndim == 3 else inputs.reshape(-1, *inputs.shape[-2:])
        if len(flat) == 0:
            return flat.sum(dim=(-2, -1)).reshape(inputs.shape[:-2]).to(X.dtype)
        with_gradient = is_transformed() or (inputs.requires_grad and torch.is_grad_enabled())
        (value,) = evaluate(scores[with_gradient], flat)
        if X.dtype is not torch.float64:
            value = value.to(X.dtype)
        return value if inputs.ndim == 3 else value.reshape(inputs.shape[:-2] or (1,))

    def value_and_gradient(self, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return values ``b`` and gradients ``b x q x d`` of batches ``b x q x d`` as arrays, for an optimiser.

        Raises:
            NoFactorError: If a value is NaN, unless it may be.
        """
        X = X.detach().requires_grad_()
        scores, inputs = self._scores_and_inputs(X)
        (value,), gradient = scores[True].values(inputs)
        if gradient is None:
            raise AssertionError("There is a gradient where it is asked for.")
        if inputs is not X:  # transformed, or joined to pending points
            gradient = to_numpy(torch.autograd.grad(inputs, X, to_torch(gradient, inputs))[0])
        return to_numpy(value), gradient

    def _scores_and_inputs(self, X: Tensor) -> tuple[tuple[_ScoreAt, _ScoreAt], Tensor]:
        """Return the score of batches of points, and these as it takes them."""
        if X.ndim < 2:
            raise ValueError(f"X has shape {tuple(X.shape)}. Pass batches of points, ... x q x d.")
        scores, parts = self._scores(X.shape[-2]), []
        for model in self._models:
            parts.append(model.read_inputs(X)[1])
            if parts[-1].requires_grad and model.state.index_columns:
                warn_of_values_between(model, model.state.index_columns, parts[-1])
        if scores[0].score.raw_columns:
            parts.append(X.to(parts[0]))
        return scores, parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: all but the scores, which are read again."""
        return {**self.__dict__, "_known": _NOTHING}


class CompiledAcquisitionFunction(ScoredAcquisitionFunction):
    """An acquisition function with the values of another of BoTorch's, computed with their gradients by one compiled function.

    What the other was told (incumbent, trade-off, base samples) is read when a number of points is first asked for, and again
    after ``set_X_pending``, a fit of the model or an assignment here. What is changed on the original itself is not noticed.

    Attributes:
        original: The acquisition function that it was made from.
    """

    original: AcquisitionFunction

    def __init__(self, original: AcquisitionFunction, read: Callable[[Any, int], AbstractScore]) -> None:
        super().__init__(original.model, partial(read, original))
        self._may_have_pending = hasattr(original, "X_pending")
        self.__dict__["original"] = original  # an attribute of a module is found in it sooner than a module of its own

    @property
    def X_pending(self) -> Tensor | None:
        """Points that are being observed, where the original joins them to new ones."""
        return self.original.X_pending if self._may_have_pending else None

    @X_pending.setter
    def X_pending(self, X_pending: Tensor | None) -> None:
        if X_pending is not None or self.__dict__.get("_may_have_pending"):
            self.set_X_pending(X_pending)

    def set_X_pending(self, X_pending: Tensor | None = None) -> None:
        """Say which points are being observed, as to the original."""
        self.original.set_X_pending(X_pending)
        self.forget()

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

    def _scores_and_inputs(self, X: Tensor) -> tuple[tuple[_ScoreAt, _ScoreAt], Tensor]:
        pending = self.X_pending
        if pending is not None:
            X = torch.cat([X, pending.expand(*X.shape[:-2], *pending.shape[-2:])], dim=-2)
        return super()._scores_and_inputs(X)

    def __getattr__(self, name: str) -> Any:
        """Return what only the original has, such as its sampler."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            original = self.__dict__.get("original")
            if original is None:
                raise
            return getattr(original, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what only the original has on it, which is then read again; a model is another model for both."""
        original = self.__dict__.get("original")
        is_own = name in self.__dict__ or isinstance(getattr(type(self), name, None), property)
        if original is None or is_own:
            super().__setattr__(name, value)
            return
        setattr(original, name, value)
        if name == "model":
            super().__setattr__(name, value)
        self.forget()
