"""Gps with signs of their derivatives, and with measured slopes: against NumPy, rejection sampling and finite differences."""

import copy
import pickle
import re
from collections.abc import Callable
from functools import cache
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
from botorch.exceptions.errors import InputDataError, ModelFittingError, UnsupportedError
from botorch.models import ModelListGP
from botorch.models.transforms import Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from pymc.blocking import DictToArrayBijection, RaveledVars
from scipy import stats
from shapes import VALUE, Part, covariance, exp_quad, given, joint, matern52, sigmoid
from torch import Tensor

import pymc_botorch
from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP, compile_acqf, plot_priors
from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.inference.fit.signs import fit_joint, log_orthant_probability
from pymc_botorch.inference.sensitivity.derivatives import read_derivatives_of_built
from pymc_botorch.shape import MonotoneGP, refine_sites

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
    "rising and falling": (
        2,
        exp_quad(0.6, 1.3),
        1.69 * cov.ExpQuad(2, ls=0.6),
        {"increasing": [1], "decreasing": [0]},
        DIFFERENCES,
    ),
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
        f = gp.conditional("f", Xs)
    of_conditional = pytensor.function([gp.signs.values], f.owner.op.dist_params(f.owner)[:2])(drawn)
    close(of_conditional[0], mean, tolerance)
    close(of_conditional[1], C + JITTER * np.eye(4), tolerance)
    if Xs.shape[1] == 1:  # compiling two more of them takes long
        with pm_model:
            full, diagonal = gp.predict(Xs, point), gp.predict(Xs, point, diag=True, pred_noise=True)
        np.testing.assert_allclose(full[0], of_conditional[0], rtol=1e-9)
        np.testing.assert_allclose(full[1], of_conditional[1], rtol=1e-9, atol=1e-12)
        close(diagonal[0], mean, tolerance)
        close(diagonal[1], np.diag(C) + SIGMA**2, tolerance)


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
    assert of_signs == pytest.approx(stats.norm.logcdf(g / (0.001 * prior)).sum(), rel=100 * tolerance)


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


def test_measured_slopes_lower_the_error_of_a_point_estimate_five_times_and_stay_when_outcomes_are_left_out() -> None:
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
    # outcomes are left out, slopes are not
    left_out = model.leave_one_out()
    others = np.arange(1, 12)
    model.set_train_data(X[others], smooth(X[others]), strict=False)
    posterior = model.posterior(X[:1], observation_noise=True)
    assert left_out.mean.ravel()[0] == pytest.approx(posterior.mean.item(), rel=1e-5)
    assert left_out.sd.ravel()[0] ** 2 == pytest.approx(posterior.variance.item(), rel=1e-3)


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


class FewSitesGP(FullyBayesianPyMCGP):
    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        return rising(X, y, at=np.linspace(0, 1, 8)[:, None])


class RisingPlotGP(RisingGP):
    units = "natural"


def data(n: int = 12, seed: int = 1) -> tuple[Tensor, Tensor]:
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
            gp = pm.gp.Marginal(cov_func=pm.LogNormal("size", 0, 0.5) ** 2 * cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.5)))
            gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
            return gp

    plain = PlainGP(*data()).fit()
    for name in ("reach", "size", "noise"):
        np.testing.assert_allclose(model.draws[name], plain.point[name], rtol=1e-3)
    slopes = model.fit_result.slopes
    assert model.num_mcmc_samples == 128
    assert model.draws["y_slopes"].shape == (128, 30)
    assert (slopes.num_sites, slopes.num_draws) == (30, 4000)
    assert slopes.r_hat <= 1.02
    assert "4000 draws of 30 derivatives" in str(model.fit_result)
    share = model.prob_monotone(GRID, tolerance=1e-3)
    assert share >= 0.8
    assert np.isclose(model.draws["y_slopes"].min(), 0, atol=0.2)


def test_priors_of_a_gp_with_signs_are_drawn_of_its_hyperparameters_beside_the_point() -> None:
    import matplotlib.pyplot as plt

    model = fitted()
    axes = plot_priors(model)
    plt.close("all")
    assert [axis.get_title() for axis in axes] == ["reach", "size", "noise"]
    for axis in axes:
        _, after = axis.lines
        assert after.get_label() == "after (the fitted point)"
        assert after.get_xdata()[0] == model.point[axis.get_title()]
    with pytest.raises(InputDataError, match=r"no hyperparameter 'y_slopes'\. Pass some of reach, size, noise"):
        plot_priors(model, "y_slopes")


