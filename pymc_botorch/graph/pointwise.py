"""A cut posterior comes in, mean and variance at single points and their gradients go out, for any number of points at once.

Mean and variance at a point depend on that point only, so that one reverse pass through their sum has all gradients.
"""

__all__ = [
    "PredictiveGradients",
    "gradients_at",
    "joint_at",
    "mean_at",
    "mean_gradients_at",
    "mixture",
    "moments_at",
    "point_gradients",
    "point_variances",
    "with_roots",
]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compile import CutPosterior
from pymc_botorch.graph.diagonal import diagonal
from pymc_botorch.graph.rewrites import fold_batches

VARIANCE_FLOOR = 1e-20  # rounding may make a variance of zero negative

type Compilable = tuple[Sequence[Variable], Sequence[Variable]]


class PredictiveGradients(NamedTuple):
    """Mean, variance and standard deviation of a function at points, and how they change with the points.

    ``variance_gradient`` is the slope of the variance; the variance of the slope is another thing, which
    :func:`pymc_botorch.gradient_posterior` has. With ``v`` the variance, ``sd = sqrt(v)`` and ``sd' = v' / (2 sd)``.

    Attributes:
        mean: ``...``, in the units of the outcome.
        variance: ``...``, in their square.
        sd: ``...``, in the units of the outcome.
        mean_gradient: ``... x d``, per unit of each input.
        variance_gradient: ``... x d``.
        sd_gradient: ``... x d``; NaN where the variance is zero, whose root has no slope.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     slopes = pymc_botorch.compile_predict(gp, {}).gradients(X)
        >>> slopes.mean.shape, slopes.mean_gradient.shape
        ((8,), (8, 1))
    """

    mean: Any
    variance: Any
    sd: Any
    mean_gradient: Any
    variance_gradient: Any
    sd_gradient: Any


def with_roots(
    mean: np.ndarray, variance: np.ndarray, mean_gradient: np.ndarray, variance_gradient: np.ndarray
) -> PredictiveGradients:
    """Return these with the standard deviation and its gradient."""
    variance = np.maximum(variance, VARIANCE_FLOOR)
    sd = np.sqrt(variance)
    twice = 2.0 * np.where(variance > VARIANCE_FLOOR, sd, np.nan)
    return PredictiveGradients(mean, variance, sd, mean_gradient, variance_gradient, variance_gradient / twice[..., None])


def mixture(draws: PredictiveGradients, weights: np.ndarray | None = None) -> PredictiveGradients:
    """Return mean, variance and gradients of a mixture of draws, whose axis ``S`` comes first.

    The law of total variance and its derivative, with averages over draws::

        M = E[m],    V = E[v] + E[(m - M)²],    M' = E[m'],    V' = E[v'] + 2 E[(m - M) (m' - M')]

    The gradient of the mixture's standard deviation is ``V' / (2 sqrt(V))``, not the average of the draws'.

    Args:
        draws: Each draw's.
        weights: ``S``, with sum one; None weighs all draws alike.
    """
    weights = np.full(len(draws.mean), 1.0 / len(draws.mean)) if weights is None else weights
    mean, mean_gradient, variance, variance_gradient = (
        np.tensordot(weights, part, 1) for part in (draws.mean, draws.mean_gradient, draws.variance, draws.variance_gradient)
    )
    off, off_gradient = draws.mean - mean, draws.mean_gradient - mean_gradient
    variance = variance + np.tensordot(weights, off**2, 1)
    variance_gradient = variance_gradient + 2.0 * np.tensordot(weights, off[..., None] * off_gradient, 1)
    return with_roots(mean, variance, mean_gradient, variance_gradient)


def mean_at(cut: CutPosterior) -> Compilable:
    """Build ``X -> mean``: ``N x d`` to ``N``. It costs no triangular solve."""
    return [cut.X], [cut.mean]


def mean_gradients_at(cut: CutPosterior) -> Compilable:
    """Build ``X -> mean_gradient``: ``N x d`` to ``N x d``. It costs no triangular solve."""
    return [cut.X], [point_gradients(cut.mean, cut.X)]


def moments_at(cut: CutPosterior) -> Compilable:
    """Build ``X -> mean, variance``: ``N x d`` to ``N`` and ``N``."""
    return [cut.X], [cut.mean, point_variances(cut.cov)]


def gradients_at(cut: CutPosterior) -> Compilable:
    """Build ``X -> mean, variance, mean_gradient, variance_gradient``: ``N x d`` to ``N``, ``N``, ``N x d``, ``N x d``."""
    variance = point_variances(cut.cov)
    return [cut.X], [cut.mean, variance, point_gradients(cut.mean, cut.X), point_gradients(variance, cut.X)]


def joint_at(cut: CutPosterior) -> Compilable:
    """Build ``X -> mean, cov``: ``b x q x d`` to ``b x q`` and ``b x q x q``."""
    batch = pt.tensor3("X", dtype="float64", shape=(None, *cut.X.type.shape))
    return [batch], fold_batches(vectorize_graph([cut.mean, cut.cov], {cut.X: batch}))


def point_variances(cov: TensorVariable) -> TensorVariable:
    """Return the diagonal of a covariance ``N x N``, which is computed for it only where its kernel is of unknown operations."""
    variance = diagonal(cov)
    return pt.diagonal(cov) if variance is None else variance


def point_gradients(values: TensorVariable, X: TensorVariable) -> TensorVariable:
    """Return the gradients ``N x d`` of ``values``, ``N``, each of which depends on its own row of ``X`` only.

    ``d/dX sum_i v(x_i)`` has them all: one reverse pass, no Jacobian.
    """
    return pt.grad(values.sum(), X, disconnected_inputs="ignore", return_disconnected="zero")
