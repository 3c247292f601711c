"""Posterior moments and gradients of a gp as PyTensor variables, for use in a PyMC model."""

__all__ = ["symbolic_gradients", "symbolic_posterior"]

from collections.abc import Mapping
from typing import Any

import pymc as pm

from pymc_botorch.graph.gps.marginal import Observations, read_observations
from pymc_botorch.graph.posterior.symbolic import SymbolicPosterior, conditional_gradients, conditional_moments
from pymc_botorch.inference.points import model_in_context
from pymc_botorch.inference.predictive_gradients import PredictiveGradients


def symbolic_posterior(
    gp: pm.gp.Marginal, X: Any, *, model: pm.Model | None = None, given: Mapping[str, Any] | None = None
) -> SymbolicPosterior:
    """Return posterior mean and covariance of the noise-free function at ``X``, as PyTensor variables.

    They depend on the model's own random variables and ``pm.Data``: use them in a ``pm.Deterministic``, or replace these.

    Args:
        gp: The gp, of a class that :func:`pymc_botorch.compile_predict` takes.
        X: New inputs, ``n x d``, symbolic or an array.
        model: The PyMC model; None takes the one in context.
        given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``.

    Returns:
        Mean ``n`` and covariance ``n x n``, without jitter.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     mean, cov = pymc_botorch.symbolic_posterior(gp, X)
        >>> mean.type.ndim, cov.type.ndim
        (1, 2)
    """
    return conditional_moments(gp, _observations(gp, model, given), given, X)


def symbolic_gradients(
    gp: pm.gp.Marginal, X: Any, *, model: pm.Model | None = None, given: Mapping[str, Any] | None = None
) -> PredictiveGradients:
    """Return mean, variance and sd of the noise-free function at the rows of ``X``, and their gradients, in PyTensor.

    Args:
        gp: The gp, of a class that :func:`pymc_botorch.compile_predict` takes.
        X: New inputs, ``n x d``, symbolic or an array.
        model: The PyMC model; None takes the one in context.
        given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``.

    Returns:
        ``mean, variance, sd`` (``n``) and ``mean_gradient, variance_gradient, sd_gradient`` (``n x d``).

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     slope = pm.Deterministic("slope", pymc_botorch.symbolic_gradients(gp, X).mean_gradient)
        >>> slope.type.ndim
        2
    """
    return PredictiveGradients(*conditional_gradients(gp, _observations(gp, model, given), given, X))


def _observations(gp: pm.gp.Marginal, model: pm.Model | None, given: Mapping[str, Any] | None) -> Observations:
    return read_observations(gp, model_in_context(model), given, None, inputs_transformed=False)
