"""Operations that PyTensor 3.3 lacks: a matrix product that Numba compiles in a second, LAPACK's ``potri``, a quick pullback.

PyTensor's Numba implementation of ``Dot`` calls BLAS for every memory layout by code that is compiled anew for each of them:
more than half of the cold compilation of a gp's functions. ``Product`` calls ``numpy.dot``, which Numba links to BLAS as it
is. The inverse of a positive definite matrix from its Cholesky factor takes a third of the time of two triangular solves, and
it is what the gradient of a marginal likelihood costs. The pullback of the small Cholesky factors that samples are drawn with
takes several times as long by PyTensor's own, of two triangular solves and eight more operations for each batch. Only graphs
of this package use them.
"""

__all__ = [
    "Factor",
    "FactorPullback",
    "InverseFromFactor",
    "Product",
    "factor",
    "inverse_from_factor",
    "plain_products",
    "positive_definite_inverse",
    "pulled_back_through_factor",
]

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.math import Dot
from pytensor.tensor.variable import TensorVariable
from scipy.linalg.lapack import dpotri

from pymc_botorch.graph.traversal import core_op


class Product(Op):
    """The product of two float64 matrices; it has no gradient, as it is put in after differentiation."""

    __props__ = ()
    gufunc_signature = "(m,k),(k,n)->(m,n)"

    def make_node(self, left: TensorVariable, right: TensorVariable) -> Apply:
        """Return the node of ``left @ right``."""
        shape = (left.type.shape[0], right.type.shape[1])
        return Apply(self, [left, right], [pt.matrix(dtype="float64", shape=shape)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> None:
        """Compute the product in NumPy."""
        output_storage[0][0] = np.dot(*inputs)

    def infer_shape(self, node: Apply, shapes: Sequence[tuple]) -> list[tuple]:
        """Return the shape of the product from those of the factors."""
        return [(shapes[0][0], shapes[1][1])]


def plain_products(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs`` with each float64 matrix product written as a ``Product``, batched ones too."""
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    product = Product()
    for node in fgraph.toposort():
        if isinstance(core_op(node), Dot) and all(v.type.dtype == "float64" for v in (*node.inputs, *node.outputs)):
            replacement = (Blockwise(product) if isinstance(node.op, Blockwise) else product)(*node.inputs)
            fgraph.replace(node.outputs[0], replacement, reason="plain_products")
    return list(fgraph.outputs)


class InverseFromFactor(Op):
    """``(L Lᵀ)⁻¹`` of a lower triangular float64 matrix; NaN where a diagonal entry is zero. It has no gradient."""

    __props__ = ()

    def make_node(self, L: TensorVariable) -> Apply:
        """Return the node for the factor ``L``, ``n x n``."""
        return Apply(self, [L], [pt.matrix(dtype="float64", shape=L.type.shape)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> None:
        """Compute the inverse by SciPy."""
        output_storage[0][0] = positive_definite_inverse(*inputs)

    def infer_shape(self, node: Apply, shapes: Sequence[tuple]) -> list[tuple]:
        """Return the shape of the factor."""
        return [shapes[0]]


def positive_definite_inverse(L: np.ndarray) -> np.ndarray:
    """Return ``(L Lᵀ)⁻¹``, ``n x n``, of a lower triangular matrix of numbers."""
    n = len(L)
    if n == 0:
        return np.zeros((0, 0))
    upper, info = dpotri(L.T, lower=0)  # in Fortran's order, as LAPACK has it; zeros stay below the diagonal
    if info != 0:
        return np.full((n, n), np.nan)
    inverse = upper + upper.T
    np.einsum("ii->i", inverse)[...] = upper.diagonal()
    return inverse


def inverse_from_factor(L: TensorVariable) -> TensorVariable:
    """Return ``(L Lᵀ)⁻¹``, ``n x n``, of a lower triangular matrix."""
    return InverseFromFactor()(L)


class Factor(Cholesky):
    """PyTensor's Cholesky factor ``L`` of a symmetric matrix, with another pullback."""

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], output_gradients: Sequence[Variable]
    ) -> list[Variable]:
        """Return the gradient with respect to the matrix, which is symmetric too."""
        return [FactorPullback()(outputs[0], output_gradients[0])]


class FactorPullback(Op):
    """The gradient with respect to ``L Lᵀ``, symmetric, from that with respect to ``L``; it has none itself."""

    __props__ = ()
    gufunc_signature = "(m,m),(m,m)->(m,m)"

    def make_node(self, L: TensorVariable, L_bar: TensorVariable) -> Apply:
        """Return the node for the factor ``L`` and a gradient, both ``m x m``."""
        return Apply(self, [L, L_bar], [pt.matrix(dtype="float64", shape=L.type.shape)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> None:
        """Compute it in NumPy."""
        output_storage[0][0] = pulled_back_through_factor(*inputs)

    def infer_shape(self, node: Apply, shapes: Sequence[tuple]) -> list[tuple]:
        """Return the shape of the factor."""
        return [shapes[0]]


def factor(matrix: TensorVariable) -> TensorVariable:
    """Return the lower Cholesky factor of a symmetric matrix, ``m x m``: NaN where it has none."""
    return Factor(lower=True)(matrix)


def pulled_back_through_factor(L: np.ndarray, L_bar: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to ``L Lᵀ``, of stacks ``... x m x m`` (Murray 2016, https://arxiv.org/abs/1602.07527).

    The steps of the factorisation are taken back, last column first.
    """
    bar = np.tril(np.broadcast_to(L_bar, np.broadcast_shapes(L.shape, L_bar.shape)))
    for k in reversed(range(L.shape[-1])):
        column, rest = L[..., k + 1 :, k], bar[..., k + 1 :, k + 1 :]
        below = bar[..., k + 1 :, k]  # a view
        below -= ((rest + rest.mT) @ column[..., None])[..., 0]
        below /= L[..., k, k, None]
        bar[..., k, k] = (bar[..., k, k] - (below * column).sum(-1)) / (2.0 * L[..., k, k])
    return 0.5 * (bar + bar.mT)
