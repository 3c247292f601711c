"""Numba's implementations of the operations of this package, registered with PyTensor's dispatcher for these classes alone.

Imported when something is compiled by Numba, which takes a third of a second to import.
"""

__all__: list[str] = []

from typing import Any

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.link.numba.dispatch import basic as numba_basic

from pymc_botorch.graph.compiling.ops import FactorPullback, InverseFromFactor, Product


@numba_basic.register_funcify_default_op_cache_key(Product)  # type: ignore[untyped-decorator]
def _compile_product(op: Product, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def product(left, right):  # type: ignore[no-untyped-def]  # compiled by Numba
        return np.dot(np.ascontiguousarray(left), np.ascontiguousarray(right))

    cache_version = 1
    return product, cache_version


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


@numba_basic.register_funcify_default_op_cache_key(FactorPullback)  # type: ignore[untyped-decorator]
def _compile_pullback(op: FactorPullback, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def pullback(L, L_bar):  # type: ignore[no-untyped-def]  # compiled by Numba
        m = L.shape[0]
        bar = L_bar.copy()
        for k in range(m - 1, -1, -1):
            for j in range(k + 1, m):
                for i in range(j, m):
                    bar[i, k] -= bar[i, j] * L[j, k]
                    bar[j, k] -= bar[i, j] * L[i, k]
            for i in range(k + 1, m):
                bar[i, k] /= L[k, k]
                bar[k, k] -= L[i, k] * bar[i, k]
            bar[k, k] /= 2.0 * L[k, k]
        for i in range(m):
            for j in range(i):
                bar[i, j] *= 0.5
                bar[j, i] = bar[i, j]
        return bar

    cache_version = 1
    return pullback, cache_version
