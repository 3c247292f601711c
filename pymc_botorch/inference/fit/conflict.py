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
from pymc_botorch.inference.components import TOTAL
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.prior import Prior
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.left_out import left_out

MAX_PRIOR_SDS = 4.0
"""Distance of an unconstrained hyperparameter from its prior median above which it is in conflict with the prior."""
MIN_DENSITY_DROP = 8.0
"""Least fall of the prior's log density over that distance, that of a normal distribution, on either scale of the parameter: some
priors are highest at a bound, and others have tails (half-Cauchy) that fall slowly on the unconstrained one."""
SMALL_OUTCOME = 0.05
"""Sd of the outcome, in prior sds of the function, above which the units are right: data with little noise are no conflict."""
MIN_LEFT_OUT = 4
"""Number of observations from which they are predicted from each other."""
MIN_OBSERVATIONS = 10
"""Number of observations from which predictions of left-out ones are compared: of fewer, neighbours predict well by chance."""
POOR_PREDICTION = 0.8
"""Root mean squared error of left-out observations, in sds of the outcome, above which the gp has learned little."""
BETTER_PREDICTION = 0.7
"""Fraction of that error below which simple predictions are much better."""
MAX_Z, MIN_Z = 4.0, 0.003
"""Root mean squares of standardised left-out residuals beyond which the gp is far too sure, or far too unsure."""
NO_CORRELATION, FULL_CORRELATION = 1e-4, 1 - 1e-4
"""Prior correlations between observations that mean that they share nothing, or everything."""
NUM_CONDITIONED = 3
"""Number of draws of which left-out observations are predicted."""


class _Fit(NamedTuple):
    """How a gp stands to the data, in one draw.

    Attributes:
        error: Root mean squared error of left-out observations, in sds of the outcome.
        simple_error: That of the best simple prediction.
        z: Root mean square of the errors, in predicted sds.
        least: Least prior correlation between two observations; one where it is not looked at.
        largest: The largest between two at different inputs; zero where it is not looked at.
    """

    error: float
    simple_error: float
    z: float
    least: float = 0.5
    largest: float = 0.5


def find_conflict(density: Density, prior: Prior, points: Sequence[np.ndarray], owner: str) -> str | None:
    """Return how the data contradict the priors, or None if they do not.

    Args:
        density: Log posterior density.
        prior: Prior of its parameters.
        points: Unconstrained points of the posterior: the MAP estimate, or draws.
        owner: Name of the class or builder that has the priors.
    """
    X, y = density.data.X, density.data.y
    if np.ptp(y) == 0:  # which says nothing of a scale
        return None
    some = np.unique(np.linspace(0, len(points) - 1, NUM_CONDITIONED).astype(int))
    found = _far_from_prior(density, prior, np.median(points, axis=0)) or _poorly_predicted(
        [_given(density, points[i]) for i in some]
    )
    if found is None:
        return None
    spans = ", ".join(f"{low:.4g} to {high:.4g}" for low, high in zip(X.min(0), X.max(0), strict=True))
    return (
        f"The data contradict the priors of {owner}: {found}. Check that the priors are written for the units that the gp sees "
        f"(inputs from {spans}; outcomes with mean {y.mean():.4g} and sd {y.std():.4g}), or widen them."
    )


def _given(density: Density, u: np.ndarray) -> FittedGP:
    """Return the gp at a point; where it is a component, the sum, which the data are of."""
    point, built = density.constrained(u), density.built
    built = built.of(TOTAL) if TOTAL in built.parts else built
    return built.given(density.data, {name: value[None] for name, value in point.items()}, 1)[0]


