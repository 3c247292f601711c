"""Matrix products that Numba compiles in a second: PyTensor's ``Dot`` in, the plain ``Product`` out.

PyTensor 3.3's Numba implementation of ``Dot`` calls BLAS for every memory layout by code that is compiled anew for each of
them: more than half of the cold compilation of a gp's functions. ``Product`` calls ``numpy.dot``, which Numba links to BLAS
as it is. Only graphs of this package get it; its implementation is registered with PyTensor's Numba dispatcher for this
``Op`` alone.
"""

__all__ = ["Product", "plain_products"]

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

from pymc_botorch.graph.traversal import core_op


class Product(Op):
    """The product of two float64 matrices; it has no gradient of its own, being put in after differentiation."""

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
def _compile_with_numba(op: Product, node: Apply, **_: Any) -> tuple[Any, int]:
    @numba_basic.numba_njit
    def product(left, right):  # type: ignore[no-untyped-def]  # compiled by Numba
        return np.dot(np.ascontiguousarray(left), np.ascontiguousarray(right))

    cache_version = 1
    return product, cache_version
