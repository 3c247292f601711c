"""Posterior conditioned on data and parameters, evaluated at arrays of new inputs."""

__all__ = ["ConditionedPosterior", "compiled_posterior", "condition", "noise_of"]

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pymc_botorch.config import Tier
from pymc_botorch.errors import DataError, FitError
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import Arrays, Build, as_given, as_input
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph
from pymc_botorch.graph.posterior.cut import CutPosterior, cut_posterior, frozen_arrays, noise_of_data, subscripts_at
from pymc_botorch.graph.posterior.moments import moments, moments_vjp, rows, rows_vjp
from pymc_botorch.graph.posterior.pointwise import VARIANCE_FLOOR, variances, variances_vjp
from pymc_botorch.graph.posterior.subscripts import check_subscripts

SAME_LENGTH = "Pass data of the same length, or write the noise as a function of X, such as a table looked up by a column of it."


@dataclass(frozen=True)
class ConditionedPosterior:
    """A posterior conditioned on data and parameters; its functions take any new inputs.

    What the new inputs do not change is computed once::

        posterior = condition(compiled_posterior(graph, tier), values)
        mean, cov, solves = posterior.moments(X)                # b x q, b x q x q
        X_bar = posterior.vjp(X, mean_bar, cov_bar, solves)     # b x q x d

    Attributes:
        functions: The compiled functions.
        values: Data, parameters and noise, as the compiled functions take them.
        frozen: What the new inputs do not change; None computes it at each call, for callers that hold too many posteriors.
        noise: Noise variance of the training observations: a scalar, or ``n`` where it differs between them.
        offset: The methods return moments of ``offset + scale * f``, in the units of the outcome.
        floor: Smallest variance, in the units of the gp.
        scale: See ``offset``; neither ``noise`` nor the outputs of a build are scaled.
    """

    functions: CompiledGraph[CutPosterior]
    values: Arrays
    frozen: Arrays | None
    noise: np.ndarray
    offset: float = 0.0
    scale: float = 1.0
    floor: float = VARIANCE_FLOOR

    @property
    def variance_floor(self) -> float:
        """Smallest variance, in squared units of the outcome: outcomes may be small numbers."""
        return self.scale**2 * self.floor

    @property
    def nbytes(self) -> int:
        """Memory of the frozen arrays."""
        return sum(array.nbytes for array in self.frozen or ())

    def in_units(self, offset: float, scale: float) -> Self:
        """Return the posterior whose methods return moments of ``offset + scale * f``."""
        return replace(self, offset=offset, scale=scale)

    def without_frozen(self) -> Self:
        """Return the posterior without its frozen arrays: small, but each call factorises the training covariance."""
        return replace(self, frozen=None)

    def with_functions(self, functions: CompiledGraph[CutPosterior]) -> Self:
        """Return the posterior that calls other functions of the same structure."""
        return replace(self, functions=functions)

    def __call__(self, build: Build[CutPosterior], *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of ``build``, given new inputs and a value for each of its other inputs but the frozen ones.

        They are in the units of the gp.

        Raises:
            DataError: If a new input is used as an index that its table does not have.
        """
        self.check_indices(arrays[0])
        return self._evaluate(build, *arrays)

    def arrays(self, build: Build[CutPosterior], *arrays: np.ndarray) -> Arrays:
        """Return the outputs of ``build``, as other functions take them."""
        return tuple(map(as_given, self(build, *arrays)))

    def check_indices(self, X: np.ndarray) -> None:
        """Refuse new inputs ``... x d`` of which one is used as an index that its table does not have.

        Raises:
            DataError: If there is such an input.
        """
        if self.functions.subject.subscripts:
            known = self.values[:-1]  # the last is the noise
            points = X.reshape(-1, X.shape[-1])
            check_subscripts(lambda points: self.functions(subscripts_at, as_input(points), *known), points)

    def _evaluate(self, build: Build[CutPosterior], *arrays: np.ndarray) -> list[np.ndarray]:
        frozen = _frozen(self.functions, self.values) if self.frozen is None else self.frozen
        return self.functions(build, *map(as_given, arrays), *frozen)

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, Arrays]:
        """Return mean ``b x q``, covariance ``b x q x q`` and the solves that :meth:`vjp` needs, for ``X`` ``b x q x d``."""
        mean, cov, *solves = self(moments, X)
        if self.scale != 1.0 or self.offset != 0.0:
            mean, cov = self.offset + self.scale * mean, self.scale**2 * cov
        return mean, cov, tuple(solves)

    def vjp(self, X: np.ndarray, mean_bar: np.ndarray, cov_bar: np.ndarray, solves: Arrays) -> np.ndarray:
        """Return ``X_bar``, ``b x q x d``: the gradient of ``<mean_bar, mean(X)> + <cov_bar, cov(X)>``."""
        if self.scale != 1.0:
            mean_bar, cov_bar = self.scale * mean_bar, self.scale**2 * cov_bar
        return self._evaluate(moments_vjp, X, mean_bar, cov_bar, *solves)[0]

    def rows(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean ``b x q`` and the last ``k`` rows of the covariance, ``b x k x q``, for ``X`` ``b x q x d``."""
        mean, last = self(rows, X, np.asarray(k))
        return self.offset + self.scale * mean, self.scale**2 * last

    def rows_vjp(self, X: np.ndarray, k: int, mean_bar: np.ndarray, rows_bar: np.ndarray) -> np.ndarray:
        """Return ``X_bar``, ``b x q x d``: the gradient of ``<mean_bar, mean(X)> + <rows_bar, rows(X, k)>``."""
        return self._evaluate(rows_vjp, X, np.asarray(k), self.scale * mean_bar, self.scale**2 * rows_bar)[0]

    def variances(self, X: np.ndarray) -> np.ndarray:
        """Return the variance at single points ``N x d``: ``N``; no ``N x N`` matrix is made."""
        return self.scale**2 * self(variances, X)[0]

    def variances_vjp(self, X: np.ndarray, variance_bar: np.ndarray) -> np.ndarray:
        """Return ``X_bar``, ``N x d``: the gradient of ``<variance_bar, variances(X)>``."""
        return self._evaluate(variances_vjp, X, self.scale**2 * variance_bar)[0]

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: it is never changed."""
        return self


def compiled_posterior(graph: PosteriorGraph, tier: Tier | None = None) -> CompiledGraph[CutPosterior]:
    """Return the compiled functions of a posterior's structure; ``tier`` None takes ``pymc_botorch.config.linker``."""
    return compiled(graph, cut_posterior, tier)


def condition(
    functions: CompiledGraph[CutPosterior],
    values: Sequence[np.ndarray],
    *,
    n: int,
    noise: np.ndarray | None = None,
    y: np.ndarray | None = None,
) -> ConditionedPosterior:
    """Return the posterior conditioned on data and parameters.

    Args:
        functions: Compiled functions of the posterior's structure.
        values: A value for each input of the graph: data, then parameters.
        n: Number of training observations.
        noise: Their noise, as :func:`noise_of` returns it; None computes it from ``values``.
        y: Observations that show the scale of the outcome, to which the smallest variance is relative.

    Raises:
        DataError: If the noise is that of another number of observations.
        FitError: If the training covariance cannot be factorised.
    """
    inputs = [
        as_input(np.asarray(value), symbol.type.dtype) for value, symbol in zip(values, functions.subject.inputs, strict=True)
    ]
    noise = noise_of(functions, inputs, n=n) if noise is None else noise
    every = (*inputs, as_input(noise))
    variance = np.diagonal(noise).copy() if noise.ndim == 2 else np.square(noise)
    return ConditionedPosterior(functions, every, _frozen(functions, every), variance, floor=_floor(variance, y))


def _floor(noise: np.ndarray, y: np.ndarray | None) -> float:
    """Return the smallest variance of a function that was observed as ``y``, with noise of these variances."""
    scales = [np.var(y) if y is not None and y.size else 0.0, noise.mean() if noise.size else 0.0]
    return VARIANCE_FLOOR * float(max(scales) or 1.0)


def noise_of(functions: CompiledGraph[CutPosterior], inputs: Sequence[np.ndarray], *, n: int) -> np.ndarray:
    """Return the noise of the training observations: one sd, ``n`` sds, or their covariance ``n x n``.

    Raises:
        DataError: If it is that of another number of observations.
    """
    cut = functions.subject
    if cut.noise in cut.inputs:  # a known sd or a parameter, which need no function
        noise = inputs[list(cut.inputs).index(cut.noise)]
    else:
        try:
            (noise,) = functions(noise_of_data, *inputs)
        except (AssertionError, ValueError) as error:  # arrays of different lengths in it
            raise DataError(f"The gp's noise cannot be computed for {n} observations ({error}). {SAME_LENGTH}") from error
    if noise.ndim and len(noise) != n:
        raise DataError(f"There are {n} observations, but the gp's noise is that of {len(noise)}. {SAME_LENGTH}")
    return noise


def _frozen(functions: CompiledGraph[CutPosterior], values: Sequence[np.ndarray]) -> Arrays:
    arrays = functions(frozen_arrays, *values)
    if not all(np.isfinite(array).all() for array in arrays):
        raise FitError(
            "The training covariance is not positive definite with these hyperparameters. Pass a larger jitter (1e-6 is "
            "PyMC's default) or noise, or a point whose scales are not zero or infinite."
        )
    return tuple(as_input(array, array.dtype.name) for array in arrays)
