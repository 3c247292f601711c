"""Effective lengthscales of a fitted gp: the scale of its prior along each input, for any differentiable kernel."""

__all__ = ["effective_lengthscales"]

import numpy as np

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.slopes import gradient_covariance_at, refuse_rough
from pymc_botorch.inference.fitted import FittedGP


def effective_lengthscales(fitted: FittedGP) -> np.ndarray:
    """Return the distance along each input over which the function changes by about its sd, under the prior.

    Over the training inputs ``x``, with the fitted hyperparameters and no data::

        l_j = sqrt(mean Var f(x) / mean Var ∂f(x)/∂x_j)

    which is the lengthscale of a squared exponential kernel, and proportional to that of a differentiable Matern kernel. The
    gp's mean function does not enter.

    Args:
        fitted: A fitted gp.

    Returns:
        ``S x 1 x d``, in the units of the inputs as the gp sees them; ``inf`` where the kernel does not depend on an input.

    Raises:
        UnsupportedGPError: If the functions have no derivative, or an input is an index (of a ``Coregion``), which has no slope.
    """
    refuse_rough(fitted.graph.rough)
    return np.stack([_prior_lengthscales(prior, fitted.X) for prior in fitted.prior()])


def _prior_lengthscales(prior: ConditionedPosterior, X: np.ndarray) -> np.ndarray:
    variance = prior.variances(X).mean()
    lengthscales = np.full((1, X.shape[1]), np.inf)
    for j, axis in enumerate(np.eye(X.shape[1])):
        (along,) = prior(gradient_covariance_at, X, axis, axis)  # n x n
        if (slope := np.diagonal(along).mean()) > 0:
            lengthscales[0, j] = np.sqrt(variance / slope)
        elif _depends_on_column(prior, X, j):
            raise UnsupportedGPError(
                f"The kernel takes column {j} as an index, which has no slope and no lengthscale. Take Sobol indices instead (in "
                "Ax, SensitivityAnalysisPlot)."
            )
    return lengthscales


def _depends_on_column(prior: ConditionedPosterior, X: np.ndarray, j: int) -> bool:
    """Return whether the function differs, under the prior, between values of column ``j``."""
    values = np.unique(X[:, j])
    pairs = np.tile(X[0], (len(values) - 1, 2, 1))  # the first input, but for this column
    pairs[:, 0, j], pairs[:, 1, j] = values[:-1], values[1:]
    cov = prior.moments(pairs)[1] if len(pairs) else np.zeros((0, 2, 2))
    return not np.allclose(cov[:, 0, 0] + cov[:, 1, 1], 2 * cov[:, 0, 1], atol=0)
