"""What each observation does to a recommendation: numbers, a table and a figure."""

__all__ = ["RecommendationInfluence"]

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_botorch.inference.sensitivity.derivatives import ByData
from pymc_botorch.models.sensitivity.rebuilding import Incumbent


@dataclass(frozen=True, repr=False, eq=False)
class RecommendationInfluence:
    """How a recommendation moves with each observation, in raw units; it prints as a table.

    It is local (of small changes), and holds the design of earlier rounds fixed: had an observation been another, later plots
    would have been chosen elsewhere, and that is not in it.

    Attributes:
        candidate: The recommendation, ``q x d``, found to rounding.
        value: The acquisition function there.
        gradient: Derivatives of the candidate by the name of the data: ``q x d x n`` for ``"y"`` and ``"sigma"``,
            ``q x d x n x d`` for ``"X"``. Hyperparameters and incumbent move along.
        free: Which entries of the candidate are free to move, ``q x d``: those at a bound and those that are held have derivative
            zero.
        condition: Condition number of the second derivatives of the acquisition function at the candidate, in ranges of the
            inputs: large where it is flat in some direction, and the recommendation moves far for little.
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
    condition: float
    incumbent: Incumbent
    incumbent_row: int | None
    fixed_parameters: tuple[str, ...]
    data: ByData

    def __repr__(self) -> str:
        """Return the table."""
        return self.table()

    def table(self, *, names: list[str] | None = None, decimals: int = 3) -> str:
        """Return a table with a row for each observation: inputs, outcome, and what a unit of its outcome does to the candidate.

        Args:
            names: Names of the ``d`` inputs.
            decimals: Number of decimals.
        """
        X, y = self.data["X"], self.data["y"]
        names = [f"x{j}" for j in range(X.shape[1])] if names is None else list(names)
        q, d = self.candidate.shape
        heads = [f"d {name}{'' if q == 1 else f'[{i}]'} / d y" for i in range(q) for name in names]
        moves = self.gradient["y"].reshape(q * d, -1) if "y" in self.gradient else np.empty((0, len(y)))
        header = ["", *names, "y", *heads[: len(moves)]]
        rows = [
            [f"{i}{' *' if i == self.incumbent_row else ''}", *(f"{x:g}" for x in X[i]), f"{y[i]:.{decimals}f}"]
            + [f"{move:+.{decimals}f}" for move in moves[:, i]]
            for i in range(len(y))
        ]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)]
        points = "; ".join(
            ", ".join(f"{name} = {x:.4g}" for name, x in zip(names, point, strict=True)) for point in self.candidate
        )
        notes = [f"Recommendation: {points} (condition number {self.condition:.2g})"]
        if self.incumbent_row is not None:
            notes.append("* the incumbent")
        if not self.free.all():
            notes.append(f"{(~self.free).sum()} of its {self.free.size} inputs are at a bound or held, and do not move.")
        if self.fixed_parameters:
            notes.append(f"Held fixed, as their density has no maximum: {', '.join(self.fixed_parameters)}")
        return "\n".join([notes[0], "", *lines, *notes[1:]])

    def plot(self, *, names: list[str] | None = None, labels: list[str] | None = None, ax: Any = None) -> Any:
        """Draw how each observation moves the recommendation, per unit of its outcome: a panel for each input of it.

        Args:
            names: Names of the ``d`` inputs.
            labels: Names of the ``n`` observations; None numbers them.
            ax: Axes of matplotlib, one for each of the ``q d`` inputs of the recommendation; None makes a figure.

        Returns:
            The axes, ``q d`` of them.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        import matplotlib.pyplot as plt

        q, d = self.candidate.shape
        moves = self.gradient["y"].reshape(q * d, -1)
        names = [f"x{j}" for j in range(d)] if names is None else list(names)
        n = moves.shape[1]
        labels = [str(i) for i in range(n)] if labels is None else list(labels)
        if ax is None:
            size = (1.5 + 3 * q * d, 1 + 0.25 * n)
            _, ax = plt.subplots(1, q * d, figsize=size, sharey=True, layout="constrained", squeeze=False)
        axes = np.ravel(np.asarray(ax, dtype=object))
        for k, (axis, move) in enumerate(zip(axes, moves, strict=True)):
            colours = ["C1" if i == self.incumbent_row else "C0" for i in range(n)]
            axis.barh(np.arange(n), move, color=colours)
            axis.axvline(0.0, color="black", linewidth=0.8)
            i, j = divmod(k, d)
            axis.set_xlabel(f"change of {names[j]}{'' if q == 1 else f' of point {i}'}\nper unit of the outcome")
            axis.set_title(f"{names[j]} = {self.candidate[i, j]:.4g}")
        axes[0].set_yticks(np.arange(n), labels)
        axes[0].invert_yaxis()
        return axes