@pytest.mark.usefixtures("few_draws")
def test_the_seed_gives_the_draws_and_their_number_is_the_users() -> None:
    one, other, third = (RisingGP(*data()).fit(seed=seed, num_draws=12) for seed in (3, 3, 4))
    assert one.num_mcmc_samples == 12
    np.testing.assert_array_equal(one.draws["y_slopes"], other.draws["y_slopes"])
    assert not np.allclose(one.draws["y_slopes"], third.draws["y_slopes"])
    warm = RisingGP(*data()).fit(warm_start=one, seed=3, num_draws=5)
    np.testing.assert_allclose(warm.draws["reach"], one.draws["reach"][0], rtol=1e-3)


@pytest.mark.usefixtures("few_draws")
def test_full_bayes_draws_slopes_at_each_draw_of_the_hyperparameters() -> None:
    model = RisingGP(*data()).fit("importance", seed=1, num_draws=40)
    assert model.num_mcmc_samples == 40
    assert len(np.unique(model.draws["reach"])) > 10
    assert model.fit_result.slopes.r_hat is None
    assert model.prob_monotone(GRID, tolerance=0.1) > 0.8
    warm = RisingGP(*data()).fit(warm_start=model, seed=3, num_draws=5)
    assert warm.num_mcmc_samples == 5


def test_draws_of_slopes_have_the_moments_of_rejection_sampling() -> None:
    model = fitted()
    point = {name: model.draws[name][0] for name in ("reach", "size", "noise")}
    at = np.array([[0.2], [0.5], [0.8]])
    X, y = (part.numpy() for part in data(5))

    class FewGP(FullyBayesianPyMCGP):
        units = "natural"

        def build_gp(self, X: Any, y: Any) -> MonotoneGP:
            return rising_at(X, y, at=self.at, noise=self.noise)

    few = FewGP(X, y)
    few.at, few.noise = at, float(point["noise"])
    drawn = few.fit(seed=1, num_draws=1000).draws["y_slopes"]
    k, new = exp_quad(0.3), Part(at, [(0, 1, 1.0)], np.empty(0), 0)
    mean, C = given(k, lambda X: np.zeros(len(X)), [Part(X, [VALUE], y[:, 0], point["noise"] ** 2 + JITTER)], new)
    rng, scale = np.random.default_rng(0), 1 / 0.3
    every = rng.multivariate_normal(mean, C + NUGGET * scale**2 * np.eye(3), size=400_000)
    kept = every[(np.log(rng.random(len(every))) < stats.norm.logcdf(every / (0.001 * scale)).sum(1))]
    assert len(kept) > 5000
    error = np.hypot(kept.std(0) / np.sqrt(len(kept)), drawn.std(0) / np.sqrt(500))
    assert (np.abs(drawn.mean(0) - kept.mean(0)) < 4 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(kept.T), rtol=0.2, atol=0.1 * np.cov(kept.T).max())


def rising_at(X: Any, y: Any, *, at: np.ndarray, noise: float) -> MonotoneGP:
    gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=0.3), increasing=[0])
    gp.marginal_likelihood("y", X, y, sigma=noise * pm.LogNormal("ratio", 0, 1e-6), at=at)
    return gp


class TwoGP(FullyBayesianPyMCGP):
    """Rises along the first column, falls along the second, in the units of the data."""

    units = "natural"

    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        reach = pm.LogNormal("reach", np.log([40, 1]), 0.3, dims="feature")
        gp = MonotoneGP(mean_func=pm.gp.mean.Constant(3), cov_func=4 * cov.Matern52(2, ls=reach), increasing=[0], decreasing=[1])
        gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -1, 0.5))
        return gp


def field(n: int = 14) -> tuple[Tensor, Tensor]:
    X = torch.from_numpy(numbers(1, n, 2) * [100, 3] + [20, 1])
    Y = 3 + X[:, :1] / 40 - 0.8 * X[:, 1:] + 0.3 * torch.from_numpy(np.random.default_rng(2).normal(size=(n, 1)))
    return X, Y


