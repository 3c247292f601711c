"""Points that a figure is drawn at: a column or two over their bounds, the others held at values."""

__all__ = ["At", "Bounds", "Column", "Columns", "read_columns", "shown"]

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.plotting.checks import check_model, numbers_of
from pymc_botorch.models.plotting.summaries import one_data_set
from pymc_botorch.models.state import State, TrainingTensors
from pymc_botorch.models.tensors import ArrayLike, as_tensor

type Column = int | str
type At = Mapping[Column, float] | ArrayLike | None
type Bounds = ArrayLike | None

MARGIN = 0.05
"""Share of the range of the training inputs that is added on both sides, where no bounds are given."""
FAINTEST = 0.15
"""Opacity of observations that are far off in their other columns."""
NEAR = 0.25
"""Share of the range of a column that is one sd of how opacity falls."""
MOST_NAMED = 4
"""Number of columns that are held at values, up to which a title has all of them."""


@dataclass(frozen=True)
class Columns:
    """Columns that vary, and where the others are.

    Attributes:
        names: Names of all columns, ``d``.
        varied: Positions of those that vary.
        ends: Their lower and upper ends, ``2 x`` their number.
        at: A value for each column, ``d``.
        categories: Values of each column that is an index of categories: those that the gp has.
    """

    names: tuple[str, ...]
    varied: tuple[int, ...]
    ends: Tensor
    at: Tensor
    categories: Mapping[int, Tensor]

    def points(self, *values: Tensor) -> Tensor:
        """Return points ``n x d`` with these values ``n`` of the columns that vary."""
        X = self.at.repeat(len(values[0]), 1)
        for j, value in zip(self.varied, values, strict=True):
            X[:, j] = value
        return X

    def line(self, num_points: int, k: int = 0) -> Tensor:
        """Return evenly spaced values of a column that varies."""
        low, high = self.ends[:, k].tolist()
        return torch.linspace(low, high, num_points, dtype=torch.float64)

    def opacity(self, X: Tensor) -> Tensor:
        """Return how opaque each row of ``X`` is drawn, ``n``: one, and less the further its other columns are from ``at``."""
        others = [j for j in range(len(self.names)) if j not in self.varied]
        span = (X.amax(0) - X.amin(0))[others]
        off = (X[:, others] - self.at[others]) / torch.where(span > 0, span, 1.0)
        return FAINTEST + (1 - FAINTEST) * torch.exp(-0.5 * (off / NEAR).square().sum(-1) / max(len(others), 1))

    @property
    def held(self) -> str:
        """Where the other columns are, in words."""
        others = [j for j in range(len(self.names)) if j not in self.varied]
        named = [f"{self.names[j]} = {float(self.at[j]):.3g}" for j in others[:MOST_NAMED]]
        return ", ".join(named + ["..."] * (len(others) > MOST_NAMED))


def read_columns(model: Any, columns: Sequence[Column], bounds: Bounds, at: At, also: Tensor | None = None) -> Columns:
    """Return what a figure varies, checked before anything is computed.

    Args:
        model: The model.
        columns: Names or positions of what varies.
        bounds: As figures take them.
        at: As figures take them.
        also: Further points that a figure without bounds has to cover, ``q x d``.

    Raises:
        TypeError: If the model is none of ours.
        InputDataError: If a column is not there or comes twice, or bounds or values do not fit the model's inputs.
        UnsupportedError: If the model has batches of observations.
    """
    check_model(model, AbstractPyMCGP)
    names: tuple[str, ...] = model.column_names
    varied = tuple(_position(column, names) for column in columns)
    if len(set(varied)) < len(varied):
        raise InvalidDataError(f"columns are {tuple(columns)}. Pass {len(varied)} different ones.")
    training = one_data_set(model.state)
    if training is None:
        raise UnsupportedModelError("The model has batches of observations, as fantasies have. Pass one that has none.")
    X, categories = training.raw_X, _categories(model.state, training)
    covered = X if also is None else torch.cat([X, also])
    at_values = _values(model, at, X, names, varied)
    for j in categories:
        if j not in varied and at_values[j] not in categories[j]:
            raise InvalidDataError(
                f"at has {float(at_values[j]):g} for {names[j]}, which the gp takes as an index of categories. Pass one of "
                f"{shown(categories[j])}."
            )
    return Columns(names, varied, _ends(model, bounds, covered, varied, categories), at_values, categories)


