"""Both sides in one run, in turn: medians and the quartiles of their ratio."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Comparison(NamedTuple):
    """Milliseconds of either side (medians) and how many times faster ours is (quartiles of the pairs' ratios)."""

    ours: float
    theirs: float
    low: float
    ratio: float
    high: float


def compare(ours: Callable[[], object], theirs: Callable[[], object], repeats: int = 9, seconds: float = 0.02) -> Comparison:
    """Time two functions in turn, after a call of each that does not count.

    Args:
        ours: What is measured.
        theirs: What it is measured against.
        repeats: Pairs of measurements.
        seconds: Least length of one measurement; shorter functions are called several times.
    """
    calls = []
    for function in (ours, theirs):
        function()
        calls.append(max(1, int(seconds / timed(function, 1))))
    pairs = np.array([[timed(f, k) for f, k in zip((ours, theirs), calls, strict=True)] for _ in range(repeats)])
    low, ratio, high = np.quantile(pairs[:, 1] / pairs[:, 0], [0.25, 0.5, 0.75])
    return Comparison(*(1e3 * np.median(pairs, axis=0)), low, ratio, high)


def timed(function: Callable[[], object], calls: int) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls
