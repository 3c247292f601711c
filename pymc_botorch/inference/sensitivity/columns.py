"""Data and new inputs, side by side in one vector of derivatives."""

__all__ = ["Columns", "columns_of"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pymc_botorch.inference.sensitivity.derivatives import Derivatives


@dataclass(frozen=True, eq=False)
class Columns:
    """Positions in a vector of derivatives, and the way to it from derivatives in what a gp sees.

    Attributes:
        names: Names of the data.
        shapes: Their shapes.
        new: Shapes of new inputs, which come after the data.
        X_name: The name that is the training inputs, or None.
        jacobian: Derivatives of what the gp sees, data and new inputs, in these data and new inputs; None where both are the
            same.
    """

    names: Sequence[str]
    shapes: Sequence[tuple[int, ...]]
    new: Sequence[tuple[int, ...]]
    X_name: str | None
    jacobian: np.ndarray | None = None

    def pulled(self, series: np.ndarray) -> np.ndarray:
        """Return derivatives ``S x K`` in these data, given those in what the gp sees; some of the last may be left out."""
        return series if self.jacobian is None else series @ self.jacobian[: series.shape[1]]

    def by_name(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of a vector that belong to data, by name."""
        return dict(zip(self.names, self._parts(values), strict=False))

    def of_new(self, values: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the parts of a vector that belong to new inputs."""
        return tuple(self._parts(values)[len(self.names) :])

    def translation(self, values: np.ndarray) -> float | None:
        """Return the derivative in the direction that moves all inputs alike, over the sum of its parts' sizes."""
        if self.X_name is None:
            return None
        every = np.concatenate([self.by_name(values)[self.X_name], *self.of_new(values)])
        return _cancellation(every.sum(0), np.abs(every).sum(0))

    def translation_of_scores(self, scores: np.ndarray) -> float | None:
        """Return the same of scores ``S x K``, the largest of all draws."""
        if self.X_name is None:
            return None
        i = self.names.index(self.X_name)
        every = scores[:, self._ends[i] : self._ends[i + 1]].reshape(len(scores), *self.shapes[i])
        return _cancellation(every.sum(1), np.abs(every).sum(1))

    @property
    def _ends(self) -> list[int]:
        return np.cumsum([0, *(int(np.prod(shape)) for shape in (*self.shapes, *self.new))]).tolist()

    def _parts(self, values: np.ndarray) -> list[np.ndarray]:
        ends = self._ends
        return [
            values[start:end].reshape(shape)
            for start, end, shape in zip(ends, ends[1:], (*self.shapes, *self.new), strict=False)
            if end <= len(values)
        ]


def columns_of(derivatives: Derivatives) -> Columns:
    """Return the data that derivatives were asked for in, and the new inputs of the quantity."""
    shapes = [derivatives.values[name].shape for name in derivatives.wrt]
    return Columns(derivatives.wrt, shapes, [X.shape for X in derivatives.new_inputs], derivatives.X_name)


def _cancellation(total: np.ndarray, size: np.ndarray) -> float:
    return float(np.max(np.abs(total) / np.where(size > 0, size, 1.0), initial=0.0))
