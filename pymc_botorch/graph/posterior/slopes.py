"""Covariances of a gp's gradient: of the prior, from a kernel, and of the posterior, from its cut graph.

The gradient of a Gaussian process is a Gaussian process. With ``k(a, b) = cov(f(a), f(b))``,

    ``cov(f(a), ∂f(b)/∂b_j) = ∂k/∂b_j``    and    ``cov(∂f(a)/∂a_i, ∂f(b)/∂b_j) = ∂²k/∂a_i ∂b_j``

for the prior and for the posterior covariance alike. Row ``i`` of a matrix ``k(A, B)`` depends on row ``i`` of ``A`` only, so
one forward pass along a direction, the same for all rows, yields the derivatives of all entries; a second pass yields the
second ones. PyTensor differentiates, with the distances of :mod:`pymc_botorch.graph.rewrites.distance`.
"""

__all__ = ["DerivativeCovariances", "derivative_covariances", "gradient_covariance_at", "refuse_rough"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import pushforward
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.gps.kernels import rough_kernels
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.graph.rewrites.differentiable import differentiable, without_zero_steps


class DerivativeCovariances(NamedTuple):
    """Prior covariances of a function and its gradient.

    Attributes:
        value_gradient: ``n x m x d``: of ``f(x_i)`` with ``∂f(z_j)/∂z_jb``.
        gradient: ``n x d x m x d``: of ``∂f(x_i)/∂x_ia`` with ``∂f(z_j)/∂z_jb``.
    """

    value_gradient: TensorVariable
    gradient: TensorVariable


def derivative_covariances(cov_func: pm.gp.cov.BaseCovariance, X: TensorVariable, Z: TensorVariable) -> DerivativeCovariances:
    """Return the covariances of values and gradients at ``X`` with gradients at ``Z``, under any kernel of PyMC.

    White noise in the kernel does not enter them. They are zero in a column that a kernel takes as an index.

    Args:
        cov_func: A covariance function; it is not changed.
        X: ``n x d``, symbolic.
        Z: ``m x d``, symbolic; may be ``X``.

    Raises:
        UnsupportedGPError: If functions of this covariance have no derivative.

    References:
        Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, section 9.4,
        https://gaussianprocess.org/gpml/

    Example:
        >>> import numpy as np, pymc as pm, pytensor.tensor as pt
        >>> X = pt.matrix("X", shape=(None, 1))
        >>> slope_variance = derivative_covariances(pm.gp.cov.ExpQuad(1, ls=0.5), X, X).gradient[:, 0, :, 0]
        >>> float(slope_variance.eval({X: np.zeros((1, 1))})[0, 0])  # 1 / ls²
        4.0
    """
    refuse_rough(rough_kernels(cov_func))
    d = X.type.shape[1] or cov_func.input_dim
    A, B = (pt.matrix(name, dtype="float64", shape=(None, d)) for name in "AB")
    direction_a, direction_b = pt.vector("a", dtype="float64", shape=(d,)), pt.vector("b", dtype="float64", shape=(d,))
    first, second = _push_both(differentiable([cov_func(A, B)])[0], A, direction_a, B, direction_b)
    axes = np.eye(d)
    first = vectorize_graph(first, {direction_b: pt.as_tensor(axes)})  # d x n x m
    pairs = {direction_a: pt.as_tensor(np.repeat(axes, d, axis=0)), direction_b: pt.as_tensor(np.tile(axes, (d, 1)))}
    second = vectorize_graph(second, pairs)  # (d d) x n x m
    second = second.reshape((d, d, second.shape[1], second.shape[2]))
    first, second = graph_replace([first, second], {A: X, B: Z}, strict=False)
    return DerivativeCovariances(first.transpose(1, 2, 0), second.transpose(2, 0, 3, 1))


def refuse_rough(names: Sequence[str]) -> None:
    """Raise an ``UnsupportedGPError`` if there are any ``names`` of kernels that are not differentiable."""
    if names:
        raise UnsupportedGPError(
            f"Functions with the covariance {' and '.join(names)} have no derivative that can be computed: PyMC's expression has "
            "a kink at distance zero, where a gradient would only show rounding. Use Matern32, Matern52 or ExpQuad."
        )


def gradient_covariance_at(cut: CutPosterior) -> Compilable:
    """Build ``X, a, b, *frozen -> cov(∂_a f(x_i), ∂_b f(x_j))``: ``q x d`` and two directions ``d`` to ``q x q``.

    The two sides of the covariance are told apart by stacking: ``k(A, B)`` is a block of ``cov`` at ``[A; B]``.
    """
    cut = cut.expanded(exact=True)
    d = cut.X.type.shape[1]
    A, B = (pt.matrix(name, dtype="float64", shape=(None, d)) for name in "AB")
    direction_a, direction_b = pt.vector("a", dtype="float64", shape=(d,)), pt.vector("b", dtype="float64", shape=(d,))
    stacked = graph_replace(cut.cov, {cut.X: pt.join(0, A, B)}, strict=False)
    q = A.shape[0]
    _, second = _push_both(stacked[:q, q:], A, direction_a, B, direction_b)
    second = graph_replace(second, {A: cut.X, B: cut.X}, strict=False)
    return [cut.X, direction_a, direction_b, *cut.frozen], without_zero_steps([second])


def _push_both(
    K: TensorVariable, A: TensorVariable, direction_a: TensorVariable, B: TensorVariable, direction_b: TensorVariable
) -> tuple[TensorVariable, TensorVariable]:
    """Return the derivative of ``K`` along one direction of all rows of ``B``, and of that along one of ``A``."""
    first = pushforward(K, B, pt.ones_like(B) * direction_b, disconnected_outputs="ignore")
    return first, pushforward(first, A, pt.ones_like(A) * direction_a, disconnected_outputs="ignore")