def same(one: FullyBayesianPyMCGP, other: FullyBayesianPyMCGP, X: Tensor) -> None:
    for name in ("mean", "variance"):
        torch.testing.assert_close(getattr(one.posterior(X), name), getattr(other.posterior(X), name), rtol=1e-10, atol=1e-12)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains too short for what tests of other things do not look at."""
    monkeypatch.setattr("pymc_botorch.models.shape.drawing.DRAWS", 20)
    monkeypatch.setattr("pymc_botorch.models.shape.drawing.THINNINGS", (10,))
    monkeypatch.setattr("pymc_botorch.models.shape.fitting.warning_of", lambda report: None)


@pytest.mark.usefixtures("few_draws")
def test_natural_units_in_two_columns_and_all_that_is_done_with_a_model() -> None:
    X, Y = field()
    model = TwoGP(X, Y).fit(seed=1, num_draws=6)
    assert (model.draws["y_slopes"] > -0.1).mean() > 0.98
    assert model.draws["y_slopes"].shape == (6, 98)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        same(model, other, X[:3])
    loaded = TwoGP(X, Y)
    loaded.load_state_dict(model.state_dict())
    same(model, loaded, X[:3])
    moved = TwoGP(X[:9] + 1, Y[:9])
    moved.load_state_dict(model.state_dict())  # of other data: slopes are drawn given these
    np.testing.assert_array_equal(moved.draws["reach"], model.draws["reach"])
    np.testing.assert_allclose(moved.state.fitted.data["sites"].max(0), (X[:9] + 1).numpy().max(0))
    assert not np.allclose(moved.draws["y_slopes"], model.draws["y_slopes"])
    model.set_train_data(X[:9] + 1, Y[:9, 0], strict=False)
    same(model, moved, X[:3])
    noisy, function = (model.posterior(X[:2], observation_noise=noise).variance for noise in (True, False))
    torch.testing.assert_close(noisy - function, model.state.noise[:, None, None].expand(6, 2, 1), rtol=1e-6, atol=1e-9)


@pytest.mark.usefixtures("few_draws")
def test_scales_of_data_do_not_matter_to_models_in_scaled_units() -> None:
    X, Y = data()
    one = RisingGP(X, Y).fit(seed=2, num_draws=4)
    other = RisingGP(50 + 100 * X, 7 * Y - 3, input_transform=Normalize(1), outcome_transform=Standardize(m=1)).fit(
        seed=2, num_draws=4
    )
    torch.testing.assert_close(other.posterior(50 + 100 * GRID).mean, 7 * one.posterior(GRID).mean - 3, rtol=1e-6, atol=1e-6)
    found = [one.prob_monotone(GRID, tolerance=0.5), other.prob_monotone(50 + 100 * GRID, tolerance=0.5 * 7 / 100)]
    assert found[0] == pytest.approx(found[1], abs=0.03)
    assert 0 < found[0] <= 1


@pytest.mark.usefixtures("few_draws")
def test_sites_follow_the_data_unless_they_are_given() -> None:
    X, Y = data()
    at = np.array([[0.1], [0.4], [0.9]])
    for sites in (at, "data"):

        class SitesGP(FullyBayesianPyMCGP):
            def build_gp(self, X: Any, y: Any) -> MonotoneGP:
                return rising(X, y, at=pm.Data("at", at) if isinstance(self.where, str) else self.where)

        model = SitesGP(X, Y)
        model.where = sites
        model.fit(seed=1, num_draws=3)
        np.testing.assert_array_equal(model.state.fitted.data["sites"], at)
        model.set_train_data(X[:8], model.train_targets[:8], strict=False)
        np.testing.assert_array_equal(model.state.fitted.data["sites"], at)
        assert model.draws["y_slopes"].shape == (3, 3)
    model = RisingGP(X, Y).fit(seed=1, num_draws=3)
    assert model.state.fitted.data["sites"].max() == 1
    for n, last in ((8, 1), (5, X[4, 0])):  # of the unit interval, more than half and less
        model.set_train_data(X[:n], Y[:n, 0], strict=False)
        assert model.state.fitted.data["sites"].max() == last


@pytest.mark.filterwarnings("ignore:A not p.d., added jitter")  # a candidate close to a known point
@pytest.mark.usefixtures("few_draws")
def test_acquisition_functions_take_a_model_with_signs() -> None:
    X, Y = data()
    model = RisingGP(X, Y).fit(seed=1, num_draws=5)
    points = torch.tensor([0.14, 0.32, 0.59, 0.86], **DOUBLE)[:, None, None]
    best = Y.max()
    for acqf in (LogExpectedImprovement(model, best), UpperConfidenceBound(model, 2.0)):
        torch.testing.assert_close(compile_acqf(acqf)(points), acqf(points), rtol=1e-7, atol=1e-9)
    sampler = SobolQMCNormalSampler(torch.Size([16]), seed=0)
    for acqf in (
        qLogExpectedImprovement(model, best, sampler=sampler),
        qLogNoisyExpectedImprovement(model, X, sampler=sampler, prune_baseline=False),
        qUpperConfidenceBound(model, 2.0, sampler=sampler),
        qLogExpectedImprovement(ModelListGP(model), best, sampler=sampler),
    ):
        x = points.clone().requires_grad_()
        (slope,) = torch.autograd.grad(acqf(x).sum(), x)
        step = 1e-5
        by_differences = (acqf(points + step) - acqf(points - step)) / (2 * step)
        torch.testing.assert_close(slope[:, 0, 0], by_differences.detach(), rtol=1e-4, atol=1e-5)
    bounds = torch.tensor([[0.0], [1.0]], **DOUBLE)
    candidate, value = optimize_acqf(LogExpectedImprovement(model, best), bounds, q=1, num_restarts=2, raw_samples=16)
    assert value >= LogExpectedImprovement(model, best)(GRID.unsqueeze(-1)).max() - 1e-3
    assert 0 <= candidate.item() <= 1


@pytest.mark.usefixtures("few_draws")
def test_sites_are_added_where_signs_are_doubtful() -> None:
    model = FewSitesGP(*data()).fit(seed=1, num_draws=20)
    before = _largest_doubt(model)
    sites = len(model.state.fitted.data["sites"])
    assert refine_sites(model, 0.02, seed=1, num_draws=20) is model
    assert len(model.state.fitted.data["sites"]) > sites
    assert _largest_doubt(model) <= 0.02 < before
    refined = model.state.fitted.data["sites"]
    model.fit(seed=3, num_draws=4)
    np.testing.assert_array_equal(model.state.fitted.data["sites"], refined)


def _slopes(model: FullyBayesianPyMCGP, X: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Means and covariances of slopes at each draw in NumPy, in units of the gp."""
    X_train, y = model.train_inputs[0].numpy(), model.train_targets.numpy()
    at, means, covs = model.state.fitted.data["sites"], [], []
    kinds = [(0, 1, 1.0)]
    for s in range(model.num_mcmc_samples):
        reach, size, noise, g = (model.draws[name][s] for name in ("reach", "size", "noise", "y_slopes"))
        parts = [
            Part(X_train, [VALUE], y, noise**2 + JITTER),
            Part(at, kinds, g, NUGGET * (size / reach) ** 2),
        ]
        mean, C = given(exp_quad(float(reach), float(size)), lambda X: np.zeros(len(X)), parts, Part(X, kinds, g, 0))
        means.append(mean)
        covs.append(C)
    return means, covs


