"""Points that a figure is drawn at: a column or two over their bounds, the others held at values."""

__all__ = ["At", "Bounds", "Columns", "read_columns"]

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
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
        is_index: Whether each column is an index of categories, ``d``.
    """

    names: tuple[str, ...]
    varied: tuple[int, ...]
    ends: Tensor
    at: Tensor
    is_index: tuple[bool, ...]

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
    if not isinstance(model, AbstractPyMCGP):
        hint = " Pass one of its models." if hasattr(model, "models") else ""
        raise TypeError(f"model is a {type(model).__name__}.{hint or ' Pass a PyMCGP or a FullyBayesianPyMCGP.'}")
    names: tuple[str, ...] = model.column_names
    varied = tuple(_position(column, names) for column in columns)
    if len(set(varied)) < len(varied):
        raise InvalidDataError(f"columns are {tuple(columns)}. Pass {len(varied)} different ones.")
    state = model.state
    if len(state.process.batch_shape) > state.is_ensemble or state.training.raw_X.ndim > 2:
        raise UnsupportedModelError("The model has batches of observations, as fantasies have. Pass one that has none.")
    X = state.training.raw_X
    own = state.training.inputs.shape[-1] == len(names)
    is_index = tuple(own and j in state.index_columns for j in range(len(names)))
    if also is not None and (also.ndim != 2 or also.shape[-1] != len(names) or not also.isfinite().all()):
        raise InvalidDataError(f"next has shape {tuple(also.shape)} or is not finite. Pass q x {len(names)} points.")
    covered = X if also is None else torch.cat([X, also])
    return Columns(names, varied, _ends(bounds, covered, varied, is_index), _values(at, X, names), is_index)


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


def _ends(bounds: Bounds, X: Tensor, varied: Sequence[int], is_index: Sequence[bool]) -> Tensor:
    """Return lower and upper ends of the columns that vary."""
    d = X.shape[-1]
    if bounds is None:
        low, high = X.amin(0), X.amax(0)
        margin = torch.where(high > low, MARGIN * (high - low), 0.5)
        margin[list(is_index)] = 0.0
        return torch.stack([low - margin, high + margin])[:, list(varied)]
    ends = as_tensor("bounds", torch.tensor(bounds) if isinstance(bounds, list | tuple) else bounds).detach().to(torch.float64)
    if ends.shape == (2,) and len(varied) == 1:
        ends = ends[:, None]
    elif ends.shape == (2, d):
        ends = ends[:, list(varied)]
    else:
        pair = " or two ends of the column" if len(varied) == 1 else ""
        raise InvalidDataError(f"bounds have shape {tuple(ends.shape)}. Pass 2 x {d} bounds of all inputs{pair}, or None.")
    if not (ends.isfinite().all() and (ends[0] < ends[1]).all()):
        raise InvalidDataError(f"bounds are {ends.tolist()}. Pass finite ones, the lower first.")
    return ends


def _values(at: At, X: Tensor, names: Sequence[str]) -> Tensor:
    """Return a value for each column."""
    values = X.median(0).values  # of an even number the lower one, which is among the data
    if isinstance(at, Mapping):
        for column, value in at.items():
            values[_position(column, names)] = float(value)
    elif at is not None:
        values = as_tensor("at", torch.tensor(at) if isinstance(at, list | tuple) else at).detach().to(torch.float64).clone()
    if values.shape != (len(names),) or not values.isfinite().all():
        raise InvalidDataError(
            f"at has shape {tuple(values.shape)} or is not finite. Pass a value for each of {', '.join(names)}, or some by name."
        )
    return values
