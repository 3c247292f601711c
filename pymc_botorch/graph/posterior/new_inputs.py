"""New inputs of predictions, marked in their expressions, so that they are told from training inputs of equal value.

A prediction at the training inputs themselves holds these twice: as data, and as where it is made. What is asked of it may be
about one of the two.
"""

__all__ = ["find_new_inputs", "mark_new_inputs"]

from collections.abc import Sequence

import pytensor.scalar as ps
from pytensor.graph.basic import Variable
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.traversal import nodes_between


class IdentityOfNewInputs(ps.Identity):
    """The identity of a number; PyTensor and its linkers take it for their own."""


_mark = Elemwise(IdentityOfNewInputs(ps.same_out, name="identity_of_new_inputs"))


def mark_new_inputs(X: TensorVariable) -> TensorVariable:
    """Return new inputs ``q x d`` with a mark, which changes no value and no derivative.

    Example:
        >>> import pytensor.tensor as pt
        >>> X = pt.matrix("X")
        >>> [found.owner.inputs[0] for found in find_new_inputs([mark_new_inputs(X).sum()])]
        [X]
    """
    marked = _mark(X)
    marked.name = "X_new"
    return marked


def find_new_inputs(outputs: Sequence[Variable]) -> list[TensorVariable]:
    """Return the marked new inputs in the graph of ``outputs``, each once."""
    return [node.outputs[0] for node in nodes_between(outputs) if node.op == _mark]
