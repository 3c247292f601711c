"""The references of benchmarks/trust.py judge the density that the package samples: the same model, written a second time."""

import numpy as np
import pytest
from default_gp import DefaultGP, mixture

from pymc_botorch.inference.build import build, build_default_gp
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.training_data import TrainingData

ROUNDING = 1e-8  # both factorise the same matrix, in another order


@pytest.mark.parametrize("d", [1, 3])
def test_default_gp_in_numpy_has_the_density_of_the_package(d):
    rng = np.random.default_rng(d)
    X, Y = rng.random((12, d)), 3 + rng.normal(size=12)
    gp = DefaultGP(X, Y)
    data = TrainingData(X, gp.y)
    density = Density(build(build_default_gp, data), data, "numpy", jacobian=True)
    U = gp.prior_location + gp.prior_sd * rng.normal(size=(20, d + 2))
    differences = gp.log_density(U) - [density(u)[0] for u in U]
    assert np.ptp(differences) < ROUNDING
    constrained = [density.constrained(u) for u in U]
    back = gp.unconstrained(*(np.stack([point[name] for point in constrained]) for name in ("lengthscale", "mean", "noise")))
    np.testing.assert_allclose(back, U, atol=ROUNDING)


def test_function_given_hyperparameters_is_that_of_textbooks():
    rng = np.random.default_rng(0)
    X, Y, X_new = rng.random((8, 2)), rng.normal(size=8), rng.random((3, 2))
    gp, u = DefaultGP(X, Y), np.array([-0.5, 0.3, 0.2, -3.0])
    ell, noise = 0.025 + np.exp(u[:2]), 1e-4 + np.exp(u[3])

    def kernel(a, b):
        return np.exp(-0.5 * np.square((a[:, None] - b[None]) / ell).sum(-1))

    K, k = kernel(X, X) + noise * np.eye(8), kernel(X_new, X)
    mean = u[2] + k @ np.linalg.solve(K, gp.y - u[2])
    variance = 1 - (k * np.linalg.solve(K, k.T).T).sum(-1)
    found = mixture(gp.function(u[None], X_new), np.ones(1))
    np.testing.assert_allclose(found.mean, gp.level + gp.scale * mean, atol=ROUNDING)
    np.testing.assert_allclose(found.sd, gp.scale * np.sqrt(variance), atol=ROUNDING)
