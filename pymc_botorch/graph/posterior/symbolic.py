"""Posterior of a gp at symbolic inputs, as PyTensor expressions for use in its PyMC model.

Unlike those of :mod:`pymc_botorch.graph.gps.posterior_graph`, they are expressions of the model's own random variables and
``pm.Data``.
"""

__all__ = ["SymbolicPosterior", "conditional_gradients", "conditional_moments"]

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.likelihoods import split_jitter
from pymc_botorch.graph.gps.marginal import Observations
from pymc_botorch.graph.posterior.new_inputs import mark_new_inputs
from pymc_botorch.graph.posterior.pointwise import VARIANCE_FLOOR, point_gradients, point_variances
from pymc_botorch.graph.rewrites.differentiable import differentiable_with_random


class SymbolicPosterior(NamedTuple):
    """Posterior mean ``n`` and covariance ``n x n`` of the noise-free function, without jitter, as PyTensor variables.

    Attributes:
        mean: ``n``.
        covariance: ``n x n``.
    """

    mean: TensorVariable
    covariance: TensorVariable


def conditional_moments(
    gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None, X: Any
) -> SymbolicPosterior:
    """Return posterior mean and covariance of ``gp`` at ``X``, ``n x d``.

    Args:
        gp: The gp as the caller passed it.
        observations: Its training data, noise and jitter, read from the model.
        given: As in ``gp.conditional``.
        X: New inputs, ``n x d``.
    """
    new, X = _matrices(X, observations)
    return SymbolicPosterior(*graph_replace(_moments(gp, observations, given, new), {new: X}, strict=False))


def _moments(
    gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None, new: TensorVariable
) -> list[TensorVariable]:
    """Return mean and covariance at a symbol of new inputs."""
    symbolic = _symbolic_given(gp, observations, given)
    with pm.Model(model=None):  # a scratch model: not a child of the one in context
        f = observations.gp.conditional("f", new, given=symbolic, jitter=observations.jitter)
    if not isinstance(f.owner.op, MvNormalRV):
        raise UnsupportedGPError(
            f"The conditional of {type(gp).__name__} is {f.owner.op}, not a multivariate normal. Use pm.gp.Marginal."
        )
    mean, cov = f.owner.op.dist_params(f.owner)[:2]
    stabilised = split_jitter(cov)
    if stabilised is None:
        raise UnsupportedGPError(
            "The covariance of this gp's conditional does not end in PyMC's jitter. Use pm.gp.Marginal of PyMC 6."
        )
    return differentiable_with_random([mean, stabilised[0]])


def conditional_gradients(
    gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None, X: Any
) -> list[TensorVariable]:
    """Return mean, variance and sd of ``gp`` at the rows of ``X``, ``n x d``, then their gradients."""
    new, X = _matrices(X, observations)
    mean, cov = _moments(gp, observations, given, new)
    variance = point_variances(cov, new)
    variance = pt.maximum(variance, VARIANCE_FLOOR)
    sd = pt.sqrt(variance)
    mean_gradient, variance_gradient = (point_gradients(part, new) for part in (mean, variance))
    sd_gradient = pt.switch((variance > VARIANCE_FLOOR)[:, None], variance_gradient / (2.0 * sd[:, None]), np.nan)
    parts = [mean, variance, sd, mean_gradient, variance_gradient, sd_gradient]
    return graph_replace(parts, {new: X}, strict=False)


def _matrices(X: Any, observations: Observations) -> tuple[TensorVariable, TensorVariable]:
    """Return a symbol for new inputs, and these as a symbolic matrix of floats, marked."""
    X, d = pt.as_tensor_variable(X), observations.X.shape[1]
    if X.type.ndim != 2 or X.type.shape[1] not in (None, d):
        raise DataError(f"X is of type {X.type}. Pass an n x {d} matrix, for example pt.matrix(shape=(None, {d})).")
    new = pt.matrix("X_new", dtype="float64", shape=(None, d))
    return new, pt.specify_shape(mark_new_inputs(X.astype("float64")), (None, d))


def _symbolic_given(gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ``given`` of a conditional with the PyMC model's own variables as training data."""
    given = {} if given is None else dict(given)
    total = observations.total
    if isinstance(gp, pm.gp.MarginalKron):  # read as the Marginal that it equals, on the whole grid
        X: Any = observations.X
        y: Any = observations.y
    else:
        X, y = given.get("X", getattr(total, "X", None)), given.get("y", getattr(total, "y", None))
    symbolic = {"gp": total, "X": pt.as_tensor_variable(X), "y": pt.as_tensor_variable(y), "sigma": observations.noise}
    if observations.inducing is not None:
        symbolic |= {"Xu": pt.as_tensor_variable(given.get("Xu", total.Xu)), "sigma": observations.noise.sigma}
    return symbolic
