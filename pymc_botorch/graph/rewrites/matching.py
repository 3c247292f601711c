"""Pattern matching on PyTensor expressions, for the shapes in which PyMC writes them."""

__all__ = ["elemwise_inputs", "is_number", "untransposed"]

from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.variable import TensorVariable


def elemwise_inputs(variable: Variable, name: str) -> list[Variable] | None:
    """Return the inputs of ``variable`` where it is an elementwise ``name`` (``"add"``, ``"mul"``, ...), else None."""
    node = variable.owner
    is_it = node is not None and isinstance(node.op, Elemwise) and type(node.op.scalar_op).__name__.lower() == name
    return node.inputs if is_it else None


def untransposed(variable: Variable) -> TensorVariable | None:
    """Return the matrix whose transpose ``variable`` is, or None."""
    node = variable.owner
    is_transpose = node is not None and isinstance(node.op, DimShuffle) and tuple(node.op.new_order) == (1, 0)
    return node.inputs[0] if is_transpose else None


def is_number(variable: Variable, value: float) -> bool:
    """Return whether ``variable`` is a constant of one entry with this value."""
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
        variable = variable.owner.inputs[0]
    return isinstance(variable, Constant) and variable.data.size == 1 and variable.data.item() == value
