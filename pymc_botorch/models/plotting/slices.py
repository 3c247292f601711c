"""A model's function, or its slope, along one input."""

__all__ = ["plot_slice", "plot_slopes"]

from typing import Any

import torch
from torch import Tensor

from pymc_botorch.inference.axes import axes_of, new_axes
from pymc_botorch.inference.sampling.options import check_counts
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.gradient_posterior import gradient_posterior
from pymc_botorch.models.plotting.points import At, Bounds, Column, Columns, read_columns, shown
from pymc_botorch.models.plotting.summaries import (
    Band,
    band,
    band_of,
    check_level,
    draws_of_functions,
    mixture_of,
    observations,
)

SIZE = (6.0, 4.0)
OBSERVATIONS = "observations"
POINTS_AT_ONCE = 10
"""Number of points whose slopes are asked for together: their covariance has as many rows as there are slopes."""


def plot_slice(
    model: AbstractPyMCGP,
    column: Column = 0,
    bounds: Bounds = None,
    at: At = None,
    ax: Any = None,
    *,
    level: float = 0.95,
    num_points: int = 200,
    num_functions: int = 0,
    observation_noise: bool = False,
    label: str | None = None,
) -> Any:
    """Draw a model's function along one input, with an interval and the observations, in raw units.

    Over draws of the hyperparameters the line is the mean of the mixture, and the interval has its quantiles. An input that the
    gp takes as an index is drawn category by category, those without observations too.

    Args:
        model: A ``PyMCGP`` or ``FullyBayesianPyMCGP``.
        column: The input that varies, by name or position.
        bounds: Its two ends, or ``2 x d`` bounds of all inputs, lower ends first; None takes the range of the training inputs and
            a little more.
        at: Where the other inputs are held: ``d`` values (that of what varies is not used), or some by name or position, as a
            dict or a series of pandas. None takes medians of the training inputs (of an even number the lower one, which was
            observed).
        ax: Axes of matplotlib; None makes a figure.
        level: Probability of the central interval at each point.
        num_points: Number of points that are drawn.
        num_functions: How many draws of the whole function to add, as thin lines.
        observation_noise: Whether the interval is that of a new observation.
        label: Name of the line in the legend, to draw several models into the same axes.

    Returns:
        The axes. Observations are the fainter the further their other inputs are from where these are held; there are
        none of a component, as they are of the sum, and of a latent gp, whose outcomes are not its function plus noise.

    Raises:
        TypeError: If the model is none of ours.
        InputDataError: If a column is not there, or bounds, values or numbers cannot be used.
        UnsupportedError: If the model has batches of observations.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import matplotlib as mpl, torch
        >>> mpl.use("Agg")
        >>> from pymc_botorch import PyMCGP, plot_slice
        >>> X = torch.rand(9, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        >>> model = PyMCGP(X, (6 * X[:, :1]).sin()).fit()
        >>> ax = plot_slice(model, "x0", bounds=(0, 1), at={"x1": 0.5}, num_functions=5)
        >>> ax.get_xlabel(), ax.get_ylabel(), ax.get_title()
        ('x0', 'outcome', 'x1 = 0.5')
    """
    columns = read_columns(model, [column], bounds, at)
    check_level(level)
    with botorch_errors():
        check_counts(num_points=(num_points, 2), num_functions=(num_functions, 0))
    values = _categories(columns) if columns.varied[0] in columns.categories else columns.line(num_points)
    X = columns.points(values)
    found = band(model, X, level, observation_noise=observation_noise)
    functions = draws_of_functions(model, X, num_functions) if num_functions else None
    (axis,) = new_axes(size=SIZE).ravel() if ax is None else axes_of(ax)
    color = _draw(axis, columns, values, found, level, label)
    if functions is not None:
        style = {"linewidth": 0.6, "alpha": 0.7, "color": color}
        for i, function in enumerate(functions):
            axis.plot(values, function, label="draws of the function" if i == 0 and label is None else None, **style)
    if (data := observations(model)) is not None:
        _draw_observations(axis, columns, *data)
    axis.set_ylabel(model.outcome_name)
    axis.legend(fontsize="small")
    return axis


