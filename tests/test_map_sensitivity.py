"""Derivatives of a MAP estimate and of predictions at it, against reference numbers and refits; and what has none."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Log, Normalize, Standardize
from sensitivity_cases import ELL, MEAN_AT_3, POINT, ModelB, X, Y, build, fitted, model_b

import pymc_botorch
from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP, map_sensitivity
from pymc_botorch.errors import DataError, UnsupportedGPError

STEP = 1e-4


@pytest.fixture(scope="module")
def sensitivity() -> Any:
    gp, pm_model = model_b()
    return map_sensitivity(gp, POINT, model=pm_model)


def test_the_estimate_is_exact(sensitivity: Any) -> None:
    assert sensitivity.log_density == pytest.approx(-21.939199921298, abs=1e-10)
    assert sensitivity.gradient_norm < 1e-11
    np.testing.assert_allclose(sensitivity.eigenvalues, [3.545, 11.318, 56.179], atol=6e-4)
    np.testing.assert_allclose(list(sensitivity.point.values()), [3.290781985, 5.34644051, 0.1773347094], rtol=1e-9)
    assert sensitivity.fixed_parameters == ()


@pytest.mark.parametrize("name", ["X", "y"])
def test_derivatives_of_the_estimate_are_the_reference(sensitivity: Any, name: str) -> None:
    np.testing.assert_allclose(sensitivity.parameters["ell"][name].ravel(), ELL[name], atol=1e-9)


def test_total_derivatives_of_predictions_are_the_reference(sensitivity: Any) -> None:
    prediction = sensitivity.prediction([[3.0], [6.1]])
    np.testing.assert_allclose(prediction.mean, [2.2239278905, 9.3155761086], atol=1e-9)
    np.testing.assert_allclose(prediction.sd, [0.2023389689, 0.2170491220], atol=1e-9)
    np.testing.assert_allclose(prediction.mean_gradient["X"][0].ravel(), MEAN_AT_3, atol=1e-8)
    assert prediction.sd_gradient["X"][0, 3, 0] == pytest.approx(0.1187266936, abs=1e-9)
    twice = 2 * prediction.sd[:, None]
    np.testing.assert_allclose(prediction.variance_gradient["y"], twice * prediction.sd_gradient["y"], atol=1e-14)


def test_frozen_hyperparameters_give_other_derivatives_and_the_right_ones(sensitivity: Any) -> None:
    gp, pm_model = model_b()
    frozen, total = sensitivity.prediction([[3.0]], frozen=True), sensitivity.prediction([[3.0]])
    step = 1e-5 * np.eye(10)[2]
    means = []
    for outcomes in (Y + step, Y - step):
        with pm_model:
            pm.set_data({"yields": outcomes})
        means.append(pymc_botorch.compile_predict(gp, sensitivity.point, model=pm_model).mean(np.array([[3.0]]))[0])
    assert frozen.mean_gradient["y"][0, 2] == pytest.approx((means[0] - means[1]) / 2e-5, abs=1e-8)
    assert abs(frozen.mean_gradient["X"] - total.mean_gradient["X"]).max() == pytest.approx(0.0056, abs=2e-4)


def test_arrays_and_names_of_pm_data_give_the_same(sensitivity: Any) -> None:
    gp, pm_model = model_b(as_data=False)
    arrays = map_sensitivity(gp, POINT, model=pm_model)
    gp, pm_model = model_b()
    with pm_model:
        named = map_sensitivity(gp, POINT, ["season", "yields"])
    only = map_sensitivity(gp, POINT, "y", model=pm_model)
    for name, own in (("X", "season"), ("y", "yields")):
        np.testing.assert_allclose(arrays.parameters["eta"][name], sensitivity.parameters["eta"][name], atol=1e-12)
        np.testing.assert_array_equal(named.parameters["eta"][own], sensitivity.parameters["eta"][name])
    assert only.wrt == ("y",)
    assert set(only.parameters["ell"]) == set(only.prediction([[1.0]]).mean_gradient) == {"y"}


def test_the_point_may_be_rough_and_in_any_form(sensitivity: Any) -> None:
    gp, pm_model = model_b()
    with pm_model:
        found = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
    from_pymc = map_sensitivity(gp, found, model=pm_model)
    rough = map_sensitivity(gp, {"ell_log__": np.log(3.4), "eta": 5.3, "sigma": 0.18}, model=pm_model)
    for other in (from_pymc, rough):
        np.testing.assert_allclose(other.parameters["sigma"]["y"], sensitivity.parameters["sigma"]["y"], atol=1e-9)


def test_a_fitted_model_gives_the_same(sensitivity: Any) -> None:
    of_model = map_sensitivity(fitted())
    prediction, expected = of_model.prediction([[3.0]]), sensitivity.prediction([[3.0]])
    for name in ("X", "y"):
        np.testing.assert_allclose(of_model.parameters["ell"][name], sensitivity.parameters["ell"][name], atol=1e-9)
        np.testing.assert_allclose(prediction.sd_gradient[name], expected.sd_gradient[name], atol=1e-9)


def test_models_can_be_pickled_after_it() -> None:
    model = fitted()
    map_sensitivity(model).prediction([[1.0]])
    again = pickle.loads(pickle.dumps(model))
    torch.testing.assert_close(again.posterior(torch.ones(1, 1).double()).mean, model.posterior(torch.ones(1, 1).double()).mean)


def test_a_shift_of_everything_moves_nothing(sensitivity: Any) -> None:
    assert abs(sensitivity.parameters["ell"]["X"].sum()) < 1e-10


def test_other_data_compile_nothing() -> None:
    gp, pm_model = model_b()
    map_sensitivity(gp, POINT, model=pm_model).prediction(X)
    before = pymc_botorch.cache_info().compilations
    gp, pm_model = model_b(X[:8] + 1.0, Y[:8] * 1.1)
    with pm_model:
        point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
        map_sensitivity(gp, point).prediction(X)
    assert pymc_botorch.cache_info().compilations == before


# -- refits of models from data, in raw units ---------------------------------------------------------------------------------


def two_inputs(X: Any, y: Any, sigma: Any = None) -> pm.gp.Marginal:
    reach, height = pm.LogNormal("reach", -1, 0.5, shape=2), pm.LogNormal("height", 0, 0.5)
    noise = pm.LogNormal("noise", -2, 0.5) if sigma is None else sigma
    gp = pm.gp.Marginal(
        mean_func=pm.gp.mean.Constant(pm.Normal("mu", 0, 1)), cov_func=height**2 * pm.gp.cov.Matern52(2, ls=reach)
    )
    gp.marginal_likelihood("observed", X, y, sigma=noise)
    return gp


def raw_data() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    inputs = 3 * torch.rand(10, 2, dtype=torch.double, generator=generator)
    noise = 0.1 * torch.randn(10, dtype=torch.double, generator=generator)
    return {"X": inputs, "y": 5 + 2 * (inputs.sum(-1).sin() + noise), "sigma": torch.full((10,), 0.2, dtype=torch.double)}


BOUNDS = torch.tensor([[0.0, 0.0], [3.0, 3.0]], dtype=torch.double)
MODELS: dict[str, Callable[[dict], PyMCGP]] = {
    "the default": lambda data: PyMCGP(data["X"], data["y"].unsqueeze(-1), input_transform=Normalize(2, bounds=BOUNDS)),
    "learned bounds": lambda data: PyMCGP(data["X"], data["y"].unsqueeze(-1), input_transform=Normalize(2), build_gp=two_inputs),
    "known noise": lambda data: PyMCGP(
        data["X"],
        data["y"].unsqueeze(-1),
        data["sigma"].square().unsqueeze(-1),
        input_transform=Normalize(2, bounds=BOUNDS),
        build_gp=two_inputs,
    ),
}
ENTRIES = [("y", (4,)), ("X", (3, 1)), ("X", (7, 0)), ("sigma", (2,))]  # row 7 has the largest first input


@pytest.mark.parametrize("kind", MODELS)
def test_derivatives_are_those_of_refits(kind: str) -> None:
    data, points = raw_data(), np.array([[1.0, 1.2], [2.0, 0.4]])
    base, names = MODELS[kind](data).fit(), ["X", "y"] + ["sigma"] * (kind == "known noise")

    def refitted(name: str, entry: tuple[int, ...], step: float) -> list[np.ndarray]:
        moved = {key: value.clone() for key, value in data.items()}
        moved[name][entry] += step
        sensitivity = map_sensitivity(MODELS[kind](moved).fit(base, num_starts=1))
        prediction = sensitivity.prediction(points)
        return [*sensitivity.point.values(), prediction.mean, prediction.variance]

    sensitivity = map_sensitivity(base, wrt=names)
    prediction = sensitivity.prediction(points)
    posterior = base.posterior(torch.from_numpy(points))
    np.testing.assert_allclose(prediction.mean, posterior.mean.detach().squeeze(-1), rtol=1e-6)
    np.testing.assert_allclose(prediction.variance, posterior.variance.detach().squeeze(-1), rtol=1e-5)
    for name, entry in ENTRIES:
        if name in names:
            parts = [part[name] for part in sensitivity.parameters.values()]
            found = [*parts, prediction.mean_gradient[name], prediction.variance_gradient[name]]
            refits = zip(found, refitted(name, entry, STEP), refitted(name, entry, -STEP), strict=True)
            for ours, high, low in refits:
                np.testing.assert_allclose(ours[(..., *entry)], (high - low) / (2 * STEP), atol=2e-7)


# -- what has no derivative -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [7e-4, 0.02])
def test_a_parameter_at_a_boundary_is_held_and_said(start: float) -> None:
    gp, pm_model = model_b(half_cauchy=True)
    with pytest.warns(FitWarning, match=r"no maximum in sigma = .*LogNormal"):
        sensitivity = map_sensitivity(gp, {"ell": 2.5503, "eta": 4.0546, "sigma": start}, model=pm_model)
    assert sensitivity.fixed_parameters == ("sigma",)
    assert not sensitivity.parameters["sigma"]["y"].any()
    of_log = sensitivity.parameters["ell"]["y"][3] / sensitivity.point["ell"]
    assert of_log == pytest.approx(-0.119568, abs=2e-6)
    assert "held fixed       sigma" in repr(sensitivity)


def test_sums_and_sparse_approximations_have_derivatives() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.uniform(size=(15, 2))
    outcomes = np.sin(4 * inputs[:, 0]) + inputs[:, 1] + 0.1 * rng.normal(size=15)

    def sensitivity(outcomes: np.ndarray, point: Any = None) -> Any:
        with pm.Model():
            ell, sigma = pm.LogNormal("ell", -1, 0.5, shape=2), pm.LogNormal("sigma", -2, 0.5)
            gp = pm.gp.MarginalApprox(cov_func=pm.gp.cov.ExpQuad(2, ls=ell), approx="FITC")
            gp.marginal_likelihood("observed", inputs, inputs[:6].copy(), outcomes, sigma=sigma)
            if point is None:
                point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
            return map_sensitivity(gp, point)

    base, unit = sensitivity(outcomes), STEP * np.eye(15)[3]
    high, low = (sensitivity(outcomes + step, base.point) for step in (unit, -unit))
    difference = (high.point["ell"] - low.point["ell"]) / (2 * STEP)
    np.testing.assert_allclose(base.parameters["ell"]["y"][:, 3], difference, atol=2e-7)
    means = [other.prediction([[0.3, 0.4]]).mean[0] for other in (high, low)]
    assert base.prediction([[0.3, 0.4]]).mean_gradient["y"][0, 3] == pytest.approx((means[0] - means[1]) / (2 * STEP), abs=2e-7)


def test_a_point_that_is_no_maximum_is_refused() -> None:
    gp, pm_model = model_b()
    with pytest.raises(DataError, match=r"not a maximum .*find_MAP"):
        map_sensitivity(gp, {"ell": 2.0, "eta": 6.0, "sigma": 0.3}, model=pm_model)
    with pytest.raises(InputDataError, match="not a maximum"):
        map_sensitivity(ModelB(torch.from_numpy(X), torch.from_numpy(Y).unsqueeze(-1)))


def test_what_cannot_be_asked_is_said_in_words() -> None:
    gp, pm_model = model_b()
    with pytest.raises(DataError, match=r"wrt has 'Z', but there are .* respect to 'season', 'yields', 'X', 'y' only"):
        map_sensitivity(gp, POINT, ["Z"], model=pm_model)
    with pytest.raises(DataError, match="no point"):
        map_sensitivity(gp, model=pm_model)
    with pytest.raises(DataError, match="has no value for sigma"):
        map_sensitivity(gp, {"ell": 3.0, "eta": 5.0}, model=pm_model)
    model = fitted()
    with pytest.raises(DataError, match="its own point"):
        map_sensitivity(model, POINT)
    with pytest.raises(InputDataError, match=r"wrt has 'sigma'\. Pass some of 'X', 'y'"):
        map_sensitivity(model, wrt=["sigma"])
    with pytest.raises(DataError, match=r"X_new has shape \(2,\). Pass at least one point, q x 1"):
        map_sensitivity(model).prediction([1.0, 2.0])
    with pytest.raises(DataError, match="X_new is not an array of numbers"):
        map_sensitivity(model).prediction([[1.0], [2.0, 3.0]])
    with pytest.raises(DataError, match=r"wrt is None\. Pass a list of names"):
        map_sensitivity(model, wrt=None)
    with pytest.raises(UnsupportedError, match="made from a gp fitted in PyMC"):
        map_sensitivity(PyMCGP.from_fitted(gp, POINT, model=pm_model))
    with pytest.raises(UnsupportedGPError, match="expectation_gradient"):
        map_sensitivity(FullyBayesianPyMCGP(torch.rand(5, 1).double(), torch.rand(5, 1).double()))


def test_an_array_of_one_observation_is_to_be_data() -> None:
    gp, pm_model = model_b(X[:1], Y[:1])
    point = pm.find_MAP(model=pm_model, progressbar=False, jitter=False, return_inferencedata=True)
    assert map_sensitivity(gp, point, model=pm_model).parameters["ell"]["X"].shape == (1, 1)
    gp, pm_model = model_b(X[:1], Y[:1], as_data=False)
    with pytest.raises(DataError, match=r"has X as an array of one number.*Make it pm\.Data"):
        map_sensitivity(gp, point, model=pm_model)


def test_data_that_the_model_holds_otherwise_are_named() -> None:
    with pm.Model():
        raw = pm.Data("raw", 10 * X)
        gp = build(raw / 10, Y)
        computed = map_sensitivity(gp, POINT, ["raw"])
        np.testing.assert_allclose(computed.parameters["ell"]["raw"].ravel(), ELL["X"] / 10, atol=1e-10)
        with pytest.raises(DataError, match="new inputs would be misread"):
            computed.prediction(X)
        with pytest.raises(DataError, match="computes it from other data"):
            map_sensitivity(gp, POINT, ["X"])
    with pm.Model():
        gp = build(np.arange(10)[:, None], Y)
        point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
        assert map_sensitivity(gp, point, ["y"]).parameters["ell"]["y"].shape == (10,)
        with pytest.raises(DataError, match="holds it as integers"):
            map_sensitivity(gp, point, ["X"])
    grid = np.linspace(0, 1, 4)[:, None]
    with pm.Model():
        sigma = pm.LogNormal("sigma", -1, 0.5)
        kron = pm.gp.MarginalKron(cov_funcs=[pm.gp.cov.ExpQuad(1, ls=0.3)] * 2)
        kron.marginal_likelihood("observed", [grid, grid], np.sin(np.arange(16.0)), sigma=sigma)
        point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
        assert map_sensitivity(kron, point, "y").parameters["sigma"]["y"].shape == (16,)
        with pytest.raises(DataError, match="does not take X as they are"):
            map_sensitivity(kron, point, "X")


class Saturating(pm.gp.mean.Mean):
    def __init__(self, top: Any, product: Callable) -> None:
        super().__init__()
        self.top, self.product = top, product

    def __call__(self, X: Any) -> Any:
        return 5 * self.product(1 - pt.exp(-X * self.top))


PRODUCTS: dict[str, Callable] = {
    "along columns": lambda parts: pt.prod(parts, axis=1),
    "written out": lambda parts: parts[:, 0] * parts[:, 1],
    "along rows": lambda parts: pt.prod(parts[:, 0]) * parts[:, 1],
}


def test_products_along_columns_have_second_derivatives_and_others_say_so() -> None:
    found = []
    for product in PRODUCTS.values():
        with pm.Model():
            top, sigma = pm.LogNormal("top", 0, 1, shape=2), pm.LogNormal("sigma", -1, 0.5)
            gp = pm.gp.Marginal(mean_func=Saturating(top, product), cov_func=pm.gp.cov.Matern52(2, ls=1.0))
            inputs = pm.Data("inputs", raw_data()["X"].numpy() + 1, shape=(None, 2))
            gp.marginal_likelihood("observed", inputs, raw_data()["y"].numpy(), sigma=sigma)
            if len(found) < 2:
                point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
                found.append(map_sensitivity(gp, point).parameters["top"]["X"])
            else:
                with pytest.raises(UnsupportedGPError, match="no second derivative in PyTensor"):
                    map_sensitivity(gp, point)
    np.testing.assert_allclose(*found, atol=1e-9)


def test_a_kink_has_no_derivative_where_rows_are_equal() -> None:
    inputs = np.concatenate([X[:5], X[:5]])
    with pm.Model():
        sigma = pm.LogNormal("sigma", -1, 0.5)
        gp = pm.gp.Marginal(cov_func=9 * pm.gp.cov.Matern12(1, ls=3.0))
        gp.marginal_likelihood("observed", inputs, Y, sigma=sigma)
        point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
        assert map_sensitivity(gp, point, ["y"]).parameters["sigma"]["y"].shape == (10,)
        with pytest.raises(DataError, match="Matern12 has a kink"):
            map_sensitivity(gp, point)


def test_predictions_through_other_transforms_are_refused_and_parameters_are_not() -> None:
    positive = torch.from_numpy(np.exp((Y - Y.mean()) / Y.std(ddof=1))).unsqueeze(-1)
    model = PyMCGP(torch.from_numpy(X / 10), positive, outcome_transform=Log(), build_gp=lambda X, y: two_in_one(X, y)).fit()
    sensitivity = map_sensitivity(model)
    unlogged = PyMCGP(torch.from_numpy(X / 10), positive.log(), outcome_transform=None, build_gp=lambda X, y: two_in_one(X, y))
    expected = map_sensitivity(unlogged.fit()).parameters["ell"]["y"] / positive.squeeze(-1).numpy()
    np.testing.assert_allclose(sensitivity.parameters["ell"]["y"], expected, atol=1e-8)
    with pytest.raises(UnsupportedError, match="Predictions through Log have no derivatives"):
        sensitivity.prediction([[0.5]])


def two_in_one(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("ell", -1, 0.5)))
    gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("sigma", -3, 0.5))
    return gp


def test_a_standardisation_moves_with_the_outcomes() -> None:
    inputs, outcomes = torch.from_numpy(X / 10), torch.from_numpy(Y).unsqueeze(-1)
    model = PyMCGP(inputs, outcomes, outcome_transform=Standardize(m=1), build_gp=two_in_one).fit()
    everywhere = map_sensitivity(model).prediction([[0.33], [0.8]])
    # a shift of all outcomes shifts predictions by as much, and leaves hyperparameters as they are
    np.testing.assert_allclose(everywhere.mean_gradient["y"].sum(-1), 1.0, atol=1e-9)
    np.testing.assert_allclose(map_sensitivity(model).parameters["ell"]["y"].sum(-1), 0.0, atol=1e-9)
