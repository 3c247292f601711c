"""Gps with derivatives in NumPy: by finite differences of kernels, and what follows for outcomes and slopes."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

STEPS = {0: 1.0, 1: 2e-3, 2: 3e-2}
WEIGHTS = {0: [(0, 1.0)], 1: [(1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12)]}
"""Differences of five points, whose error is of fourth order in the step."""
WEIGHTS[2] = [(0, -30 / 12), (1, 16 / 12), (-1, 16 / 12), (2, -1 / 12), (-2, -1 / 12)]

type Kind = tuple[int, int, float]
"""Column, order and sign of a derivative."""
VALUE: Kind = (0, 0, 1.0)


class Part(NamedTuple):
    """What is conditioned on: derivatives of each kind at all sites, those of the first kind first."""

    sites: np.ndarray
    kinds: Sequence[Kind]
    values: np.ndarray
    variances: Any


def differences(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray, kind: Kind) -> np.ndarray:
    column, order, sign = kind
    axis = np.eye(X.shape[1])[column]
    return sign * sum(w * function(X + k * STEPS[order] * axis) for k, w in WEIGHTS[order]) / STEPS[order] ** order


def covariance(k: Any, one: Part, two: Part) -> np.ndarray:
    rows = []
    for a in one.kinds:
        row = [differences(lambda A, b=b: differences(lambda B: k(A, B), two.sites, b), one.sites, a) for b in two.kinds]
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


def mean_of(m: Callable[[np.ndarray], np.ndarray], part: Part) -> np.ndarray:
    return np.concatenate([differences(m, part.sites, kind) for kind in part.kinds])


def given(k: Any, m: Any, parts: Sequence[Part], new: Part) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of new derivatives given others."""
    C, residuals = joint(k, m, parts)
    cross = np.concatenate([covariance(k, part, new) for part in parts])
    W = np.linalg.solve(C, cross)
    return mean_of(m, new) + W.T @ residuals, covariance(k, new, new) - cross.T @ W


def joint(k: Any, m: Any, parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of all that was observed, and what differs from the prior mean."""
    C = np.block([[covariance(k, one, two) for two in parts] for one in parts])
    noise = np.concatenate([np.broadcast_to(part.variances, len(part.values)) for part in parts])
    return C + np.diag(noise), np.concatenate([part.values - mean_of(m, part) for part in parts])


def exp_quad(ls: float, eta: float = 1.0) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return lambda A, B: eta**2 * np.exp(-((A[:, None] - B[None]) ** 2).sum(-1) / (2 * ls**2))


def matern52(ls: float, eta: float = 1.0) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def k(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        r = np.sqrt(5 * ((A[:, None] - B[None]) ** 2).sum(-1)) / ls
        return eta**2 * (1 + r + r**2 / 3) * np.exp(-r)

    return k


def sigmoid(X: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-10 * (X[:, 0] - 0.5)))
