"""Hyperparameters before and after the data."""

__all__ = ["plot_priors"]

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.axes import axes_of, new_axes
from pymc_botorch.inference.sampling.idata import prior_draws
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.ensemble import AbstractEnsemble
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.hyperparameters import entry, hyperparameters_of
from pymc_botorch.models.plotting.checks import check_model

COLUMNS = 4
"""Most panels side by side."""
HEAVY = 5.0
"""Ratio of the upper end to the median above which positive numbers are drawn on a logarithmic axis."""
SMALL = 0.05
"""Share of the range below which what is known after the data is too small to be seen, but on a logarithmic axis."""
BEFORE = "before the data"
LEAST = 1e-4
"""Share of the range below which it is zero."""


class _Panel(NamedTuple):
    """One number: its draws before the data (None of an improper prior), and those after them, or the point."""

    title: str
    before: np.ndarray | None
    after: np.ndarray


def plot_priors(model: AbstractBuiltGP, names: str | Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw the hyperparameters before and after the data: prior densities, and posterior densities or the point of a fit.

    Densities are estimated from draws. A range that spans orders of magnitude has a logarithmic axis, and densities there are
    those of the logarithm. Hyperparameters are in the units of the gp.

    Args:
        model: A ``PyMCGP`` or ``FullyBayesianPyMCGP`` made from data, or a ``FullyBayesianPyMCGP`` whose ArviZ data have a prior.
        names: Names of hyperparameters, or one; None takes all.
        ax: Axes of matplotlib, one for each number (a vector has one for each entry, named by the model's
            coords or columns); None makes a figure.

    Returns:
        An array of the axes. Of an improper prior there is no density.

    Raises:
        TypeError: If the model is none of ours.
        InputDataError: If there is no hyperparameter of a name, or none at all.
        UnsupportedError: If the model was made from a gp fitted in PyMC and has no draws of its prior.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import matplotlib as mpl, torch
        >>> mpl.use("Agg")
        >>> from pymc_botorch import PyMCGP, plot_priors
        >>> X = torch.linspace(0, 1, 9, dtype=torch.double).unsqueeze(-1)
        >>> axes = plot_priors(PyMCGP(X, (6 * X).sin()).fit())
        >>> [ax.get_title() for ax in axes]
        ['lengthscale', 'mean (flat prior)', 'noise']
    """
    check_model(model, AbstractBuiltGP)
    panels = _panels(model, names)
    if ax is None:
        wide = min(len(panels), COLUMNS)
        high = -(-len(panels) // wide)
        axes = new_axes(high, wide, size=(0.6 + 2.6 * wide, 0.8 + 2.2 * high)).ravel()
        for left in axes[len(panels) :]:
            left.remove()
        axes = axes[: len(panels)]
    else:
        axes = axes_of(ax, len(panels), "one for each number")
    for axis, panel in zip(axes, panels, strict=True):
        _draw(axis, panel, "PyMC's initial point" if model.state.is_initial else "after (the fitted point)")
    lines = {line.get_label(): line for axis in axes for line in axis.lines if not line.get_label().startswith("_")}
    handles = sorted(lines.values(), key=lambda line: line.get_label() != BEFORE)
    if ax is None:
        axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    else:
        axes[0].legend(handles=handles, fontsize="small")
    return axes


def _panels(model: AbstractBuiltGP, names: Sequence[str] | None) -> list[_Panel]:
    """Return a panel for each number of each hyperparameter."""
    before, after, columns = _before(model), hyperparameters_of(model.state), model.column_names
    names = [names] if isinstance(names, str) else names
    if isinstance(model, AbstractEnsemble) and (stacked := stack_draws(model.idata)) is not None:
        after = {name: stacked.arrays[name] for name in after}  # all draws of the fit
    if names is not None and (unknown := [name for name in names if name not in after]):
        raise InvalidDataError(f"There is no hyperparameter {unknown[0]!r}. Pass some of {', '.join(after)}.")
    panels = []
    for name in after if names is None else names:
        for index in np.ndindex(after[name].shape[1:]):
            title = entry(model.state, name, index, columns) if after[name][0].size > 1 else name
            own = before[name][(slice(None), *index)] if name in before else None
            panels.append(_Panel(title, own, after[name][(slice(None), *index)]))
    if not panels:
        raise InvalidDataError("The model has no hyperparameters.")
    return panels


def _before(model: AbstractBuiltGP) -> dict[str, np.ndarray]:
    """Return draws of the prior, ``S x ...``, by the names of what has one."""
    if isinstance(model, AbstractEnsemble) and "prior" in model.idata.children:
        stacked = stack_draws(model.idata["prior"].dataset)
        return {} if stacked is None else dict(stacked.arrays)
    try:
        built, data = model.read_built()
    except UnsupportedModelError as error:
        raise UnsupportedModelError(
            "This model was made from a gp fitted in PyMC, or conditioned on more observations, and has no draws of its prior. "
            "Draw them by pm.sample_prior_predictive, and take arviz.plot_prior_posterior; or pass the model of the data alone."
        ) from error
    return prior_draws(built, data)


def _draw(axis: Any, panel: _Panel, point: str) -> None:
    """Draw one number before and after the data."""
    is_point = not np.ptp(panel.after)  # or draws that are all at the point of a fit
    low, high, log = _range(panel)
    if panel.before is not None:
        axis.plot(*_density(panel.before, low, high, log=log, bw="silverman"), color="grey", linestyle="--", label=BEFORE)
    if is_point:
        axis.axvline(panel.after[0], color="C0", label=point)
    else:
        x, density = _density(panel.after, low, high, log=log)
        axis.plot(x, density, color="C0", label="after the data")
        axis.fill_between(x, density, color="C0", alpha=0.2, linewidth=0)
    if log:
        axis.set_xscale("log")
    axis.set(xlim=(low, high), yticks=[])
    axis.set_ylim(bottom=0.0)
    flat = " (flat prior)" if panel.before is None else ""
    axis.set_title(f"{panel.title}{flat}", fontsize="medium")


def _range(panel: _Panel) -> tuple[float, float, bool]:
    """Return the ends of what is drawn, and whether the axis is logarithmic."""
    after = np.quantile(panel.after, (0.001, 0.5, 0.999))
    before = after if panel.before is None else np.quantile(panel.before, (0.01, 0.5, 0.97))
    low, high = min(after[0], before[0]), max(after[2], before[2])
    positive = min(float(part.min()) for part in (panel.before, panel.after) if part is not None) > 0
    heavy = positive and max(after[2] / after[1], before[2] / before[1]) > HEAVY
    if heavy or (positive and LEAST * high < after[0] and after[2] < SMALL * high):
        return low / 1.2, high * 1.2, True
    margin = 0.05 * (high - low) or max(0.5 * abs(high), 0.5)
    return max(low - margin, -0.02 * high) if positive else low - margin, high + margin, False


def _density(draws: np.ndarray, low: float, high: float, *, log: bool, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a kernel estimate of a density within ends, and some way beyond."""
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # documented, but not exported; slow to import

    if not log:  # of a few numbers that are far off
        draws = draws[(draws > 2 * low - high) & (draws < 2 * high - low)]
    x, density, _ = array_stats.kde(np.log(draws) if log else draws, **options)
    return (np.exp(x) if log else x), density
