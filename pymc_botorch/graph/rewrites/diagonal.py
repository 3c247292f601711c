"""Diagonal of a square matrix expression, computed without the rest of the matrix."""

__all__ = ["diagonal"]

import pytensor.tensor as pt
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Variable
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.variable import TensorVariable


def diagonal(matrix: TensorVariable) -> TensorVariable | None:
    """Return the diagonal of ``matrix``, ``q x q``, as an expression that costs no more than ``q`` rows; None if there is none.

    The subscript is moved towards the inputs: through elementwise operations to their operands, through a product
    ``(A B)_ii = sum_k A_ik B_ki``, through a sum over other axes.
    """
    found = _diagonal(matrix, {})
    return None if found is None or all(found.type.broadcastable) else found


def _diagonal(stack: TensorVariable, known: dict[Variable, TensorVariable | None]) -> TensorVariable | None:
    """Return ``stack[i, i]``: the first two axes merged (to length one where both have it), the others kept."""
    if stack not in known:
        known[stack] = _new_diagonal(stack, known)
    return known[stack]


def _new_diagonal(stack: TensorVariable, known: dict[Variable, TensorVariable | None]) -> TensorVariable | None:
    rows_broadcast, columns_broadcast = stack.type.broadcastable[:2]
    if columns_broadcast:
        return stack[:, 0]
    if rows_broadcast:
        return stack[0]
    node = stack.owner
    if node is None:
        return None
    match node.op:
        case Elemwise():
            parts = [_diagonal(part, known) for part in node.inputs]
            return None if any(part is None for part in parts) else node.op(*parts)
        case DimShuffle(new_order=(1, 0)):
            return _diagonal(node.inputs[0], known)
        case DisconnectedGrad():
            part = _diagonal(node.inputs[0], known)
            return None if part is None else node.op(part)
        case Dot():
            left, right = node.inputs
            return pt.sum(left.mT * right, axis=0)
        case CAReduce(axis=axes) if axes is not None and min(axes) >= 2:
            part = _diagonal(node.inputs[0], known)
            return None if part is None else type(node.op)(axis=[axis - 1 for axis in axes])(part)
        case AdvancedSubtensor(idx_list=(0, 1)) if stack.type.ndim == 2:  # a matrix indexed by two matrices, as in Coregion
            parts = [_diagonal(index, known) for index in node.inputs[1:]]
            return None if None in parts else node.inputs[0][tuple(parts)]
        case Alloc() if node.inputs[0].type.ndim == 0 and len(node.inputs) == 3:
            return pt.alloc(node.inputs[0], node.inputs[1])
    return None
