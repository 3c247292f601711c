"""What a model computes from its data follows them, and where the origin of its inputs is changes nothing."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch.cross_validation import efficient_loo_cv
from botorch.models.transforms.outcome import ChainedOutcomeTransform, Log, Standardize
from scipy.stats import norm

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_predict

NATIONAL_GRID = np.array([412_345.0, 5_212_345.0])  # m, easting and northing of the field's corner
NUMPY = {"rtol": 1e-8, "atol": 1e-10}


class SurveyGP(PyMCGP):
    units = "natural"

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        reach = pm.LogNormal("reach", np.log(2.0), 0.5, dims="feature")  # m
        height, noise = pm.LogNormal("height", 0.0, 0.5), pm.LogNormal("noise", -2.0, 0.5)  # t/ha
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8.0), cov_func=height**2 * pm.gp.cov.Matern52(2, ls=reach))
        gp.marginal_likelihood("yield", X, y, sigma=noise)
        return gp


class SampledSurveyGP(FullyBayesianPyMCGP):
    units = "natural"
    build_gp = SurveyGP.build_gp


def field(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Yields on a field of 12 m x 9 m; coordinates in metres that both origins represent exactly."""
    rng = np.random.default_rng(4)
    places = np.round(rng.uniform(0, [12, 9], size=(n, 2)) * 1024) / 1024
    return places, 8 + np.sin(places[:, 0] / 2) + 0.5 * np.cos(places[:, 1]) + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("cls", [SurveyGP, SampledSurveyGP])
def test_a_field_in_national_grid_coordinates_gives_the_fit_of_one_in_metres_from_its_corner(cls: type) -> None:
    places, yields = field()
    new = places[:6] + 0.375
    found = []
    for origin in (np.zeros(2), NATIONAL_GRID):
        X, Y = torch.from_numpy(places + origin), torch.from_numpy(yields).unsqueeze(-1)
        model = cls(X, Y)
        model.fit() if cls is SurveyGP else model.fit("laplace", seed=3, num_draws=4)
        x = torch.from_numpy(new + origin).requires_grad_()
        posterior = model.posterior(x)
        mean, sd = posterior.mean, posterior.variance.sqrt()
        (slope,) = torch.autograd.grad(mean.sum() + sd.sum(), x)
        loo = efficient_loo_cv(model) if cls is SurveyGP else None
        fantasy = model.condition_on_observations(x[:1].detach(), Y[:1]).posterior(x.detach())
        slopes = model.predictive_gradients(x.detach())
        found.append(
            {
                "log posterior": np.array(model.fit_result.values) if cls is SurveyGP else np.zeros(1),
                **(model.point if cls is SurveyGP else model.draws),
                "mean": mean.detach().numpy(),
                "sd": sd.detach().numpy(),
                "slope": slope.numpy(),
                "leave one out": np.zeros(1) if loo is None else loo.posterior.mean.detach().numpy(),
                "fantasy": fantasy.mean.numpy(),
                "slope of the sd": slopes.sd_gradient.numpy(),
            }
        )
    corner, grid = found
    for name, value in corner.items():
        np.testing.assert_allclose(grid[name], value, rtol=1e-6, atol=1e-8, err_msg=name)


def test_compile_predict_in_national_grid_coordinates_is_that_in_metres_from_the_corner() -> None:
    places, yields = field()
    found = []
    for origin in (np.zeros(2), NATIONAL_GRID):
        with pm.Model():
            gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8.0), cov_func=pm.gp.cov.ExpQuad(2, ls=2.0))
            gp.marginal_likelihood("yield", places + origin, yields, sigma=0.1)
            found.append(compile_predict(gp, {}).gradients(places[:7] + 0.375 + origin))
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-9)


# ---- Noise that is computed: as fitted, in the prior, for other data

GROUP = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
KNOWN = np.linspace(0.1, 0.4, 10)


def places_and_outcomes() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(5).uniform(size=(10, 1))
    return X, np.sin(5 * X[:, 0])


def by_group(X: Any, x: Any) -> Any:
    return pm.HalfNormal("sds", shape=3)[GROUP]


