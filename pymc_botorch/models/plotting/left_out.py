"""Leave-one-out predictions, beside the observations."""

__all__ = ["plot_leave_one_out"]

from typing import Any

from pymc_botorch.inference.leave_one_out import LeaveOneOut
from pymc_botorch.models.leave_one_out import LeaveOneOutMixin
from pymc_botorch.models.plotting.checks import check_model


def plot_leave_one_out(model: LeaveOneOutMixin | LeaveOneOut, ax: Any = None) -> Any:
    """Draw each observation over what the model says of it given all others, with 95 % intervals, and a histogram of the PIT.

    Args:
        model: A model, or the result of its ``leave_one_out()``; with an outcome transform that is not linear, that of
            ``leave_one_out(raw=False)``.
        ax: Two axes of matplotlib; None makes a figure.

    Returns:
        The two axes.

    Raises:
        TypeError: If the model is none of ours.
        ValueError: If there are not two axes.
        UnsupportedError: As ``leave_one_out``.
        ImportError: If matplotlib is not installed.

    Example:
        >>> import matplotlib as mpl, torch
        >>> mpl.use("Agg")
        >>> from pymc_botorch import PyMCGP, plot_leave_one_out
        >>> X = torch.linspace(0, 1, 9, dtype=torch.double).unsqueeze(-1)
        >>> left, right = plot_leave_one_out(PyMCGP(X, (6 * X).sin()).fit())
        >>> left.get_ylabel()
        'observed outcome'
    """
    if isinstance(model, LeaveOneOut):
        return model.plot(ax)
    check_model(model, LeaveOneOutMixin, ", or what leave_one_out returns")
    return model.leave_one_out().plot(ax)
