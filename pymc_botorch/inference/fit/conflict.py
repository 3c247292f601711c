"""Conflict between priors and data, mostly one of units: yields in kg for priors in t, a field in metres for the unit cube.

A gp takes any data: where its priors are for others, it calls everything noise, or nothing. Three signs tell, of which data from
the prior show hardly any: a hyperparameter far from its prior; left-out observations that a straight line or their neighbours
predict much better than the gp does; and left-out observations far outside of what the gp allows for.
"""

__all__ = ["find_conflict"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.prior import Prior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.left_out import left_out

MAX_PRIOR_SDS = 4.0
"""Distance of an unconstrained hyperparameter from its prior median above which it is in conflict with the prior."""
MIN_DENSITY_DROP = 8.0
"""Least fall of the prior's log density over that distance, that of a normal distribution: some priors are highest at a bound."""
SMALL_OUTCOME = 0.05
"""Sd of the outcome, in prior sds of the function, above which the units are right: data with little noise are no conflict."""
MIN_OBSERVATIONS = 10
"""Number of observations from which predictions of left-out ones are compared: of fewer, neighbours predict well by chance."""
POOR_PREDICTION = 0.8
"""Root mean squared error of left-out observations, in sds of the outcome, above which the gp has learned little."""
BETTER_PREDICTION = 0.7
"""Fraction of that error below which simple predictions are much better."""
MAX_Z = 4.0
"""Root mean square of standardised left-out residuals above which the gp is far too sure."""


class _LeftOut(NamedTuple):
    """Root mean squared errors of predictions of left-out observations: in sds of the outcome, and in predicted sds (``z``)."""

    error: float
    simple_error: float
    z: float


def find_conflict(density: Density, prior: Prior, points: Sequence[np.ndarray], owner: str) -> str | None:
    """Return how the data contradict the priors, or None if they do not.

    Args:
        density: Log posterior density.
        prior: Prior of its parameters.
        points: Unconstrained points of the posterior: the MAP estimate, or draws.
        owner: Name of the class or builder that has the priors.
    """
    middle = np.median(points, axis=0)
    fitted = [_given(density, u) for u in points[:: max(len(points) // 3, 1)]]
    found = _far_from_prior(density, prior, middle, fitted[0]) or _poorly_predicted(fitted)
    if found is None:
        return None
    X, y = density.data.X, density.data.y
    spans = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in zip(X.min(0), X.max(0), strict=True))
    return (
        f"The data contradict the priors of {owner}: {found}. Check that the priors are written for the units that the gp sees "
        f"(inputs from {spans}; outcomes with mean {y.mean():.4g} and sd {y.std():.4g}), or widen them."
    )


def _given(density: Density, u: np.ndarray) -> FittedGP:
    point = density.constrained(u)
    return density.built.given(density.data, {name: value[None] for name, value in point.items()}, 1)[0]


def _far_from_prior(density: Density, prior: Prior, u: np.ndarray, fitted: FittedGP) -> str | None:
    distance = u - prior.centre
    side = np.where(distance > 0, prior.above, prior.below)
    sds = np.divide(np.abs(distance), side, out=np.zeros_like(u), where=side > 0)
    for i in np.argsort(-sds):
        if sds[i] <= MAX_PRIOR_SDS:
            return None
        typical = u.copy()
        typical[i] = prior.centre[i]
        alone = density.without_data()
        if alone(typical)[0] - alone(u)[0] < MIN_DENSITY_DROP:
            continue
        name = density.names[i]
        if distance[i] < 0 and _is_harmless_noise(_given(density, typical), fitted):
            continue
        direction = "above" if distance[i] > 0 else "below"
        return f"`{name}` is {density.shown(u, name)}, {sds[i]:.0f} prior sds {direction} the median of its prior"
    return None


def _is_harmless_noise(typical: FittedGP, fitted: FittedGP) -> bool:
    """Return whether two gps differ in their noise only, for outcomes of the scale that the priors expect."""
    one, two = _prior_moments(typical), _prior_moments(fitted)
    if one is None or two is None or not all(np.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(one, two, strict=True)):
        return False
    return bool(fitted.y.std() > SMALL_OUTCOME * np.sqrt(np.diag(two[1]).mean()))


def _poorly_predicted(fitted: Sequence[FittedGP]) -> str | None:
    left_out = [found for gp in fitted if (found := _leave_one_out(gp)) is not None]
    if not left_out:
        return None
    error, simple, z = np.median(left_out, axis=0)
    if error > POOR_PREDICTION and simple < BETTER_PREDICTION * error:
        return (
            f"it predicts left-out observations with an error of {error:.2g} sds of the outcome, where a straight line or the "
            f"neighbouring observations have one of {simple:.2g}"
        )
    if z > MAX_Z:
        return f"left-out observations are {z:.2g} predicted sds from their predictions, on average"
    return None


def _leave_one_out(fitted: FittedGP) -> _LeftOut | None:
    """Return how well left-out observations are predicted; None where there are few, or the gp is no function of its prior."""
    y = fitted.y
    sd = float(y.std())
    if fitted.kind != "exact" or len(y) < MIN_OBSERVATIONS or sd == 0:
        return None
    try:
        found = left_out(fitted)
    except FitError:
        return None
    residual = y - found.mean[0]
    return _LeftOut(_rms(residual) / sd, _simple_error(fitted.X, y) / sd, _rms(residual / np.sqrt(found.variance[0])))


def _prior_moments(fitted: FittedGP) -> tuple[np.ndarray, np.ndarray] | None:
    """Return mean and covariance of the function at the training inputs, or None of a gp that has no prior of its own."""
    if fitted.kind != "exact":
        return None
    try:
        (prior,) = fitted.prior()
    except FitError:
        return None
    mean, cov, _ = prior.moments(fitted.X[None])
    return mean[0], cov[0]


def _simple_error(X: np.ndarray, y: np.ndarray) -> float:
    """Return the least root mean squared error of left-out observations by a line, a parabola and the two nearest neighbours."""
    span = np.ptp(X, axis=0)
    Z = (X - X.min(0))[:, span > 0] / span[span > 0]
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=-1) + np.diag(np.full(len(y), np.inf))
    errors = [y - y[np.argsort(distance, axis=1)[:, :2]].mean(1)]
    for columns in ([Z], [Z, Z**2]):
        design = np.column_stack([np.ones(len(y)), *columns])
        if len(y) > 1.5 * design.shape[1]:
            basis, _ = np.linalg.qr(design)
            leverage = np.square(basis).sum(1)
            errors.append((y - basis @ (basis.T @ y)) / np.maximum(1 - leverage, 1e-6))
    return min(map(_rms, errors))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