def by_formula(X: Any, x: Any) -> Any:
    return pt.exp(pm.Normal("a") + pm.Normal("b") * x)


def known_times_parameter(X: Any, x: Any) -> Any:
    return pm.HalfNormal("k") * pt.as_tensor(KNOWN)


def one_each(X: Any, x: Any) -> Any:
    return pm.HalfNormal("sds", shape=10)


IDIOMS: dict[str, tuple[Callable[[Any, Any], Any], dict[str, Any], Callable[[np.ndarray], np.ndarray]]] = {
    "by group": (by_group, {"sds": np.array([0.1, 0.2, 0.3])}, lambda _: np.array([0.1, 0.2, 0.3])[GROUP]),
    "by formula of X": (by_formula, {"a": -2.0, "b": 0.8}, lambda x: np.exp(-2.0 + 0.8 * x)),
    "by formula of an array": (by_formula, {"a": -2.0, "b": 0.8}, lambda x: np.exp(-2.0 + 0.8 * x)),
    "by formula of a column of pm.Data": (by_formula, {"a": -2.0, "b": 0.8}, lambda x: np.exp(-2.0 + 0.8 * x)),
    "known sds times a parameter": (known_times_parameter, {"k": 1.5}, lambda _: 1.5 * KNOWN),
    "one free sd each": (one_each, {"sds": np.linspace(0.2, 0.5, 10)}, lambda _: np.linspace(0.2, 0.5, 10)),
}


def matern52(A: np.ndarray, B: np.ndarray, ls: float = 0.3) -> np.ndarray:
    r = np.sqrt(5.0) * abs(A[:, None, 0] - B[None, :, 0]) / ls
    return (1 + r + r**2 / 3) * np.exp(-r)


def of_idiom(idiom: str) -> PyMCGP:
    X, y = places_and_outcomes()
    write, point, _ = IDIOMS[idiom]
    with pm.Model():
        data = pm.Data("X", X) if idiom == "by formula of X" else X
        column = data[:, 0] if "X" in idiom else pm.Data("columns", np.column_stack([X, X]))[:, 1] if "Data" in idiom else X[:, 0]
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        gp.marginal_likelihood("y", data, y, sigma=write(data, column))
        return PyMCGP.from_fitted(gp, point)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_noise_that_is_computed_serves_posterior_prior_leave_one_out_and_lengthscales(idiom: str) -> None:
    model, (X, y) = of_idiom(idiom), places_and_outcomes()
    noise = IDIOMS[idiom][2](X[:, 0]) ** 2
    jitter = pm.gp.util.JITTER_DEFAULT
    K = matern52(X, X) + np.diag(noise + jitter)
    new = np.linspace(0, 1, 4)[:, None]
    posterior, k = model.posterior(torch.from_numpy(new)), matern52(new, X)
    np.testing.assert_allclose(posterior.mean.squeeze(-1), k @ np.linalg.solve(K, y), **NUMPY)
    np.testing.assert_allclose(posterior.variance.squeeze(-1), 1 - np.sum(k.T * np.linalg.solve(K, k.T), 0), **NUMPY)
    np.testing.assert_allclose(model.likelihood.noise, noise, **NUMPY)
    np.testing.assert_allclose(model.forward(torch.from_numpy(new)).covariance_matrix, matern52(new, new), **NUMPY)
    inverse = np.linalg.inv(K)
    loo = efficient_loo_cv(model)
    np.testing.assert_allclose(loo.posterior.mean.flatten().detach(), y - inverse @ y / np.diag(inverse), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.covar_module.lengthscale, [[0.3 * np.sqrt(3 / 5)]], rtol=1e-6)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_noise_that_is_computed_follows_other_data_or_says_that_it_cannot(idiom: str) -> None:
    model, (X, y) = of_idiom(idiom), places_and_outcomes()
    moved = torch.from_numpy(1.0 - X)
    model.set_train_data(moved, torch.from_numpy(y))
    sds = IDIOMS[idiom][2](1.0 - X[:, 0] if idiom == "by formula of X" else X[:, 0])
    np.testing.assert_allclose(model.likelihood.noise, sds**2, **NUMPY)
    fewer = moved[:6], torch.from_numpy(y[:6])
    if idiom == "by formula of X":
        model.set_train_data(*fewer, strict=False)
        np.testing.assert_allclose(model.likelihood.noise, sds[:6] ** 2, **NUMPY)
        return
    before = model.posterior(moved[:2]).mean
    with pytest.raises(ValueError, match="6 observations"):
        model.set_train_data(*fewer, strict=False)
    assert torch.equal(model.posterior(moved[:2]).mean, before)


