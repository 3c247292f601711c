"""What a model with signs says of its slopes, and sites where they are doubtful."""

__all__ = ["ShapeMixin"]

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from scipy.special import ndtr

from pymc_botorch.errors import PACKAGE_FOLDER, FitWarning
from pymc_botorch.graph.gps.sites import snapped
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.pointwise import mean_gradients_at
from pymc_botorch.graph.posterior.slopes import gradient_covariance_at
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.posterior.arrays import to_numpy
from pymc_botorch.models.state import State
from pymc_botorch.models.training_data import PreparedData

SAMPLES = 20
"""Number of joint samples of slopes at each draw."""
NEW_SITES = 3
"""Number of sites that a round adds at most."""


class ShapeMixin:
    """Probabilities of slopes, of models whose gp knows signs."""

    state: Any
    _state: State | None
    _prepared: PreparedData | None
    as_raw_inputs: Callable[[str, Any], torch.Tensor]

    @abstractmethod
    def fit(self, *args: Any, **options: Any) -> Self:
        """Set the hyperparameters."""

    def prob_monotone(self, grid: Any, *, tolerance: float = 0.0, seed: int = 0) -> float:
        """Return the probability that the function rises and falls as it should at all points of a grid jointly.

        Between sites nothing holds the signs but smoothness: this says whether there are enough of them. It is estimated from 20
        joint samples of the slopes at each draw.

        Args:
            grid: Points, ``N x d``, in raw units.
            tolerance: Size of a slope of the wrong sign that still counts as right, in units of the outcome per unit of input.
            seed: Random seed of the samples.

        Raises:
            UnsupportedError: If the model's gp knows no signs of slopes.

        Example:
            >>> import pymc as pm, torch
            >>> from pymc_botorch import FullyBayesianPyMCGP
            >>> from pymc_botorch.shape import MonotoneGP
            >>> def build_gp(X, y):
            ...     gp = MonotoneGP(cov_func=pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.5)), increasing=[0])
            ...     gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
            ...     return gp
            >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
            >>> model = FullyBayesianPyMCGP(X, X.square(), build_gp=build_gp).fit(seed=1)
            >>> model.prob_monotone(X, tolerance=0.01) > 0.9
            True
        """
        points, columns = self._points(grid), self._signed_columns()
        if not _is_number(tolerance) or tolerance < 0:
            raise InvalidDataError(f"tolerance is {tolerance!r}. Pass the size of a slope, zero or more.")
        rng, hits, total = np.random.default_rng(seed), 0, 0
        limits = np.concatenate([np.full(len(points), tolerance * self._slope_unit(j)) for j, _ in columns])
        for mean, root in self._slopes(points, columns):
            samples = mean + rng.normal(size=(SAMPLES, len(mean))) @ root.T
            hits += int((samples >= -limits).all(1).sum())
            total += SAMPLES
        return hits / total

    def refine_sites(self, bound: float = 0.05, *, bounds: Any = None, max_rounds: int = 8, **options: Any) -> Self:
        """Add sites where a slope may have the wrong sign, and fit again, until it is improbable everywhere.

        Args:
            bound: Largest probability of a wrong sign at a point that is left alone.
            bounds: Where to look, ``2 x d``, in raw units; None takes the range of data and sites.
            max_rounds: Maximum number of rounds, each of which adds up to three sites for each column.
            **options: Of :meth:`fit`; its method and number of draws are by default those of the last fit.

        Returns:
            The model. Its sites stay with it; another model begins with its own.

        Raises:
            UnsupportedError: If the model's gp knows no signs of slopes, or was not made from data.
            InputDataError: If an argument can not be used.

        Warns:
            FitWarning: If a sign is still more doubtful somewhere after the last round.
        """
        columns = self._signed_columns()
        if not _is_number(bound) or not 0 < bound < 1:
            raise InvalidDataError(f"bound is {bound!r}. Pass a probability, such as 0.05.")
        if self._prepared is None:
            raise UnsupportedModelError(
                "This model was made from a gp fitted in PyMC: its sites are those of the draws. Sample again."
            )
        options = {"method": self._method_of_last_fit(), "num_draws": self.state.fitted.num_draws, **options}
        sites, X = self.state.fitted.data["sites"], self.state.fitted.X
        around = np.concatenate([sites, X]) if bounds is None else self._points(bounds)
        low, high = around.min(0), around.max(0)
        points = snapped(low + (high - low) * _spread(X.shape[1]), X, self.state.fitted.graph.signs.indices)
        for _ in range(max_rounds):
            sites = self.state.fitted.data["sites"]
            doubts = self._doubts(points, columns)
            chosen = _most_doubtful(points, doubts, bound, sites, (high - low) / (4 * len(sites) ** (1 / X.shape[1])))
            if not len(chosen):
                break
            self._refit_at(np.concatenate([sites, chosen]), options)
        if (largest := self._doubts(points, columns).max()) > bound:
            text = f"A slope still has the wrong sign with probability {largest:.2g} somewhere."
            warnings.warn(f"{text} Pass a larger max_rounds, or sites, at=...", FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
        return self

    def _method_of_last_fit(self) -> str:
        """Return the method that fits again as the last fit did."""
        method = "map" if self.state.result is None else self.state.result.method
        return "importance" if method == "reweighted" else method

    def _refit_at(self, sites: np.ndarray, options: Mapping[str, Any]) -> None:
        """Fit again with other sites; the model is left as it was where that fails."""
        state = self.state
        fitted = replace(state.fitted, data={**state.fitted.data, "sites": sites}, has_own_sites=True)
        self._state = replace(state, fitted=fitted)
        try:
            self.fit(**options)
        except BaseException:  # an interrupt, too
            self._state = state
            raise

    def _doubts(self, points: np.ndarray, columns: list[tuple[int, float]]) -> np.ndarray:
        """Return the probability of a wrong sign of each column at points, ``k x N``."""
        wrong = []
        for mean, root in self._slopes(points, columns):
            sd = np.maximum(np.sqrt(np.square(root).sum(1)), 1e-300)
            wrong.append(ndtr(-mean / sd))
        return np.mean(wrong, axis=0).reshape(len(columns), -1)

    def _slopes(self, points: np.ndarray, columns: list[tuple[int, float]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield, at each draw, mean and a root of the covariance of all slopes at points, times their sign, in the gp's units."""
        fitted = self.state.fitted
        hyperparameters = [values for name, values in fitted.draws.items() if name != fitted.graph.signs.name]
        roots: dict[bytes, np.ndarray] = {}  # of each point of the hyperparameters: the derivatives do not change it
        for s, compiled in enumerate(self.state.process.processes):
            posterior: ConditionedPosterior = compiled.posterior
            key = b"".join(values[s].tobytes() for values in hyperparameters)
            with botorch_errors():
                (gradient,) = posterior(mean_gradients_at, points)
                if key not in roots:
                    roots[key] = _root(posterior, points, columns)
            yield np.concatenate([sign * gradient[:, j] for j, sign in columns]), roots[key]

    def _points(self, X: Any) -> np.ndarray:
        """Return points ``N x d`` as the gp sees them."""
        points = self.as_raw_inputs("X", X).detach().to("cpu", torch.float64)
        d = self.state.training.raw_X.shape[-1]
        if points.ndim != 2 or points.shape[1] != d or not points.isfinite().all():
            raise InvalidDataError(f"The points have shape {tuple(points.shape)}. Pass finite ones, N x {d}.")
        return to_numpy(self.read_inputs(points)[1])  # type: ignore[attr-defined]  # of the model

    def _slope_unit(self, j: int) -> float:
        """Return what a slope of one, in raw units, is in the units of the gp."""
        X = self.state.training.raw_X
        step = torch.zeros_like(X[:1])
        step[0, j] = 1.0
        moved = self._points(torch.cat([X[:1], X[:1] + step]))
        return float(1.0 / (abs(self.state.outcome_scale.scale) * abs(moved[1, j] - moved[0, j])))

    def _signed_columns(self) -> list[tuple[int, float]]:
        """Return columns with signs of the slope."""
        signs = self.state.fitted.graph.signs
        found = [] if signs is None else [(kind.column, kind.sign) for kind in signs.kinds if kind.order == 1]
        if not found:
            raise UnsupportedModelError(
                "The model's gp knows no signs of slopes (curvatures are not checked). Return a MonotoneGP with increasing=[...] "
                "from build_gp."
            )
        return found


def _most_doubtful(points: np.ndarray, doubts: np.ndarray, bound: float, sites: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """Return the points of largest doubt of each column above a bound, some way apart, and off the sites that there are."""
    unit = np.where(apart > 0, apart, 1.0)
    chosen: list[np.ndarray] = []
    for of_column in doubts:
        taken = len(chosen)
        for i in np.argsort(-of_column):
            if of_column[i] <= bound or len(chosen) - taken == NEW_SITES:
                break
            from_sites = (np.abs(points[i] - sites) / unit).max(1).min()
            if from_sites > 0.25 and all((np.abs(points[i] - other) / unit).max() > 1 for other in chosen):
                chosen.append(points[i])
    return np.array(chosen).reshape(-1, points.shape[1])


def _root(posterior: ConditionedPosterior, points: np.ndarray, columns: list[tuple[int, float]]) -> np.ndarray:
    """Return a root of the covariance of slopes times their sign, ``(k N) x (k N)``."""
    axes = np.eye(points.shape[1])
    blocks = [
        [sign * other * posterior(gradient_covariance_at, points, axes[j], axes[i])[0] for i, other in columns]
        for j, sign in columns
    ]
    covariance = np.block(blocks)
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return vectors * np.sqrt(np.maximum(values, 0.0))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and np.isfinite(float(value))


def _spread(d: int) -> np.ndarray:
    """Return points that are spread over the unit cube."""
    if d <= 2:
        axes = [np.linspace(0, 1, 101 if d == 1 else 15)] * d
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    from scipy.stats import qmc  # slow to import

    return qmc.Sobol(d, seed=0).random(256)
