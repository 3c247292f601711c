"""Acquisition functions of a cut posterior, as builds: value and gradient at batches of points in one compiled function.

A batch's value depends on its own points only, so that one reverse pass through the sum of all values yields every gradient. What
an acquisition function is told (incumbent, trade-off, base samples) are inputs: other values compile nothing.
"""

__all__ = [
    "Formula",
    "in_units",
    "joint_score",
    "named",
    "over_batches",
    "point_score",
    "sampled_point_score",
    "sampling_symbols",
    "unit_symbols",
]

import functools
from collections.abc import Callable, Sequence

import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.compiling.functions import Build, Compilable
from pymc_botorch.graph.compiling.ops import factor
from pymc_botorch.graph.posterior.cut import CutPosterior, batched
from pymc_botorch.graph.posterior.pointwise import point_gradients, point_variances
from pymc_botorch.graph.rewrites.cost import fold_batches
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs

type Formula = Callable[..., TensorVariable]
"""An acquisition function of mean, standard deviation and what else it is given."""


@functools.cache
def point_score(formula: Formula, parameters: int, *, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of an acquisition function of mean and standard deviation.

    Args:
        formula: Of mean, standard deviation and ``parameters`` numbers.
        parameters: How many these are.
        with_gradient: Whether to compute the gradient.

    Returns:
        Build of ``X, offset, scale, floor, *parameters, *frozen -> value, gradient``: ``N x d`` to ``N`` and ``N x d``. Mean and
        sd are those of ``offset + scale f``, its variance no smaller than ``floor``.
    """

    def build(cut: CutPosterior) -> Compilable:
        cut = cut.expanded(exact=False)
        units, mean, sd = in_units(cut.mean, point_variances(cut.cov, cut.X))
        symbols = _numbers(parameters)
        value = formula(mean, sd, *symbols)
        outputs = [value, point_gradients(value, cut.X)] if with_gradient else [value]
        return [cut.X, *units, *symbols, *cut.frozen], without_zero_steps(outputs)

    return named(build, "point_score", formula, with_gradient=with_gradient)


@functools.cache
def sampled_point_score(formula: SamplesFormula, *, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of an acquisition function of samples at single points, whose root is the standard deviation.

    Args:
        formula: Of samples.
        with_gradient: Whether to compute the gradient.

    Returns:
        Build of ``X, offset, scale, floor, z, best, *parameters, *frozen -> value, gradient``: ``N x d``, base samples ``1 x s``
        and ``s`` incumbents to ``N`` and ``N x d``.
    """

    def build(cut: CutPosterior) -> Compilable:
        cut = cut.expanded(exact=False)
        units, mean, sd = in_units(cut.mean, point_variances(cut.cov, cut.X))
        z, best, symbols = sampling_symbols(formula)
        utility = formula.utility(mean[:, None] + sd[:, None] * z[0], best, *symbols)
        value = formula.over_samples(utility)
        outputs = [value, point_gradients(value, cut.X)] if with_gradient else [value]
        return [cut.X, *units, z, best, *symbols, *cut.frozen], without_zero_steps(outputs)

    return named(build, "sampled_point_score", formula.utility, with_gradient=with_gradient)


@functools.cache
def joint_score(formula: SamplesFormula) -> Build[CutPosterior]:
    """Return the build of an acquisition function of joint samples at the points of each batch.

    It always has the gradient: a second function without costs more to compile than it saves.

    Args:
        formula: Of samples.

    Returns:
        Build of ``X, offset, scale, floor, z, best, *parameters, *frozen -> value, gradient``: ``b x q x d``, base samples ``q x
        s`` and ``s`` incumbents to ``b`` and ``b x q x d``. NaN where a covariance has no Cholesky factor.
    """

    def build(cut: CutPosterior) -> Compilable:
        cut = cut.expanded(exact=False)
        units, (offset, scale, _) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        samples = offset + scale * cut.mean[:, None] + pt.abs(scale) * (factor(cut.cov) @ z)
        value = formula.over_samples(formula.over_points(formula.utility(samples, best, *symbols), *symbols))
        outputs = [value, pt.grad(value, cut.X, return_disconnected="zero", disconnected_inputs="ignore")]
        batch = batched([cut.X])
        return [batch[cut.X], *units, z, best, *symbols, *cut.frozen], over_batches(outputs, batch)

    return named(build, "joint_score", formula.utility, is_large=True)


def named(
    build: Build[CutPosterior], kind: str, formula: Formula, *, with_gradient: bool = True, is_large: bool = False
) -> Build[CutPosterior]:
    """Return a build with a name that says what decides it, as the index on disk takes it by its name."""
    vars(build)["is_large"] = is_large
    build.__module__ = formula.__module__
    build.__qualname__ = f"{kind}({formula.__qualname__}, {with_gradient})"
    return build


def over_batches(outputs: Sequence[Variable], batch: dict[Variable, Variable]) -> list[Variable]:
    """Return the expressions of one batch as those of many, given the variable that stands for many of each of its inputs."""
    plain = inline_inner_graphs(without_zero_steps(outputs), all_kinds=True)  # which would be functions for each batch
    return fold_batches(vectorize_graph(plain, batch))


def unit_symbols() -> tuple[list[Variable], tuple[TensorVariable, TensorVariable, TensorVariable]]:
    """Return symbols of offset, scale and smallest variance, as a list and one by one."""
    offset, scale, floor = (pt.scalar(name, dtype="float64") for name in ("offset", "scale", "floor"))
    return [offset, scale, floor], (offset, scale, floor)


def in_units(mean: TensorVariable, variance: TensorVariable) -> tuple[list[Variable], TensorVariable, TensorVariable]:
    """Return the symbols of the units, and mean and sd in these."""
    units, (offset, scale, floor) = unit_symbols()
    return units, offset + scale * mean, pt.sqrt(pt.maximum(pt.square(scale) * variance, floor))


def sampling_symbols(formula: SamplesFormula) -> tuple[TensorVariable, TensorVariable, list[TensorVariable]]:
    """Return symbols of base samples, incumbents and a formula's parameters."""
    vectors = [pt.vector(f"vector_{i}", dtype="float64") for i in range(formula.vectors)]
    parameters = [*_numbers(formula.parameters), *vectors]
    return pt.matrix("z", dtype="float64"), pt.vector("best", dtype="float64"), parameters


def _numbers(count: int) -> list[TensorVariable]:
    return [pt.scalar(f"parameter_{i}", dtype="float64") for i in range(count)]