# ---- What a builder computes from y


class MeanOfData(PyMCGP):
    units = "natural"

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        ell, sigma = pm.LogNormal("ell", -1, 0.3), pm.LogNormal("sigma", -2, 0.3)
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(y.mean()), cov_func=pm.gp.cov.ExpQuad(1, ls=ell))
        gp.marginal_likelihood("y", X, y, sigma=sigma * y.std())
        return gp


def expected_mean(model: PyMCGP, X: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    ell, sigma = model.point["ell"], model.point["sigma"] * y.std()
    K = np.exp(-0.5 * ((X - X.T) / ell) ** 2) + (sigma**2 + pm.gp.util.JITTER_DEFAULT) * np.eye(len(X))
    return y.mean() + np.exp(-0.5 * ((new - X.T) / ell) ** 2) @ np.linalg.solve(K, y - y.mean())


def test_a_state_with_the_mean_of_the_data_is_that_of_the_present_data() -> None:
    X, y = places_and_outcomes()
    far = np.array([[30.0]])  # where only the mean is left
    here, there = (MeanOfData(torch.from_numpy(X), torch.from_numpy(v)[:, None]).fit(num_starts=1) for v in (y, y + 3.0))
    there.load_state_dict(here.state_dict())
    assert there.posterior(torch.from_numpy(far)).mean.item() == pytest.approx(y.mean() + 3.0, abs=1e-9)
    new = np.linspace(0, 1, 5)[:, None]
    for n, shift in ((10, 3.0), (7, -1.0), (10, 0.0)):
        data = X[:n], y[:n] + shift
        if shift != 3.0:
            there.set_train_data(*map(torch.from_numpy, data), strict=False)
        expected = expected_mean(there, *data, new)
        np.testing.assert_allclose(there.posterior(torch.from_numpy(new)).mean.squeeze(-1), expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(there.forward(torch.from_numpy(far)).mean, data[1].mean(), rtol=1e-12)


def test_a_fitted_gp_with_the_mean_of_its_pm_data_follows_other_data_too() -> None:
    X, y = places_and_outcomes()
    with pm.Model():
        outcome = pm.Data("outcome", y)
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(outcome.mean()), cov_func=pm.gp.cov.ExpQuad(1, ls=0.3))
        gp.marginal_likelihood("y", X, outcome, sigma=0.1)
        model = PyMCGP.from_fitted(gp, {})
    far = torch.tensor([[30.0]], dtype=torch.double)
    model.set_train_data(torch.from_numpy(X[:7]), torch.from_numpy(y[:7] + 5.0), strict=False)
    assert model.posterior(far).mean.item() == pytest.approx(y[:7].mean() + 5.0, abs=1e-12)


def test_noise_that_a_builder_writes_stays_in_a_loaded_state_of_other_units() -> None:
    X, y = places_and_outcomes()

    def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("ell", -1, 0.3)))
        gp.marginal_likelihood("y", X, y, sigma=0.1)
        return gp

    one, other = (PyMCGP(torch.from_numpy(X), torch.from_numpy(v)[:, None], build_gp=build_gp) for v in (y, 10 * y + 3))
    one.load_state_dict(other.fit(num_starts=1).state_dict())
    assert one.likelihood.noise.item() == pytest.approx(0.01, abs=1e-12)


