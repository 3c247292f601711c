"""A gp as it stands in its PyMC model comes in, its posterior at symbolic inputs goes out, as PyTensor expressions to go on with.

Unlike those of :mod:`pymc_botorch.graph.posterior`, they are of the model's own variables: its random variables and its
``pm.Data``.
"""

__all__ = ["SymbolicPosterior", "conditional_gradients", "conditional_moments"]

from collections.abc import Mapping
from typing import Any, NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.likelihoods import split_jitter
from pymc_botorch.graph.observations import Observations
from pymc_botorch.graph.pointwise import PredictiveGradients, point_gradients, point_variances


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
        gp: The gp as the caller has it.
        observations: What was read of it.
        given: As in ``gp.conditional``.
        X: New inputs.
    """
    X = _matrix(X, observations)
    conditioned = _in_the_model(gp, observations, given)
    with pm.Model(model=None):  # a scratch model: not a child of the one in context
        f = observations.gp.conditional("f", X, given=conditioned, jitter=observations.jitter)
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
    return SymbolicPosterior(mean, stabilised[0])


def conditional_gradients(
    gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None, X: Any
) -> PredictiveGradients:
    """Return mean, variance and sd of ``gp`` at the rows of ``X``, ``n x d``, and their gradients; see above."""
    X = _matrix(X, observations)
    new = pt.matrix("X_new", dtype="float64", shape=(None, observations.X.shape[1]))
    mean, cov = conditional_moments(gp, observations, given, new)
    variance = point_variances(cov)
    sd = pt.sqrt(variance)
    parts = [mean, variance, sd, *(point_gradients(part, new) for part in (mean, variance, sd))]
    return PredictiveGradients(*graph_replace(parts, {new: X}, strict=False))


def _matrix(X: Any, observations: Observations) -> TensorVariable:
    """Return new inputs as a symbolic matrix of floats."""
    X, d = pt.as_tensor_variable(X), observations.X.shape[1]
    if X.type.ndim != 2 or X.type.shape[1] not in (None, d):
        raise DataError(f"X is of type {X.type}. Pass an n x {d} matrix, for example pt.matrix(shape=(None, {d})).")
    return pt.specify_shape(X.astype("float64"), (None, d))


def _in_the_model(gp: pm.gp.gp.Base, observations: Observations, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ``given`` of a conditional with data as they are in the PyMC model, where they are there."""
    given = {} if given is None else dict(given)
    total = observations.total
    if isinstance(gp, pm.gp.MarginalKron):  # read as the Marginal that it equals, on the whole grid
        X: Any = observations.X
        y: Any = observations.y
    else:
        X, y = given.get("X", getattr(total, "X", None)), given.get("y", getattr(total, "y", None))
    conditioned = {"gp": total, "X": pt.as_tensor_variable(X), "y": pt.as_tensor_variable(y), "sigma": observations.noise}
    if observations.inducing is not None:
        conditioned |= {"Xu": pt.as_tensor_variable(given.get("Xu", total.Xu)), "sigma": observations.noise.sigma}
    return conditioned