def shown(categories: Tensor) -> str:
    """Return categories in words."""
    return ", ".join(f"{value:g}" for value in categories.tolist())


def _categories(state: State, training: TrainingTensors) -> dict[int, Tensor]:
    """Return the categories of each raw input that is an index: all that the gp has, observed or not."""
    raw_X, inputs = training.raw_X, training.inputs
    if inputs.shape != raw_X.shape:
        return {}
    found = {}
    for j, count in replace(state, process=state.fitted_process).categories.items():
        as_they_are = torch.equal(raw_X[:, j], inputs[:, j]) and torch.equal(raw_X[:, j], raw_X[:, j].trunc())
        found[j] = torch.arange(count, dtype=torch.float64) if as_they_are else raw_X[:, j].unique()
    return found


def _position(column: Any, names: Sequence[str]) -> int:
    if isinstance(column, str):
        if column in names:
            return list(names).index(column)
        close = difflib.get_close_matches(column, names, n=1)
        raise InvalidDataError(
            f"There is no column {column!r}. {f'Did you mean {close[0]!r}?' if close else f'Pass one of {", ".join(names)}.'}"
        )
    if isinstance(column, bool) or not isinstance(column, Integral) or not -len(names) <= int(column) < len(names):
        raise InvalidDataError(
            f"column is {column!r}. Pass one of {', '.join(names)}, or its position from 0 to {len(names) - 1}."
        )
    return int(column) % len(names)


def _ends(model: Any, bounds: Bounds, X: Tensor, varied: Sequence[int], categories: Mapping[int, Tensor]) -> Tensor:
    """Return lower and upper ends of the columns that vary."""
    d = X.shape[-1]
    if bounds is None:
        low, high = X.amin(0), X.amax(0)
        margin = torch.where(high > low, MARGIN * (high - low), 0.5)
        for j, values in categories.items():
            low[j], high[j], margin[j] = values.min(), values.max(), 0.0
        return torch.stack([low - margin, high + margin])[:, list(varied)]
    is_pair = getattr(bounds, "ndim", 2) == 1  # of which a series has names that are none of columns
    ends = numbers_of(model, "bounds", as_tensor("bounds", bounds) if is_pair else bounds)
    order = f"2 x {d} bounds of all inputs, first all lower ends, then all upper ends"
    if ends.shape == (2,) and len(varied) == 1:
        ends, order = ends[:, None], "two finite ends, the lower first"
    elif ends.shape != (2, d):
        pair = ", or two ends of the column" if len(varied) == 1 else ""
        raise InvalidDataError(f"bounds have shape {tuple(ends.shape)}. Pass {order}{pair}; or None.")
    if not (ends.isfinite().all() and (ends[0] < ends[1]).all()):
        raise InvalidDataError(f"bounds are {ends.squeeze(-1).tolist()}. Pass {order}.")
    return ends if ends.shape[1] == len(varied) == 1 else ends[:, list(varied)]


def _values(model: Any, at: At, X: Tensor, names: Sequence[str], varied: Sequence[int]) -> Tensor:
    """Return a value for each column."""
    every = f"a value for each of {', '.join(names)}, or some by name, {{{names[-1]!r}: ...}}"
    values = X.median(0).values  # of an even number the lower one, which is among the data
    if at is None:
        return values
    if isinstance(at, Mapping) or (hasattr(at, "items") and not hasattr(at, "columns")):  # a series of pandas
        by_column = {_position(column, names): value for column, value in at.items()}
        if len(by_column) < len(names) and (moved := [names[j] for j in varied if j in by_column]):
            raise InvalidDataError(f"at has a value for {moved[0]}, which varies. Leave it out.")
        for j, value in by_column.items():
            values[j] = _number(value, names[j])
        return values
    if not isinstance(at, list | tuple | np.ndarray | Tensor) and not hasattr(at, "to_numpy"):
        raise InvalidDataError(f"at is {at!r}. Pass {every}.")
    values = numbers_of(model, "at", at).clone()
    values = values.squeeze(0) if values.ndim == 2 else values
    if values.shape != (len(names),):
        raise InvalidDataError(f"at has shape {tuple(values.shape)}. Pass {every}.")
    if not values.isfinite().all():
        raise InvalidDataError(f"at is {values.tolist()}. Pass finite values.")
    return values


def _number(value: Any, name: str) -> float:
    """Return the value of a column as a number."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = np.nan
    if not np.isfinite(number):
        raise InvalidDataError(f"at has {value!r} for {name}. Pass a finite number.")
    return number
