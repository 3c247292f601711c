"""A fitted PyMC gp and a point or draws come in, predictions and their gradients go out: NumPy in, NumPy out, compiled once.

For people who never touch torch: ``gp.predict`` compiles anew whenever the new points change; what
:func:`compile_predict` returns takes any number of points, and another call of it with other data or hyperparameters of the
same model structure compiles nothing.
"""

__all__ = ["Prediction", "Predictor", "compile_predict", "symbolic_gradients", "symbolic_posterior"]

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pymc as pm

from pymc_botorch.errors import DataError
from pymc_botorch.graph.observations import Observations, read_observations
from pymc_botorch.graph.pointwise import (
    VARIANCE_FLOOR,
    PredictiveGradients,
    gradients_at,
    joint_at,
    mean_at,
    mean_gradients_at,
    mixture,
    moments_at,
    with_roots,
)
from pymc_botorch.graph.readings import Build, ConditionedReadings, readings
from pymc_botorch.graph.symbolic import SymbolicPosterior, conditional_gradients, conditional_moments
from pymc_botorch.inference.draws import check_draws, split_draws
from pymc_botorch.inference.fitted import FittedGP, read_fitted

type Average = Literal["mixture"] | None


class Prediction(NamedTuple):
    """Mean, variance and, where it was asked for, covariance of predictions.

    Attributes:
        mean: ``...``.
        variance: ``...``.
        covariance: ``... x q x q`` for points ``... x q x d``; None where it was not asked for.
    """

    mean: np.ndarray
    variance: np.ndarray
    covariance: np.ndarray | None


