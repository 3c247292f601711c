"""Training data as a gp sees them."""

__all__ = ["Role", "TrainingData"]

from typing import Literal, NamedTuple

import numpy as np

type Role = Literal["X", "y", "sigma", "n", "d"]
"""Part of the training data that a symbolic datum stands for; ``n`` and ``d`` are the lengths of ``X``."""


class TrainingData(NamedTuple):
    """Data that a gp is fitted to and conditioned on.

    Attributes:
        X: Inputs, ``n x d``.
        y: Outcomes, ``n``; of a latent gp the function at ``X`` in each draw, ``S x n``.
        sigma: Known sd of each observation, ``n``; None where the noise is part of the model.
        sites: Where derivatives have signs, ``m x d``, in place of the gp's own; None takes these.
    """

    X: np.ndarray
    y: np.ndarray
    sigma: np.ndarray | None = None
    sites: np.ndarray | None = None

    def value(self, role: Role) -> np.ndarray:
        """Return the value of a symbolic datum with this role."""
        if role in ("n", "d"):
            return np.asarray(self.X.shape[0 if role == "n" else 1])
        return getattr(self, role)

    def with_one_more(self) -> "TrainingData":
        """Return the observations in reverse order, the last of them again: other data, of another number."""
        rows = [*range(len(self.y))[::-1], len(self.y) - 1]
        return TrainingData(self.X[rows], self.y[rows], None if self.sigma is None else self.sigma[rows])

    def without_observations(self) -> "TrainingData":
        """Return empty data, with ``n = 0`` and the same ``d``."""
        return TrainingData(self.X[:0], self.y[:0], None if self.sigma is None else self.sigma[:0])
