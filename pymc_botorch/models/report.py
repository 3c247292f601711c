"""What a model says of itself: its data, fit and hyperparameters, as text and for notebooks."""

__all__ = ["ReportMixin"]

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from pymc_botorch.inference.components import TOTAL
from pymc_botorch.inference.fit.map import FitResult
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.inference.table import Report, rounded, seconds_text
from pymc_botorch.models.hyperparameters import entry, hyperparameters_of
from pymc_botorch.models.state import State
from pymc_botorch.models.training_data import PreparedData

MOST_NUMBERS = 8
"""Largest number of entries of one hyperparameter that have a line each."""
UNITS = {
    "scaled": "scaled: priors are for inputs in the unit cube and a standardised outcome",
    "natural": "natural: priors are in the units of the data",
}
NO_QUANTILE = "-"
NO_FIT = "none: at PyMC's initial point until model.fit()"


class ReportMixin:
    """The representations of a model; nothing is computed for them but quantiles of its draws."""

    units: Any
    column_names: tuple[str, ...]
    state: Any
    _state: State | None
    _prepared: PreparedData | None
    _part: str | None

    def __repr__(self) -> str:
        """Return data, fit and hyperparameters as text."""
        try:
            return self._report().text
        except Exception:  # of a subclass that is made only in part: a debugger wants its name all the same
            return f"<{type(self).__name__}>"

    def _repr_html_(self) -> str | None:
        """Return the same as HTML, which notebooks show."""
        try:
            return self._report().html
        except Exception:
            return None

    def _report(self) -> Report:
        state, prepared = self._state, self._prepared
        result = None if state is None else state.result
        header, cells = ([], []) if state is None else _hyperparameters(state, self.column_names)
        title = type(self).__name__ if (base := self._base()) == type(self).__name__ else f"{type(self).__name__} ({base})"
        transforms = (_names(getattr(self, name, None)) for name in ("input_transform", "outcome_transform"))
        rows = {
            "data": self._data(),
            "units": "those of the PyMC model" if prepared is None else UNITS[self.units],
            "transforms": ", ".join(filter(None, transforms)),
            "gp": None if state is None else _kind(state),
            "predicts": self._part or (state is not None and state.fitted.kind == "component" and "a component of the sum"),
            "components": state is not None and ", ".join(_components(state, self._part)),
            "fit": _fit(state, result, is_built=prepared is not None),
            "doubts": result is not None and (result.warning or "none"),
        }
        return Report(title, rows, header, cells)

    @classmethod
    def _base(cls) -> str:
        """Return the name of the public class that this is, or that it is a subclass of."""
        return next(one.__name__ for one in cls.__mro__ if one.__module__.startswith("pymc_botorch."))

    def _data(self) -> str:
        batches: Sequence[int] = ()
        if self._state is None and self._prepared is not None:
            raw_X, n = self._prepared.training.raw_X, len(self._prepared.data.y)
        else:
            raw_X, n, batches = self.state.training.raw_X, len(self.state.fitted.X), self.state.batches
        count, d = raw_X.shape[-2:]
        names = self.column_names
        text = f"{n} x {d}" + (f" ({', '.join(names)})" if names != tuple(f"x{i}" for i in range(d)) else "")
        if count > n:
            text += f", and {count - n} observation{'s' if count - n > 1 else ''} more"
            text += f" in {' x '.join(map(str, batches))} batches" if batches else ""
        return text


def _names(transform: Any) -> str:
    """Return the class of a transform, of chained ones those of its parts."""
    if transform is None:
        return ""
    parts = transform.values() if hasattr(transform, "values") else [transform]
    return ", ".join(type(part).__name__ for part in parts)


def _components(state: State, part: str | None) -> list[str]:
    """Return the names of the components of a sum; the model's own, if it was asked for without a name, has none."""
    own = "gp" if part is None and state.fitted.kind == "component" else None
    return [name for name in state.parts if name not in (TOTAL, own)]


def _kind(state: State) -> str | None:
    """Return what is special about the gp and its noise."""
    fitted = state.fitted
    said = []
    if fitted.is_latent:
        said.append("latent, with the function at the training inputs in each draw")
    if fitted.num_signs:
        said.append(f"{fitted.num_signs} derivatives with a sign in each draw")
    if fitted.kind == "sparse":
        said.append("a sparse approximation")
    if state.noise_is_known and not fitted.is_latent:
        said.append("noise of each observation of its own")
    return ", ".join(said)


def _fit(state: State | None, result: FitResult | SamplingResult | None, *, is_built: bool) -> str:
    """Return by what the hyperparameters were found."""
    if state is None or state.is_initial:
        return NO_FIT
    draws = f", {state.fitted.num_draws} draws" if state.is_ensemble else ""
    if result is not None:
        return f"{result.method} in {seconds_text(result.seconds)}{draws}"
    return f"{'loaded' if is_built else 'in PyMC'}{draws}"


def _hyperparameters(state: State, columns: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Return header and cells of the grid of hyperparameters."""
    shown_of = hyperparameters_of(state)
    quantiles: Mapping[str, np.ndarray] = {} if state.result is None else state.result.prior_quantiles
    many = any(np.ptp(draws, axis=0).any() for draws in shown_of.values())
    cells = []
    for name, draws in shown_of.items():
        shape = draws.shape[1:]
        low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95), axis=0) if many else (draws[0],) * 3
        found = quantiles.get(name)
        found = found if found is not None and np.shape(found) == shape else None
        if middle.size > MOST_NUMBERS:
            ranges = [f"{rounded(np.min(part))} to {rounded(np.max(part))}" for part in (middle, low, high)]
            shown = [ranges[0], ""][: 1 + many]
            share = NO_QUANTILE if found is None else f"{_share(np.min(found))} to {_share(np.max(found))}"
            cells.append([f"{name} ({' x '.join(map(str, shape))})", *shown, share])
            continue
        for index in product(*map(range, shape)):
            shown = [rounded(middle[index]), f"{rounded(low[index])} to {rounded(high[index])}"][: 1 + many]
            cells.append([entry(state, name, index, columns), *shown, NO_QUANTILE if found is None else _share(found[index])])
    header = ["hyperparameter", *(["median", "5 % to 95 %"] if many else ["value"]), "prior quantile"]
    if all(row[-1] == NO_QUANTILE for row in cells):
        header, cells = header[:-1], [row[:-1] for row in cells]
    return header, cells


def _share(quantile: float) -> str:
    """Return a share of prior draws, of which there are two hundred."""
    return "< 0.005" if quantile < 0.005 else "> 0.995" if quantile > 0.995 else f"{quantile:.2f}"
