"""Matern 5/2 and 3/2 kernels of PyMC, with first and second derivatives by formula.

PyMC writes them as functions of ``r = sqrt(r² + 1e-12)``. Where points coincide, differentiation then divides differences of
nearly equal numbers by ``r``: the slope variance under Matern 5/2 is right to ten digits, under Matern 3/2 to five. With
``s = r²`` the derivatives are known and finite::

    Matern 5/2:  k = (1 + √5 r + 5/3 s) e^(-√5 r),   k' = -5/6 (1 + √5 r) e^(-√5 r),   k'' = 25/12 e^(-√5 r)
    Matern 3/2:  k = (1 + √3 r) e^(-√3 r),           k' = -3/2 e^(-√3 r),              k'' = √27/4 e^(-√3 r) / r

(``k''`` of the latter is multiplied by ``∂s/∂a ∂s/∂b``, which is zero where ``r`` is.)
"""

__all__ = ["differentiable_materns"]

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor import config
from pytensor.gradient import disconnected_grad
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.variable import TensorVariable


def differentiable_materns(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with Matern 5/2 and 3/2 kernels written so that two derivatives are exact (a third is not).

    Args:
        outputs: Expressions as PyMC builds them, not yet rewritten.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        for template, kernel in templates(config.floatX):
            s = _match(template, node.outputs[0])
            if s is not None:
                fgraph.replace(node.outputs[0], kernel(s), reason="differentiable_materns", import_missing=True)
    return list(fgraph.outputs)


def _matern52(s: TensorVariable) -> TensorVariable:
    s_, r = _roots(s)
    decay = pt.exp(-np.sqrt(5.0) * r)
    linear = 1.0 + np.sqrt(5.0) * r
    return _with_derivatives(s, (linear + 5.0 / 3.0 * s_) * decay, -5.0 / 6.0 * linear * decay, 25.0 / 12.0 * decay)


def _matern32(s: TensorVariable) -> TensorVariable:
    _, r = _roots(s)
    decay = pt.exp(-np.sqrt(3.0) * r)
    second = np.sqrt(27.0) / 4.0 * decay / pt.maximum(r, 1e-150)
    return _with_derivatives(s, (1.0 + np.sqrt(3.0) * r) * decay, -1.5 * decay, second)


def _roots(s: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
    """Return ``s`` and its root as constants to differentiation."""
    s_ = disconnected_grad(s)
    return s_, pt.sqrt(s_)


def _with_derivatives(s: TensorVariable, k: TensorVariable, first: TensorVariable, second: TensorVariable) -> TensorVariable:
    """Return ``k`` with these derivatives: its Taylor polynomial about ``s``, at ``s``."""
    step = s - disconnected_grad(s)  # zero, with slope one
    return k + first * step + 0.5 * second * pt.square(step)


def _match(template: Variable, variable: Variable) -> Variable | None:
    """Return what stands for the free variable of ``template`` in ``variable``, if they are otherwise the same expression."""
    found: dict[Variable, Variable] = {}

    def same(left: Variable, right: Variable) -> bool:
        if left in found:
            return found[left] is right
        if isinstance(left, Constant):
            return isinstance(right, Constant) and left.type == right.type and bool(np.all(left.data == right.data))
        if left.owner is not None:
            if right.owner is None or left.owner.op != right.owner.op or len(left.owner.inputs) != len(right.owner.inputs):
                return False
            if not all(map(same, left.owner.inputs, right.owner.inputs)):
                return False
        elif right.type.ndim != left.type.ndim:
            return False
        found[left] = right
        return True

    if not same(template, variable):
        return None
    return next(right for left, right in found.items() if left.owner is None)


_KERNELS: Mapping[type[pm.gp.cov.Stationary], Callable[[TensorVariable], TensorVariable]] = {
    pm.gp.cov.Matern52: _matern52,
    pm.gp.cov.Matern32: _matern32,
}


@cache
def templates(floatX: str) -> list[tuple[Variable, Callable[[TensorVariable], TensorVariable]]]:  # its name
    """Return PyMC's expressions of ``s`` under a ``pytensor.config.floatX``, each with the function that replaces it."""
    return [
        (kind(1, ls=1.0).full_from_distance(pt.matrix("s", dtype="float64"), squared=True), kernel)
        for kind, kernel in _KERNELS.items()
    ]
