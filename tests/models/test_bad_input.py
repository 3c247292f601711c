"""Bad input is refused before anything is compiled, by a message that says what to pass instead."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import BotorchTensorDimensionError, InputDataError, UnsupportedError
from botorch.models.transforms import Standardize
from botorch.models.transforms.input import AppendFeatures, Normalize
from zoo import POINT, data, marginal

from pymc_botorch import PyMCGP, config
from pymc_botorch.graph.compiling import cache as structures

X, Y = data()


@pytest.fixture(autouse=True)
def nothing_is_compiled() -> Iterator[None]:
    before = structures.cache_info()
    yield
    assert structures.cache_info().compilations == before.compilations


def matern() -> pm.gp.cov.Covariance:
    return pm.gp.cov.Matern52(2, ls=[0.4, 0.7])


def observed(X: object = X, y: object = Y, sigma: object = 0.1, cov: object = None) -> PyMCGP:
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=matern() if cov is None else cov)
        gp.marginal_likelihood("y", X, y, sigma=sigma)
    return PyMCGP.from_fitted(gp, {}, model=pm_model)


def with_nan(array: np.ndarray, value: float = np.nan) -> np.ndarray:
    spoilt = array.copy()
    spoilt.flat[3] = value
    return spoilt


def data_with_nan(X: np.ndarray, y: np.ndarray) -> PyMCGP:
    """NaN put in after the model was made, as set_data allows."""
    case = marginal(as_data=True)
    with case.pm_model:
        pm.set_data({"X": X, "y": y})
    return PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)


def no_likelihood() -> PyMCGP:
    with pm.Model():
        return PyMCGP.from_fitted(pm.gp.Marginal(cov_func=matern()), {})


def another_model() -> PyMCGP:
    return PyMCGP.from_fitted(marginal(seed=1).gp, POINT, model=marginal(seed=2).pm_model)


def another_model_with_the_same_data() -> PyMCGP:
    return PyMCGP.from_fitted(marginal().gp, POINT, model=marginal().pm_model)


def a_component_without_given() -> PyMCGP:
    with pm.Model():
        slow, quick = pm.gp.Marginal(cov_func=matern()), pm.gp.Marginal(cov_func=matern())
        (slow + quick).marginal_likelihood("y", X, Y, sigma=0.1)
        return PyMCGP.from_fitted(slow, {})


def from_gp(make: Callable[[], object], **options: object) -> PyMCGP:
    with pm.Model() as pm_model:
        gp = make()
    return PyMCGP.from_fitted(gp, {}, model=pm_model, **options)


def scaled_inside() -> PyMCGP:
    with pm.Model():
        raw = pm.Data("raw", X)
        gp = pm.gp.Marginal(cov_func=matern())
        gp.marginal_likelihood("y", (raw - raw.mean(0)) / raw.std(0), Y, sigma=0.1)
        return PyMCGP.from_fitted(gp, {})


def whole_numbers_scaled_inside() -> PyMCGP:
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=matern())
        gp.marginal_likelihood("y", pm.Data("raw", np.arange(24).reshape(12, 2)) * 2, Y, sigma=0.1)
        return PyMCGP.from_fitted(gp, {})


def inputs_that_a_parameter_scales() -> PyMCGP:
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=matern())
        gp.marginal_likelihood("y", pm.Data("raw", X) * pm.LogNormal("scale"), Y, sigma=0.1)
        return PyMCGP.from_fitted(gp, {"scale": 1.0})


def fitted(point: dict | None = None, **options: object) -> PyMCGP:
    case = marginal()
    return PyMCGP.from_fitted(case.gp, case.point if point is None else point, model=case.pm_model, **options)


def another_transform() -> PyMCGP:
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=matern())
        gp.marginal_likelihood("y", pm.Data("raw", 50 * X) / 100.0, Y, sigma=0.1)
        bounds = torch.tensor([[0.0, 0.0], [10.0, 10.0]], dtype=torch.double)
        return PyMCGP.from_fitted(gp, {}, input_transform=Normalize(2, bounds=bounds))


OUTCOME = 50 * Y + 350


def outcome_scaled_inside(scale: Callable[[Any], Any], transform: Any = None, table: bool = False) -> PyMCGP:
    held = np.column_stack([np.arange(12), OUTCOME]) if table else OUTCOME
    with pm.Model():
        raw = pm.Data("raw", held)
        gp = pm.gp.Marginal(cov_func=matern())
        gp.marginal_likelihood("y", X, scale(raw[:, 1] if table else raw), sigma=0.1)
        return PyMCGP.from_fitted(gp, {}, outcome_transform=transform)


def standardize(y: np.ndarray) -> Standardize:
    transform = Standardize(1)
    transform(torch.from_numpy(y)[:, None])
    return transform.eval()


def by_sample_sd(y: Any) -> Any:
    return (y - y.mean()) / (y.std() * np.sqrt(12 / 11))


def too_few_columns() -> PyMCGP:
    return data_with_nan(X[:, :1], Y)


def interval_without_parent() -> PyMCGP:
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.Uniform("u", 0, pm.LogNormal("upper"))))
        gp.marginal_likelihood("y", X, Y, sigma=0.1)
        return PyMCGP.from_fitted(gp, {"u_interval__": 0.0})


CASES: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "NaN in y": (lambda: data_with_nan(X, with_nan(Y)), InputDataError, r"y has NaN or infinite values in rows \[3\]"),
    "infinity in X": (lambda: data_with_nan(with_nan(X, np.inf), Y), InputDataError, r"X has NaN .* rows \[1\]"),
    "lengths differ": (lambda: data_with_nan(X[:-1], Y), InputDataError, "11 inputs and 12 targets"),
    "no data": (lambda: data_with_nan(X[:0], Y[:0]), InputDataError, "0 inputs and 0 targets"),
    "no likelihood": (no_likelihood, InputDataError, r"no likelihood .*marginal_likelihood"),
    "a component without given": (a_component_without_given, InputDataError, r"given=\{'gp': total\}"),
    "another model": (another_model, InputDataError, "no observed variable with this gp's data"),
    "another model, same data": (
        another_model_with_the_same_data,
        InputDataError,
        "not free variables of the given PyMC",
    ),
    "no model": (lambda: PyMCGP.from_fitted(marginal().gp, POINT), TypeError, r"no PyMC model in context. Pass model="),
    "scaled inside": (scaled_inside, InputDataError, r"computed inside the PyMC model.*input_transform="),
    "whole numbers scaled inside": (whole_numbers_scaled_inside, InputDataError, r"computed inside the PyMC model"),
    "inputs depend on a parameter": (inputs_that_a_parameter_scales, InputDataError, "WarpedInput"),
    "TP": (lambda: from_gp(lambda: pm.gp.TP(scale_func=matern(), nu=3)), UnsupportedError, "TP cannot.*Marginal"),
    "Latent": (lambda: from_gp(lambda: pm.gp.Latent(cov_func=matern())), UnsupportedError, "Latent cannot.*Marginal"),
    "LatentKron": (
        lambda: from_gp(lambda: pm.gp.LatentKron(cov_funcs=[matern(), matern()])),
        UnsupportedError,
        "LatentKron cannot.*Marginal",
    ),
    "HSGP": (
        lambda: from_gp(lambda: pm.gp.HSGP(m=[5, 5], c=1.5, cov_func=matern())),
        UnsupportedError,
        "HSGP cannot.*Marginal",
    ),
    "no gp at all": (lambda: from_gp(lambda: "gp"), UnsupportedError, "gp is a str"),
    "a missing parameter": (lambda: fitted({"eta": 1.0}), InputDataError, "no value for ell, mu, sigma"),
    "a contradiction": (lambda: fitted({**POINT, "eta_log__": 3.0}), InputDataError, "contradicts itself"),
    "a wrong shape": (lambda: fitted({**POINT, "ell": np.ones(3)}), InputDataError, r"ell has shape \(3,\)"),
    "a negative jitter": (lambda: fitted(jitter=-1.0), InputDataError, "jitter is -1.0"),
    "negative sigma": (lambda: observed(sigma=-0.1), InputDataError, "sigma is -0.1"),
    "unknown entries in given": (lambda: fitted(given={"noise": 1}), InputDataError, r"unknown entries \['noise'\]"),
    "an unfitted Standardize": (lambda: fitted(outcome_transform=Standardize(1)), InputDataError, "no mean and sd yet"),
    "a transform without inverse": (
        lambda: fitted(input_transform=AppendFeatures(torch.ones(1, 1), transform_on_train=True)),
        UnsupportedError,
        "AppendFeatures cannot be undone",
    ),
    "an unfitted Normalize": (lambda: fitted(input_transform=Normalize(2)), InputDataError, "not learned its bounds"),
    "a Standardize of two": (lambda: fitted(outcome_transform=Standardize(2)), InputDataError, "several outcomes"),
    "no transform": (lambda: fitted(outcome_transform="log"), InputDataError, "outcome_transform is a str"),
    "no input transform": (lambda: fitted(input_transform="unit"), InputDataError, "input_transform is a str"),
    "another transform than the model's": (another_transform, InputDataError, "does not do what the PyMC model does"),
    "an outcome scaled inside": (
        lambda: outcome_scaled_inside(by_sample_sd),
        InputDataError,
        "gp's y is computed inside the PyMC model .*outcome_transform=",
    ),
    "an outcome in other units inside": (lambda: outcome_scaled_inside(lambda y: y / 1000), InputDataError, "gp's y is computed"),
    "a logarithm inside": (lambda: outcome_scaled_inside(pm.math.log), InputDataError, "gp's y is computed"),
    "another outcome transform than the model's": (
        lambda: outcome_scaled_inside(by_sample_sd, standardize(OUTCOME / 1000)),
        InputDataError,
        r"does not do what the PyMC model does to its outcomes .*first observation, .* instead of",
    ),
    "the same sd by another formula": (
        lambda: outcome_scaled_inside(lambda y: (y - y.mean()) / y.std(), standardize(OUTCOME)),
        InputDataError,
        "does not do what the PyMC model does to its outcomes",
    ),
    "a Standardize beside thousands": (
        lambda: outcome_scaled_inside(lambda y: y / 1000, standardize(OUTCOME), table=True),
        InputDataError,
        "does not do what the PyMC model does to its outcomes",
    ),
    "a Standardize beside a logarithm": (
        lambda: outcome_scaled_inside(pm.math.log, standardize(np.log(OUTCOME))),
        InputDataError,
        "does not do what the PyMC model does to its outcomes",
    ),
    "a jitter that is no number": (lambda: fitted(jitter="a"), InputDataError, "jitter is 'a'"),
    "given is no dict": (lambda: fitted(given=[1]), InputDataError, "given is a list"),
    "model is no model": (lambda: PyMCGP.from_fitted(marginal().gp, POINT, model="m"), TypeError, "model is a str"),
    "other columns than the kernel's": (too_few_columns, InputDataError, r"1 columns, .* input_dim=2"),
    "a parent is missing": (interval_without_parent, InputDataError, "scale depends on upper"),
    "outside the support": (lambda: fitted({**POINT, "eta": -1.0}), InputDataError, "eta is -1.0, outside"),
    "several outcomes": (
        lambda: PyMCGP(torch.ones(3, 2), torch.ones(3, 2)),
        UnsupportedError,
        "join the models in .*ModelListGP",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_bad_input_is_refused_with_advice(kind: str) -> None:
    act, error, message = CASES[kind]
    with pytest.raises(error, match=message):
        act()


def test_what_pymc_users_raise_and_catch_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no value for"):
        fitted({})


def test_white_noise_in_the_kernel_warns_that_it_counts_as_signal() -> None:
    with pytest.raises(UserWarning, match="WhiteNoise in cov_func"):
        observed(cov=matern() + pm.gp.cov.WhiteNoise(0.1))


@pytest.fixture(scope="module")
def model() -> PyMCGP:
    with config.change_flags(linker="numpy"):
        return fitted()


@pytest.mark.parametrize("shape", [(2,), (3, 3), (4, 3, 1), ()], ids=str)
def test_inputs_of_another_shape_are_refused(model: PyMCGP, shape: tuple[int, ...]) -> None:
    with pytest.raises(BotorchTensorDimensionError, match=r"Pass n x 2 or \.\.\. x q x 2"):
        model.posterior(torch.zeros(shape, dtype=torch.double))


def test_other_outcomes_and_odd_noise_are_refused(model: PyMCGP) -> None:
    x = torch.zeros(3, 2, dtype=torch.double)
    with pytest.raises(UnsupportedError, match="there is one outcome"):
        model.posterior(x, output_indices=[1])
    with pytest.raises(BotorchTensorDimensionError, match="observation_noise"):
        model.posterior(x, observation_noise=torch.ones(3, dtype=torch.double))
    with pytest.raises(BotorchTensorDimensionError, match="observation_noise"):
        model.posterior(x, observation_noise=0.1)
