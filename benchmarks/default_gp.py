"""The default gp in NumPy alone, at many hyperparameters at once: its log posterior density and its function at new points.

It is the model of BoTorch 0.18's ``SingleTaskGP`` (``build_default_gp``), written a second time so that references share no code
with what they judge. A vector of unconstrained parameters is ``log(lengthscale - 0.025)`` for each input, ``mean``, ``log(noise -
0.0001)``, where ``noise`` is a variance; outcomes are standardised. A batch is one call of LAPACK's Cholesky: the rows that are
appended to the training covariance come out as ``L⁻¹ b``, whatever stands on their diagonal, as long as it is large enough.
"""

from typing import NamedTuple

import numpy as np

SHORTEST, LEAST_NOISE = 0.025, 1e-4
CHUNK = 2_000_000  # numbers in the largest array


class Moments(NamedTuple):
    """Mean and sd of the function at new points, ``m`` or ``S x m``, in raw units."""

    mean: np.ndarray
    sd: np.ndarray


class DefaultGP:
    """The default model given data, as a function of ``S x D`` unconstrained parameters.

    Args:
        X: Inputs in the unit cube, ``n x d``.
        Y: Outcomes in raw units, ``n``.
    """

    def __init__(self, X: np.ndarray, Y: np.ndarray) -> None:
        (self.n, self.d), self.X = X.shape, X
        self.level, self.scale = Y.mean(), Y.std(ddof=1)
        self.y = (Y - self.level) / self.scale
        self.location = np.sqrt(2) + np.log(self.d) / 2
        self.names = [*(f"lengthscale {j + 1}" for j in range(self.d)), "mean", "noise"]

    @property
    def prior_location(self) -> np.ndarray:
        """Medians of the priors before truncation, ``D``; the flat mean is about that of the outcomes."""
        return np.array([self.location] * self.d + [0.0, -4.0])

    @property
    def prior_sd(self) -> np.ndarray:
        """Sds of the priors before truncation, ``D``; the flat mean is within a few sds of the outcomes."""
        return np.array([np.sqrt(3)] * self.d + [1.0, 1.0])

    def log_density(self, U: np.ndarray) -> np.ndarray:
        """Return the log posterior density of unconstrained parameters up to a constant, ``S x D`` to ``S``."""
        return np.concatenate([self._log_density(U[rows]) for rows in _chunks(len(U), (self.n + 1) ** 2)])

    def function(self, U: np.ndarray, X_new: np.ndarray) -> Moments:
        """Return mean and sd of the noise-free function at ``m x d`` new points for each of ``S x D`` parameters, ``S x m``."""
        size = (self.n + len(X_new) + 1) ** 2
        parts = [self._function(U[rows], X_new) for rows in _chunks(len(U), size)]
        return Moments(np.concatenate([part.mean for part in parts]), np.concatenate([part.sd for part in parts]))

    def mixture(self, U: np.ndarray, weights: np.ndarray, X_new: np.ndarray) -> Moments:
        """Return mean and sd of the function under weighted draws, ``m``: the law of total variance."""
        return mixture(self.function(U, X_new), weights)

    def unconstrained(self, lengthscale: np.ndarray, mean: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Return ``S x D`` unconstrained parameters of draws ``S x d``, ``S``, ``S``."""
        tiny = np.finfo(float).tiny
        columns = [np.maximum(lengthscale - SHORTEST, tiny), np.maximum(noise - LEAST_NOISE, tiny)[:, None]]
        return np.column_stack([np.log(columns[0]), mean, np.log(columns[1])])

    def _constrained(self, U: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return SHORTEST + np.exp(U[:, : self.d]), U[:, self.d], LEAST_NOISE + np.exp(U[:, self.d + 1])

    def _log_density(self, U: np.ndarray) -> np.ndarray:
        ell, mean, noise = self._constrained(U)
        L = np.linalg.cholesky(self._bordered(ell, mean, noise, self.X))  # S x (n + 1) x (n + 1)
        white, diagonal = L[:, -1, :-1], np.diagonal(L[:, :-1, :-1], axis1=1, axis2=2)
        likelihood = -0.5 * np.square(white).sum(-1) - np.log(diagonal).sum(-1)
        prior = -np.square(np.log(ell) - self.location) / 6 - np.log(ell) + U[:, : self.d]  # S x d
        return likelihood + prior.sum(-1) - np.square(np.log(noise) + 4) / 2 - np.log(noise) + U[:, self.d + 1]

    def _function(self, U: np.ndarray, X_new: np.ndarray) -> Moments:
        ell, mean, noise = self._constrained(U)
        L = np.linalg.cholesky(self._bordered(ell, mean, noise, np.concatenate([self.X, X_new])))
        half, white = L[:, self.n : -1, : self.n], L[:, -1, : self.n]  # S x m x n, S x n
        f = mean[:, None] + np.einsum("smn,sn->sm", half, white)
        sd = np.sqrt(np.maximum(1 - np.square(half).sum(-1), 0.0))
        return Moments(self.level + self.scale * f, self.scale * sd)

    def _bordered(self, ell: np.ndarray, mean: np.ndarray, noise: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return the covariance with noise of the training inputs, all other inputs and the residuals as rows below it."""
        size, (row, column) = len(X), np.tril_indices(len(X), -1)
        pairs = np.square(X[row] - X[column])  # size (size - 1) / 2 x d
        K = np.zeros((len(ell), size + 1, size + 1))  # LAPACK reads the lower triangle only
        K[:, row, column] = np.exp(-0.5 * np.square(1 / ell) @ pairs.T)
        K[:, np.arange(self.n), np.arange(self.n)] = 1 + noise[:, None]
        K[:, np.arange(self.n, size), np.arange(self.n, size)] = 2.0
        K[:, -1, : self.n] = self.y - mean[:, None]
        K[:, -1, -1] = 1e15
        return K


def mixture(moments: Moments, weights: np.ndarray) -> Moments:
    """Return mean and sd of a mixture of ``S`` normals with these weights, at each of ``m`` points."""
    w = weights / weights.sum()
    mean = w @ moments.mean
    return Moments(mean, np.sqrt(w @ (np.square(moments.sd) + np.square(moments.mean - mean))))


def _chunks(count: int, size: int) -> list[slice]:
    step = max(1, CHUNK // size)
    return [slice(start, start + step) for start in range(0, count, step)]