def plot_slopes(
    model: AbstractPyMCGP,
    column: Column = 0,
    bounds: Bounds = None,
    at: At = None,
    ax: Any = None,
    *,
    level: float = 0.95,
    num_points: int = 100,
    label: str | None = None,
) -> Any:
    """Draw how steep a model's function is along one input, with an interval: its slope in this input, in raw units.

    The slope is that of :func:`pymc_botorch.gradient_posterior`; over draws the interval has the quantiles of the mixture. Where
    it is on one side of zero, the model is sure that the function rises or falls.

    Args:
        model: As in :func:`plot_slice`.
        column: The input that varies, and that the slope is in.
        bounds: As in :func:`plot_slice`.
        at: As in :func:`plot_slice`.
        ax: Axes of matplotlib; None makes a figure.
        level: Probability of the central interval at each point.
        num_points: Number of points that are drawn.
        label: As in :func:`plot_slice`.

    Returns:
        The axes.

    Raises:
        TypeError: If the model is none of ours.
        InputDataError: If a column is not there, or bounds, values or numbers cannot be used.
        UnsupportedError: As :func:`pymc_botorch.gradient_posterior`, and of an input that the gp takes as an index.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import matplotlib as mpl, torch
        >>> mpl.use("Agg")
        >>> from pymc_botorch import PyMCGP, plot_slopes
        >>> X = torch.linspace(0, 1, 9, dtype=torch.double).unsqueeze(-1)
        >>> ax = plot_slopes(PyMCGP(X, (6 * X).sin()).fit(), bounds=(0, 1))
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('x0', 'slope of outcome in x0')
    """
    columns = read_columns(model, [column], bounds, at)
    check_level(level)
    with botorch_errors():
        check_counts(num_points=(num_points, 2))
    j, name = columns.varied[0], columns.names[columns.varied[0]]
    if j in columns.categories:
        raise UnsupportedModelError(f"The gp takes {name} as an index of categories, in which there is no slope.")
    values = columns.line(num_points)
    found = _slopes(model, columns.points(values), j, level)
    (axis,) = new_axes(size=SIZE).ravel() if ax is None else axes_of(ax)
    axis.axhline(0.0, color="black", linewidth=0.8)
    _draw(axis, columns, values, found, level, label)
    axis.set_ylabel(f"slope of {model.outcome_name} in {name}")
    axis.legend(fontsize="small")
    return axis


def _slopes(model: AbstractPyMCGP, X: Tensor, j: int, level: float) -> Band:
    """Return the slope in column ``j`` at the rows of ``X``."""
    ensemble = model.state.is_ensemble
    means, sds = [], []
    for part in X.split(POINTS_AT_ONCE):
        slopes = gradient_posterior(model, part, per_draw=ensemble)
        means.append(slopes.mean[..., j])
        sds.append(slopes.sd[..., j])
    mean, sd = (torch.cat(parts, -1).reshape(-1, len(X)) for parts in (means, sds))  # S x n
    return band_of(mixture_of(mean, sd), level)


def _draw(axis: Any, columns: Columns, values: Tensor, found: Band, level: float, label: str | None) -> Any:
    """Draw a line and its interval, or points with intervals of categories; return their colour."""
    j, interval = columns.varied[0], f"{100 * level:g} % interval"
    if j in columns.categories:
        spread = torch.stack([found.mean - found.lower, found.upper - found.mean])
        marks = axis.errorbar(
            values, found.mean, yerr=spread, fmt="s", capsize=4, zorder=4, label=label or f"mean and {interval}"
        )
        axis.set_xticks(values.tolist())
        axis.margins(x=0.15)
        color = marks[0].get_color()
    else:
        (line,) = axis.plot(values, found.mean, label=label or "mean")
        color = line.get_color()
        axis.fill_between(
            values, found.lower, found.upper, color=color, alpha=0.2, linewidth=0, label=None if label else interval
        )
        axis.set_xlim(*columns.ends[:, 0].tolist())
    axis.set_xlabel(columns.names[j])
    axis.set_title(columns.held, fontsize="medium")
    return color


def _draw_observations(axis: Any, columns: Columns, X: Tensor, y: Tensor) -> None:
    """Draw the observations within the ends, once."""
    if any(artist.get_label() == OBSERVATIONS for artist in axis.collections):
        return
    x, (low, high) = X[:, columns.varied[0]], columns.ends[:, 0]
    inside = (x >= low) & (x <= high)
    style = {"color": "black", "s": 18, "zorder": 3}
    axis.scatter([], [], label=OBSERVATIONS, **style)  # what the legend shows, which does not fade
    if inside.any():
        axis.scatter(x[inside], y[inside], alpha=columns.opacity(X)[inside].numpy(), **style)


def _categories(columns: Columns) -> Tensor:
    """Return the categories that are within the ends."""
    j, (low, high) = columns.varied[0], columns.ends[:, 0].tolist()
    values = columns.categories[j]
    inside = values[(values >= low) & (values <= high)]
    if not len(inside):
        raise InvalidDataError(
            f"No category of {columns.names[j]} is within bounds {low:g} and {high:g}. It has {shown(values)}: pass ends around "
            "some, or None."
        )
    return inside