def _far_from_prior(density: Density, prior: Prior, u: np.ndarray) -> str | None:
    distance = u - prior.centre
    side = np.where(distance > 0, prior.above, prior.below)
    sds = np.divide(np.abs(distance), side, out=np.zeros_like(u), where=side > 0)
    far = [i for i in np.argsort(-sds) if sds[i] > MAX_PRIOR_SDS]
    priors = [density.without_data(jacobian=jacobian) for jacobian in (False, True)] if far else []
    for i in far:
        typical = u.copy()
        typical[i] = prior.centre[i]
        if min(alone(typical)[0] - alone(u)[0] for alone in priors) < MIN_DENSITY_DROP:
            continue
        if distance[i] < 0 and _is_harmless_noise(_given(density, typical), _given(density, u)):
            continue
        name, direction = density.names[i], "above" if distance[i] > 0 else "below"
        return f"`{name}` is {density.shown(u, name)}, {sds[i]:.0f} prior sds {direction} the median of its prior"
    return None


def _is_harmless_noise(typical: FittedGP, fitted: FittedGP) -> bool:
    """Return whether two gps differ in their noise only, for outcomes of the scale that the priors expect."""
    one, two = _prior_moments(typical), _prior_moments(fitted)
    if one is None or two is None:
        return True
    same = all(np.allclose(a, b, rtol=1e-9, atol=0) for a, b in zip(one, two, strict=True))
    return same and bool(fitted.y.std() > SMALL_OUTCOME * np.sqrt(np.diag(two[1]).mean()))


def _poorly_predicted(fitted: Sequence[FittedGP]) -> str | None:
    found = [fit for gp in fitted if (fit := _leave_one_out(gp)) is not None]
    if not found:
        return None
    fit = _Fit(*np.median(found, axis=0))
    if len(fitted[0].y) >= MIN_OBSERVATIONS and fit.error > POOR_PREDICTION and fit.simple_error < BETTER_PREDICTION * fit.error:
        return (
            f"it predicts left-out observations with an error of {fit.error:.2g} sds of the outcome, where a straight line or "
            f"neighbouring observations have one of {fit.simple_error:.2g}"
        )
    if fit.z > MAX_Z or fit.z < MIN_Z:
        return f"errors of left-out observations are typically {fit.z:.2g} times as large as it predicts"
    if fit.largest < NO_CORRELATION:
        return "it takes the function at each observation for unrelated to all others, as if they were very far apart"
    if fit.least > FULL_CORRELATION:
        return "it takes the function for the same at all observations, as if they were at one place, and all else for noise"
    return None


def _leave_one_out(fitted: FittedGP) -> _Fit | None:
    """Return how well left-out observations are predicted; None where there are few, or the gp is no function of its prior."""
    X, y = fitted.X, fitted.y
    if fitted.kind != "exact" or len(y) < MIN_LEFT_OUT:
        return None
    try:
        found = left_out(fitted)
    except FitError:
        return None
    residual, sd = y - found.mean[0], float(y.std())
    fit = _Fit(_rms(residual) / sd, _simple_error(X, y) / sd, _rms(residual / np.sqrt(found.variance[0])))
    if fit.error < POOR_PREDICTION or (moments := _prior_moments(fitted)) is None:
        return fit
    sds = np.sqrt(np.diag(moments[1]))
    correlation = moments[1] / np.maximum(np.outer(sds, sds), np.finfo(np.float64).tiny)
    from scipy.spatial.distance import cdist  # a tenth of a second to import

    apart = (cdist(X, X) > 0) & np.triu(np.ones_like(correlation, dtype=bool))
    return fit if not apart.any() else fit._replace(least=correlation[apart].min(), largest=correlation[apart].max())


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
    from scipy.spatial import cKDTree  # a tenth of a second to import

    near = cKDTree(Z).query(Z, 3)[1] if Z.shape[1] else np.tile(np.arange(3), (len(y), 1))  # itself among them, or twins
    itself = near == np.arange(len(y))[:, None]
    near = np.where(itself.any(1, keepdims=True), np.sort(np.where(itself, -1, near), axis=1), near)[:, 1:]
    errors = [y - y[near].mean(1)]
    for columns in ([Z], [Z, Z**2]):
        design = np.column_stack([np.ones(len(y)), *columns])
        if len(y) > 1.5 * design.shape[1]:
            basis, _ = np.linalg.qr(design)
            leverage = np.square(basis).sum(1)
            errors.append((y - basis @ (basis.T @ y)) / np.maximum(1 - leverage, 1e-6))
    return min(map(_rms, errors))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