def _largest_doubt(model: FullyBayesianPyMCGP) -> float:
    means, covs = _slopes(model, GRID.numpy())
    doubts = [stats.norm.cdf(-m / np.sqrt(np.maximum(np.diag(C), 1e-12))) for m, C in zip(means, covs, strict=True)]
    return float(np.mean(doubts, axis=0).max())


@pytest.mark.usefixtures("few_draws")
def test_the_probability_of_a_shape_is_that_of_joint_samples() -> None:
    model = FewSitesGP(*data(seed=5)).fit(seed=1, num_draws=60)
    X = GRID.numpy()[::10]
    rng, hits = np.random.default_rng(0), []
    limit = 0.05 / float(model.outcome_transform.stdvs)
    for mean, C in zip(*_slopes(model, X), strict=True):
        hits.append((rng.multivariate_normal(mean, C, size=200, method="eigh") >= -limit).all(1).mean())
    found = model.prob_monotone(X, tolerance=0.05)
    assert found == pytest.approx(np.mean(hits), abs=0.05)
    assert 0.05 < found < 1


def test_gradients_are_those_of_differences() -> None:
    model = fitted()
    x = torch.tensor([[0.13], [0.52], [0.97]], **DOUBLE)
    point = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.posterior(point).mixture_mean.sum(), point)
    step = 1e-5
    up, down = (model.posterior(x + k * step).mixture_mean for k in (1, -1))
    torch.testing.assert_close(slope, ((up - down) / (2 * step)).detach(), rtol=1e-6, atol=1e-6)


