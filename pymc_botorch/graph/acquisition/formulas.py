"""Acquisition functions as expressions of a posterior: of its mean and standard deviation, or of samples from it.

They are those of BoTorch 0.18, stable in the tails: the logarithm of an expected improvement of 1e-40000 has a value and a
gradient. To be maximised all; an outcome to be minimised enters with its sign changed.

References:
    Ament, Daulton, Eriksson, Balandat & Bakshy (2023), Unexpected Improvements to Expected Improvement for Bayesian
    Optimization, https://arxiv.org/abs/2310.20708
    Wilson, Hutter & Deisenroth (2018), Maximizing acquisition functions for Bayesian optimization,
    https://arxiv.org/abs/1805.10196
"""

__all__ = [
    "Q_EXPECTED_IMPROVEMENT",
    "Q_LOG_EXPECTED_IMPROVEMENT",
    "Q_LOG_EXPECTED_IMPROVEMENT_SLIM",
    "Q_SIMPLE_REGRET",
    "Q_UPPER_CONFIDENCE_BOUND",
    "SamplesFormula",
    "expected_improvement",
    "fat_maximum",
    "log_expected_improvement",
    "log_improvement",
    "log_mean_exp",
    "log_probability_of_improvement",
    "posterior_mean",
    "posterior_sd",
    "probability_of_improvement",
    "smooth_maximum",
    "upper_confidence_bound",
]

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable


class SamplesFormula(NamedTuple):
    """An acquisition function of samples from a posterior.

    Attributes:
        utility: Of samples ``... x s``, incumbents ``s`` and ``parameters``: of their shape.
        over_points: Reduces utilities ``... x q x s`` to ``... x s``, given ``parameters``; that of one point is its own.
        over_samples: Reduces the last axis.
        parameters: Number of its parameters that are numbers.
        vectors: Number of those that are vectors, after the numbers.
    """

    utility: Callable[..., TensorVariable]
    over_points: Callable[..., TensorVariable]
    over_samples: Callable[[TensorVariable], TensorVariable]
    parameters: int
    vectors: int = 0


LOG_SQRT_2_PI = 0.5 * np.log(2 * np.pi)
LOG_SQRT_HALF_PI = 0.5 * np.log(np.pi / 2)
FURTHEST = -1e4
"""Standardised improvements below it have ``log(1 - exp(w))`` by its leading term: ``w`` is zero to rounding."""


def expected_improvement(mean: TensorVariable, sd: TensorVariable, best: TensorVariable) -> TensorVariable:
    """Return the expected improvement over ``best``: ``E max(f - best, 0)``.

    Args:
        mean: Posterior mean.
        sd: Posterior standard deviation, positive.
        best: The value to improve on.

    Example:
        >>> import pytensor.tensor as pt
        >>> float(expected_improvement(pt.constant(0.0), pt.constant(1.0), pt.constant(0.0)).eval())  # 1 / sqrt(2 pi)
        0.3989...
    """
    u = (mean - best) / sd
    return sd * (_density(u) + u * _probability(u))


def log_expected_improvement(mean: TensorVariable, sd: TensorVariable, best: TensorVariable) -> TensorVariable:
    """Return the logarithm of the expected improvement, with a gradient however small it is (Ament et al. 2023, eq. 9).

    Args:
        mean: Posterior mean.
        sd: Posterior standard deviation, positive.
        best: The value to improve on.

    Example:
        >>> import pytensor.tensor as pt
        >>> float(log_expected_improvement(pt.constant(0.0), pt.constant(1.0), pt.constant(400.0)).eval())
        -80012.9...
    """
    u = (mean - best) / sd
    near, far = pt.maximum(u, -1.0), pt.minimum(u, -1.0)  # each branch where it is right, or its gradient would be NaN
    inside = pt.maximum(far, FURTHEST)
    w = pt.log(pt.erfcx(-inside / np.sqrt(2.0)) * -inside) + LOG_SQRT_HALF_PI  # log(|u| Phi(u) / phi(u))
    tail = pt.switch(u > FURTHEST, pt.log1mexp(w), -2.0 * pt.log(-far))
    return pt.switch(
        u > -1.0, pt.log(_density(near) + near * _probability(near)), -0.5 * pt.square(u) - LOG_SQRT_2_PI + tail
    ) + pt.log(sd)


def probability_of_improvement(mean: TensorVariable, sd: TensorVariable, best: TensorVariable) -> TensorVariable:
    """Return the probability that the function is above ``best``; arguments as of :func:`expected_improvement`.

    Example:
        >>> import pytensor.tensor as pt
        >>> float(probability_of_improvement(pt.constant(0.0), pt.constant(1.0), pt.constant(0.0)).eval())
        0.5
    """
    return _probability((mean - best) / sd)


def log_probability_of_improvement(mean: TensorVariable, sd: TensorVariable, best: TensorVariable) -> TensorVariable:
    """Return the logarithm of :func:`probability_of_improvement`, with a gradient however small it is.

    Example:
        >>> import pytensor.tensor as pt
        >>> float(log_probability_of_improvement(pt.constant(0.0), pt.constant(1.0), pt.constant(400.0)).eval())
        -80006.9...
    """
    u = (mean - best) / sd
    near, far = pt.maximum(u, -1.0), pt.minimum(u, -1.0)
    tail = pt.log(0.5 * pt.erfcx(-far / np.sqrt(2.0))) - 0.5 * pt.square(u)
    return pt.switch(u > -1.0, pt.log1p(-0.5 * pt.erfc(near / np.sqrt(2.0))), tail)


