"""Covariance functions of PyMC: their parts, those that are not differentiable, and noise of a given value."""

__all__ = ["GivenNoise", "kernels_in", "rough_kernels", "warn_of_white_noise"]

import warnings
from collections.abc import Iterator
from typing import Any

import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import PACKAGE_FOLDER

ROUGH = (pm.gp.cov.Matern12, pm.gp.cov.Exponential, pm.gp.cov.Circular)
"""Kernels with a kink at distance zero: functions of the first two have no derivative anywhere; those of ``Circular`` have one,
but PyMC writes its distance with an absolute value, which PyTensor cannot differentiate twice there."""


def kernels_in(cov_func: Any) -> Iterator[Any]:
    """Yield ``cov_func`` and all covariance functions inside it (of a sum, product, power, scaled or warped kernel)."""
    parts = [cov_func]
    while parts:
        part = parts.pop()
        yield part
        for held in getattr(part, "__dict__", {}).values():
            held = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else [held]
            parts.extend(inner for inner in held if isinstance(inner, pm.gp.cov.BaseCovariance))


def rough_kernels(cov_func: object) -> tuple[str, ...]:
    """Return the names of the kernels inside ``cov_func`` whose functions have no derivative."""
    return tuple(sorted({type(part).__name__ for part in kernels_in(cov_func) if isinstance(part, ROUGH)}))


def warn_of_white_noise(cov_func: Any, advice: str) -> None:
    """Warn if ``cov_func`` contains ``WhiteNoise``; ``advice`` says what to write instead."""
    if any(isinstance(part, pm.gp.cov.WhiteNoise) for part in kernels_in(cov_func)):
        warnings.warn(
            "WhiteNoise in cov_func counts as part of the function: it raises the variance of every new point, and with "
            f"it expected improvement. {advice}",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


class GivenNoise(pm.gp.cov.BaseCovariance):
    """Noise of the training observations, given by its value: one sd, ``n`` sds or a covariance ``n x n``."""

    def __init__(self, noise: TensorVariable) -> None:
        self.noise = noise

    def diag(self, X: TensorVariable) -> TensorVariable:
        """Return the variances, ``n``."""
        if self.noise.type.ndim == 2:
            return pt.diagonal(self.noise)
        return pt.alloc(pt.square(self.noise), X.shape[0])

    def full(self, X: TensorVariable, Xs: TensorVariable | None = None) -> TensorVariable:
        """Return the covariance, ``n x n``."""
        return self.noise if self.noise.type.ndim == 2 else pt.diag(self.diag(X))
