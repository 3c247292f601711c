"""Sixty ordinary data sets: test functions of one to eight inputs and draws from the default model's prior, 8 to 100
observations.
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from botorch.test_functions import Ackley, Branin, Hartmann, Levy, Rosenbrock, StyblinskiTang
from scipy.stats import qmc
from torch import Tensor

type Function = Callable[[np.ndarray], np.ndarray]

NUM_NEW = 20


class DataSet(NamedTuple):
    """Inputs in the unit cube, raw outcomes, and points at which functions are compared."""

    name: str
    X: Tensor  # n x d
    Y: Tensor  # n x 1
    X_new: Tensor  # NUM_NEW x d


def ordinary_data() -> list[DataSet]:
    """Return the sixty: each function at 12 and 30 with noise of a tenth of its sd and in two other settings, then the prior."""
    found = []
    for place, (name, (d, function)) in enumerate(FUNCTIONS.items()):
        less, more = SETTINGS[place % len(SETTINGS)]
        for n, noise in ((12, 0.1), (30, 0.1), less, more):
            found.append(from_function(name, d, function, n, noise))
    return found + [from_prior(d, n) for d, n in PRIOR]


def from_function(name: str, d: int, function: Function, n: int, noise: float) -> DataSet:
    """Return noisy values of a function on the unit cube at scrambled Sobol points; ``noise`` is in sds of the function."""
    named = f"{name}-n{n}-noise{noise:g}"
    rng = _rng(named)
    sd = function(np.random.default_rng(0).random((4096, d))).std()
    X = qmc.Sobol(d, rng=rng).random(128)[:n]  # whole powers of two keep it quiet
    y = function(X) + noise * sd * rng.normal(size=n)
    return _data_set(named, X, y, rng)


def from_prior(d: int, n: int) -> DataSet:
    """Return a draw from the default model's prior, with mean zero."""
    name = f"prior-d{d}-n{n}"
    rng = _rng(name)
    X = rng.random((n, d))
    ell = _truncated(rng, np.sqrt(2) + np.log(d) / 2, np.sqrt(3), 0.025, d)
    noise = _truncated(rng, -4.0, 1.0, 1e-4, 1)
    K = np.exp(-0.5 * np.square((X[:, None] - X[None]) / ell).sum(-1))
    y = np.linalg.cholesky(K + noise * np.eye(n)) @ rng.normal(size=n)
    return _data_set(name, X, y, rng)


def wave(X: np.ndarray) -> np.ndarray:
    """Two waves and a slope, of one input."""
    return np.sin(9 * X[:, 0]) + 0.5 * np.cos(23 * X[:, 0]) + X[:, 0]


def rotated_sine(X: np.ndarray) -> np.ndarray:
    """A sine along the diagonal of the cube, which no lengthscale of a single input describes."""
    return np.sin(2 * np.pi * X.sum(-1) / np.sqrt(X.shape[-1])) + 0.3 * X[:, 0]


def _test_function(problem: torch.nn.Module) -> Function:
    low, high = problem.bounds.double()

    def function(X: np.ndarray) -> np.ndarray:
        return problem.evaluate_true(low + (high - low) * torch.from_numpy(X)).numpy()

    return function


def _truncated(rng: np.random.Generator, location: float, sd: float, lower: float, size: int) -> np.ndarray:
    values = np.exp(rng.normal(location, sd, 100 * size))
    return values[values > lower][:size]


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _data_set(name: str, X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> DataSet:
    X_new = rng.random((NUM_NEW, X.shape[1]))
    return DataSet(name, torch.from_numpy(X.copy()), torch.from_numpy(y).unsqueeze(-1), torch.from_numpy(X_new))


FUNCTIONS: dict[str, tuple[int, Function]] = {
    "wave1": (1, wave),
    "branin2": (2, _test_function(Branin())),
    "ackley2": (2, _test_function(Ackley(2))),
    "rosenbrock2": (2, _test_function(Rosenbrock(2))),
    "hartmann3": (3, _test_function(Hartmann(3))),
    "levy3": (3, _test_function(Levy(3))),
    "sine3": (3, rotated_sine),
    "ackley4": (4, _test_function(Ackley(4))),
    "levy5": (5, _test_function(Levy(5))),
    "hartmann6": (6, _test_function(Hartmann(6))),
    "styblinski7": (7, _test_function(StyblinskiTang(7))),
    "rosenbrock8": (8, _test_function(Rosenbrock(8))),
}
SETTINGS = (  # observations and noise, for every fourth function
    ((8, 0.5), (20, 0.02)),
    ((20, 0.5), (50, 0.02)),
    ((8, 0.02), (100, 0.5)),
    ((20, 0.02), (50, 0.5)),
)
PRIOR = ((1, 8), (1, 20), (2, 12), (2, 30), (3, 12), (3, 20), (4, 8), (4, 30), (5, 50), (6, 20), (7, 100), (8, 30))