# From draws of PyMC


def plain() -> tuple[pm.Model, MonotoneGP]:
    X, Y = (part.numpy() for part in data(6))
    with pm.Model() as pm_model:
        reach = pm.LogNormal("reach", -1, 0.3)
        gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=reach), increasing=[0])
        gp.marginal_likelihood("y", X, Y[:, 0], sigma=0.1, at=np.linspace(0, 1, 4)[:, None])
    return pm_model, gp


def test_draws_of_pymc_are_taken_with_their_slopes() -> None:
    pm_model, gp = plain()
    with pm_model:
        idata = pm.sample(draws=8, tune=30, chains=1, cores=1, progressbar=False, random_seed=1, compute_convergence_checks=False)
        model = FullyBayesianPyMCGP.from_fitted(gp, idata)
        assert model.num_mcmc_samples == 8
        X = numbers(3, 3, 1)
        posterior = model.posterior(X)
        for s in (7,):  # each draw compiles PyMC's predictions anew
            draw = idata.posterior.isel(chain=0, draw=s)
            point = {name: draw[name].to_numpy() for name in ("reach", "y_slopes", "y_slopes_rotated_")}
            mean, variance = gp.predict(X, point, diag=True)
            np.testing.assert_allclose(posterior.mean[s, :, 0], mean, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(posterior.variance[s, :, 0], variance, rtol=1e-5, atol=1e-8)
            predictor = pymc_botorch.compile_predict(gp, point)
            np.testing.assert_allclose(predictor.predict(X)[0], mean, rtol=1e-6, atol=1e-8)
    assert set(model.draws) == {"reach", "y_slopes"}
    assert 0 <= model.prob_monotone(GRID) <= 1
    with pytest.raises(UnsupportedError, match="Sample again"):
        model.refine_sites()
    with pm_model, pytest.raises(UnsupportedError, match="are draws, not a point"):
        PyMCGP.from_fitted(gp, point)
    with pm_model, pytest.raises(ValueError, match="y_slopes"):
        FullyBayesianPyMCGP.from_fitted(gp, idata.posterior.to_dataset()[["reach"]])
    with pm_model, pytest.raises(ValueError, match="y_slopes is not there"):
        pymc_botorch.compile_predict(gp, {"reach": 0.3})


def test_samplers_have_the_gradient_of_a_density_with_signs() -> None:
    """Also of slopes that are surely positive: PyMC's log probability of a large number has no finite gradient."""
    X, Y = (part.numpy() for part in data(6))
    with pm.Model() as pm_model:
        gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.3)), increasing=[0])
        gp.marginal_likelihood("y", X, Y[:, 0], sigma=0.1, at=np.linspace(0, 1, 6)[:, None])
    density = pm_model.logp_dlogp_function(ravel_inputs=True)
    density.set_extra_values({})
    start = DictToArrayBijection.map(pm_model.initial_point())
    value, slope = density(start)
    assert np.isfinite(value)
    for i, step in enumerate(1e-6 * np.eye(len(slope))):
        up, down = (density(RaveledVars(start.data + k * step, start.point_map_info))[0] for k in (1, -1))
        assert slope[i] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-2)


def test_sites_of_pm_data_are_where_they_are_when_the_gp_is_read() -> None:
    X, Y = (part.numpy() for part in data(6))
    with pm.Model(name="trial"):
        at = pm.Data("at", np.array([[0.1], [0.3]]))
        gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.3)), increasing=[0])
        gp.marginal_likelihood("y", X, Y[:, 0], sigma=0.1, at=at)
        pm.set_data({"trial::at": np.array([[0.7], [0.9]])})
        draws = xr.Dataset({"trial::reach": (("chain", "draw"), np.full((1, 3), 0.4))})
        draws["trial::y_slopes"] = ("chain", "draw", "site"), np.arange(6.0).reshape(1, 3, 2)
        model = FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=3)
    np.testing.assert_array_equal(model.state.fitted.data["sites"], [[0.7], [0.9]])
    new = X[:2] + 0.05
    means = model.posterior(torch.from_numpy(new)).mean[:, :, 0].detach().numpy()
    for slopes, mean in zip(model.draws["trial::y_slopes"], means, strict=True):
        of_signs = Part(np.array([[0.7], [0.9]]), [(0, 1, 1.0)], slopes, NUGGET / 0.4**2)
        parts = [Part(X, [VALUE], Y[:, 0], 0.01 + JITTER), of_signs]
        expected, _ = given(exp_quad(0.4), lambda X: np.zeros(len(X)), parts, Part(new, [VALUE], np.empty(0), 0))
        close(mean, expected, 1e-6)


