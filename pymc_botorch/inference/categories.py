"""Columns of inputs that a gp uses as indices of categories."""

__all__ = ["categories", "index_columns_of"]

from typing import Any

import numpy as np

from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import as_input
from pymc_botorch.graph.posterior.conditioned import compiled_posterior
from pymc_botorch.graph.posterior.cut import CutPosterior, subscripts_of_data
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.training_data import TrainingData


def categories(fitted: FittedGP, functions: CompiledGraph[CutPosterior]) -> dict[int, int]:
    """Return the columns whose training values, cut off to whole numbers, are a subscript somewhere in the gp or its noise.

    Returns:
        How many categories the gp has, by column.
    """
    if not functions.subject.data_subscripts:
        return {}
    count = len(functions.subject.data_subscripts)

    def read(X: np.ndarray) -> list[np.ndarray]:
        data = {name: X if fitted.roles.get(name) == "X" else value for name, value in fitted.data.items()}
        values: list[Any] = [*data.values(), *(draws[0, ...] for draws in fitted.draws.values())]
        inputs = (as_input(np.asarray(v), s.type.dtype) for v, s in zip(values, functions.subject.inputs, strict=True))
        return [subscript.ravel() for subscript in functions(subscripts_of_data, *inputs)]

    X, found = fitted.X, {}
    as_they_are = read(X)
    for j in range(X.shape[1]):
        moved = X.copy()
        moved[:, j] = np.where(np.trunc(X[:, j]) == 0, 1.0, 0.0)
        pairs = enumerate(zip(as_they_are[:count], read(moved)[:count], strict=True))
        own = [k for k, (a, b) in pairs if np.array_equal(a, np.trunc(X[:, j])) and np.array_equal(b, moved[:, j])]
        if own:
            found[j] = min(int(as_they_are[count + k].item()) for k in own)
    return found


def index_columns_of(built: BuiltGP, data: TrainingData) -> frozenset[int]:
    """Return the columns in :func:`categories` of what a builder has built, before there is a fit."""
    functions = compiled_posterior(built.function.graph, built.function.tier)
    if not functions.subject.data_subscripts:
        return frozenset()
    values = built.objective_values(data)
    point = built.scales.constrained(built.scales.support_point(values), values)
    fitted, _ = built.given(data, {name: value[None] for name, value in point.items()}, 1)
    return frozenset(categories(fitted, functions))
