"""Gps with signs of their derivatives, and with measured slopes: against NumPy, rejection sampling and finite differences."""

import copy
import pickle
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import torch
import xarray as xr
from botorch.acquisition import (
    LogExpectedImprovement,
    UpperConfidenceBound,
    qKnowledgeGradient,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qUpperConfidenceBound,
)
from botorch.exceptions.errors import UnsupportedError
from botorch.models import ModelListGP
from botorch.models.transforms import Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from scipy import stats
from shapes import VALUE, Part, covariance, exp_quad, given, joint, matern52, sigmoid
from torch import Tensor

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_acqf
from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.shape import MonotoneGP

DIFFERENCES = 1e-6
"""Relative to the largest: of finite differences of fourth order in the reference; twice a second derivative leaves 1e-4."""
NUGGET = 1e-6
"""Variance of the noise of derivatives with signs, of their prior variance."""
SIGMA, JITTER = 0.2, 1e-6
DOUBLE: dict[str, Any] = {"dtype": torch.double}
cov = pm.gp.cov


class Curved(pm.gp.mean.Mean):
    """A mean with slopes and curvatures."""

    def __call__(self, X: Any) -> Any:
        return 0.5 * X[:, 0] ** 2 - pm.math.sin(X[:, -1])


def curved(X: np.ndarray) -> np.ndarray:
    return 0.5 * X[:, 0] ** 2 - np.sin(X[:, -1])


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


CASES: dict[str, tuple[int, Any, Any, dict[str, Any], float]] = {
    "rising": (1, exp_quad(0.4), cov.ExpQuad(1, ls=0.4), {"increasing": [0]}, DIFFERENCES),
    "rising and falling": (2, exp_quad(0.6, 1.3), 1.69 * cov.ExpQuad(2, ls=0.6), {"increasing": [1], "decreasing": [0]}, DIFFERENCES),
    "rising, Matern": (2, matern52(0.6, 1.3), 1.69 * cov.Matern52(2, ls=0.6), {"increasing": [0, 1]}, 1e-4),
    "rising and concave": (2, exp_quad(0.6), cov.ExpQuad(2, ls=0.6), {"increasing": [0], "concave": [1]}, 1e-3),
    "convex": (1, exp_quad(0.4), cov.ExpQuad(1, ls=0.4), {"convex": [0]}, 1e-3),
}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Any:
    d, k, cov_func, shape, tolerance = CASES[request.param]
    X, at, y = numbers(1, 6, d), numbers(2, 3, d), np.random.default_rng(3).normal(size=6)
    with pm.Model() as pm_model:
        gp = MonotoneGP(mean_func=Curved(), cov_func=cov_func, **shape)
        gp.marginal_likelihood("y", X, y, sigma=SIGMA, at=pm.Data("at", at))
    kinds = [(kind.column, kind.order, kind.sign) for kind in gp.kinds]
    prior = np.sqrt(np.diag(covariance(k, Part(at, kinds, at, 0), Part(at, kinds, at, 0))))
    outcomes, new = Part(X, [VALUE], y, SIGMA**2 + JITTER), Part(at, kinds, np.empty(0), 0)
    return pm_model, gp, k, outcomes, new, prior, tolerance


def close(one: Any, other: Any, tolerance: float) -> None:
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(np.abs(other).max(), 1.0))


def test_derivatives_given_outcomes_have_the_moments_of_numpy(case: Any) -> None:
    pm_model, gp, k, outcomes, new, prior, tolerance = case
    mean, C, scale = pytensor.function([], [gp.signs.mean, gp.signs.cov, gp.signs.scale])()
    expected, expected_cov = given(k, curved, [outcomes], new)
    close(mean, expected, tolerance)
    close(C, expected_cov + np.diag(NUGGET * prior**2), tolerance)
    close(scale, prior, tolerance)
    drawn = numbers(4, len(mean)) - 0.5
    values = pytensor.function([pm_model["y_slopes_rotated_"]], pm_model["y_slopes"])(drawn)
    close(values, expected + np.linalg.cholesky(expected_cov + np.diag(NUGGET * prior**2)) @ drawn, 10 * tolerance)


