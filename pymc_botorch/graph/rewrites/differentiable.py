"""PyMC's kernels with exact first and second derivatives, and without the terms that only differentiation needs."""

__all__ = ["differentiable", "differentiable_with_random", "once_differentiable", "with_marked_distances", "without_zero_steps"]

import math
from collections.abc import Sequence
from functools import reduce
from operator import mul

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.gradient import DisconnectedGrad
from pytensor.graph.basic import Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Prod
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances
from pymc_botorch.graph.rewrites.matching import elemwise_inputs
from pymc_botorch.graph.rewrites.materns import differentiable_materns

MAX_FACTORS = 64
"""Number of factors up to which a product along an axis is written out."""


def with_marked_distances(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return PyMC's expressions with distances marked, to be expanded as their use asks for, and Matern kernels as polynomials.

    Values change by rounding only. All of a posterior's have to be written so: with training inputs left as they are, the
    covariance of gradients is indefinite far from the origin.
    """
    return differentiable_materns(mark_distances(outputs))


def differentiable(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return PyMC's expressions, written so that two derivatives are right everywhere."""
    return expand_distances(with_marked_distances(_without_products(outputs)), exact=True)


def differentiable_with_random(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return expressions of random variables written so, and of these themselves: a copy would be another random variable."""
    kinds = RandomVariable | SymbolicRandomVariable
    found = (v for v in ancestors(outputs) if v.owner is not None and isinstance(v.owner.op, kinds))
    random = {v: v.type(v.name) for v in found if isinstance(v, TensorVariable)}
    written = differentiable(graph_replace(outputs, random, strict=False) if random else outputs)
    back = {leaf: v for v, leaf in random.items()}
    return graph_replace(written, back, strict=False) if back else written


def once_differentiable(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return PyMC's expressions, written so that values and first derivatives are right, at the cost of matrix products."""
    return expand_distances(with_marked_distances(outputs), exact=False, within=False)


def without_zero_steps(outputs: Sequence[Variable]) -> list[Variable]:
    """Return ``outputs``, which are differentiated no further, without the terms that only their derivatives need.

    A Matern kernel is written as a Taylor polynomial in a step that is zero (:mod:`pymc_botorch.graph.rewrites.materns`): terms
    that still contain the step after differentiation are zero.
    """
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    zeros: set[Variable] = set()
    for node in fgraph.toposort():
        (found, *_) = node.outputs
        if _is_zero(found, zeros):
            zeros.add(found)
        elif (terms := elemwise_inputs(found, "add")) is not None and (kept := [t for t in terms if t not in zeros]) != terms:
            total = kept[0] if len(kept) == 1 else pt.add(*kept)
            if total.type == found.type:  # a term may be needed for its shape
                fgraph.replace(found, total, reason="without_zero_steps", import_missing=True)
    for node in fgraph.toposort():
        if isinstance(node.op, DisconnectedGrad):  # of no use any more, and a call for each batch
            fgraph.replace(node.outputs[0], node.inputs[0], reason="without_zero_steps")
    return list(fgraph.outputs)


def _without_products(outputs: Sequence[TensorVariable]) -> list[TensorVariable]:
    """Return ``outputs`` with products along axes of known length written as factors: PyTensor differentiates ``prod`` once."""
    fgraph = FunctionGraph(outputs=list(outputs), copy_inputs=False, copy_orphans=False)
    for node in fgraph.toposort():
        if not isinstance(node.op, Prod):
            continue
        (factors,), axes = node.inputs, node.op.axis
        axes = tuple(range(factors.type.ndim)) if axes is None else axes
        lengths = [factors.type.shape[axis] for axis in axes]
        if None in lengths or math.prod(lengths) > MAX_FACTORS:
            continue
        moved = pt.moveaxis(factors, axes, range(len(axes)))
        parts = [moved[index] for index in np.ndindex(*lengths)] or [pt.ones_like(node.outputs[0])]
        product = reduce(mul, parts).astype(node.outputs[0].type.dtype)
        fgraph.replace(node.outputs[0], product, reason="without_products", import_missing=True)
    return list(fgraph.outputs)


def _is_zero(variable: Variable, zeros: set[Variable]) -> bool:
    """Return whether an expression is a zero step, or a product, sum, square or view of ``zeros``."""
    if (difference := elemwise_inputs(variable, "sub")) is not None:
        whole, part = difference
        return part.owner is not None and isinstance(part.owner.op, DisconnectedGrad) and part.owner.inputs[0] is whole
    if (factors := elemwise_inputs(variable, "mul")) is not None:
        return not zeros.isdisjoint(factors)
    if (terms := elemwise_inputs(variable, "add")) is not None:
        return zeros.issuperset(terms)
    parts = elemwise_inputs(variable, "sqr")
    if parts is None and variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
        parts = variable.owner.inputs
    return parts is not None and parts[0] in zeros
