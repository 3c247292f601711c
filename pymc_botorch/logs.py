"""Messages of the package, ``logging.getLogger("pymc_botorch")``: what computes, and what took long.

Each goes to whatever handlers its user has configured: ``logging.basicConfig(level=logging.INFO)`` shows them.
"""

__all__ = ["logger", "say_linker", "took"]

import logging

from pymc_botorch.config import Linker, Tier

LONG = 2.0
"""Seconds from which something took long."""
SERVES = {
    ("auto", "numpy"): "NumPy computes, and Numba compiles in the background for later models and fits.",
    ("auto", "numba"): "Numba computes, with functions that it compiled before; of new ones NumPy does at first.",
    ("numba", "numba"): "Numba computes. What it has not compiled on this machine before takes one to two minutes at first.",
    ("numpy", "numpy"): "NumPy computes, without Numba.",
}

logger = logging.getLogger("pymc_botorch")
logger.addHandler(logging.NullHandler())  # which handlers there are is for applications to say

_said: set[str] = set()


def say_linker(tier: Tier, linker: Linker) -> None:
    """Say what computes, once in a process for each setting."""
    if (tier, linker) in SERVES and tier not in _said:
        _said.add(tier)
        logger.info("%s (pymc_botorch.config.linker = %r)", SERVES[tier, linker], tier)


def took(seconds: float, what: str) -> None:
    """Say how long something took: at the level of information if it was long, else of debugging."""
    logger.log(logging.INFO if seconds > LONG else logging.DEBUG, "%s took %.2g s.", what, seconds)