def test_the_function_given_outcomes_and_derivatives_has_the_moments_of_numpy(case: Any) -> None:
    pm_model, gp, k, outcomes, new, prior, tolerance = case
    drawn, Xs = prior * numbers(4, len(prior)), numbers(5, 4, outcomes.sites.shape[1])
    point = {"y_slopes": drawn, "y_slopes_rotated_": np.zeros(len(drawn))}
    parts = [outcomes, new._replace(values=drawn, variances=NUGGET * prior**2)]
    mean, C = given(k, curved, parts, Part(Xs, [VALUE], np.empty(0), 0))
    with pm_model:
        full, diagonal = gp.predict(Xs, point), gp.predict(Xs, point, diag=True, pred_noise=True)
        f = gp.conditional("f", Xs)
    close(full[0], mean, tolerance)
    close(full[1], C + JITTER * np.eye(4), tolerance)
    close(diagonal[0], mean, tolerance)
    close(diagonal[1], np.diag(C) + SIGMA**2, tolerance)
    of_conditional = pytensor.function([gp.signs.values], f.owner.op.dist_params(f.owner)[:2])(drawn)
    close(of_conditional[0], mean, tolerance)
    close(of_conditional[1], C + JITTER * np.eye(4), tolerance)


def test_the_density_is_that_of_outcomes_times_that_of_signs(case: Any) -> None:
    pm_model, _, k, outcomes, new, prior, tolerance = case
    z = 0.1 * numbers(6, len(prior))
    C, residuals = joint(k, curved, [outcomes])
    mean, of_new = given(k, curved, [outcomes], new)
    g = mean + np.linalg.cholesky(of_new + np.diag(NUGGET * prior**2)) @ z
    expected = stats.multivariate_normal.logpdf(residuals, cov=C) + stats.norm.logpdf(z).sum()
    (signs,) = pm_model.potentials
    assert signs.name == "y_signs"
    observed = pm_model.compile_logp(vars=[*pm_model.free_RVs, *pm_model.observed_RVs])({"y_slopes_rotated_": z})
    assert observed == pytest.approx(expected, rel=1e-6)
    of_signs = pm_model.compile_logp(vars=[signs])({"y_slopes_rotated_": z})
    assert of_signs == pytest.approx(stats.norm.logcdf(g / (0.01 * prior)).sum(), rel=100 * tolerance)


def test_slopes_in_one_dimension_are_those_of_the_formula() -> None:
    X, y, at, ls = numbers(1, 5, 1), numbers(2, 5), numbers(3, 2, 1), 0.4
    with pm.Model():
        gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=ls), decreasing=[0])
        gp.marginal_likelihood("y", X, y, sigma=SIGMA, at=at)
    k, step = exp_quad(ls), at - X.T  # m x n
    C, slopes = k(X, X) + (SIGMA**2 + JITTER) * np.eye(5), -step / ls**2 * k(at, X)
    between = (at - at.T) ** 2
    own = (1 / ls**2 - between / ls**4) * k(at, at)
    mean, of_slopes = pytensor.function([], [gp.signs.mean, gp.signs.cov])()
    np.testing.assert_allclose(mean, -slopes @ np.linalg.solve(C, y), rtol=1e-10)
    np.testing.assert_allclose(
        of_slopes, own - slopes @ np.linalg.solve(C, slopes.T) + NUGGET / ls**2 * np.eye(2), rtol=1e-9, atol=1e-12
    )


