"""What the data do to an expectation, with its errors and checks."""

__all__ = ["ExpectationGradient"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pymc_botorch.inference.sensitivity.control_variates import Order
from pymc_botorch.inference.table import grid

LARGE_Z = 4.0
"""Size of a Stein ``z`` from which the draws are not those of the density, or a derivative is wrong."""
MAX_ROWS = 12
"""Number of rows that a table shows of each array: the largest."""


@dataclass(frozen=True, repr=False)
class ExpectationGradient:
    """The derivative of a posterior expectation ``F = E[f | y]`` in the data, estimated from draws; it prints as a table.

    :func:`pymc_botorch.expectation_gradient` returns it, and has an example.

    The dicts have an array for each name in ``wrt``, in the shape of the data.

    Attributes:
        value: ``F``.
        value_mcse: Its Monte Carlo standard error.
        gradient: ``dF/dh`` for each number ``h`` among the data.
        mcse: Their Monte Carlo standard errors. Of a mode that the draws have missed they know nothing.
        ess: Effective sample sizes of the series whose averages the derivatives are.
        evidence_gradient: ``d log p(y | h) / dh``, of the marginal likelihood of the outcomes.
        X_new_gradient: ``E[df/dX_new]`` for each set of new inputs in ``f`` that stays where it is, ``q x d`` each.
        stein_z: Average gradient of the log density in each unconstrained parameter, which is zero under the posterior, over its
            standard error, by the parameter's name. Beyond 4, the draws are not those of this model and these data.
        translation: Derivative in the direction that moves all inputs alike, ``X`` and new ones, over the sum of its parts'
            sizes; the largest of all columns. For a stationary kernel with a constant mean, and an ``f`` of predictions, it is
            zero up to rounding. None where ``X`` is not among ``wrt``.
        score_translation: The same of ``dL/dX`` in each draw, the largest.
        control_variates: Degree of the control variates that were used, ``"quadratic"``, ``"linear"`` or None.
        num_draws: Number of draws.
        effective_draws: Number of draws that they are worth: by their weights, or of chains the smallest effective sample size of
            ``dL/du``.
        note: Why control variates are of a lower degree than was asked for, or an empty text.
    """

    value: float
    value_mcse: float
    gradient: Mapping[str, np.ndarray]
    mcse: Mapping[str, np.ndarray]
    ess: Mapping[str, np.ndarray]
    evidence_gradient: Mapping[str, np.ndarray]
    X_new_gradient: tuple[np.ndarray, ...]
    stein_z: Mapping[str, np.ndarray]
    translation: float | None
    score_translation: float | None
    control_variates: Order
    num_draws: int
    effective_draws: float
    note: str = ""

    def __repr__(self) -> str:
        """Return the table of what a person reads."""
        return self.table()

    def table(self, *, labels: Sequence[str] | None = None) -> str:
        """Return a table with a row for each derivative, of each of the data the twelve largest.

        Args:
            labels: Names of the ``n`` observations; None numbers them.
        """
        title = f"E[f] = {self.value:.5g} ± {self.value_mcse:.1g}, and its derivatives"
        rows = [row for name in self.gradient for row in self._rows(name, labels)]
        return grid(title, ["in", "dF", "MCSE", "ESS", "d log evidence"], rows, self._notes())

    def _rows(self, name: str, labels: Sequence[str] | None) -> list[list[str]]:
        parts = [part[name] for part in (self.gradient, self.mcse, self.ess, self.evidence_gradient)]
        places = list(np.ndindex(parts[0].shape))
        largest = np.sort(np.argsort(-np.abs(parts[0]).ravel(), kind="stable")[:MAX_ROWS])
        rows = []
        for k in largest:
            gradient, mcse, ess, evidence = (float(part[places[k]]) for part in parts)
            first = () if not places[k] else (places[k][0] if labels is None else labels[places[k][0]], *places[k][1:])
            label = f"{name}[{', '.join(map(str, first))}]" if first else name
            rows.append([label, f"{gradient:.4g}", f"{mcse:.1g}", f"{ess:.0f}", f"{evidence:.4g}"])
        if len(places) > MAX_ROWS:
            rows.append([f"{name}: {len(places) - MAX_ROWS} smaller", *[""] * 4])
        return rows

    def _notes(self) -> list[str]:
        worst = max((float(np.abs(z).max(initial=0.0)) for z in self.stein_z.values()), default=0.0)
        used = "no" if self.control_variates is None else self.control_variates
        notes = [f"{self.num_draws} draws, {self.effective_draws:.0f} effective, {used} control variates."]
        notes += [f"{self.note}."] if self.note else []
        alarm = " The draws are not those of this model and these data." if worst > LARGE_Z else ""
        notes.append(f"Largest Stein z: {worst:.1f}.{alarm}")
        if self.translation is not None:
            sizes = f"{self.translation:.0e}, of the score {self.score_translation:.0e}"
            notes.append(f"Translation: {sizes} (zero where kernel and mean depend on differences of inputs only).")
        return [*notes, "Modes that the draws have missed are not in the errors."]