@pytest.mark.parametrize("kernel", ["Gibbs", "WarpedInput"])
def test_kernels_without_one_scale_are_exact_far_from_the_origin(kernel: str) -> None:
    places = np.round(np.random.default_rng(6).uniform(0, 12, size=(15, 1)) * 1024) / 1024
    y, found = np.sin(places[:, 0]), []
    for origin in (0.0, 5_212_345.0):
        with pm.Model():
            gibbs = pm.gp.cov.Gibbs(1, lambda x: 2.0 + 0.0 * x)
            warped = pm.gp.cov.WarpedInput(1, cov_func=pm.gp.cov.Matern52(1, ls=1.0), warp_func=lambda x: 0.5 * x)
            gp = pm.gp.Marginal(cov_func=gibbs if kernel == "Gibbs" else warped)
            gp.marginal_likelihood("y", places + origin, y, sigma=0.1)
            model = PyMCGP.from_fitted(gp, {})
        posterior = model.posterior(torch.from_numpy(places[:5] + 0.375 + origin))
        found.append((posterior.mean.numpy(), posterior.variance.numpy()))
    for here, there in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-9)


def test_a_point_far_away_costs_the_others_of_its_batch_nothing() -> None:
    model = of_idiom("by group")
    near = torch.tensor([[0.33], [0.5]], dtype=torch.double)
    alone = model.posterior(near).distribution.covariance_matrix
    beside = model.posterior(torch.cat([near, torch.full((1, 1), 1e4, dtype=torch.double)])).distribution.covariance_matrix
    torch.testing.assert_close(beside[:2, :2], alone, rtol=1e-9, atol=1e-11)


def test_a_copy_keeps_its_transform_when_the_original_loads_another() -> None:
    X, y = map(torch.from_numpy, places_and_outcomes())
    Y = (2 + y[:, None]).exp()
    transform = lambda: ChainedOutcomeTransform(log=Log(), scale=Standardize(m=1))  # noqa: E731
    model, other = PyMCGP(X, Y, outcome_transform=transform()), PyMCGP(X, 100 * Y**2, outcome_transform=transform())
    at = X[:3]
    before = model.posterior(at).mean
    copied = copy.deepcopy(model)
    model.load_state_dict(other.fit(num_starts=1).state_dict())
    torch.testing.assert_close(copied.posterior(at).mean, before, rtol=0, atol=0)


def test_a_state_is_replaced_whole_and_public() -> None:
    X, y = places_and_outcomes()
    model = MeanOfData(torch.from_numpy(X), torch.from_numpy(y)[:, None])
    before = model.state
    model.fit(num_starts=1)
    assert model.state is not before
    assert before.result is None
    assert model.state.result is model.fit_result
    assert model.state.fitted.draws["ell"].shape == (1,)  # a point is one draw
    fantasy = model.condition_on_observations(torch.rand(2, 1, dtype=torch.double), torch.zeros(2, 1, dtype=torch.double))
    assert fantasy.state.fitted is model.state.fitted
    with pytest.raises(AttributeError):
        model.state.noise = torch.zeros(())  # type: ignore[misc]  # frozen


def test_the_reference_of_the_tests_is_a_density() -> None:
    X, y = places_and_outcomes()
    model = MeanOfData(torch.from_numpy(X), torch.from_numpy(y)[:, None]).fit(num_starts=1)
    ell, sigma = model.point["ell"], model.point["sigma"]
    K = np.exp(-0.5 * ((X - X.T) / ell) ** 2) + ((sigma * y.std()) ** 2 + pm.gp.util.JITTER_DEFAULT) * np.eye(10)
    delta = y - y.mean()
    likelihood = -0.5 * delta @ np.linalg.solve(K, delta) - 0.5 * np.linalg.slogdet(K)[1] - 5 * np.log(2 * np.pi)
    priors = sum(norm.logpdf(np.log(v), m, 0.3) - np.log(v) for v, m in ((ell, -1), (sigma, -2)))
    assert model.fit_result.log_posterior == pytest.approx(likelihood + priors, abs=1e-8)


def test_parameters_may_have_the_names_of_numpys_arguments() -> None:
    def builder(X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("file", 0, 1)))
        gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("allow_pickle", -2, 1))
        return gp

    X = torch.linspace(0, 1, 6, dtype=torch.double).unsqueeze(-1)
    model = PyMCGP(X, X.sin(), build_gp=builder).fit(num_starts=1)
    other = PyMCGP(X, X.sin(), build_gp=builder)
    other.load_state_dict(model.state_dict())
    assert other.point == model.point
