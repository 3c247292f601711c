"""Predictions of a gp fitted in PyMC, and their gradients: NumPy in, NumPy out, compiled once.

For users who need no torch. ``gp.predict`` compiles anew whenever the new points change; the :class:`Predictor` that
:func:`compile_predict` returns takes any number of points, and one for other data or hyperparameters of the same model
structure compiles nothing.
"""

__all__ = ["Prediction", "Predictor", "compile_predict"]

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pymc as pm

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.functions import Build
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.moments import moments
from pymc_botorch.graph.posterior.pointwise import gradients_at, mean_at, mean_gradients_at, moments_at
from pymc_botorch.inference.draws import check_later_draws, split_draws
from pymc_botorch.inference.fitted import FittedGP, read_fitted
from pymc_botorch.inference.predictive_gradients import PredictiveGradients, mixture, with_sd

type Average = Literal["mixture"] | None


class Prediction(NamedTuple):
    """Mean, variance and, on request, covariance of predictions.

    Attributes:
        mean: ``...``, in the units of the outcome.
        variance: ``...``, in their square.
        covariance: ``... x q x q`` for points ``... x q x d``; None unless requested.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     found = pymc_botorch.compile_predict(gp, {}).predict(X)
        >>> found.mean.shape, found.variance.shape, found.covariance
        ((8,), (8,), None)
    """

    mean: np.ndarray
    variance: np.ndarray
    covariance: np.ndarray | None


class Predictor:
    """Predictions of a fitted gp at any points, returned by :func:`compile_predict`.

    Each method compiles one function at its first call, for any number of points (none if a gp of the same structure was
    compiled before). Points ``X`` are ``... x d``. Given draws, ``average="mixture"`` returns moments of the mixture of all
    draws, by the law of total variance; ``average=None`` returns those of each draw, with ``S`` as first axis (one for a
    point).

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     predictor = pymc_botorch.compile_predict(gp, {})
        >>> predictor.mean(np.zeros((5, 3, 1))).shape
        (5, 3)
        >>> predictor.mean_gradient(X).shape
        (8, 1)
    """

    def __init__(self, function: FittedGP, observation: FittedGP | None) -> None:
        self._function, self._observation = function, observation
        self._draws = list(function.conditioned())
        self._noisy_draws: list[ConditionedPosterior] | None = None

    @property
    def num_draws(self) -> int:
        """Number of draws; one for a point."""
        return self._function.num_draws

    @property
    def _variance_floor(self) -> float:
        return min(draw.variance_floor for draw in self._draws)

    def mean(self, X: np.ndarray, *, average: Average = "mixture") -> np.ndarray:
        """Return the posterior mean at points ``... x d``: ``...``. It costs no triangular solve."""
        (mean,) = self._evaluate(mean_at, X)
        return mean.mean(0) if _is_mixture(average) else mean

    def mean_gradient(self, X: np.ndarray, *, average: Average = "mixture") -> np.ndarray:
        """Return the gradient of the posterior mean at points ``... x d``: ``... x d``. It costs no triangular solve."""
        (gradient,) = self._evaluate(mean_gradients_at, X)
        return gradient.mean(0) if _is_mixture(average) else gradient

    def predict(
        self, X: np.ndarray, *, covariance: bool = False, pred_noise: bool = False, average: Average = "mixture"
    ) -> Prediction:
        """Return mean and variance of the function, or of new observations, at points.

        Args:
            X: Points, ``... x d``; for a covariance ``... x q x d``.
            covariance: Whether to return the covariance of the ``q`` points too, without jitter.
            pred_noise: Whether variances are those of new observations, as in ``gp.predict``: the noise of the likelihood is
                added (where it differs between observations, the mean of its variances).
            average: ``"mixture"``, or None for each draw.
        """
        mixed = _is_mixture(average)
        correlated = pred_noise and self._observation is not None
        draws = self._noisy() if correlated else self._draws
        if covariance:
            if np.ndim(X) < 2:
                raise DataError(f"X has shape {np.shape(X)}, a single point. Pass ... x q x d points for their covariance.")
            mean, cov = self._evaluate(moments, X, draws)
        else:
            mean, cov = self._evaluate(moments_at, X, draws)
            cov = cov[..., None, None]  # of each point alone
        q = cov.shape[-1]
        if pred_noise and not correlated:
            noise = np.array([draw.noise.mean() for draw in draws])
            cov = cov + noise.reshape(-1, *(1,) * (cov.ndim - 1)) * np.eye(q)
        if mixed:
            centre = mean.mean(0)
            off = mean - centre if covariance else (mean - centre)[..., None]
            mean, cov = centre, cov.mean(0) + np.einsum("s...i,s...j->...ij", off, off) / len(off)
        variance = np.maximum(np.einsum("...ii->...i", cov), self._variance_floor)
        return Prediction(mean[()], variance if covariance else variance[..., 0][()], cov if covariance else None)

    def gradients(self, X: np.ndarray, *, average: Average = "mixture") -> PredictiveGradients:
        """Return mean, variance and sd of the function at points ``... x d``, and their gradients.

        The gradient of the variance is not the variance of the gradient: :func:`pymc_botorch.gradient_posterior` returns that.

        Returns:
            ``mean, variance, sd`` (``...``) and ``mean_gradient, variance_gradient, sd_gradient`` (``... x d``).
        """
        mixed = _is_mixture(average)
        draws = with_sd(*self._evaluate(gradients_at, X), floor=self._variance_floor)
        if mixed and self.num_draws == 1:
            return PredictiveGradients(*(part[0] for part in draws))
        return mixture(draws) if mixed else draws

    def _evaluate(self, build: Build, X: np.ndarray, draws: Sequence[ConditionedPosterior] | None = None) -> list[np.ndarray]:
        """Return the outputs of ``build``, each ``S x ...``; of ``moments`` mean and covariance."""
        points = self._checked(X)
        kept, count = (2, 2) if build is moments else (1, None)  # trailing dimensions of points in one call; outputs to return
        lead = points.shape[:-kept]
        flat = points.reshape(math.prod(lead), *points.shape[-kept:])
        nonempty = flat if flat.size else np.zeros((1, *flat.shape[1:]))  # PyTensor's batched operations take no empty batch
        draws = self._draws if draws is None else draws
        functions = draws[0].functions.latest()
        outputs = [[part[: len(flat)] for part in draw.with_functions(functions)(build, nonempty)[:count]] for draw in draws]
        stacked = (parts[0][None] if len(parts) == 1 else np.stack(parts) for parts in zip(*outputs, strict=True))
        return [parts.reshape(len(outputs), *lead, *parts.shape[2:]) for parts in stacked]

    def _noisy(self) -> list[ConditionedPosterior]:
        """Return the posteriors of new observations whose noise is a covariance, conditioned at the first call."""
        if self._noisy_draws is None and self._observation is not None:
            self._noisy_draws = list(self._observation.conditioned())
        return self._noisy_draws or []

    def _checked(self, X: np.ndarray) -> np.ndarray:
        d = self._function.X.shape[1]
        try:
            if np.iscomplexobj(X):
                raise TypeError("it is complex")
            points = np.ma.filled(np.ma.asarray(X, dtype=np.float64), np.nan) if np.ma.isMaskedArray(X) else np.asarray(X, float)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"X is not numeric ({error}). Pass ... x {d} numbers.") from error
        if points.ndim < 1 or points.shape[-1] != d:
            hint = ", for example X[:, None]" if d == 1 else ""
            raise DataError(f"X has shape {points.shape}. Pass ... x {d} points{hint}, as the gp was fitted to.")
        if not np.isfinite(points).all():
            raise DataError("X has NaN or infinite values. Leave these points out.")
        return points


