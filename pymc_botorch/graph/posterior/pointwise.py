"""Mean and variance of a cut posterior at single points, and their gradients, for any number of points at once.

Mean and variance at a point depend on that point only, so one reverse pass through their sum yields all gradients.
"""

__all__ = [
    "VARIANCE_FLOOR",
    "gradients_at",
    "mean_at",
    "mean_gradients_at",
    "moments_at",
    "point_gradients",
    "point_variances",
    "variances",
    "variances_vjp",
]

import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.posterior.cut import CutPosterior, batched, pull_back
from pymc_botorch.graph.rewrites.cost import fold_batches
from pymc_botorch.graph.rewrites.diagonal import diagonal
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps

VARIANCE_FLOOR = 1e-20
"""Smallest variance returned, where the outcome has a variance of one. Rounding may make a variance of zero negative;
linear_operator takes the root of a 1 x 1 covariance without jitter, and PyTorch's derivative of a root is infinite at zero."""


def mean_at(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> mean``: ``N x d`` to ``N``. It costs no triangular solve."""
    cut = cut.expanded(exact=True)
    return _inputs_and_outputs(cut, cut.mean)


def mean_gradients_at(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> mean_gradient``: ``N x d`` to ``N x d``. It costs no triangular solve."""
    cut = cut.expanded(exact=True)
    return _inputs_and_outputs(cut, point_gradients(cut.mean, cut.X))


def moments_at(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> mean, variance``: ``N x d`` to ``N`` and ``N``."""
    cut = cut.expanded(exact=True)
    return _inputs_and_outputs(cut, cut.mean, point_variances(cut.cov, cut.X))


def gradients_at(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> mean, variance, mean_gradient, variance_gradient``: ``N x d`` to twice ``N`` and twice ``N x d``."""
    cut = cut.expanded(exact=True)
    variance = point_variances(cut.cov, cut.X)
    return _inputs_and_outputs(cut, cut.mean, variance, point_gradients(cut.mean, cut.X), point_gradients(variance, cut.X))


def variances(cut: CutPosterior) -> Compilable:
    """Build ``X, *frozen -> variance``: ``N x d`` to ``N``."""
    cut = cut.expanded(exact=False)
    return _inputs_and_outputs(cut, point_variances(cut.cov, cut.X))


def variances_vjp(cut: CutPosterior) -> Compilable:
    """Build ``X, variance_bar, *frozen -> X_bar``, the pullback of :func:`variances`."""
    cut = cut.expanded(exact=False)
    variance_bar = pt.vector("variance_bar", dtype="float64")
    X_bar = pull_back(cut.X, {point_variances(cut.cov, cut.X): variance_bar})
    return [cut.X, variance_bar, *cut.frozen], without_zero_steps([X_bar])


def point_variances(cov: TensorVariable, X: TensorVariable) -> TensorVariable:
    """Return the diagonal of a covariance ``N x N`` at the rows of ``X``, without the rest of the matrix.

    If the kernel has operations whose diagonal is unknown, each point is a batch of its own.
    """
    variance = diagonal(cov)
    if variance is not None:
        return variance
    batch = batched([X])
    (single,) = fold_batches(vectorize_graph([cov], batch))
    return graph_replace(single, {batch[X]: X[:, None, :]}, strict=False)[:, 0, 0]


def point_gradients(values: TensorVariable, X: TensorVariable) -> TensorVariable:
    """Return the gradients ``N x d`` of ``values``, ``N``, each of which depends on its own row of ``X`` only.

    They are ``d/dX sum_i v(x_i)``: one reverse pass, no Jacobian.
    """
    return pt.grad(values.sum(), X, disconnected_inputs="ignore", return_disconnected="zero")


def _inputs_and_outputs(cut: CutPosterior, *outputs: TensorVariable) -> Compilable:
    return [cut.X, *cut.frozen], without_zero_steps(outputs)
