"""A model's function over two inputs."""

__all__ = ["plot_contour"]

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from pymc_botorch.inference.axes import axes_of, new_axes
from pymc_botorch.inference.sampling.options import check_counts
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.plotting.checks import check_model, points_of
from pymc_botorch.models.plotting.points import At, Bounds, Column, Columns, read_columns
from pymc_botorch.models.plotting.summaries import band, observations
from pymc_botorch.models.tensors import ArrayLike

SIZE = (6.0, 4.5)
COLOURS = {"mean": "viridis", "sd": "Blues"}
LEVELS = 12


def plot_contour(
    model: AbstractPyMCGP,
    bounds: Bounds = None,
    columns: Sequence[Column] = (0, 1),
    at: At = None,
    next: ArrayLike | None = None,  # noqa: A002  # as one says it
    quantity: Literal["mean", "sd"] = "mean",
    ax: Any = None,
    *,
    num_points: int = 50,
) -> Any:
    """Draw mean or sd of a model's function over two inputs, with the observations and the points that come next, in raw units.

    Over draws of the hyperparameters they are those of the mixture.

    Args:
        model: A ``PyMCGP`` or ``FullyBayesianPyMCGP`` with two or more inputs.
        bounds: ``2 x d`` bounds of all inputs, lower ends first; None takes the range of the training inputs and next points, and
            a little more.
        columns: The two inputs, by name or position.
        at: Where the other inputs are held, as in :func:`pymc_botorch.plot_slice`.
        next: The next points to observe, ``q x d`` (one may be ``d``), such as ``optimize_acqf`` returns; None shows none.
        quantity: ``"mean"`` or ``"sd"`` of the function.
        ax: Axes of matplotlib; None makes a figure.
        num_points: Number of points along each input.

    Returns:
        The axes; a colour bar is beside them. Observations are the fainter the further their other inputs are from where these
        are held.

    Raises:
        TypeError: If the model is none of ours.
        InputDataError: If a column is not there, or bounds, values, points or the quantity cannot be used.
        UnsupportedError: If the model has batches of observations, or the gp takes one of the inputs as an index.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import matplotlib as mpl, torch
        >>> mpl.use("Agg")
        >>> from pymc_botorch import PyMCGP, plot_contour
        >>> X = torch.rand(9, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
        >>> model = PyMCGP(X, (6 * X[:, :1]).sin()).fit()
        >>> ax = plot_contour(model, [[0.0, 0.0], [1.0, 1.0]], next=[[0.2, 0.9]])
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('x0', 'x1')
    """
    check_model(model, AbstractPyMCGP)
    if model.num_inputs == 1:
        raise InvalidDataError(f"The model has one input, {model.column_names[0]}. Use plot_slice.")
    if isinstance(columns, str | int) or len(columns) != 2:
        raise InvalidDataError(f"columns are {columns!r}. Pass two names or positions.")
    if quantity not in COLOURS:
        raise InvalidDataError(f"quantity is {quantity!r}. Pass 'mean' or 'sd'.")
    points = points_of(model, "next", next)
    read = read_columns(model, columns, bounds, at, points)
    with botorch_errors():
        check_counts(num_points=(num_points, 2))
    for j in read.varied:
        if j in read.categories:
            raise UnsupportedModelError(
                f"The gp takes {read.names[j]} as an index of categories. Hold it at one by at={{{read.names[j]!r}: ...}}."
            )
    x, y = (read.line(num_points, k).repeat(num_points) for k in (0, 1))
    y = y.reshape(num_points, num_points).T.ravel()
    found = band(model, read.points(x, y), 0.95)
    (axis,) = new_axes(size=SIZE).ravel() if ax is None else axes_of(ax)
    square = num_points, num_points
    values = found.mean if quantity == "mean" else found.sd
    filled = axis.contourf(x.reshape(square), y.reshape(square), values.reshape(square), levels=LEVELS, cmap=COLOURS[quantity])
    axis.figure.colorbar(filled, ax=axis, label=f"{quantity} of {model.outcome_name}")
    _draw_points(axis, read, observations(model), points)
    axis.set(xlabel=read.names[read.varied[0]], ylabel=read.names[read.varied[1]])
    axis.set(xlim=read.ends[:, 0].tolist(), ylim=read.ends[:, 1].tolist())
    axis.set_title(read.held, fontsize="medium")
    return axis


def _draw_points(axis: Any, read: Columns, data: tuple[Tensor, Tensor] | None, points: Tensor | None) -> None:
    """Draw observations and next points that are within the ends, with a legend below."""
    edge = {"edgecolors": "white", "linewidths": 0.8, "zorder": 3, "clip_on": False}

    def scatter(X: Tensor, alpha: Tensor, label: str, **style: Any) -> None:
        at = X[:, list(read.varied)]
        inside = ((at >= read.ends[0]) & (at <= read.ends[1])).all(-1)
        axis.scatter([], [], label=label, **style, **edge)  # what the legend shows, which does not fade
        if inside.any():
            axis.scatter(*at[inside].T, alpha=alpha[inside].numpy(), **style, **edge)

    if data is not None:
        scatter(data[0], read.opacity(data[0]), "observations", color="black", s=30)
    if points is not None:
        scatter(points, torch.ones(len(points)), "next", color="C3", marker="*", s=160)
    if data is not None or points is not None:
        axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=4.0, ncols=2, frameon=False)
