"""A gp conditioned on outcomes and on derivatives together."""

__all__ = ["factorised"]

from collections.abc import Sequence
from typing import Any

import pytensor.tensor as pt
from pymc.gp.util import stabilize
from pytensor.tensor.linalg import cholesky
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.gps.derivatives import Derivative, Observed, derivative_covariance, derivative_mean


def factorised(
    cov_func: Any,
    mean_func: Any,
    X: TensorVariable,
    y: TensorVariable,
    noise: Any,
    jitter: Any,
    observed: Sequence[Observed],
) -> tuple[TensorVariable, TensorVariable, list[tuple[Sequence[Derivative], TensorVariable]]]:
    """Return factor, residuals, and kinds and places of all that the function is conditioned on.

    Args:
        cov_func: Kernel.
        mean_func: Prior mean.
        X: Inputs, ``n x d``.
        y: Outcomes, ``n``.
        noise: Covariance function of their noise.
        jitter: Jitter of their covariance.
        observed: Derivatives.
    """
    values = (Derivative(0, 0),)
    groups: list[tuple[Sequence[Derivative], TensorVariable]] = [(values, X), *((o.kinds, o.sites) for o in observed)]
    own = stabilize(cov_func(X), jitter) + noise(X)
    blocks: list[list[Any]] = [[own if i == j == 0 else None for j in range(len(groups))] for i in range(len(groups))]
    for j, (two, B) in enumerate(groups):
        for i, (one, A) in enumerate(groups[: j + 1]):
            if blocks[i][j] is None:
                blocks[i][j] = derivative_covariance(cov_func, one, A, two, B)
                blocks[j][i] = blocks[i][j].T
    for i, part in enumerate(observed, start=1):
        blocks[i][i] = blocks[i][i] + pt.diag(pt.zeros_like(part.values) + part.variance)
    covariance = pt.concatenate([pt.concatenate(row, axis=1) for row in blocks], axis=0)
    residuals = [y - mean_func(X), *(o.values - derivative_mean(mean_func, o.kinds, o.sites) for o in observed)]
    return cholesky(covariance, lower=True), pt.concatenate(residuals), groups
