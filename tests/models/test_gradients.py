"""Predictive gradients and the posterior of the gradient: finite differences, units, fantasies, NumPy and torch, refusals."""

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import BotorchTensorDimensionError, UnsupportedError
from botorch.models.transforms import Log, Normalize, Standardize
from botorch.models.transforms.input import InputPerturbation
from zoo import ZOO, Specimen, marginal, of_kernel

from pymc_botorch import PredictiveGradients, PyMCGP, gradient_posterior

cov = pm.gp.cov
DIFFERENCES = 1e-8  # relative to the largest gradient; fourth-order central differences of the posterior mean

NINE = (
    "ExpQuad",
    "Matern52",
    "Matern32",
    "RatQuad",
    "Periodic on one input",
    "WarpedInput with a parameter",
    "ScaledCov",
    "a kernel to a power",
    "a product and a sum",
)


def read(specimen: Specimen, **options: object) -> PyMCGP:
    return PyMCGP.from_fitted(specimen.gp, specimen.point, model=specimen.pm_model, given=specimen.given, **options)


def in_units(offset: float = 0.0) -> PyMCGP:
    """A model in raw units through both transforms; the gp sees the same data whatever the offset."""
    bounds = torch.tensor([[offset, -1.0], [offset + 3.0, 1.0]], dtype=torch.double)
    outcome = Standardize(m=1)
    outcome(torch.tensor([[10.0], [14.0], [19.0]], dtype=torch.double))
    case = marginal()
    return PyMCGP.from_fitted(
        case.gp,
        case.point,
        model=case.pm_model,
        input_transform=Normalize(2, bounds=bounds),
        outcome_transform=outcome.eval(),
    )


def differences(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """The gradients of values ``n`` in ``X``, ``n x d``."""
    slopes = []
    for axis in np.eye(X.shape[1]):
        f = [function(X + k * step * axis) for k in (-2, -1, 1, 2)]
        slopes.append((f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step))
    return np.stack(slopes, axis=-1)


@pytest.mark.parametrize("name", NINE)
def test_the_mean_gradient_of_nine_kernels_is_the_slope_of_the_posterior_mean(name: str, rng: np.random.Generator) -> None:
    specimen = ZOO[name]()
    model = read(specimen)
    X = rng.uniform(0.1, 0.9, size=(6, specimen.d))

    def mean(X: np.ndarray) -> np.ndarray:
        return model.posterior(torch.from_numpy(X)).mean.squeeze(-1).numpy()

    expected = differences(mean, X)
    for found in (gradient_posterior(model, X).mean, model.predictive_gradients(X).mean_gradient):
        np.testing.assert_allclose(found, expected, rtol=0, atol=DIFFERENCES * abs(expected).max())


@pytest.mark.parametrize(
    "name", ["ExpQuad", "Matern52", "RatQuad", "WarpedInput with a parameter", "VFE", "a component of a sum"]
)
def test_the_covariance_of_gradients_is_that_of_differences_of_the_function(name: str, rng: np.random.Generator) -> None:
    """``cov(f(x + h) - f(x - h), f(z + h) - f(z - h)) / 4 h²``, from the joint posterior of all these points."""
    specimen = ZOO[name]()
    model = read(specimen)
    X, h = rng.uniform(0.1, 0.9, size=(4, 2)), 1e-3
    moved = np.concatenate([X + sign * h * axis for axis in np.eye(2) for sign in (1, -1)])
    joint = model.posterior(torch.from_numpy(moved)).distribution.covariance_matrix.numpy().reshape(2, 2, 4, 2, 2, 4)
    contrast = np.array([1.0, -1.0]) / (2 * h)
    expected = np.einsum("asibtj,s,t->iajb", joint, contrast, contrast).reshape(8, 8)
    rough = 1e-2 if name == "a component of a sum" else 1e-4  # a difference of h = 1e-3 blurs a kernel of lengthscale 0.2
    np.testing.assert_allclose(gradient_posterior(model, X).covariance, expected, rtol=0, atol=rough * abs(expected).max())


@pytest.mark.parametrize("offset", [0.0, 2000.0])
@pytest.mark.parametrize("name", ["ExpQuad", "Matern52", "Matern32", "RatQuad", "a product and a sum"])
def test_the_covariance_of_gradients_is_positive_semidefinite(name: str, offset: float, rng: np.random.Generator) -> None:
    X, ls = offset + 3 * rng.uniform(size=(12, 2)), 1.0
    kernels = {
        "RatQuad": lambda: cov.RatQuad(2, alpha=1.5, ls=ls),
        "a product and a sum": lambda: cov.Matern52(2, ls=ls) * cov.ExpQuad(2, ls=ls) + 0.5 * cov.Matern32(2, ls=ls),
    }
    make = kernels.get(name, lambda: getattr(cov, name)(2, ls=ls))
    model = read(of_kernel(make, X=X))
    result = gradient_posterior(model, offset + 3 * rng.uniform(size=(60, 2)))
    np.testing.assert_array_equal(result.covariance, result.covariance.T)
    assert np.linalg.eigvalsh(result.covariance).min() > -1e-10


def test_variance_and_sd_gradients_are_slopes_of_variance_and_sd(rng: np.random.Generator) -> None:
    for model, X in ((in_units(), rng.uniform(size=(5, 2))), (read(ZOO["own mean, priors on all"]()), rng.uniform(size=(5, 2)))):
        result = model.predictive_gradients(X)

        def variance(X: np.ndarray, model: PyMCGP = model) -> np.ndarray:
            return model.posterior(torch.from_numpy(X)).variance.squeeze(-1).numpy()

        for found, of in ((result.variance_gradient, variance), (result.sd_gradient, lambda X, v=variance: np.sqrt(v(X)))):
            expected = differences(of, X)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * abs(expected).max())
        np.testing.assert_allclose(result.variance, variance(X), rtol=1e-10)
        np.testing.assert_allclose(result.sd**2, result.variance, rtol=1e-12)


