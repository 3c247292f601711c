"""A fitted gp comes in, how far its prior varies along each input goes out: a lengthscale for any kernel that has slopes."""

__all__ = ["Lengthscales", "effective_lengthscales"]

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.graph.derivatives import gradient_covariance_at, refuse_rough
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors

if TYPE_CHECKING:
    from pymc_botorch.models.fitted_gp import AbstractFittedGP


class Lengthscales(NamedTuple):
    """What Ax reads of a GPyTorch kernel for its feature importances, and nothing else of one.

    Attributes:
        lengthscale: ``1 x d``, of draws ``S x 1 x d``; see :func:`effective_lengthscales`.
    """

    lengthscale: Tensor


def effective_lengthscales(model: "AbstractFittedGP") -> Tensor:
    """Return how far one goes along each input until the function has changed by about its sd, by the prior.

    Over the training inputs ``x``, with the fitted hyperparameters and no data::

        l_j = sqrt(mean Var f(x) / mean Var ∂f(x)/∂x_j)

    which is the lengthscale of a squared exponential kernel, and proportional to those of any Matern kernel that has slopes. The
    gp's mean function has no part in it.

    Args:
        model: A fitted gp.

    Returns:
        ``1 x d``, of draws ``S x 1 x d``, in the units of the inputs as the gp takes them; ``inf`` where the kernel does not
        depend on an input.

    Raises:
        UnsupportedError: If the functions have no derivative, or an input is an index (of a ``Coregion``), which has no slope.

    Example:
        >>> import numpy as np, pymc as pm
        >>> from pymc_botorch import PyMCGP
        >>> X = np.random.default_rng(1).random((8, 2))
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=4 * pm.gp.cov.ExpQuad(2, ls=[0.3, 0.6]))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     model = PyMCGP.from_fitted(gp, {})
        >>> effective_lengthscales(model)
        tensor([[0.3000, 0.6000]], dtype=torch.float64)
    """
    with botorch_errors():
        refuse_rough(model._fitted.graph.rough)
        each = [torch.from_numpy(_of_one(fitted)) for fitted in model._fitted.each]
    return torch.stack(each) if model._is_fully_bayesian else each[0]


def _of_one(fitted: FittedGP) -> np.ndarray:
    none = {name: array[:0] if name in fitted.graph.per_observation else array for name, array in fitted.data.items()}
    prior, X = fitted.prior(), fitted.X
    slopes = replace(fitted, data=none).readings
    variance = prior.moments(X[:, None])[1].mean()  # n x 1 x 1
    lengthscales = np.full((1, X.shape[1]), np.inf)
    for j, axis in enumerate(np.eye(X.shape[1])):
        (along,) = slopes(gradient_covariance_at, X, axis, axis)  # n x n
        if (slope := np.diagonal(along).mean()) > 0:
            lengthscales[0, j] = np.sqrt(variance / slope)
        elif _changes(prior, X, j):
            raise UnsupportedModelError(
                f"The kernel takes column {j} as an index, which has no slope and no lengthscale. Take Sobol indices instead (in "
                "Ax, SensitivityAnalysisPlot)."
            )
    return lengthscales


def _changes(prior: ConditionedPosterior, X: np.ndarray, j: int) -> bool:
    """Say whether the prior tells the values of column ``j`` apart."""
    values = np.unique(X[:, j])
    pairs = np.tile(X[0], (len(values) - 1, 2, 1))  # as the first input, but for this column
    pairs[:, 0, j], pairs[:, 1, j] = values[:-1], values[1:]
    cov = prior.moments(pairs)[1] if len(pairs) else np.zeros((0, 2, 2))
    return not np.allclose(cov[:, 0, 0] + cov[:, 1, 1], 2 * cov[:, 0, 1])