def test_a_gp_that_knows_nothing_is_that_of_pymc() -> None:
    X, y, Xs = numbers(1, 6, 2), numbers(2, 6), numbers(3, 4, 2)
    found = []
    for cls in (pm.gp.Marginal, MonotoneGP):
        with pm.Model() as pm_model:
            sigma = pm.LogNormal("sigma", -2, 1)
            gp = cls(mean_func=Curved(), cov_func=cov.Matern12(2, ls=0.6))  # rough, as it may be without slopes
            gp.marginal_likelihood("y", X, y, sigma=sigma)
            moments = gp.predict(Xs, {"sigma": 0.3})
            model = PyMCGP.from_fitted(gp, {"sigma": 0.3})
        found.append((pm_model.compile_logp()({"sigma_log__": 0.1}), *moments, model.posterior(Xs).variance.numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


# Measured slopes

LS = 0.5


def smooth(X: np.ndarray) -> np.ndarray:
    return np.sin(3 * X[:, 0]) * np.cos(2 * X[:, 1])


def gradient(X: np.ndarray) -> np.ndarray:
    a, b = 3 * X[:, 0], 2 * X[:, 1]
    return np.stack([3 * np.cos(a) * np.cos(b), -2 * np.sin(a) * np.sin(b)], axis=1)


def test_measured_slopes_have_the_joint_density_of_numpy() -> None:
    X, X_g, noise = numbers(1, 6, 2), numbers(2, 3, 2), 0.1 + numbers(3, 3, 2)
    with pm.Model() as pm_model:
        gp = MonotoneGP(mean_func=Curved(), cov_func=cov.Matern52(2, ls=LS))
        gp.marginal_likelihood("y", X, smooth(X), sigma=SIGMA, slopes=(X_g, gradient(X_g), noise, [0, 1]))
    k, kinds = matern52(LS), [(0, 1, 1.0), (1, 1, 1.0)]
    parts = [Part(X, [VALUE], smooth(X), SIGMA**2 + JITTER), Part(X_g, kinds, gradient(X_g).T.ravel(), noise.T.ravel() ** 2)]
    C, residuals = joint(k, curved, parts)
    assert pm_model.compile_logp()({}) == pytest.approx(stats.multivariate_normal.logpdf(residuals, cov=C), rel=1e-6)


def with_slopes(X: Any, y: Any, **known: Any) -> MonotoneGP:
    X_g = numbers(2, 12, 2)
    gp = MonotoneGP(cov_func=cov.ExpQuad(X.type.shape[1], ls=pm.LogNormal("ls", -1, 0.5)), **known)
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sd", -4, 0.5), slopes=(X_g, gradient(X_g), 0.02, [0, 1]))
    return gp


class WithSlopes(PyMCGP):
    units = "natural"

    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        return with_slopes(X, y)


class WithoutSlopes(PyMCGP):
    units = "natural"

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=cov.ExpQuad(X.type.shape[1], ls=pm.LogNormal("ls", -1, 0.5)))
        gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sd", -4, 0.5))
        return gp


def test_measured_slopes_lower_the_error_of_a_point_estimate_five_times() -> None:
    X, Xs = numbers(2, 12, 2), numbers(4, 200, 2)
    errors = []
    for cls in (WithoutSlopes, WithSlopes):
        model = cls(X, smooth(X)[:, None]).fit()
        errors.append(np.sqrt(np.mean((model.posterior(Xs).mean.numpy()[:, 0] - smooth(Xs)) ** 2)))
    assert errors[1] < errors[0] / 5
    assert model.state.fitted.kind == "exact"
    point = model.point
    parts = [
        Part(X, [VALUE], smooth(X), point["sd"] ** 2 + JITTER),
        Part(X, [(0, 1, 1.0), (1, 1, 1.0)], gradient(X).T.ravel(), 0.02**2),
    ]
    zero = lambda X: np.zeros(len(X))  # noqa: E731
    mean, C = given(exp_quad(float(point["ls"])), zero, parts, Part(Xs[:5], [VALUE], np.empty(0), 0))
    posterior = model.posterior(Xs[:5])
    close(posterior.mean.numpy()[:, 0], mean, 1e-5)
    close(posterior.covariance_matrix.numpy(), C, 1e-5)


def test_leave_one_out_of_measured_slopes_leaves_out_outcomes_alone() -> None:
    X = numbers(2, 12, 2)
    model = WithSlopes(X, smooth(X)[:, None]).fit()
    left_out = model.leave_one_out()
    others = np.arange(1, 12)
    model.set_train_data(X[others], smooth(X[others]), strict=False)
    posterior = model.posterior(X[:1], observation_noise=True)
    assert float(left_out.mean[0]) == pytest.approx(posterior.mean.item(), rel=1e-5)
    assert float(left_out.variance[0]) == pytest.approx(posterior.variance.item(), rel=1e-3)


# Models from data


def rising(X: Any, y: Any, kernel: Any = cov.ExpQuad, **known: Any) -> MonotoneGP:
    at, shape = known.pop("at", None), known or {"increasing": [0]}
    reach, size = pm.LogNormal("reach", -1, 0.5), pm.LogNormal("size", 0, 0.5)
    gp = MonotoneGP(cov_func=size**2 * kernel(X.type.shape[1], ls=reach), **shape)
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 0.5), at=at)
    return gp


class RisingGP(FullyBayesianPyMCGP):
    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        return rising(X, y)


class NaturalGP(RisingGP):
    units = "natural"