class SitesOfDataGP(FullyBayesianPyMCGP):
    units = "natural"

    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        return rising(X, y, at=X)


@pytest.mark.usefixtures("few_draws")
def test_sites_that_a_builder_takes_from_its_data_are_those_of_each_model() -> None:
    X, Y = data(6)
    with pytest.warns(UserWarning, match="build_gp runs anew for each model"):
        models = [SitesOfDataGP(k * X, Y).fit(seed=1, num_draws=4) for k in (1, 3)]
    for k, model in zip((1, 3), models, strict=True):
        np.testing.assert_allclose(model.state.fitted.data["sites"], k * X.numpy())


def test_chains_of_slopes_that_did_not_mix_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymc_botorch.models.shape.drawing.DRAWS", 6)
    with pytest.warns(FitWarning, match="draws of 30 derivatives with signs may not represent"):
        model = RisingGP(*data()).fit(seed=1, num_draws=4)
    assert not model.fit_result.trusted
    assert "may not represent" in model.fit_result.warning


# Hyperparameters and signs


@pytest.mark.parametrize("M", [1, 2, 5])
def test_the_probability_of_signs_is_that_of_scipy(M: int) -> None:
    rng = np.random.default_rng(M)
    A, mean = rng.normal(size=(M, M)), rng.normal(size=M)
    C = A @ A.T + 0.1 * np.eye(M)
    expected = stats.multivariate_normal(mean=-mean, cov=C).logcdf(np.zeros(M), rng=np.random.default_rng(0))
    assert log_orthant_probability(mean, C) == pytest.approx(expected, abs=0.02)
    assert log_orthant_probability(np.full(M, -40.0), np.eye(M)) == pytest.approx(M * stats.norm.logcdf(-40.0), rel=1e-9)


def noisy() -> tuple[Tensor, Tensor]:
    """A curve that saturates, with noise that the most probable gp without signs follows up and down."""
    X = np.linspace(0, 1, 12)[:, None]
    y = 1 - np.exp(-3 * X[:, 0]) + 0.3 * np.random.default_rng(5).normal(size=12)
    return torch.from_numpy(X), torch.from_numpy(y)[:, None]


class WigglyGP(FullyBayesianPyMCGP):
    """Priors of the lengthscale and of the noise variance as in BoTorch."""

    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        gp = MonotoneGP(cov_func=cov.ExpQuad(1, ls=pm.LogNormal("reach", 2**0.5, 3**0.5)), increasing=[0])
        gp.marginal_likelihood("y", X, y, sigma=pm.math.sqrt(pm.LogNormal("noise", -4, 1)), at=np.linspace(0, 1, 12)[:, None])
        return gp


@pytest.mark.usefixtures("few_draws")
def test_the_joint_maximum_takes_for_noise_what_contradicts_the_signs() -> None:
    without, joint = WigglyGP(*noisy()).fit(seed=1), WigglyGP(*noisy()).fit("joint", seed=1)
    assert (without.fit_result.method, joint.fit_result.method) == ("map", "joint")
    factors = [model.fit_result.slopes.log_contradiction for model in (without, joint)]
    assert factors[1] < 3 < 20 < factors[0]
    truth = 1 - torch.exp(-3 * GRID[:, 0])
    errors = [float((model.posterior(GRID).mixture_mean[:, 0] - truth).detach().square().mean()) for model in (without, joint)]
    assert errors[1] < 0.5 * errors[0]
    assert re.search(r"the outcomes make the signs 1e\d+ times less probable at this point", without.fit_result.slopes.text)
    assert "most probable together with the signs" in str(joint.fit_result)


def test_strict_fits_raise_where_others_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymc_botorch.models.shape.drawing.DRAWS", 6)
    with pytest.raises(ModelFittingError, match="may not represent their posterior"):
        RisingGP(*data()).fit(seed=1, num_draws=4, strict=True)