def test_raw_units_go_through_both_transforms(rng: np.random.Generator) -> None:
    model, X = in_units(offset=2000.0), np.array([2000.0, -0.5]) + rng.uniform(size=(5, 2))

    def mean(X: np.ndarray) -> np.ndarray:
        return model.posterior(torch.from_numpy(X)).mean.squeeze(-1).numpy()

    expected, result = differences(mean, X), gradient_posterior(model, X)
    np.testing.assert_allclose(result.mean, expected, rtol=0, atol=1e-7 * abs(expected).max())  # X is rounded to 2e-13
    np.testing.assert_allclose(model.predictive_gradients(X).mean_gradient, result.mean, rtol=1e-8)
    plain = PyMCGP.from_fitted(*(lambda case: (case.gp, case.point))(case := marginal()), model=case.pm_model)
    scaled = gradient_posterior(plain, model.transform_inputs(torch.from_numpy(X)).numpy())
    per_unit = model.outcome_scale.scale * np.tile([1 / 3, 1 / 2], 5)
    np.testing.assert_allclose(result.covariance, per_unit[:, None] * scaled.covariance * per_unit, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(result.sd, np.sqrt(np.diag(result.covariance)).reshape(5, 2))


def test_shapes_dtypes_and_kinds_of_arrays_come_back() -> None:
    model = in_units()
    for shape in ((2,), (5, 2), (3, 4, 2), (0, 2)):
        array = model.predictive_gradients(np.full(shape, 0.3))
        tensor = model.predictive_gradients(torch.full(shape, 0.3, dtype=torch.float32, requires_grad=True))
        assert isinstance(array, PredictiveGradients)
        for name, part in array._asdict().items():
            assert isinstance(part, np.ndarray | np.floating)
            assert part.shape == (shape if name.endswith("gradient") else shape[:-1])
            assert getattr(tensor, name).dtype == torch.float32
            assert not getattr(tensor, name).requires_grad
            np.testing.assert_allclose(getattr(tensor, name), part, rtol=1e-5)
    posterior = gradient_posterior(model, torch.rand(3, 2))
    assert posterior.mean.shape == posterior.sd.shape == (3, 2)
    assert posterior.covariance.shape == (6, 6)
    assert posterior.covariance.dtype == torch.float32


def test_a_fantasy_model_has_the_gradients_of_each_fantasy() -> None:
    model = in_units()
    X, new = torch.rand(4, 2, dtype=torch.double), torch.rand(2, 2, dtype=torch.double)
    Y = torch.tensor([[[12.0], [13.0]], [[16.0], [11.0]], [[14.0], [14.0]]], dtype=torch.double)
    found = model.condition_on_observations(new, Y).predictive_gradients(X)
    assert found.mean_gradient.shape == (3, 4, 2)
    for i in range(3):
        alone = model.condition_on_observations(new, Y[i]).predictive_gradients(X)
        for part, expected in zip(found, alone, strict=True):
            torch.testing.assert_close(part[i], expected, rtol=1e-9, atol=1e-12)


def test_the_sd_of_a_certain_value_has_no_gradient() -> None:
    specimen = of_kernel(lambda: cov.ExpQuad(2, ls=0.5), sigma=lambda: 0.0)
    model = PyMCGP.from_fitted(specimen.gp, {}, model=specimen.pm_model, jitter=1e-13)
    model.set_train_data(torch.zeros(1, 2), torch.zeros(1), strict=False)
    certain = model.predictive_gradients(np.zeros((1, 2)))
    assert certain.variance < 1e-12
    assert np.isnan(certain.sd_gradient).all() or (abs(certain.sd_gradient) < 1e-3).all()


@pytest.mark.parametrize("name", ["Matern12", "Exponential"])
def test_a_kernel_without_derivative_is_refused_by_name(name: str) -> None:
    model = read(ZOO[name]())
    with pytest.raises(UnsupportedError, match=f"covariance {name} have no derivative that"):
        gradient_posterior(model, np.zeros((1, 2)))
    assert np.isfinite(model.predictive_gradients(np.full((1, 2), 0.3)).mean_gradient).all()  # of the mean it is no matter


def test_what_has_no_gradient_is_refused() -> None:
    case = marginal()
    log = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, outcome_transform=Log())
    perturbed = PyMCGP.from_fitted(
        case.gp, case.point, model=case.pm_model, input_transform=InputPerturbation(torch.zeros(3, 2, dtype=torch.double))
    )
    plain = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    X = np.full((3, 2), 0.3)
    for model, message in ((log, "The outcome transform Log is not linear"), (perturbed, "makes several points of one")):
        with pytest.raises(UnsupportedError, match=message):
            model.predictive_gradients(X)
        with pytest.raises(UnsupportedError, match=message):
            gradient_posterior(model, X)
    fantasy = plain.condition_on_observations(torch.rand(1, 2, dtype=torch.double), torch.zeros(1, 1, dtype=torch.double))
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        gradient_posterior(fantasy, X)
    with pytest.raises(BotorchTensorDimensionError, match=r"shape \(3, 1\). Pass ... x 2 points"):
        plain.predictive_gradients(X[:, :1])
    with pytest.raises(BotorchTensorDimensionError, match="Pass n x 2 points"):
        gradient_posterior(plain, X[0])
    with pytest.raises(ValueError, match="NaN or infinite"):
        plain.predictive_gradients(np.full((3, 2), np.nan))
