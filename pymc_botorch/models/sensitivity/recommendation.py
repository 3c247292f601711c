"""What each observation does to a recommendation: numbers, a table and a figure."""

__all__ = ["RecommendationInfluence"]

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_botorch.inference.axes import axes_of, new_axes
from pymc_botorch.inference.sensitivity.derivatives import ByData
from pymc_botorch.inference.table import grid
from pymc_botorch.models.errors import InvalidDataError
from pymc_botorch.models.sensitivity.rebuilding import Incumbent

FLAT = 1e4
"""Condition number above which the table says that a recommendation is flat."""


@dataclass(frozen=True, repr=False, eq=False)
class RecommendationInfluence:
    """How a recommendation moves with each observation, in raw units; it prints as a table.

    :func:`pymc_botorch.recommendation_influence` returns it, and has an example.

    It is local (of small changes), and holds the design of earlier rounds fixed: had an observation been another, later plots
    would have been chosen elsewhere, and that is not in it.

    Attributes:
        candidate: The recommendation, ``q x d``, found to rounding.
        value: The acquisition function there.
        gradient: Derivatives of the candidate by the name of the data: ``q x d x n`` for ``"y"`` and ``"sigma"``,
            ``q x d x n x d`` for ``"X"``. Hyperparameters and incumbent move along.
        free: Which entries of the candidate are free to move, ``q x d``: those at a bound and those that are held have derivative
            zero.
        curvature: Second derivatives of the acquisition function in the ``F`` free entries of the candidate, ``F x F``.
        condition: Their condition number in ranges of the inputs: large where the function is much flatter in some direction than
            in another, so that the recommendation moves far for little.
        incumbent: What candidates are compared with, and so how that moves: ``"observation"`` (the best outcome), ``"mean"`` (the
            best posterior mean at the training inputs), ``"fixed"`` (another number), ``"function"`` (whatever the function that
            was passed makes of the model), ``"none"``.
        incumbent_row: Row of the training data that the incumbent is, or None.
        fixed_parameters: Hyperparameters whose density has no maximum, which are held fixed.
        data: The raw data by the same names: ``n x d`` and ``n``.
    """

    candidate: np.ndarray
    value: float
    gradient: ByData
    free: np.ndarray
    curvature: np.ndarray
    condition: float
    incumbent: Incumbent
    incumbent_row: int | None
    fixed_parameters: tuple[str, ...]
    data: ByData

    @property
    def noise_sd(self) -> np.ndarray | None:
        """How far the noise of the observations alone moves the recommendation, to first order: an sd for each input, ``q x d``.

        The root of the sum of squares of derivatives in ``"y"`` times known sds; None where one of these is not known.
        """
        if "y" not in self.gradient or "sigma" not in self.data:
            return None
        return np.sqrt(np.square(self.gradient["y"] * self.data["sigma"]).sum(-1))

    def __repr__(self) -> str:
        """Return the table."""
        return self.table()

    def table(
        self,
        *,
        by: str = "y",
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        decimals: int = 3,
    ) -> str:
        """Return a table with a row for each observation: inputs, outcome, and what a unit of it does to the candidate.

        Args:
            by: ``"y"``, or ``"sigma"``, the known sd.
            names: Names of the ``d`` inputs.
            labels: Names of the ``n`` observations; None numbers them.
            decimals: Number of decimals.

        Raises:
            InputDataError: If there is no derivative in ``by``.
        """
        moves, X, values = self._moves(by), self.data["X"], self.data[by]
        names, labels = _named("x", names, X.shape[1]), _named("", labels, len(X))
        q = len(self.candidate)
        heads = [f"d {name}{'' if q == 1 else f'[{i}]'} / d {by}" for i in range(q) for name in names]
        rows = [
            [f"{labels[i]}{' *' if i == self.incumbent_row else ''}", *(f"{x:g}" for x in X[i]), f"{values[i]:.{decimals}f}"]
            + [f"{move:+.{decimals}f}" for move in moves[:, i]]
            for i in range(len(X))
        ]
        points = "; ".join(", ".join(f"{name} = {x:.4g}" for name, x in zip(names, row, strict=True)) for row in self.candidate)
        return grid(f"Recommendation: {points}", ["observation", *names, by, *heads], rows, self._notes(names))

    def plot(
        self,
        *,
        by: str = "y",
        names: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        outcome: str = "unit of the outcome",
        ax: Any = None,
    ) -> Any:
        """Draw how each observation moves the recommendation: bars, in a panel for each input of it.

        Args:
            by: ``"y"``, or ``"sigma"``, the known sd.
            names: Names of the ``d`` inputs.
            labels: Names of the ``n`` observations; None numbers them.
            units: Units of the ``d`` inputs, such as ``"kg/ha"``.
            outcome: Unit of the outcome, such as ``"t/ha"``.
            ax: Axes of matplotlib, one for each of the ``q d`` inputs of the recommendation; None makes a figure.

        Returns:
            The axes, ``q d`` of them. The incumbent's bar has another colour.

        Raises:
            ImportError: If matplotlib is not installed.
            InputDataError: If there is no derivative in ``by``.
        """
        moves = self._moves(by)
        (q, d), n = self.candidate.shape, moves.shape[1]
        names, labels = _named("x", names, d), _named("", labels, n)
        after = [""] * d if units is None else [f" {unit}" for unit in units]
        if ax is None:
            size = (1.5 + 3 * q * d, 1 + 0.25 * n)
            ax = new_axes(1, q * d, size=size, sharey=True)
        axes = axes_of(ax, q * d, "one for each input of the recommendation")
        for k, (axis, move) in enumerate(zip(axes, moves, strict=True)):
            i, j = divmod(k, d)
            axis.barh(np.arange(n), move, color=["C1" if row == self.incumbent_row else "C0" for row in range(n)])
            axis.axvline(0.0, color="black", linewidth=0.8)
            axis.set_xlabel(f"change of {names[j]}{'' if q == 1 else f' of point {i}'},{after[j]} per {outcome}")
            axis.set_title(f"{names[j]} = {self.candidate[i, j]:.4g}{after[j]}")
        axes[0].set_yticks(np.arange(n), labels)
        axes[0].invert_yaxis()
        return axes

    def _moves(self, by: str) -> np.ndarray:
        """Return derivatives of the candidate in one number of each observation, ``(q d) x n``."""
        if by not in self.gradient or self.gradient[by].ndim != 3:
            known = [name for name, part in self.gradient.items() if part.ndim == 3]
            raise InvalidDataError(f"There are no derivatives in {by!r} of one number each, but in {known}. Ask for them in wrt.")
        return self.gradient[by].reshape(self.candidate.size, -1)

    def _notes(self, names: Sequence[str]) -> list[str]:
        notes = [] if self.incumbent_row is None else ["* The incumbent."]
        if self.incumbent == "fixed":
            notes.append("The incumbent is neither an outcome nor a mean at the training inputs, and is held fixed.")
        if (sd := self.noise_sd) is not None:
            parts = "; ".join(", ".join(f"{name} {x:.3g}" for name, x in zip(names, row, strict=True)) for row in sd)
            notes.append(f"Sd of the recommendation by the noise of all observations: {parts}.")
        if self.condition > FLAT:
            notes.append(f"The acquisition function is flat in some direction (condition number {self.condition:.2g}).")
        if not self.free.all():
            notes.append(f"{(~self.free).sum()} of its {self.free.size} inputs are at a bound or held, and do not move.")
        if self.fixed_parameters:
            notes.append(f"Held fixed, as their density has no maximum: {', '.join(self.fixed_parameters)}.")
        return notes


def _named(letter: str, names: Sequence[str] | None, count: int) -> list[str]:
    if names is not None and len(names) != count:
        raise InvalidDataError(f"There are {len(names)} names of {count}. Pass one for each.")
    return [f"{letter}{i}" for i in range(count)] if names is None else list(map(str, names))
