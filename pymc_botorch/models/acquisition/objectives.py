"""Objective and constraints of a Monte Carlo acquisition function of BoTorch, read as linear functions of outcomes."""

__all__ = ["LinearObjective", "read_objective", "spread_of"]

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from botorch.acquisition import GenericMCObjective, MCAcquisitionFunction
from botorch.acquisition.objective import IdentityMCObjective, LinearMCObjective
from torch import Tensor

from pymc_botorch.models.acquisition.linear import Linear, Spread, linear_in_outcomes
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import UnsupportedModelError


class LinearObjective(NamedTuple):
    """What is maximised, and under which constraints, of ``m`` outcomes.

    Attributes:
        objective: Of outcomes.
        slopes: Of the slack of each constraint in units of its temperature, ``k x m``.
        intercepts: ``k``.
    """

    objective: Linear
    slopes: np.ndarray
    intercepts: np.ndarray

    @property
    def has_constraints(self) -> bool:
        """Whether there are any."""
        return len(self.intercepts) > 0

    def of_itself(self) -> Self:
        """Return the same of one outcome with the constraints as functions of the objective.

        Raises:
            UnsupportedError: If there are constraints, and the objective does not depend on the outcome.
        """
        constant, (weight,) = self.objective
        if not self.has_constraints:
            return self
        if weight == 0:
            raise UnsupportedModelError("Its objective has a weight of zero, and there are constraints.")
        slopes = self.slopes / weight
        return self._replace(slopes=slopes, intercepts=self.intercepts - slopes[:, 0] * constant)


def read_objective(acqf: MCAcquisitionFunction, spread: Spread, X: Tensor) -> LinearObjective:
    """Return the objective and the constraints of an acquisition function.

    Args:
        acqf: The acquisition function.
        spread: Of the outcomes that its objective is given.
        X: Some raw inputs, ``n x d``.

    Raises:
        UnsupportedError: If they are not linear in the outcomes.
    """
    m = len(spread.centre)
    constraints = list(getattr(acqf, "_constraints", None) or ())
    found = [
        linear_in_outcomes(f"Its constraint {i}" if len(constraints) > 1 else "Its constraint", _of_samples(c), spread, X)
        for i, c in enumerate(constraints)
    ]
    eta = _temperatures(acqf, len(found))
    slopes = -np.array([constraint.weights for constraint in found]).reshape(-1, m) / eta[:, None]
    intercepts = -np.array([constraint.constant for constraint in found]).reshape(-1) / eta
    return LinearObjective(_read_objective(acqf, spread, X), slopes, intercepts)


def _read_objective(acqf: MCAcquisitionFunction, spread: Spread, X: Tensor) -> Linear:
    objective, m = acqf.objective, len(spread.centre)
    kind = type(objective).__name__
    if type(objective) is IdentityMCObjective:
        if m > 1:
            raise UnsupportedModelError(f"Its objective is an {kind} of {m} outcomes.")
        return Linear(0.0, np.ones(1))
    if type(objective) is LinearMCObjective:
        weights = objective.weights.detach().to(torch.float64).numpy()
        if len(weights) != m:
            raise UnsupportedModelError(f"Its objective has {len(weights)} weights, and there are {m} outcomes.")
        return Linear(0.0, weights)
    if type(objective) is GenericMCObjective:
        return linear_in_outcomes(f"Its objective is a {kind}, which", objective, spread, X)
    raise UnsupportedModelError(f"Its objective is a {kind}.")


def _of_samples(constraint: Callable[[Tensor], Any]) -> Callable[[Tensor, Tensor], Any]:
    return lambda samples, X: constraint(samples)


def _temperatures(acqf: MCAcquisitionFunction, k: int) -> np.ndarray:
    """Return the temperatures of the constraints as BoTorch takes them, ``k``."""
    if k == 0:
        return np.ones(0)
    eta = acqf._eta if isinstance(acqf._eta, Tensor) else torch.full((k,), acqf._eta)  # in torch's default dtype
    if eta.shape != (k,) or not (eta > 0).all():
        raise UnsupportedModelError(f"Its eta is {eta.tolist()}, and not one positive number for each of {k} constraints.")
    return eta.detach().to(torch.float64).numpy()


def spread_of(models: Sequence[AbstractPyMCGP]) -> Spread:
    """Return where the outcomes of models of ours are, in their units."""
    centres, scales = [], []
    for model in models:
        scale, targets = model.state.outcome_scale, model.state.training.targets.numpy()
        centres.append(scale.offset + scale.scale * targets.mean())
        scales.append(scale.scale * (targets.std() or 1.0))
    return Spread(np.array(centres), np.array(scales))
