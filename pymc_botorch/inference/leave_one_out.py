"""Leave-one-out predictions: each observation beside what the model says of it given all others."""

__all__ = ["LEVELS", "LeaveOneOut", "leave_one_out", "reliable_k"]

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp, ndtr

from pymc_botorch.inference.axes import axes_of, new_axes
from pymc_botorch.inference.left_out import LeftOut
from pymc_botorch.inference.sampling.methods.importance import MAX_K, MIN_DRAWS, weigh
from pymc_botorch.inference.table import AbstractReported, Report, rounded

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

LEVELS = (0.5, 0.8, 0.95)
"""Probabilities of the central intervals whose coverage is reported."""
MOST_ROWS = 3
"""Number of observations furthest from their predictions that are printed."""
MOST_LISTED = 5
"""Number of rows with unreliable weights that are printed."""
BISECTIONS = 60


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut(AbstractReported):
    """Predictions of the ``n`` observations, each given all others; see :meth:`pymc_botorch.PyMCGP.leave_one_out`.

    It prints as a table: errors, densities, coverage, the observations that are furthest from their predictions.

    Attributes:
        observed: The observations, ``n``, in raw units unless others were asked for, as all that follows.
        mean: Mean of the prediction, ``n``.
        sd: Standard deviation of the predicted *observation*, noise included, ``n``.
        lower: Lower end of the central 95 % interval, ``n``.
        upper: Its upper end, ``n``.
        standardised_residual: ``(observed - mean) / sd``, ``n``.
        pit: Probability integral transform: the predicted probability of an outcome below the one observed, ``n``. Of a
            calibrated model it is uniform between 0 and 1.
        log_density: Log predictive density of the observation, ``n``; the sum compares models of the same data.
        pareto_k: Over draws, shape of the tail of the weights that leave an observation out, ``n``: above about 0.7 the
            prediction is not to be trusted. None at a point.
        outcome: Name of the outcome, as figures have it.
        reliable_k: Value of ``pareto_k`` below which a prediction can be trusted, which depends on the number of draws; None at a
            point.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import PyMCGP
        >>> class Plots(PyMCGP):
        ...     units = "natural"
        ...     def build_gp(self, X, y):
        ...         gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("reach", -1, 0.5)))
        ...         gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 1))
        ...         return gp
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> checked = Plots(X, (6 * X).sin()).fit().leave_one_out()
        >>> checked.mean.shape, sorted(checked.coverage)
        ((8,), [0.5, 0.8, 0.95])
        >>> checked.to_frame().columns[:3].tolist()
        ['observed', 'mean', 'sd']
    """

    observed: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    standardised_residual: np.ndarray
    pit: np.ndarray
    log_density: np.ndarray
    pareto_k: np.ndarray | None = None
    outcome: str = "outcome"
    reliable_k: float | None = None

    def covered(self, level: float) -> np.ndarray:
        """Return whether each observation is within its central interval of this probability, ``n``."""
        if not 0 < level < 1:
            raise ValueError(f"level is {level}. Pass a probability between 0 and 1, such as 0.95.")
        return np.abs(self.pit - 0.5) <= level / 2

    @property
    def coverage(self) -> dict[float, float]:
        """Share of the observations within their central intervals of 50, 80 and 95 %."""
        return {level: float(self.covered(level).mean()) for level in LEVELS}

    @property
    def rmse(self) -> float:
        """Root mean square error of the means."""
        return float(np.sqrt(np.mean((self.observed - self.mean) ** 2)))

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each observation, in the order of the training data, as a pandas ``DataFrame``."""
        import pandas as pd  # slow to import

        columns = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        within = {f"within_{level:.0%}": self.covered(level) for level in LEVELS}
        return pd.DataFrame({**columns, **within}).rename_axis("observation")

    def report(self) -> Report:
        """Return what a person reads."""
        limit = MAX_K if self.reliable_k is None else self.reliable_k
        rows = {
            "outcome": self.outcome,
            "observations": str(len(self.observed)),
            "rmse": rounded(self.rmse),
            "log density": f"{self.log_density.sum():.2f} in all",
            "coverage": ", ".join(f"{share:.0%} of {level:.0%}" for level, share in self.coverage.items()),
            "Pareto k": self.pareto_k is not None and _reliability(self.pareto_k, limit),
        }
        furthest = np.argsort(-np.abs(self.standardised_residual), kind="stable")[:MOST_ROWS]
        parts = self.observed, self.mean, self.sd, self.standardised_residual
        cells = [[str(i), *(rounded(part[i]) for part in parts)] for i in furthest]
        return Report(type(self).__name__, rows, ["furthest row", "observed", "predicted", "sd", "standardised residual"], cells)

    def plot(self, axes: Any = None) -> Any:
        """Draw the observations over their predictions with 95 % intervals, and a histogram of the PIT.

        Args:
            axes: Two axes of matplotlib; None makes a figure.

        Returns:
            The two axes.

        Raises:
            ImportError: If matplotlib is not installed.
            ValueError: If there are not two axes.
        """
        axes = new_axes(1, 2, size=(9, 4)).ravel() if axes is None else axes_of(axes, 2, "for the observations and for the PIT")
        left, right = axes
        ends = min(self.lower.min(), self.observed.min()), max(self.upper.max(), self.observed.max())
        left.plot(ends, ends, color="grey", linewidth=1)
        spread = np.stack([self.mean - self.lower, self.upper - self.mean])
        left.errorbar(self.mean, self.observed, xerr=spread.clip(0), fmt="o", markersize=4, linewidth=1)
        left.set(xlabel="predicted from the others, with 95 % interval", ylabel=f"observed {self.outcome}")
        bins = int(np.clip(len(self.pit) // 5, 5, 20))
        right.hist(self.pit, bins=bins, range=(0, 1), edgecolor="white")
        right.axhline(len(self.pit) / bins, color="grey", linewidth=1)
        shares = ", ".join(f"{share:.0%} of {level:.0%}" for level, share in self.coverage.items())
        right.set(xlabel="probability integral transform", ylabel="observations")
        right.set_title(f"in central intervals: {shares}", fontsize="small")
        return axes


def leave_one_out(
    y: np.ndarray, found: LeftOut, *, offset: float, scale: float, weighted: bool, outcome: str = "outcome"
) -> LeaveOneOut:
    """Return what is predicted of observations, averaged over draws.

    The draws are given all observations; to be given all but ``i`` they are weighed by ``1 / p(y_i | y_-i, draw)``, which
    is exact with many draws, the weights being Pareto-smoothed.

    Args:
        y: Observations in the units of the gp, ``n``.
        found: What each draw predicts, in the units of the gp.
        offset: The result is in the units of ``offset + scale * y``.
        scale: See ``offset``.
        weighted: Whether draws are weighed, or of equal weight.
        outcome: Name of the outcome.

    References:
        Vehtari, Gelman & Gabry (2017), Practical Bayesian model evaluation using leave-one-out cross-validation and WAIC,
        https://arxiv.org/abs/1507.04544
    """
    k = None
    log_weights = np.full_like(found.mean, -np.log(len(found.mean)))
    if weighted:
        columns = [weigh(-log_density) for log_density in found.log_density.T]
        log_weights, k = np.stack([column for column, _ in columns], axis=-1), np.array([k for _, k in columns])
    weights, sds = np.exp(log_weights), np.sqrt(found.variance)  # S x n

    def below(at: np.ndarray) -> np.ndarray:
        return (weights * ndtr((at - found.mean) / sds)).sum(0)

    mean = (weights * found.mean).sum(0)
    sd = np.sqrt((weights * (found.variance + (found.mean - mean) ** 2)).sum(0))
    residuals = (y - found.mean) / sds
    log_density = logsumexp(log_weights - 0.5 * (np.log(2 * np.pi * found.variance) + residuals**2), axis=0)
    bracket = (found.mean - 9 * sds).min(0), (found.mean + 9 * sds).max(0)
    lower, upper = (_root(below, level, *bracket) for level in (0.5 - LEVELS[-1] / 2, 0.5 + LEVELS[-1] / 2))
    return LeaveOneOut(
        observed=offset + scale * y,
        mean=offset + scale * mean,
        sd=scale * sd,
        lower=offset + scale * lower,
        upper=offset + scale * upper,
        standardised_residual=(y - mean) / sd,
        pit=np.clip(below(y), 0.0, 1.0),
        log_density=log_density - np.log(scale),
        pareto_k=k,
        outcome=outcome,
        reliable_k=reliable_k(len(found.mean)) if weighted else None,
    )


def reliable_k(draws: int) -> float:
    """Return the shape below which Pareto-smoothed weights of this many draws are reliable; no number of a few draws is."""
    return min(1 - 1 / np.log10(draws), MAX_K) if draws >= MIN_DRAWS else -np.inf


def _reliability(k: np.ndarray, limit: float) -> str:
    """Return which observations have weights that cannot be relied on."""
    if limit == -np.inf:
        return "unknown: there are too few draws to leave an observation out of them by weights"
    rows = np.flatnonzero(~(k < limit))
    if not len(rows):
        return f"below {limit:.2f} for all"
    listed = ", ".join(map(str, rows[:MOST_LISTED])) + (", ..." if len(rows) > MOST_LISTED else "")
    return f"not below {limit:.2f} for {len(rows)} (row {listed}), whose predictions are not to be trusted"


def _root(below: Any, level: float, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where distribution functions have the value ``level``, by bisection."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        is_low = below(middle) < level
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2
