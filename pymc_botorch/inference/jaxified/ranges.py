"""A range of numbers as an operation of its own: that of PyTensor ends, in JAX, at the length of an input or at a constant."""

__all__ = ["own_ranges"]

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.link.jax.dispatch.basic import jax_funcify
from pytensor.tensor.basic import ARange


class _Range(Op):
    """``numpy.arange``, put in once a graph is rewritten."""

    __props__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def make_node(self, *limits: Variable) -> Apply:
        """Return the node for start, stop and step."""
        return Apply(self, list(limits), [output.type() for output in ARange(self.dtype).make_node(*limits).outputs])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> None:
        """Compute the range in NumPy."""
        start, stop, step = map(int, inputs)
        output_storage[0][0] = np.arange(start, stop, step, dtype=self.dtype)


def _in_jax(op: _Range, **options: Any) -> Callable[..., jax.Array]:
    def arange(start: Any, stop: Any, step: Any) -> jax.Array:
        return jnp.arange(int(start), int(stop), int(step), dtype=op.dtype)

    return arange


jax_funcify.register(_Range, _in_jax)


def own_ranges(fgraph: FunctionGraph) -> None:
    """Replace the ranges in a graph by such as JAX takes wherever their limits are known when it traces them."""
    for node in fgraph.toposort():
        if isinstance(node.op, ARange):
            fgraph.replace(node.outputs[0], _Range(node.op.dtype)(*node.inputs), reason="own_ranges")