def test_the_joint_maximum_is_that_of_density_times_probability() -> None:
    model = WigglyGP(*noisy())
    built, training = model._build()
    prior_mode = {"reach": np.asarray(0.2), "noise": np.asarray(0.2)}
    point, result = fit_joint(built, training, start=prior_mode, maxiter=100, tier="numpy")

    def value(reach: float, noise: float) -> float:
        X, y, at = training.X, training.y, np.linspace(0, 1, 12)[:, None]
        k = exp_quad(reach)
        part = Part(X, [VALUE], y, noise + JITTER)
        K, residuals = joint(k, lambda X: np.zeros(len(X)), [part])
        mean, C = given(k, lambda X: np.zeros(len(X)), [part], Part(at, [(0, 1, 1.0)], np.empty(0), 0))
        C = C + (NUGGET + 1e-6) / reach**2 * np.eye(12)
        density = stats.multivariate_normal.logpdf(residuals, cov=K) + log_orthant_probability(reach * mean, reach**2 * C)
        return (
            density + stats.lognorm.logpdf(reach, 3**0.5, scale=np.exp(2**0.5)) + stats.lognorm.logpdf(noise, 1, scale=np.exp(-4))
        )

    at = float(point["reach"]), float(point["noise"])
    assert result.log_posterior == pytest.approx(value(*at), abs=1e-3)
    assert all(value(*at) > value(at[0] * a, at[1] * b) for a, b in ((1.03, 1), (0.97, 1), (1, 1.03), (1, 0.97)))


def test_points_are_of_gps_with_signs() -> None:
    with pytest.raises(InputDataError, match="method is 'joint', a point, but the gp has no signs"):
        FullyBayesianPyMCGP(*data()).fit("joint")


