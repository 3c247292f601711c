"""Acquisition functions of several independent outcomes, as functions of their posterior moments.

The moments themselves come from each outcome's own functions, and gradients with respect to them go back through these. No
number of outcomes, constraints, points, batches or samples is part of the graph, so that none compiles anything.
"""

__all__ = ["MomentsGraph", "as_it_is", "gradients", "moments_graph", "value"]

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg import solve_triangular
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition.constraints import weigh
from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.scores import sampling_symbols
from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.compiling.ops import Factor
from pymc_botorch.graph.compiling.structure import Graph


@dataclass(frozen=True)
class MomentsGraph(Graph):
    """An acquisition function as an expression of moments.

    Attributes:
        moments: Symbols of mean ``m x b x q`` and covariance ``m x b x q x q``; with a baseline of ``r`` points also of the
            covariance with it, ``m x b x r x q``.
        given: Symbols of what else it is given.
        value: ``b``.
    """

    moments: Sequence[TensorVariable]
    given: Sequence[Variable]
    value: TensorVariable

    @property
    def symbols(self) -> Sequence[Variable]:
        """Moments, and what else is given."""
        return [*self.moments, *self.given]

    @property
    def outputs(self) -> Sequence[Variable]:
        """The value."""
        return [self.value]


def as_it_is(graph: MomentsGraph) -> MomentsGraph:
    """Return the graph, which needs no preparation."""
    return graph


def value(graph: MomentsGraph) -> Compilable:
    """Build ``*moments, *given -> value``."""
    return graph.symbols, [graph.value]


def gradients(graph: MomentsGraph) -> Compilable:
    """Build ``*moments, *given -> value, *gradients`` with respect to the moments.

    A batch's value depends on its own moments only, so one reverse pass through the sum of all yields them.
    """
    return graph.symbols, [graph.value, *pt.grad(graph.value.sum(), list(graph.moments))]


@functools.cache
def moments_graph(formula: SamplesFormula, *, has_constraints: bool, has_baseline: bool) -> MomentsGraph:
    """Return an acquisition function of a linear objective of joint samples.

    It is given smallest variances ``m`` (heeded for single points), base samples ``m x (r + q) x s``, the objective's offset and
    weights ``m``, ``s`` incumbents and the formula's parameters; with constraints slopes ``k x m`` and intercepts ``k`` of their
    slacks, with a baseline roots ``m x r x r``. The value is NaN where a covariance has no Cholesky factor.

    Args:
        formula: Of samples.
        has_constraints: Whether there are any.
        has_baseline: Whether samples are joint with those at a baseline.
    """
    mean, cov = pt.tensor3("mean", dtype="float64"), pt.tensor4("cov", dtype="float64")
    moments, given = [mean, cov], [floor := pt.vector("floor", dtype="float64"), z := pt.tensor3("z", dtype="float64")]
    if has_baseline:
        moments.append(cross := pt.tensor4("cross", dtype="float64"))
        given.append(root := pt.tensor3("root", dtype="float64"))
        samples = _samples_beside(mean, cov, cross, root, floor, z)
    else:
        samples = mean[..., None] + _factor(cov, floor) @ z[:, None]
    _, best, parameters = sampling_symbols(formula)
    offset, weights = pt.scalar("offset", dtype="float64"), pt.vector("weights", dtype="float64")
    utility = formula.utility(offset + pt.tensordot(weights, samples, axes=1), best, *parameters)  # b x q x s
    given += [offset, weights, best, *parameters]
    if has_constraints:
        slopes, intercepts = pt.matrix("slopes", dtype="float64"), pt.vector("intercepts", dtype="float64")
        slack = intercepts[:, None, None, None] + pt.tensordot(slopes, samples, axes=1)  # k x b x q x s
        utility = weigh(formula, utility, slack)
        given += [slopes, intercepts]
    return MomentsGraph(moments, given, formula.over_samples(formula.over_points(utility, *parameters)))


def _samples_beside(
    mean: TensorVariable,
    cov: TensorVariable,
    cross: TensorVariable,
    root: TensorVariable,
    floor: TensorVariable,
    z: TensorVariable,
) -> TensorVariable:
    """Return samples ``m x b x q x s`` joint with those at a baseline, of whose covariance ``root`` is the factor."""
    m, b, r, q = (cross.shape[i] for i in range(4))
    columns = cross.dimshuffle(0, 2, 1, 3).reshape((m, r, b * q))  # of all batches, for one solve
    half = solve_triangular(root, columns, lower=True, b_ndim=2)  # m x r x bq
    shared = (half.mT @ z[:, :r]).reshape((m, b, q, z.shape[2]))
    half = half.reshape((m, r, b, q)).dimshuffle(0, 2, 1, 3)
    return mean[..., None] + shared + _factor(cov - half.mT @ half, floor) @ z[:, None, r:]


def _factor(cov: TensorVariable, floor: TensorVariable) -> TensorVariable:
    """Return Cholesky factors ``m x b x q x q``; a single point's variance is no smaller than ``floor``."""
    is_single = pt.eq(cov.shape[-1], 1)
    return Blockwise(Factor(lower=True))(pt.switch(is_single, pt.maximum(cov, floor[:, None, None, None]), cov))
