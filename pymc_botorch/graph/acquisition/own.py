"""A user's acquisition function, written in PyTensor, as a build: value and gradient at points in one compiled function."""

__all__ = ["OwnFormula", "own_formula", "own_score"]

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.acquisition.scores import Formula, in_units
from pymc_botorch.graph.compiling.description import Description
from pymc_botorch.graph.compiling.functions import Build, Compilable
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.graph.posterior.pointwise import point_variances
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps


@dataclass(frozen=True)
class OwnFormula:
    """A user's formula as an expression of symbols; formulas with the same expression are equal.

    Attributes:
        digest: Of the expression.
        symbols: Mean and sd, ``N`` each, points ``N x d``, then parameters.
        value: ``N``.
    """

    digest: str
    symbols: Sequence[TensorVariable] = field(compare=False)
    value: TensorVariable = field(compare=False)


def own_formula(formula: Formula, columns: int, parameters: Mapping[str, int]) -> OwnFormula:
    """Return a user's formula as an expression.

    Args:
        formula: Of mean, sd and points, and of parameters by name.
        columns: Number of columns of points.
        parameters: Their numbers of dimensions.

    Raises:
        DataError: If it returns no vector of float64, or one of other symbols.
    """
    mean, sd = pt.vector("mean", dtype="float64"), pt.vector("sd", dtype="float64")
    X = pt.matrix("X", dtype="float64", shape=(None, columns))
    given = {name: pt.tensor(name, dtype="float64", shape=(None,) * ndim) for name, ndim in parameters.items()}
    value = formula(mean, sd, X, **given)
    if not isinstance(value, TensorVariable) or value.type.ndim != 1 or value.type.dtype != "float64":
        kind = str(value.type) if isinstance(value, TensorVariable) else f"a {type(value).__name__}"
        raise DataError(
            f"The formula returned {kind}. Return a PyTensor vector of float64, with a value for each point, of its mean, sd and "
            "points, such as mean - 0.1 * X[:, 0]."
        )
    symbols = [mean, sd, X, *given.values()]
    others = [v for v in ancestors([value]) if v.owner is None and v not in symbols and not isinstance(v, Constant)]
    if others:
        names = ", ".join(sorted(str(v) for v in others))
        raise DataError(f"The formula contains {names}, which it was not given. Pass it as a parameter.")
    description = Description("own formula")
    description.add_graph(symbols, [value])
    digest = description.digest if description.is_complete else f"<{uuid4().hex}>"  # equal to no other
    return OwnFormula(digest, symbols, value)


@functools.lru_cache(maxsize=256)
def own_score(formula: OwnFormula, *, has_raw: bool, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of a user's acquisition function.

    Args:
        formula: The formula.
        has_raw: Whether its points are others than the inputs of the gp, which a transform makes of them.
        with_gradient: Whether to compute the gradient.

    Returns:
        Build of ``X, *raw, offset, scale, floor, *parameters, *frozen -> value, gradient``: ``N x d`` to ``N`` and ``N x d``, the
        columns of raw points after those of ``X``. Mean and sd are those of ``offset + scale f``, its variance no smaller than
        ``floor``.
    """

    def build(cut: CutPosterior) -> Compilable:
        cut = cut.expanded(exact=False)
        units, mean, sd = in_units(cut.mean, point_variances(cut.cov, cut.X))
        mean_symbol, sd_symbol, points, *parameters = formula.symbols
        replaced = {mean_symbol: mean, sd_symbol: sd} | ({} if has_raw else {points: cut.X})
        value = graph_replace(formula.value, replaced, strict=False)
        inputs = [cut.X, points] if has_raw else [cut.X]
        outputs: list[Variable] = [value]
        if with_gradient:
            gradients = pt.grad(value.sum(), inputs, return_disconnected="zero", disconnected_inputs="ignore")
            outputs.append(pt.concatenate(gradients, axis=1))
        return [*inputs, *units, *parameters, *cut.frozen], without_zero_steps(outputs)

    build.__module__ = __name__
    build.__qualname__ = f"own_score({formula.digest}, {has_raw}, {with_gradient})"
    return build
