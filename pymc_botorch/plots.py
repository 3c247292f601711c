"""Figures of models in one line, by matplotlib: functions along inputs, leave-one-out predictions, slopes, priors.

Each takes axes as ``ax=`` and returns them, in raw units and with the names of columns. It needs the extra ``plot``:
``pip install "pymc_botorch[plot]"``.
"""

__all__ = ["plot_contour", "plot_leave_one_out", "plot_priors", "plot_slice", "plot_slopes"]

from pymc_botorch.models.plotting.contours import plot_contour
from pymc_botorch.models.plotting.left_out import plot_leave_one_out
from pymc_botorch.models.plotting.priors import plot_priors
from pymc_botorch.models.plotting.slices import plot_slice, plot_slopes
