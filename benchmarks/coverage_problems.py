"""Two hundred problems whose functions are not gps: sums of a few waves, and small random neural networks.

Fixed before any coverage was computed. Functions of two to four inputs in the unit cube, the later ones matter less; 12 to 30
observations at random points, with normal noise of 5 to 30 % of the function's sd, in units of 10 about a level of 50.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

NUM_PROBLEMS, NUM_NEW = 200, 50


class Problem(NamedTuple):
    """Observations, and new points with the function and an observation at each, in raw units."""

    X: np.ndarray  # n x d
    y: np.ndarray  # n
    X_new: np.ndarray  # m x d
    f_new: np.ndarray  # m
    y_new: np.ndarray  # m


def coverage_problem(seed: int) -> Problem:
    """Return one of the problems: waves for an even seed, a network for an odd one."""
    rng = np.random.default_rng([2016, seed])
    d, n = int(rng.integers(2, 5)), int(rng.integers(12, 31))
    function = (_network if seed % 2 else _waves)(rng, d)
    many = function(rng.random((2000, d)))
    level, scale = many.mean(), many.std()
    sd_of_noise = 10 * rng.uniform(0.05, 0.3)
    X, X_new = rng.random((n, d)), rng.random((NUM_NEW, d))
    f, f_new = (50 + 10 * (function(points) - level) / scale for points in (X, X_new))
    return Problem(X, f + sd_of_noise * rng.normal(size=n), X_new, f_new, f_new + sd_of_noise * rng.normal(size=NUM_NEW))


def _waves(rng: np.random.Generator, d: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a sum of three to six cosines, of up to about one period in the cube."""
    count = int(rng.integers(3, 7))
    periods = rng.normal(scale=0.5 / np.sqrt(1 + np.arange(d)), size=(count, d))
    phases, sizes = rng.uniform(0, 2 * np.pi, count), rng.exponential(size=count)
    return lambda X: np.cos(2 * np.pi * X @ periods.T + phases) @ sizes


def _network(rng: np.random.Generator, d: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a network of one layer of twelve hyperbolic tangents, whose bends lie in the cube."""
    slopes = rng.normal(scale=4 / np.sqrt(1 + np.arange(d)), size=(12, d))
    places, sizes = rng.random((12, d)), rng.normal(size=12)
    return lambda X: np.tanh(X @ slopes.T - (slopes * places).sum(-1)) @ sizes
