"""Values and derivatives of expressions, each as a function of JAX: PyTensor differentiates, JAX computes.

For outputs ``F(a)`` and cotangents ``c`` of them, tangents ``t`` and ``s`` of the inputs ``a``::

    value(a) = F                       pushed(a; t) = d/da F . t              second_pushed(a; t, s) = d/da pushed . s
                                       pulled(a; c) = d/da <c, F>             second_pulled(a; c, s) = d/da <s, pulled>

Forward maps are derivatives of ``<t, pulled>`` and of ``<t, second_pulled>`` with respect to ``c``, in which these are linear: no
expression of ``a`` is differentiated more than twice.
"""

__all__ = ["Levels"]

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import jax
import pytensor.tensor as pt
from pytensor.compile.mode import get_mode
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import graph_replace
from pytensor.link.jax.dispatch.basic import jax_funcify
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compiling.functions import Compilable, making_graphs
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.inference.jaxified.ranges import own_ranges
from pymc_botorch.inference.sensitivity.builds import gradients, inner

type JaxFunction = Callable[..., tuple[Any, ...]]
"""Function of JAX arrays."""


class Levels:
    """Values and derivatives of ``outputs``, each written out when JAX first traces it.

    Args:
        floats: Inputs that derivatives are taken with respect to.
        others: Further inputs, integers.
        outputs: Expressions that are right when differentiated twice.
    """

    def __init__(self, floats: Sequence[Variable], others: Sequence[Variable], outputs: Sequence[TensorVariable]) -> None:
        self.floats, self.others, self.outputs = list(floats), list(others), list(outputs)

    @property
    def inputs(self) -> list[Variable]:
        """All inputs."""
        return [*self.floats, *self.others]

    @cached_property
    def value(self) -> JaxFunction:
        """``a -> F``."""
        return _jaxified(self.inputs, self.outputs)

    @cached_property
    def pulled(self) -> JaxFunction:
        """``a, c -> d/da <c, F>``."""
        return _jaxified(*self._pulled())

    @cached_property
    def pushed(self) -> JaxFunction:
        """``a, t -> d/da F . t``."""
        inputs, pulled = self._pulled()
        tangents, bars = self._tangents("t"), inputs[len(self.inputs) :]
        return _jaxified([*self.inputs, *tangents], self._derivative_in_bars(inner(tangents, pulled), bars))

    @cached_property
    def second_pulled(self) -> JaxFunction:
        """``a, c, s -> d/da <s, pulled>``."""
        return _jaxified(*self._second_pulled())

    @cached_property
    def second_pushed(self) -> JaxFunction:
        """``a, t, s -> d/da pushed . s``."""
        inputs, second = self._second_pulled()
        ends = len(self.inputs), len(self.inputs) + len(self.outputs)
        tangents, bars, directions = self._tangents("t"), inputs[ends[0] : ends[1]], inputs[ends[1] :]
        outputs = self._derivative_in_bars(inner(tangents, second), bars)
        return _jaxified([*self.inputs, *tangents, *directions], outputs)

    def _pulled(self) -> Compilable:
        bars = [output.type(f"bar_{i}") for i, output in enumerate(self.outputs)]
        return [*self.inputs, *bars], gradients(inner(bars, self.outputs), self.floats)

    def _second_pulled(self) -> Compilable:
        inputs, pulled = self._pulled()
        directions = self._tangents("s")
        return [*inputs, *directions], gradients(inner(directions, pulled), self.floats)

    def _derivative_in_bars(self, linear: TensorVariable, bars: Sequence[Variable]) -> list[Variable]:
        """Return the derivative of an expression with respect to the cotangents, in which it is linear."""
        zeros = {bar: pt.zeros_like(output) for bar, output in zip(bars, self.outputs, strict=True)}  # some are left, for shapes
        return graph_replace(gradients(linear, bars), zeros, strict=False)

    def _tangents(self, letter: str) -> list[Variable]:
        return [symbol.type(f"{letter}_{i}") for i, symbol in enumerate(self.floats)]


def _jaxified(inputs: Sequence[Variable], outputs: Sequence[Variable]) -> JaxFunction:
    """Return expressions that are differentiated no further by PyTensor as a function of JAX arrays."""
    with making_graphs():
        written = without_zero_steps(inline_inner_graphs(outputs, all_kinds=True))
        fgraph = FunctionGraph(list(inputs), written, clone=True)
        get_mode("JAX").excluding("specialize").optimizer.rewrite(fgraph)
        for node in fgraph.toposort():
            if isinstance(node.op, CheckAndRaise):  # JAX cannot raise an error of a value
                fgraph.replace(node.outputs[0], node.inputs[0], reason="without checks")
        own_ranges(fgraph)
        with jax.ensure_compile_time_eval():  # constants are not to be of the trace that first asks for the function
            function = jax_funcify(fgraph)

    def with_lengths(*arguments: Any) -> tuple[Any, ...]:
        with jax.ensure_compile_time_eval():  # of lengths, which JAX has to know as numbers
            return tuple(function(*arguments))

    return with_lengths