# What is refused


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"increasing": [2]}, DataError, r"columns \[2\] of 2"),
        ({"increasing": [-1]}, DataError, r"columns \[-1\] of 2"),
        ({"increasing": [0.0]}, DataError, r"columns \[0.0\]"),
        ({"increasing": 0}, DataError, "Pass a list"),
        ({"increasing": [0], "decreasing": [0]}, DataError, "with both signs"),
        ({"increasing": [0], "nu": 0}, DataError, "nu is 0"),
        ({"increasing": [0], "nu": float("nan")}, DataError, "nu is nan"),
        ({"increasing": [0], "cov_func": cov.Matern12(2, ls=1)}, UnsupportedGPError, "Matern12 have no slope"),
        ({"convex": [0], "cov_func": cov.Matern52(2, ls=1)}, UnsupportedGPError, "use pm.gp.cov.ExpQuad"),
        ({"increasing": [1], "cov_func": cov.ExpQuad(2, ls=1, active_dims=[0])}, UnsupportedGPError, r"columns \[1\]"),
        (
            {
                "increasing": [1],
                "cov_func": cov.ExpQuad(2, ls=1, active_dims=[0]) * cov.Coregion(2, B=np.eye(3), active_dims=[1]),
            },
            UnsupportedGPError,
            r"columns \[1\]",
        ),
        ({"increasing": [0], "cov_func": None}, UnsupportedGPError, "reads no columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shapes_that_a_function_cannot_have_are_refused(arguments: dict[str, Any], error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        MonotoneGP(**{"cov_func": cov.ExpQuad(2, ls=1), **arguments})


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"at": np.zeros((3, 1))}, r"at is \(3, 1\)"),
        ({"at": np.full((3, 2), np.nan)}, "not finite"),
        ({"at": pt.zeros((3, 2)) + 1}, "computed"),
        ({"at": np.zeros((0, 2))}, r"at is \(0, 2\)"),
        ({"X": np.zeros((4, 3))}, "X has 3 columns"),
        ({"X": np.zeros(4)}, r"X has shape \(4,\)"),
        ({"slopes": (np.zeros((3, 2)), np.zeros(3), 0.1)}, "no tuple of four"),
        ({"slopes": (np.zeros((3, 2)), np.zeros(2), 0.1, [0])}, r"values \(2,\)"),
        ({"slopes": (np.zeros((3, 1)), np.zeros(3), 0.1, [0])}, r"sites \(3, 1\)"),
        ({"slopes": (np.zeros((3, 2)), np.full(3, np.inf), 0.1, [0])}, "not finite"),
        ({"slopes": (np.zeros((3, 2)), np.zeros(3), -0.1, [0])}, "negative"),
        ({"slopes": (np.zeros((3, 2)), np.zeros(3), 0.1, [])}, "no columns"),
        ({"slopes": (np.zeros((3, 2)), np.zeros(3), 0.1, [2])}, r"columns \[2\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_that_do_not_fit_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pm.Model(), pytest.raises(DataError, match=match):
        MonotoneGP(cov_func=cov.ExpQuad(2, ls=1), increasing=[0]).marginal_likelihood(
            "y", **{"X": numbers(1, 4, 2), "y": np.zeros(4), "sigma": 0.1, **arguments}
        )


def test_sums_are_refused() -> None:
    gp, other = MonotoneGP(cov_func=cov.ExpQuad(1, ls=1), increasing=[0]), pm.gp.Marginal(cov_func=cov.ExpQuad(1, ls=1))
    for add in (lambda: gp + other, lambda: other + gp, lambda: gp + gp):
        with pytest.raises(UnsupportedGPError, match="Add the kernels instead"):
            add()
    with pm.Model():
        gp.marginal_likelihood("y", numbers(1, 4, 1), np.zeros(4), sigma=0.1)
        with pytest.raises(UnsupportedGPError, match="no part of a sum"):
            gp.conditional("f", numbers(2, 2, 1), given={"gp": other, "X": numbers(1, 4, 1), "y": np.zeros(4), "sigma": 0.1})


def test_what_a_model_with_signs_cannot_do_is_refused() -> None:
    model, (X, Y) = fitted(), data()

    class PointGP(PyMCGP):
        def build_gp(self, X: Any, y: Any) -> MonotoneGP:
            return rising(X, y)

    refusals: list[tuple[Callable[[], Any], str]] = [
        (lambda: PointGP(X, Y).fit(), "are draws, not a point"),
        (lambda: model.fantasize(X[:1], SobolQMCNormalSampler(torch.Size([2]))), "carry derivatives"),
        (lambda: model.condition_on_observations(X[:1], Y[:1]), "carry derivatives"),
        (lambda: qKnowledgeGradient(model, num_fantasies=2)(torch.rand(1, 3, 1, **DOUBLE)), "carry derivatives"),
        (model.leave_one_out, "drawn anew without each"),
        (lambda: model.train()(X), "not its prior"),
    ]
    for call, match in refusals:
        with pytest.raises(UnsupportedError, match=match):
            call()
    model.eval()
    with pytest.raises(UnsupportedGPError, match="were drawn apart from its hyperparameters"):
        read_derivatives_of_built(*model.read_built(), ["y"])

    class NoSignsGP(FullyBayesianPyMCGP):
        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            gp = pm.gp.Marginal(cov_func=cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 0.5)))
            gp.marginal_likelihood("y", X, y, sigma=0.3)
            return gp

    plain_model = NoSignsGP(X, Y)
    for call in (lambda: plain_model.prob_monotone(GRID), plain_model.refine_sites):
        with pytest.raises(UnsupportedError, match="knows no signs"):
            call()


@pytest.mark.usefixtures("few_draws")
def test_sites_have_the_categories_that_are_there() -> None:
    class VarietyGP(FullyBayesianPyMCGP):
        def build_gp(self, X: Any, y: Any) -> MonotoneGP:
            likeness = cov.Coregion(2, W=pm.Normal("W", 0, 1, shape=(3, 1)), kappa=np.full(3, 0.1), active_dims=[1])
            gp = MonotoneGP(cov_func=likeness * cov.ExpQuad(2, ls=0.4, active_dims=[0]), increasing=[0])
            gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
            return gp

    X, Y = data()
    X = torch.cat([X, torch.tensor([0.0, 1.0, 2.0] * 4, **DOUBLE)[:, None]], dim=1)
    model = VarietyGP(X, Y).fit(seed=1, num_draws=4)
    sites = model.state.fitted.data["sites"]
    assert set(sites[:, 1]) == {0.0, 1.0, 2.0}
    assert len(np.unique(sites, axis=0)) == len(sites)
    grid = torch.cat([GRID[::20], torch.ones(6, 1, **DOUBLE)], dim=1)
    assert model.prob_monotone(grid, tolerance=0.5) > 0.5