def data(n: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    X = np.linspace(0, 1, n)[:, None]
    y = sigmoid(X) + 0.1 * np.random.default_rng(seed).normal(size=n)
    return torch.from_numpy(X), torch.from_numpy(y).unsqueeze(-1)


GRID = torch.linspace(0, 1, 101, **DOUBLE).unsqueeze(-1)


@cache
def fitted() -> RisingGP:
    """A model that no test changes."""
    return RisingGP(*data()).fit(seed=1)


def test_a_fit_takes_the_point_without_signs_and_draws_slopes() -> None:
    model = fitted()

    class PlainGP(PyMCGP):
        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            gp = pm.gp.Marginal(
                cov_func=pm.LogNormal("size", 0, 0.5) ** 2 * cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.5))
            )
            gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
            return gp

    plain = PlainGP(*data()).fit()
    for name in ("reach", "size", "noise"):
        np.testing.assert_allclose(model.draws[name], plain.point[name], rtol=1e-3)
    slopes = model.fit_result.slopes
    assert model.num_mcmc_samples == 128
    assert model.draws["y_slopes"].shape == (128, 15)
    assert (slopes.num_sites, slopes.num_draws) == (15, 4000)
    assert slopes.r_hat <= 1.02
    assert "4000 draws of 15 derivatives" in str(model.fit_result)
    share = model.prob_monotone(GRID, tolerance=1e-3)
    assert share >= 0.8
    assert np.isclose(model.draws["y_slopes"].min(), 0, atol=0.2)


def test_the_seed_gives_the_draws_and_their_number_is_the_users() -> None:
    one, other, third = (RisingGP(*data()).fit(seed=seed, num_draws=12) for seed in (3, 3, 4))
    assert one.num_mcmc_samples == 12
    np.testing.assert_array_equal(one.draws["y_slopes"], other.draws["y_slopes"])
    assert not np.allclose(one.draws["y_slopes"], third.draws["y_slopes"])
    warm = RisingGP(*data()).fit(warm_start=one, seed=3, num_draws=5)
    np.testing.assert_allclose(warm.draws["reach"], one.draws["reach"][0], rtol=1e-3)


def test_full_bayes_draws_slopes_at_each_draw_of_the_hyperparameters() -> None:
    model = RisingGP(*data()).fit("importance", seed=1, num_draws=40)
    assert model.num_mcmc_samples == 40
    assert len(np.unique(model.draws["reach"])) > 30
    assert model.fit_result.slopes.r_hat is None
    assert model.prob_monotone(GRID, tolerance=1e-3) > 0.7
    warm = RisingGP(*data()).fit(warm_start=model, seed=3, num_draws=5)
    assert warm.num_mcmc_samples == 5


def test_draws_of_slopes_have_the_moments_of_rejection_sampling() -> None:
    model = fitted()
    point = {name: model.draws[name][0] for name in ("reach", "size", "noise")}
    at = np.array([[0.2], [0.5], [0.8]])
    X, y = (part.numpy() for part in data(5))
    few = FullyBayesianPyMCGP(
        X, y, outcome_transform=None, build_gp=partial(rising_at, at=at, noise=float(point["noise"]))
    )
    drawn = few.fit(seed=1, num_draws=4000).draws["y_slopes"]
    k, new = exp_quad(0.3), Part(at, [(0, 1, 1.0)], np.empty(0), 0)
    mean, C = given(k, lambda X: np.zeros(len(X)), [Part(X, [VALUE], y[:, 0], point["noise"] ** 2 + JITTER)], new)
    rng, scale = np.random.default_rng(0), 1 / 0.3
    every = rng.multivariate_normal(mean, C + NUGGET * scale**2 * np.eye(3), size=400_000)
    kept = every[(np.log(rng.random(len(every))) < stats.norm.logcdf(every / (0.01 * scale)).sum(1))]
    assert len(kept) > 5000
    error = np.hypot(kept.std(0) / np.sqrt(len(kept)), drawn.std(0) / np.sqrt(2000))
    assert (np.abs(drawn.mean(0) - kept.mean(0)) < 4 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(kept.T), rtol=0.15, atol=0.05 * np.cov(kept.T).max())


def rising_at(X: Any, y: Any, *, at: np.ndarray, noise: float) -> MonotoneGP:
    gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=0.3), increasing=[0])
    gp.marginal_likelihood("y", X, y, sigma=noise * pm.LogNormal("ratio", 0, 1e-6), at=at)
    return gp
