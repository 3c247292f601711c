"""PyMC models made under ``pytensor.config.floatX = "float32"``: everything here computes in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytest
import torch
from arviz_base import from_dict
from botorch.models.transforms import Standardize

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_predict

SINGLE = 1e-4  # constants of the model in float32 have seven digits

X = np.random.default_rng(0).uniform(size=(9, 2))
Y = np.sin(5 * X[:, 0]) + X[:, 1]
POINT: dict[str, Any] = {"ell": np.array([0.4, 0.7]), "eta": 1.3, "share": 0.4, "sigma": 0.15}


def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
    """Parameters with transforms by a logarithm and a log-odds."""
    ell, eta, sigma = pm.LogNormal("ell", -0.5, 0.7, shape=2), pm.HalfNormal("eta", 2), pm.LogNormal("sigma", -2, 1)
    mean = pm.gp.mean.Constant(pm.Normal("mu") + pm.Beta("share", 2, 2))
    gp = pm.gp.Marginal(mean_func=mean, cov_func=eta**2 * pm.gp.cov.Matern52(2, ls=ell))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


@pytest.fixture
def single() -> Iterator[None]:
    with pytensor.config.change_flags(floatX="float32"):
        yield


def in_double[T](make: Callable[[], T]) -> T:
    with pytensor.config.change_flags(floatX="float64"):
        return make()


def pm_model() -> tuple[pm.gp.Marginal, pm.Model]:
    with pm.Model() as made:
        gp = build_gp(pm.Data("X", X), pm.Data("y_data", Y))
    return gp, made


def moments(model: Any) -> np.ndarray:
    posterior = model.posterior(torch.from_numpy(X[:3] + 0.1))
    return np.stack([posterior.mean.squeeze(-1), posterior.variance.squeeze(-1)])


@pytest.mark.parametrize("scale", ["constrained", "unconstrained"])
def test_a_gp_fitted_in_pymc(single: None, scale: str) -> None:
    point: dict[str, Any] = {**POINT, "mu": 0.2}

    def make() -> np.ndarray:
        gp, model = pm_model()
        given = point
        if scale == "unconstrained":
            given = {f"{name}_log__": np.log(point[name]) for name in ("ell", "eta", "sigma")} | {
                "share_logodds__": np.log(0.4 / 0.6),
                "mu": 0.2,
            }
            given = {name: np.asarray(value, dtype=pytensor.config.floatX) for name, value in given.items()}
        predictor = compile_predict(gp, given, model=model)
        mean, variance, _ = predictor.predict(X[:3] + 0.1)
        found = moments(PyMCGP.from_fitted(gp, given, model=model))
        np.testing.assert_allclose([mean, variance], found, rtol=1e-9)
        return found

    np.testing.assert_allclose(make(), in_double(make), rtol=SINGLE)


def test_draws(single: None) -> None:
    def make() -> np.ndarray:
        gp, model = pm_model()
        draws = {name: np.stack([np.asarray(value)] * 2)[None] for name, value in {**POINT, "mu": 0.2}.items()}
        idata = from_dict({"posterior": draws})
        return moments(FullyBayesianPyMCGP.from_fitted(gp, idata, model=model, num_draws=2))

    np.testing.assert_allclose(make(), in_double(make), rtol=SINGLE)


def test_a_model_made_from_data(single: None) -> None:
    def make() -> tuple[float, np.ndarray]:
        y = (Y - Y.mean()) / Y.std(ddof=1)
        model = PyMCGP(torch.from_numpy(X), torch.from_numpy(y)[:, None], outcome_transform=Standardize(1), build_gp=build_gp)
        model.fit(num_starts=1)
        return model.fit_result.log_posterior, moments(model)

    (value, found), (reference, expected) = make(), in_double(make)
    assert value == pytest.approx(reference, abs=1e-3)
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-3)