class Predictor:
    """Predictions of a fitted gp at any points: made by :func:`compile_predict`, of numbers only.

    Each method compiles one function when it is first called (none where a gp of the same structure has been there before),
    whatever the number of points. Points ``X`` are ``... x d``. Given draws, ``average="mixture"`` returns moments of the
    mixture of all draws, by the law of total variance; ``average=None`` returns each draw's, with ``S`` as first axis (one
    for a point).

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

    def __init__(self, function: FittedGP, observation: FittedGP | None, points: Sequence[Mapping[str, np.ndarray]]) -> None:
        self._function, self._observation, self._points = function, observation, points
        self._draws = _conditioned(function, points)
        self._noisy_draws: list[ConditionedReadings] | None = None

    @property
    def num_draws(self) -> int:
        """Number of draws; one for a point."""
        return len(self._points)

    def mean(self, X: np.ndarray, *, average: Average = "mixture") -> np.ndarray:
        """Return the posterior mean at points ``... x d``: ``...``. It costs no triangular solve."""
        (mean,) = self._read(mean_at, X)
        return mean.mean(0) if _averages(average) else mean

    def mean_gradient(self, X: np.ndarray, *, average: Average = "mixture") -> np.ndarray:
        """Return the gradient of the posterior mean at points ``... x d``: ``... x d``. It costs no triangular solve."""
        (gradient,) = self._read(mean_gradients_at, X)
        return gradient.mean(0) if _averages(average) else gradient

    def predict(
        self, X: np.ndarray, *, covariance: bool = False, pred_noise: bool = False, average: Average = "mixture"
    ) -> Prediction:
        """Return mean and variance of the function, or of new observations, at points.

        Args:
            X: ``... x d``; for a covariance ``... x q x d``.
            covariance: Whether to return the covariance of the ``q`` points too, without jitter.
            pred_noise: Whether variances are those of new observations, as in ``gp.predict``: the noise of the likelihood is
                added (where it differs between observations the mean of its variances).
            average: ``"mixture"`` or None, see above.
        """
        mixed = _averages(average)
        correlated = pred_noise and self._observation is not None
        draws = self._noisy() if correlated else self._draws
        if covariance:
            if np.ndim(X) < 2:
                raise DataError(f"X has shape {np.shape(X)}, a single point. Pass ... x q x d points for their covariance.")
            mean, cov = self._read(joint_at, X, draws)
        else:
            mean, cov = self._read(moments_at, X, draws)
            cov = cov[..., None, None]  # of each point alone
        q = cov.shape[-1]
        if pred_noise and not correlated:
            noise = np.array([draw.noise.mean() for draw in draws])
            cov = cov + noise.reshape(-1, *(1,) * (cov.ndim - 1)) * np.eye(q)
        if mixed:
            centre = mean.mean(0)
            off = mean - centre if covariance else (mean - centre)[..., None]
            mean, cov = centre, cov.mean(0) + np.einsum("s...i,s...j->...ij", off, off) / len(off)
        variance = np.maximum(np.einsum("...ii->...i", cov), VARIANCE_FLOOR)
        return Prediction(mean[()], variance if covariance else variance[..., 0][()], cov if covariance else None)

    def gradients(self, X: np.ndarray, *, average: Average = "mixture") -> PredictiveGradients:
        """Return mean, variance and sd of the function at points ``... x d``, and their gradients.

        The gradient of the variance is not the variance of the gradient: :func:`pymc_botorch.gradient_posterior` has that.

        Returns:
            ``mean, variance, sd`` (``...``) and ``mean_gradient, variance_gradient, sd_gradient`` (``... x d``).
        """
        mixed = _averages(average)
        draws = with_roots(*self._read(gradients_at, X))
        if mixed and self.num_draws == 1:
            return PredictiveGradients(*(part[0] for part in draws))
        return mixture(draws) if mixed else draws

    def _read(self, build: Build, X: np.ndarray, draws: Sequence[ConditionedReadings] | None = None) -> list[np.ndarray]:
        """Return the outputs of ``build``, each ``S x ...``."""
        points = self._checked(X)
        kept = 2 if build is joint_at else 1  # dimensions of points that one call reads as they are
        lead = points.shape[:-kept]
        flat = points.reshape(math.prod(lead), *points.shape[-kept:])
        some = flat if flat.size else np.zeros((1, *flat.shape[1:]))  # a batched operation of PyTensor refuses none
        outputs = [[part[: len(flat)] for part in draw(build, some)] for draw in (self._draws if draws is None else draws)]
        stacked = (parts[0][None] if len(parts) == 1 else np.stack(parts) for parts in zip(*outputs, strict=True))
        return [parts.reshape(len(outputs), *lead, *parts.shape[2:]) for parts in stacked]

    def _noisy(self) -> list[ConditionedReadings]:
        """Return new observations whose noise is a covariance, conditioned when first asked for."""
        if self._noisy_draws is None and self._observation is not None:
            self._noisy_draws = _conditioned(self._observation, self._points)
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

    It is a snapshot: later changes of the PyMC model or its data do not reach it.

    Args:
        gp: A ``pm.gp.Marginal``, ``MarginalApprox`` or ``MarginalKron`` whose ``marginal_likelihood`` was called in ``model``,
            or an additive component of one.
        point: One value for each parameter, as ``pm.find_MAP()`` returns them; or ArviZ data, whose posterior draws are
            averaged over (each costs a call of the compiled function; ``idata.isel(draw=slice(None, None, 20))`` thins them).
        model: The PyMC model; None takes the one in context.
        given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``.
        jitter: What was added to the diagonal of the training covariance; None reads it from the model.

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
    first = {**function.point, **(observation.point if observation else {})}
    return Predictor(function, observation, [first, *check_draws(draws[1:], first)])


def symbolic_posterior(
    gp: pm.gp.Marginal, X: Any, *, model: pm.Model | None = None, given: Mapping[str, Any] | None = None
) -> SymbolicPosterior:
    """Return posterior mean and covariance of the noise-free function at ``X``, to go on with in PyTensor.

    They depend on the model's own random variables and ``pm.Data``: put them into a ``pm.Deterministic``, or replace these.

    Args:
        gp: As for :func:`compile_predict`, also for the other arguments.
        X: ``n x d``, symbolic or an array.
        model: The PyMC model; None takes the one in context.
        given: For an additive component.

    Returns:
        Mean ``n`` and covariance ``n x n``, without jitter.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     mean, cov = pymc_botorch.symbolic_posterior(gp, X)
        >>> mean.type.ndim, cov.type.ndim
        (1, 2)
    """
    return conditional_moments(gp, _observations(gp, model, given), given, X)


def symbolic_gradients(
    gp: pm.gp.Marginal, X: Any, *, model: pm.Model | None = None, given: Mapping[str, Any] | None = None
) -> PredictiveGradients:
    """Return mean, variance and sd of the noise-free function at the rows of ``X``, and their gradients, in PyTensor.

    Args:
        gp: As for :func:`symbolic_posterior`, also for the other arguments.
        X: ``n x d``, symbolic or an array.
        model: The PyMC model; None takes the one in context.
        given: For an additive component.

    Returns:
        ``mean, variance, sd`` (``n``) and ``mean_gradient, variance_gradient, sd_gradient`` (``n x d``).

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     slope = pm.Deterministic("slope", pymc_botorch.symbolic_gradients(gp, X).mean_gradient)
        >>> slope.type.ndim
        2
    """
    return conditional_gradients(gp, _observations(gp, model, given), given, X)


def _observations(gp: pm.gp.Marginal, model: pm.Model | None, given: Mapping[str, Any] | None) -> Observations:
    if model is None and pm.Model.get_context(error_if_none=False) is None:
        raise TypeError("There is no PyMC model in context. Pass model=..., or call this inside 'with pm_model:'.")
    return read_observations(gp, pm.modelcontext(model), given, None, inputs_transformed=False)


def _conditioned(fitted: FittedGP, points: Sequence[Mapping[str, np.ndarray]]) -> list[ConditionedReadings]:
    """Return the gp conditioned on its data, for each point."""
    compiled = readings(fitted.graph, fitted.tier)
    return [compiled.condition([*fitted.data.values(), *(point[name] for name in fitted.point)]) for point in points]


def _averages(average: Average) -> bool:
    if average not in ("mixture", None):
        raise ValueError(f"average is {average!r}. Pass 'mixture', or None for each draw's.")
    return average == "mixture"