def upper_confidence_bound(mean: TensorVariable, sd: TensorVariable, beta: TensorVariable) -> TensorVariable:
    """Return ``mean + sqrt(beta) sd``.

    Example:
        >>> import pytensor.tensor as pt
        >>> float(upper_confidence_bound(pt.constant(1.0), pt.constant(2.0), pt.constant(4.0)).eval())
        5.0
    """
    return mean + pt.sqrt(beta) * sd


def posterior_mean(mean: TensorVariable, sd: TensorVariable) -> TensorVariable:
    """Return the mean."""
    return mean


def posterior_sd(mean: TensorVariable, sd: TensorVariable, sign: TensorVariable) -> TensorVariable:
    """Return the standard deviation times ``sign``."""
    return sign * sd


def log_improvement(samples: TensorVariable, best: TensorVariable, tau: TensorVariable, *, fat: bool) -> TensorVariable:
    """Return the logarithm of a smooth ``max(samples - best, 0)`` (Ament et al. 2023, section 4.2 and appendix A.4).

    Args:
        samples: Of the function.
        best: The value to improve on, broadcastable to them.
        tau: Width of the smoothing, in the units of the function.
        fat: Whether it falls like ``1 / x²`` below ``best``, and not exponentially.
    """
    x = (samples - best) / tau
    if fat:
        return pt.log(pt.softplus(x) + 0.1 / (1.0 + pt.square(x))) + pt.log(tau)
    inside = pt.maximum(x, -35.0)  # below, softplus is exp to rounding
    return pt.switch(x > -35.0, pt.log(pt.softplus(inside)), x) + pt.log(tau)


def fat_maximum(values: TensorVariable, tau: TensorVariable) -> TensorVariable:
    """Return a smooth maximum over the points, ``... x q x s`` to ``... x s``.

    Its gradient falls like a power of the distance to the maximum, not exponentially.
    """
    top = values.max(axis=-2, keepdims=True)
    below = (top - values) / tau
    return top[..., 0, :] + tau * pt.log((2.0 / (2.0 + 2.0 * below + pt.square(below))).sum(axis=-2))


def smooth_maximum(values: TensorVariable, tau: TensorVariable) -> TensorVariable:
    """Return ``tau log sum exp(values / tau)`` over the points, ``... x q x s`` to ``... x s``."""
    top = values.max(axis=-2, keepdims=True)
    return top[..., 0, :] + tau * pt.log(pt.exp((values - top) / tau).sum(axis=-2))


def log_mean_exp(values: TensorVariable) -> TensorVariable:
    """Return the logarithm of the mean of ``exp(values)`` over samples, the last axis."""
    top = values.max(axis=-1, keepdims=True)
    return top[..., 0] + pt.log(pt.exp(values - top).mean(axis=-1))


def _improvement(samples: TensorVariable, best: TensorVariable) -> TensorVariable:
    return pt.maximum(samples - best, 0.0)


def _fat_log_improvement(samples: TensorVariable, best: TensorVariable, tau: TensorVariable, _: TensorVariable) -> TensorVariable:
    return log_improvement(samples, best, tau, fat=True)


def _log_improvement(samples: TensorVariable, best: TensorVariable, tau: TensorVariable, _: TensorVariable) -> TensorVariable:
    return log_improvement(samples, best, tau, fat=False)


def _confidence_bound(samples: TensorVariable, _: TensorVariable, width: TensorVariable) -> TensorVariable:
    mean = samples.mean(axis=-1, keepdims=True)
    return mean + width * pt.abs(samples - mean)


def _fat_maximum(values: TensorVariable, _: TensorVariable, tau: TensorVariable) -> TensorVariable:
    return fat_maximum(values, tau)


def _smooth_maximum(values: TensorVariable, _: TensorVariable, tau: TensorVariable) -> TensorVariable:
    return smooth_maximum(values, tau)


def _sample(samples: TensorVariable, _: TensorVariable) -> TensorVariable:
    return samples


def _maximum(values: TensorVariable, *_: TensorVariable) -> TensorVariable:
    return values.max(axis=-2)


def _mean(values: TensorVariable) -> TensorVariable:
    return values.mean(axis=-1)


Q_EXPECTED_IMPROVEMENT = SamplesFormula(_improvement, _maximum, _mean, 0)
Q_LOG_EXPECTED_IMPROVEMENT = SamplesFormula(_fat_log_improvement, _fat_maximum, log_mean_exp, 2)
"""Given the widths of the smooth improvement and of the smooth maximum."""
Q_LOG_EXPECTED_IMPROVEMENT_SLIM = SamplesFormula(_log_improvement, _smooth_maximum, log_mean_exp, 2)
Q_SIMPLE_REGRET = SamplesFormula(_sample, _maximum, _mean, 0)
Q_UPPER_CONFIDENCE_BOUND = SamplesFormula(_confidence_bound, _maximum, _mean, 1)
"""Given ``sqrt(beta pi / 2)``."""


def _density(u: TensorVariable) -> TensorVariable:
    return pt.exp(-0.5 * pt.square(u) - LOG_SQRT_2_PI)


def _probability(u: TensorVariable) -> TensorVariable:
    return 0.5 * pt.erfc(-u / np.sqrt(2.0))