def compile_predict(
    gp: pm.gp.Marginal,
    point: Any,
    *,
    model: pm.Model | None = None,
    given: Mapping[str, Any] | None = None,
    jitter: float | None = None,
) -> Predictor:
    """Return the predictions of a fitted gp, and their gradients, as functions of any points.

    The result is a snapshot: later changes of the PyMC model or its data do not reach it.

    Args:
        gp: A ``pm.gp.Marginal``, ``MarginalApprox`` or ``MarginalKron`` whose ``marginal_likelihood`` was called in ``model``,
            or an additive component of one.
        point: One value for each parameter, as ``pm.find_MAP()`` returns them; or ArviZ data, whose posterior draws are
            averaged over (each costs a call of the compiled function; ``idata.isel(draw=slice(None, None, 20))`` thins them).
        model: The PyMC model; None takes the one in context.
        given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``.
        jitter: Jitter on the diagonal of the training covariance (a variance); None reads it from the model.

    Raises:
        UnsupportedGPError: If ``gp`` is of another class. (A ``TypeError``.)
        DataError: If gp, data, point and model do not fit together. (A ``ValueError``.)
        FitError: If the training covariance cannot be factorised at a point.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     sigma = pm.LogNormal("sigma", -2, 1)
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma)
        ...     predictor = pymc_botorch.compile_predict(gp, {"sigma": 0.1})
        >>> mean, variance, _ = predictor.predict(np.linspace(0, 1, 600)[:, None], pred_noise=True)
        >>> mean.shape, variance.shape
        ((600,), (600,))
    """
    draws = split_draws(point)
    function, observation = read_fitted(gp, draws[0], model=model, given=given, jitter=jitter, inputs_transformed=False)
    first = {name: values[0] for fitted in (function, observation) if fitted for name, values in fitted.draws.items()}
    every = [first, *check_later_draws(draws, first)]
    stacked = {name: np.stack([draw[name] for draw in every]) for name in first}
    noisy = observation and observation.with_draws_of_model(stacked, len(every))
    return Predictor(function.with_draws_of_model(stacked, len(every)), noisy)


def _is_mixture(average: Average) -> bool:
    if average not in ("mixture", None):
        raise ValueError(f"average is {average!r}. Pass 'mixture', or None for each draw.")
    return average == "mixture"
