"""Acquisition functions of a user's own, written in PyTensor."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from scipy.stats import norm
from torch import Tensor
from torch.distributions import Normal

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, cache_info
from pymc_botorch.acquisition import FormulaAcquisitionFunction, expected_improvement, log_expected_improvement

SCALE = torch.tensor([100.0, 2.0], dtype=torch.double)


def data(n: int = 12) -> tuple[Tensor, Tensor]:
    X = SCALE * torch.rand(n, 2, dtype=torch.double, generator=torch.Generator().manual_seed(n))
    return X, 8 + (X / SCALE * 4).sin().sum(-1, keepdim=True)


def fitted(n: int = 12) -> PyMCGP:
    X, Y = data(n)
    return PyMCGP(X, Y, input_transform=Normalize(2, bounds=torch.stack([torch.zeros_like(SCALE), SCALE]))).fit()


def points(b: int = 4) -> Tensor:
    return SCALE * torch.rand(b, 1, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1))


def improvement_per_cost(mean, sd, X, best, price):
    """Expected improvement for what a point costs: 20, and a price for each unit of the first input."""
    return expected_improvement(mean, sd, best) / (20 + price * X[:, 0])


def reference(model: PyMCGP, X: Tensor, best: float, price: float) -> Tensor:
    posterior = model.posterior(X)
    mean, sd = posterior.mean[:, 0, 0], posterior.variance[:, 0, 0].sqrt()
    u = (mean - best) / sd
    normal = Normal(0.0, 1.0)
    return sd * (u * normal.cdf(u) + normal.log_prob(u).exp()) / (20 + price * X[:, 0, 0])


def test_value_and_gradient_are_those_of_torch() -> None:
    """Mean and sd are in the units of the outcome, points in raw units, also where the gp takes them transformed."""
    model, X = fitted(), points().requires_grad_()
    acqf = FormulaAcquisitionFunction(model, improvement_per_cost, best=9.0, price=1.2)
    value, expected = acqf(X), reference(model, X, 9.0, 1.2)
    torch.testing.assert_close(value, expected, rtol=1e-8, atol=1e-14)
    gradients = [torch.autograd.grad(v.sum(), X)[0] for v in (value, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-12)
    assert gradients[0].abs().min() > 0


def test_gradient_is_that_of_differences() -> None:
    """Of raw points, also without a transform, where the gp takes the same ones."""
    Z, Y = data()
    for model in (fitted(), PyMCGP(Z / SCALE, Y).fit()):
        acqf = FormulaAcquisitionFunction(model, improvement_per_cost, best=9.0, price=0.3)
        X = points() if hasattr(model, "input_transform") else points() / SCALE
        assert torch.autograd.gradcheck(acqf, X.requires_grad_(), eps=1e-5)


def test_parameters_have_any_shape() -> None:
    """A vector is a weight for each column here."""
    model, X = fitted(), points()
    acqf = FormulaAcquisitionFunction(model, lambda mean, sd, X, weights: mean - X @ weights, weights=[0.1, 2.0])
    expected = model.posterior(X).mean[:, 0, 0] - X[:, 0] @ torch.tensor([0.1, 2.0], dtype=torch.double)
    torch.testing.assert_close(acqf(X), expected)


@pytest.mark.parametrize("log", [False, True])
def test_draws_are_averaged(log: bool) -> None:
    """Logarithms as such."""
    Z, Y = data()
    model = FullyBayesianPyMCGP(Z / SCALE, Y).fit(seed=1)
    X = points() / SCALE
    acqf = FormulaAcquisitionFunction(model, lambda m, s, X, best: log_expected_improvement(m, s, best), log=log, best=9.0)
    original = LogExpectedImprovement(model, best_f=9.0)
    expected = original(X)
    if not log:
        posterior = model.posterior(X)
        mean, sd = posterior.mean[:, :, 0, 0], posterior.variance[:, :, 0, 0].sqrt()
        u = ((mean - 9.0) / sd).numpy()
        expected = torch.from_numpy(np.log(sd.numpy() * (u * norm.cdf(u) + norm.pdf(u))).mean(-1))
    torch.testing.assert_close(acqf(X), expected, rtol=1e-6, atol=1e-10)


def test_a_formula_compiles_once() -> None:
    """Not for other data, parameters or points, nor for the same formula written again."""
    model = fitted()
    FormulaAcquisitionFunction(model, improvement_per_cost, best=9.0, price=1.2)(points())
    functions = model.process.posterior.functions
    before, known = cache_info().compilations, set(functions._functions)
    again = lambda mean, sd, X, best, price: expected_improvement(mean, sd, best) / (20 + price * X[:, 0])  # noqa: E731
    other = fitted(15)
    FormulaAcquisitionFunction(other, again, best=8.5, price=2.0)(points(7))
    assert cache_info().compilations == before
    assert set(other.process.posterior.functions._functions) <= known
    FormulaAcquisitionFunction(other, lambda mean, sd, X: mean + sd)(points())
    assert len(set(other.process.posterior.functions._functions) - known) == 1


def test_it_follows_a_refit() -> None:
    """Its values are those of the model as it is."""
    model, X = fitted(), points()
    acqf = FormulaAcquisitionFunction(model, improvement_per_cost, best=9.0, price=1.2)
    first = acqf(X)
    Z, Y = data(18)
    model.set_train_data(Z, Y[:, 0], strict=False)
    model.fit()
    assert not torch.allclose(acqf(X), first)
    torch.testing.assert_close(acqf(X), reference(model, X, 9.0, 1.2), rtol=1e-8, atol=1e-14)


def test_it_follows_another_model() -> None:
    acqf = FormulaAcquisitionFunction(fitted(), improvement_per_cost, best=9.0, price=1.2)
    acqf(points())
    acqf.model = fitted(18)
    torch.testing.assert_close(acqf(points()), reference(acqf.model, points(), 9.0, 1.2), rtol=1e-8, atol=1e-14)


def test_it_is_optimised() -> None:
    """By BoTorch, to a point better than all of a grid."""
    model = fitted()
    acqf = FormulaAcquisitionFunction(model, improvement_per_cost, best=9.0, price=1.2)
    bounds = torch.stack([torch.zeros_like(SCALE), SCALE])
    _, value = optimize_acqf(acqf, bounds, q=1, num_restarts=4, raw_samples=64)
    grid = torch.cartesian_prod(*[s * torch.linspace(0, 1, 15, dtype=torch.double) for s in SCALE])
    assert value >= acqf(grid[:, None]).max()


@pytest.mark.parametrize(
    ("formula", "parameters", "message"),
    [
        (lambda mean, sd, X: 1.0, {}, "returned a float"),
        (lambda mean, sd, X: mean.sum(), {}, "with a value for each point"),
        (lambda mean, sd, X: mean > sd, {}, "float64"),
        (lambda mean, sd, X: mean * pt.scalar("price"), {}, "contains price, which it was not given"),
        (lambda mean, sd, X: mean * pytensor.shared(2.0, name="level"), {}, "contains level"),
        (lambda mean, sd, X, best: mean - best, {"best": "high"}, "best is not numeric"),
        (lambda mean, sd, X, best: mean - best, {"best": float("nan")}, "best has NaN"),
    ],
)
def test_errors_say_what_to_do(formula, parameters, message) -> None:
    with pytest.raises(InputDataError, match=message):
        FormulaAcquisitionFunction(fitted(), formula, **parameters)


def test_it_is_for_single_points_of_our_models() -> None:
    Z, Y = data()
    theirs = SingleTaskGP(Z / SCALE, Y)
    with pytest.raises(UnsupportedError, match="SingleTaskGP"):
        FormulaAcquisitionFunction(theirs, improvement_per_cost, best=9.0, price=1.2)
    acqf = FormulaAcquisitionFunction(fitted(), improvement_per_cost, best=9.0, price=1.2)
    with pytest.raises(UnsupportedError, match="its q is 2"):
        acqf(points().expand(4, 2, 2))


def test_a_formula_may_be_nan_at_a_point() -> None:
    """It is so there only."""
    acqf = FormulaAcquisitionFunction(fitted(), lambda mean, sd, X: pt.log(X[:, 0] - 50.0) + sd)
    X = torch.tensor([[[20.0, 1.0]], [[80.0, 1.0]]], dtype=torch.double)
    assert acqf(X).isnan().tolist() == [True, False]


def test_small_outcomes_have_their_sd() -> None:
    Z, Y = data()
    model = PyMCGP(Z / SCALE, 1e-8 * Y).fit()
    X = points() / SCALE
    acqf = FormulaAcquisitionFunction(model, lambda mean, sd, X: sd)
    torch.testing.assert_close(acqf(X), model.posterior(X).variance[:, 0, 0].sqrt(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda acqf: pickle.loads(pickle.dumps(acqf))])
def test_it_is_copied_and_pickled(copied: Callable) -> None:
    """After it was called, too."""
    acqf = FormulaAcquisitionFunction(fitted(), improvement_per_cost, best=9.0, price=1.2)
    value = acqf(points())
    torch.testing.assert_close(copied(acqf)(points()), value)
