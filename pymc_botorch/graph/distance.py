"""Expressions of PyMC's kernels come in, the same with squared distances that differentiate right at coincident points go out.

PyMC computes ``r² = clip(|a|² + |b|² - 2 a·b, 0, inf)`` (``Stationary.square_dist`` and ``Gibbs.square_dist``). Where
rounding makes the sum negative, which happens at a few per cent of coincident points, the clip makes its derivative exactly
zero, and the prior variance of a slope with it; far from the origin the sum has no correct digit left. Here it becomes
``r² = sum_j (a_j - b_j)²``. The expressions are copies: neither the user's covariance functions nor PyMC's classes change.

Upstream: https://github.com/pymc-devs/pymc/issues/1848 (the clip was its fix), on PyMC 6.4; a distance computed from
differences there ends this module.
"""

__all__ = ["exact_distances"]

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import pytensor.tensor as pt
from pymc.pytensorf import constant_fold
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.shape import Reshape
from pytensor.tensor.variable import TensorVariable


def exact_distances(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with PyMC's squared distances computed from differences, over the same leaves.

    Args:
        outputs: Expressions as PyMC builds them (nothing rewritten yet).

    Example:
        >>> import numpy as np, pymc as pm, pytensor.tensor as pt
        >>> X = pt.matrix("X", shape=(None, 1))
        >>> (kernel,) = exact_distances([pm.gp.cov.ExpQuad(1, ls=0.5)(X)])
        >>> float(kernel.eval({X: np.array([[2000.0], [2000.5]])})[0, 1].round(12)), float(np.exp(-0.5).round(12))
        (0.606530659713, 0.606530659713)
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        operands = _operands(node.outputs[0])
        if operands is not None:
            fgraph.replace(node.outputs[0], _square_distance(*operands), reason="exact_distances", import_missing=True)
    return list(fgraph.outputs)


def _square_distance(A: TensorVariable, B: TensorVariable) -> TensorVariable:
    """Return ``r²`` between the rows of ``A``, ``n x d``, and ``B``, ``m x d``, in ``n x m`` memory where ``d`` is known."""
    (d,) = constant_fold([A.shape[1]], raise_not_constant=False)
    if isinstance(d, Variable):
        return pt.square(A[:, None, :] - B[None, :, :]).sum(2)
    return reduce(add, [pt.square(A[:, j][:, None] - B[:, j][None, :]) for j in range(int(d))])


def _operands(variable: Variable) -> tuple[TensorVariable, TensorVariable] | None:
    """Return ``A, B`` when ``variable`` is ``clip(-2 A Bᵀ + (|A|² + |B|²), 0, inf)``, as PyMC writes it."""
    clipped = _inputs(variable, "clip")
    if clipped is None or not (_is_number(clipped[1], 0.0) and _is_number(clipped[2], np.inf)):
        return None
    terms = _inputs(clipped[0], "add")
    if terms is None or len(terms) != 2:
        return None
    product, squares = _inputs(terms[0], "mul"), _inputs(terms[1], "add")
    if product is None or squares is None or len(product) != 2 or len(squares) != 2 or not _is_number(product[0], -2.0):
        return None
    dot = product[1].owner
    if dot is None or not isinstance(dot.op, Dot):
        return None
    A, B = dot.inputs[0], _transposed(dot.inputs[1])
    return (A, B) if B is not None and _squared(squares[0]) is A and _squared(squares[1]) is B else None


def _inputs(variable: Variable, name: str) -> list[Variable] | None:
    """Return the inputs of an elementwise operation of this name."""
    node = variable.owner
    is_it = node is not None and isinstance(node.op, Elemwise) and type(node.op.scalar_op).__name__.lower() == name
    return node.inputs if is_it else None


def _squared(variable: Variable) -> Variable | None:
    """Return ``A`` when ``variable`` is ``sum(A², axis=1)``, reshaped."""
    node = variable.owner
    while node is not None and isinstance(node.op, Reshape | DimShuffle):
        node = node.inputs[0].owner
    if node is None or not isinstance(node.op, Sum):
        return None
    square = _inputs(node.inputs[0], "sqr")
    return None if square is None else square[0]


def _transposed(variable: Variable) -> TensorVariable | None:
    node = variable.owner
    is_transpose = node is not None and isinstance(node.op, DimShuffle) and tuple(node.op.new_order) == (1, 0)
    return node.inputs[0] if is_transpose else None


def _is_number(variable: Variable, value: float) -> bool:
    while variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
        variable = variable.owner.inputs[0]
    return isinstance(variable, Constant) and variable.data.size == 1 and float(variable.data) == value
