"""How probable the signs of a gp's derivatives are, and the hyperparameters that are most probable together with them.

The signs are given to a function after its outcomes (:mod:`pymc_botorch.graph.gps.shaped`). Hyperparameters that the outcomes
alone favour can contradict them: where outcomes are few and noisy, a short lengthscale and little noise are often the most
probable, and the function follows the noise up and down. It does not at the maximum of

    log p(y | theta) + log P(signs | y, theta) + log p(theta),

the density of hyperparameters and function, conditioned on the signs. It favours long lengthscales, which suits a function that
rises everywhere, and not one with a plateau.

References:
    Genz (1992), Numerical computation of multivariate normal probabilities, https://doi.org/10.1080/10618600.1992.10477010
"""

__all__ = ["contradiction", "fit_joint", "in_prior_sds", "log_orthant_probability"]

import time

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from pymc_botorch.config import Tier
from pymc_botorch.errors import FitError
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import signs_of_data
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.map import FitResult
from pymc_botorch.inference.fit.optimise import NO_FINITE_START, climb
from pymc_botorch.inference.fit.prior import prior_quantiles, read_prior
from pymc_botorch.inference.fit.starts import start_from_point, starts, step_off
from pymc_botorch.inference.fit.threads import one_blas_thread
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.training_data import TrainingData

SAMPLES = 512
"""Number of quasi-random points of a probability."""
STEP = 1e-3
"""Step of differences of a log probability, of unconstrained parameters."""


def in_prior_sds(posterior: ConditionedPosterior) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean ``M`` and covariance ``M x M`` of the derivatives at the sites, in their prior sds, and these, ``M``.

    They are times their signs, given the outcomes of a posterior, and not the values of the derivatives that it has.
    """
    mean, cov, scale = posterior.functions(signs_of_data, *posterior.values)
    return mean / scale, cov / np.outer(scale, scale), scale


def log_orthant_probability(mean: np.ndarray, cov: np.ndarray) -> float:
    """Return the log probability that a normal vector is positive, by separation of variables (Genz 1992).

    It is a smooth function of its arguments: the quasi-random points are always the same.

    Args:
        mean: ``M``.
        cov: ``M x M``, positive definite.
    """
    from scipy.stats import qmc  # slow to import

    L = np.linalg.cholesky(cov)
    log_uniform = np.log(qmc.Sobol(len(mean), seed=0).random(SAMPLES))
    normal, total = np.zeros((SAMPLES, len(mean))), np.zeros(SAMPLES)
    for i in range(len(mean)):
        log_probability = log_ndtr((mean[i] + normal[:, :i] @ L[i, :i]) / L[i, i])
        total += log_probability
        normal[:, i] = -ndtri_exp(log_uniform[:, i] + log_probability)
    return float(np.logaddexp.reduce(total) - np.log(SAMPLES))


def contradiction(fitted: FittedGP) -> float:
    """Return the log of the factor by which the outcomes make the signs less probable, at the first draw."""
    return _log_probability(fitted, next(fitted.prior())) - _log_probability(fitted, next(fitted.conditioned()))


def _log_probability(fitted: FittedGP, posterior: ConditionedPosterior) -> float:
    mean, cov, _ = in_prior_sds(posterior)
    nu = 0.0 if fitted.graph.signs is None else fitted.graph.signs.nu
    return log_orthant_probability(mean, cov + nu**2 * np.eye(len(mean)))


class _JointDensity(Density):
    """The log posterior density plus the log probability of the signs, whose slope is by differences."""

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = super().__call__(u)
        if not np.isfinite(value):
            return value, slope
        value = value + self.log_probability(u)
        steps = STEP * np.eye(len(u))
        differences = [self.log_probability(u + step) - self.log_probability(u - step) for step in steps]
        slope = slope + np.array(differences) / (2 * STEP)
        return (value, slope) if np.isfinite(value) and np.isfinite(slope).all() else (-np.inf, np.zeros_like(u))

    def log_probability(self, u: np.ndarray) -> float:
        """Return the log probability of the signs given the outcomes."""
        draws = {name: part[None] for name, part in self.constrained(u).items()}
        fitted, _ = self.built.given(self.data, draws, 1)
        try:
            return _log_probability(fitted, next(fitted.conditioned()))
        except (FitError, np.linalg.LinAlgError):
            return -np.inf


def fit_joint(
    built: BuiltGP, data: TrainingData, *, start: dict[str, np.ndarray], maxiter: int, tier: Tier
) -> tuple[dict[str, np.ndarray], FitResult]:
    """Return the parameters that are most probable together with the signs, and a report of the fit.

    Args:
        built: A gp with signs.
        data: Training data.
        start: Point to begin at, beside the mode of the prior: the maximum a posteriori without signs.
        maxiter: Maximum number of L-BFGS-B iterations per start.
        tier: What the density is compiled with.

    Raises:
        FitError: If the density is finite at none of the starts.
    """
    began = time.perf_counter()
    density = _JointDensity(built, data, tier, jacobian=False)
    with one_blas_thread():
        prior = read_prior(density)
        initial = [step_off(density, prior, start_from_point(density, start)), *starts(density, prior, None, 1, 0)]
        optima = [climb(density, one.u, maxiter) for one in initial]
        best = max(optima, key=lambda optimum: optimum.value)
    if not np.isfinite(best.value):
        raise FitError(NO_FINITE_START.format(len(initial)))
    names = ("without signs", initial[1].name)
    values = tuple(optimum.value for optimum in optima)
    seconds, point = time.perf_counter() - began, density.constrained(best.u)
    quantiles = prior_quantiles(prior, point)
    return point, FitResult("joint", names, values, density.evaluations, seconds, density.linker, None, prior_quantiles=quantiles)
