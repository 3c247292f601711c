"""Two operations that PyTensor 3.3 lacks: a matrix product that Numba compiles in a second, and LAPACK's ``potri``.

PyTensor's Numba implementation of ``Dot`` calls BLAS for every memory layout by code that is compiled anew for each of them:
more than half of the cold compilation of a gp's functions. ``Product`` calls ``numpy.dot``, which Numba links to BLAS as it
is. The inverse of a positive definite matrix from its Cholesky factor takes a third of the time of two triangular solves, and
it is what the gradient of a marginal likelihood costs. Only graphs of this package use them; their implementations are
registered with PyTensor's Numba dispatcher for these two classes alone.
"""

__all__ = ["InverseFromFactor", "Product", "inverse_from_factor", "plain_products"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.tensor.blockwise import Blockwise
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


@numba_basic.register_funcify_default_op_cache_key(Product)  # type: ignore[untyped-decorator]
def _compile_product(op: Product, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def product(left, right):  # type: ignore[no-untyped-def]  # compiled by Numba
        return np.dot(np.ascontiguousarray(left), np.ascontiguousarray(right))

    cache_version = 1
    return product, cache_version


class InverseFromFactor(Op):
    """``(L Lᵀ)⁻¹`` of a lower triangular float64 matrix; NaN where a diagonal entry is zero. It has no gradient."""

    __props__ = ()

    def make_node(self, L: TensorVariable) -> Apply:
        """Return the node for the factor ``L``, ``n x n``."""
        return Apply(self, [L], [pt.matrix(dtype="float64", shape=L.type.shape)])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> None:
        """Compute the inverse by SciPy."""
        (L,) = inputs
        if len(L) == 0:
            output_storage[0][0] = np.zeros((0, 0))
            return
        inverse, info = dpotri(L, lower=1)
        lower = np.tril(inverse) if info == 0 else np.full_like(L, np.nan)
        output_storage[0][0] = np.ascontiguousarray(lower + np.tril(lower, -1).T)

    def infer_shape(self, node: Apply, shapes: Sequence[tuple]) -> list[tuple]:
        """Return the shape of the factor."""
        return [shapes[0]]


def inverse_from_factor(L: TensorVariable) -> TensorVariable:
    """Return ``(L Lᵀ)⁻¹``, ``n x n``, of a lower triangular matrix."""
    return InverseFromFactor()(L)


@numba_basic.register_funcify_default_op_cache_key(InverseFromFactor)  # type: ignore[untyped-decorator]
def _compile_inverse(op: InverseFromFactor, node: Apply, **_: Any) -> tuple[Any, int]:
    from numba.core import types
    from pytensor.link.numba.cache import _call_cached_ptr
    from pytensor.link.numba.dispatch.linalg import _LAPACK as lapack  # noqa: N811  # a module

    int_pointer, float_pointer = types.CPointer(types.int32), types.CPointer(types.float64)
    signature = types.FunctionType(types.void(int_pointer, int_pointer, float_pointer, int_pointer, int_pointer))
    get_lapack_ptr, objmode = lapack.get_lapack_ptr, lapack.numba.objmode
    to_pointer, to_value = lapack.val_to_int_ptr, lapack.int_ptr_to_val

    @numba_basic.numba_njit
    def pointer():  # type: ignore[no-untyped-def]  # compiled by Numba, as all below
        with objmode(ptr=types.intp):
            ptr = get_lapack_ptr(types.float64, "potri")
        return ptr  # noqa: RET504  # objmode requires a named result

    @numba_basic.numba_njit
    def inverse(L):  # type: ignore[no-untyped-def]
        n = np.int32(L.shape[0])
        # The upper triangle of a row-major matrix is the lower one of the column-major matrix that LAPACK sees
        result = np.ascontiguousarray(L.T).copy()
        if n == 0:
            return result
        info = to_pointer(np.int32(0))
        potri = _call_cached_ptr(get_ptr_func=pointer, func_type_ref=signature, unique_func_name_lit="scipy.lapack.dpotri")
        potri(to_pointer(np.int32(ord("L"))), to_pointer(n), result.ctypes, to_pointer(n), info)
        if to_value(info) != 0:
            result[:] = np.nan
        for i in range(n):
            for j in range(i):
                result[i, j] = result[j, i]
        return result

    cache_version = 1
    return inverse, cache_version
