"""Squared distances of PyMC's kernels, exact far from the origin and with exact derivatives at coincident points.

PyMC computes ``r² = clip(|a|² + |b|² - 2 a·b, 0, inf)`` (``Stationary.square_dist`` and ``Gibbs.square_dist``). Where
rounding makes the sum negative, which happens at a few per cent of coincident points, the clip makes its derivative exactly
zero, and the prior variance of a slope with it; far from the origin the sum has no correct digit left. Here inputs are taken
about a common centre, before they are scaled. The sum then is right to rounding wherever the origin is; where second
derivatives are wanted, it becomes ``r² = sum_j (a_j - b_j)²``, which costs a pass through the matrix for each input. Copies are
rewritten: neither the user's covariance functions nor PyMC's classes change.

Upstream: https://github.com/pymc-devs/pymc/issues/1848 (the clip was its fix), as of PyMC 6.4. Once PyMC computes distances
from differences, this module can go.
"""

__all__ = ["SquareDistance", "expand_distances", "mark_distances"]

from collections.abc import Sequence
from functools import reduce
from operator import add, mul
from typing import Any, NoReturn

import numpy as np
import pytensor.tensor as pt
from pymc.pytensorf import constant_fold
from pytensor.gradient import disconnected_grad
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import MergeOptimizer
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot, Sum
from pytensor.tensor.shape import Reshape
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.rewrites.matching import elemwise_inputs, is_number, untransposed


class SquareDistance(Op):
    """The squared distance between the rows of ``A``, ``n x d``, and ``B``, ``m x d``: ``n x m``.

    It stands for what :func:`expand_distances` makes of it, and is neither differentiated nor evaluated.
    """

    __props__ = ()

    def make_node(self, A: TensorVariable, B: TensorVariable) -> Apply:
        """Return the node of the distance."""
        return Apply(self, [A, B], [pt.matrix(dtype="float64", shape=(A.type.shape[0], B.type.shape[0]))])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], output_storage: Sequence[list[Any]]) -> NoReturn:
        """Refuse to be evaluated."""
        raise NotImplementedError("Distances are expanded before anything is compiled.")


def mark_distances(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with PyMC's squared distances marked as such, of inputs about a common centre.

    Args:
        outputs: Expressions as PyMC builds them, not yet rewritten.

    Example:
        >>> import numpy as np, pymc as pm, pytensor.tensor as pt
        >>> X = pt.matrix("X", shape=(None, 1))
        >>> (kernel,) = expand_distances(mark_distances([pm.gp.cov.ExpQuad(1, ls=0.5)(X)]), exact=True)
        >>> float(kernel.eval({X: np.array([[2000.0], [2000.5]])})[0, 1].round(12)), float(np.exp(-0.5).round(12))
        (0.606530659713, 0.606530659713)
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    MergeOptimizer().rewrite(fgraph)  # so that both sides are scaled by one variable
    for node in fgraph.toposort():
        operands = _operands(node.outputs[0])
        if operands is not None:
            distance = SquareDistance()(*_centred(*operands))
            fgraph.replace(node.outputs[0], distance, reason="mark_distances", import_missing=True)
    return list(fgraph.outputs)


def expand_distances(outputs: Sequence[Variable], *, exact: bool, within: bool = True) -> list[Variable]:
    """Return ``outputs`` with marked distances written out.

    Args:
        outputs: Expressions with distances as :func:`mark_distances` leaves them.
        exact: Whether to compute them from differences, so that second derivatives are right; else from a matrix product.
        within: Whether to compute those between points of one set from differences in any case: new points have no common
            centre that data say, and one far away would cost the others their digits.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if isinstance(node.op, SquareDistance):
            by_differences = exact or (within and node.inputs[0] is node.inputs[1])
            distance = (_from_differences if by_differences else _from_product)(*node.inputs)
            fgraph.replace(node.outputs[0], distance, reason="expand_distances", import_missing=True)
    return list(fgraph.outputs)


def _centred(A: TensorVariable, B: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
    """Return ``(X - c) w, (Z - c) w`` for ``A = X w, B = Z w``, with ``c`` the mean of ``X``; without ``w`` where there is none.

    The distance does not depend on ``c``, so neither do its derivatives. PyMC's gps name training inputs first, so that ``c`` is
    data where the others are new.
    """
    (X, *w), (Z, *w_B) = (elemwise_inputs(side, "mul") or [side] for side in (A, B))
    if len(w) != 1 or w != w_B or X.type.ndim != 2:
        X, Z, w = A, B, []
    centre = disconnected_grad(X.sum(axis=0, keepdims=True) / pt.maximum(X.shape[0], 1))  # of no rows: zero
    first, second = (reduce(mul, [side - centre, *w]) for side in (X, Z))
    return (first, first) if X is Z else (first, second)


def _from_product(A: TensorVariable, B: TensorVariable) -> TensorVariable:
    """Return ``r²`` as PyMC does, which is right where inputs are centred."""
    squares = pt.square(A).sum(1)[:, None] + pt.square(B).sum(1)[None, :]
    return pt.clip(-2.0 * (A @ B.mT) + squares, 0.0, np.inf)  # Numba's maximum takes twice the time of its clip


def _from_differences(A: TensorVariable, B: TensorVariable) -> TensorVariable:
    """Return ``r²`` between the rows of ``A``, ``n x d``, and ``B``, ``m x d``, in ``n x m`` memory where ``d`` is known."""
    (d,) = constant_fold([A.shape[1]], raise_not_constant=False)
    if isinstance(d, Variable):
        return pt.square(A[:, None, :] - B[None, :, :]).sum(2)
    return reduce(add, [pt.square(A[:, j][:, None] - B[:, j][None, :]) for j in range(int(d))])


def _operands(variable: Variable) -> tuple[TensorVariable, TensorVariable] | None:
    """Return ``A, B`` when ``variable`` is ``clip(-2 A Bᵀ + (|A|² + |B|²), 0, inf)``, as PyMC writes it."""
    clipped = elemwise_inputs(variable, "clip")
    if clipped is None or not (is_number(clipped[1], 0.0) and is_number(clipped[2], np.inf)):
        return None
    terms = elemwise_inputs(clipped[0], "add")
    if terms is None or len(terms) != 2:
        return None
    product, squares = elemwise_inputs(terms[0], "mul"), elemwise_inputs(terms[1], "add")
    if product is None or squares is None or len(product) != 2 or len(squares) != 2 or not is_number(product[0], -2.0):
        return None
    dot = product[1].owner
    if dot is None or not isinstance(dot.op, Dot):
        return None
    A, B = dot.inputs[0], untransposed(dot.inputs[1])
    return (A, B) if B is not None and _squared(squares[0]) is A and _squared(squares[1]) is B else None


def _squared(variable: Variable) -> Variable | None:
    """Return ``A`` when ``variable`` is ``sum(A², axis=1)``, reshaped."""
    node = variable.owner
    while node is not None and isinstance(node.op, Reshape | DimShuffle):
        node = node.inputs[0].owner
    if node is None or not isinstance(node.op, Sum):
        return None
    square = elemwise_inputs(node.inputs[0], "sqr")
    return None if square is None else square[0]
