"""Compiled acquisition functions under outcome constraints, and of several outcomes, have BoTorch's values and gradients."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import test_compiled_acquisition as of_one
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    GenericMCObjective,
    LinearMCObjective,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import UnsupportedError
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from test_compiled_acquisition import BOUNDS, assert_same, data, model, points, sampler, value_and_gradient
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, cache_info, compile_acqf
from pymc_botorch.models.acquisition.linear import Spread, linear_in_outcomes

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*has known numerical issues.*",
    "ignore:The laplace draws may not represent the posterior",  # any draws will do here
)
TOLERANCE = 1e-6
TINY = 1e-9
"""Relative: both sides compute in float64 what is well conditioned here."""


@cache
def second(kind: str = "point") -> PyMCGP:
    """A model of another outcome, with another input transform."""
    X, transform = data()[0], Normalize(of_one.D, bounds=BOUNDS)
    Y = X.cos().sum(-1, keepdim=True)
    if kind == "draws":
        return FullyBayesianPyMCGP(X, Y, input_transform=transform).fit(seed=2)
    return PyMCGP(X, Y, input_transform=transform).fit()


def pair(kind: str = "point") -> ModelListGP:
    return ModelListGP(model(kind), second(kind))


def weights(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.double)


def noisy(m: Any, **options: Any) -> AcquisitionFunction:
    return qLogNoisyExpectedImprovement(m, data()[0], sampler=sampler(), **{"prune_baseline": False, **options})


BELOW = [lambda Y: Y[..., 0] - 330.0]
BETWEEN = [lambda Y: Y[..., 0] - 340.0, lambda Y: 2.0 * (150.0 - Y[..., 0])]
BOTH = [lambda Y: Y[..., 1] - 0.5, lambda Y: Y @ weights(1.0, 20.0) - 340.0]
MINIMUM = LinearMCObjective(weights(-1.0))
TRADE = LinearMCObjective(weights(1.0, -20.0))
PENDING = BOUNDS * 0.3 + 1
type Make = Callable[[Any], AcquisitionFunction]

ONE: dict[str, Make] = {
    "qEI": lambda m: qExpectedImprovement(m, 300.0, sampler=sampler(), constraints=BELOW, eta=5.0),
    "qLogEI": lambda m: qLogExpectedImprovement(m, 300.0, sampler=sampler(), constraints=BELOW),
    "qLogEI of a minimum": lambda m: qLogExpectedImprovement(
        m, -290.0, sampler=sampler(), objective=MINIMUM, constraints=BETWEEN, eta=weights(0.5, 2.0), X_pending=PENDING
    ),
    "qLogNEI": lambda m: noisy(m, constraints=BELOW),
    "qLogNEI of a minimum": lambda m: noisy(m, constraints=BETWEEN, objective=MINIMUM, X_pending=PENDING),
}
SEVERAL: dict[str, Make] = {
    "qEI": lambda m: qExpectedImprovement(m, 300.0, sampler=sampler(), objective=TRADE, constraints=BOTH, eta=5.0),
    "qLogEI": lambda m: qLogExpectedImprovement(m, 300.0, sampler=sampler(), objective=TRADE),
    "qLogEI, slim": lambda m: qLogExpectedImprovement(
        m, 300.0, sampler=sampler(), objective=TRADE, fat=False, constraints=BOTH, eta=2.0
    ),
    "qLogEI under constraints": lambda m: qLogExpectedImprovement(
        m, -300.0, sampler=sampler(), objective=LinearMCObjective(weights(-1.0, 0.0)), constraints=BOTH, X_pending=PENDING
    ),
    "qLogEI of a scalarized outcome": lambda m: qLogExpectedImprovement(
        m,
        -300.0,
        sampler=sampler(),
        posterior_transform=ScalarizedPosteriorTransform(weights(-1.0, 20.0), offset=3.0),
        constraints=[lambda Y: Y[..., 0] + 250.0],
    ),
    "qLogNEI": lambda m: noisy(m, objective=TRADE),
    "qLogNEI under constraints": lambda m: noisy(m, objective=TRADE, constraints=BOTH, X_pending=PENDING, prune_baseline=True),
    "qLogNEI of a scalarized outcome": lambda m: noisy(m, posterior_transform=ScalarizedPosteriorTransform(weights(-1.0, 20.0))),
    "qSR": lambda m: qSimpleRegret(m, sampler=sampler(), objective=TRADE),
    "qUCB": lambda m: qUpperConfidenceBound(
        m, 0.3, sampler=sampler(), objective=GenericMCObjective(lambda Y, X: 7.0 - Y[..., 0] / 3 + Y[..., 1])
    ),
}


@pytest.mark.parametrize(("kind", "q"), [("point", 1), ("point", 3), ("draws", 1), ("draws", 2)])
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_outcome_under_constraints_are_botorchs(name: str, q: int, kind: str) -> None:
    assert_same(ONE[name](model(kind)), points(5, q), TOLERANCE)


@pytest.mark.parametrize(("kind", "q"), [("point", 1), ("point", 3), ("draws", 1), ("draws", 2)])
@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_two_outcomes_are_botorchs(name: str, q: int, kind: str) -> None:
    assert_same(SEVERAL[name](pair(kind)), points(5, q), TOLERANCE)


@pytest.mark.parametrize("q", [1, 2])
def test_gradients_are_those_of_differences(q: int) -> None:
    for acqf in (ONE["qLogEI of a minimum"](model()), SEVERAL["qEI"](pair()), SEVERAL["qLogNEI under constraints"](pair())):
        assert torch.autograd.gradcheck(compile_acqf(acqf), points(3, q), eps=1e-5, rtol=1e-4, atol=1e-6)


def test_other_numbers_of_outcomes_and_constraints_compile_nothing() -> None:
    make = SEVERAL["qLogEI under constraints"]
    compile_acqf(make(pair()))(points(2, 2))
    before = cache_info().compilations
    three = ModelListGP(model(), second(), model())
    for k in (1, 3):
        acqf = qLogExpectedImprovement(
            three, 1.0, sampler=sampler(8), objective=LinearMCObjective(weights(1.0, 2.0, 3.0)), constraints=BELOW * k, eta=2.0
        )
        assert_same(acqf, points(4, 1), TOLERANCE)
    one = qLogExpectedImprovement(ModelListGP(model()), 300.0, sampler=sampler(8), constraints=BELOW)
    assert_same(one, points(4, 3), TOLERANCE)
    assert cache_info().compilations == before


def test_a_list_of_one_model_is_that_model() -> None:
    X = points(4, 2)
    for name in ("qLogEI of a minimum", "qLogNEI of a minimum"):
        alone, listed = (value_and_gradient(compile_acqf(ONE[name](m)), X) for m in (model(), ModelListGP(model())))
        torch.testing.assert_close(listed, alone, rtol=TINY, atol=TINY)


def test_the_optimum_is_the_same() -> None:
    acqf = SEVERAL["qLogNEI under constraints"](pair())
    found = []
    for function in (acqf, compile_acqf(acqf)):
        torch.manual_seed(1)
        found.append(optimize_acqf(function, BOUNDS, q=2, num_restarts=2, raw_samples=16, options={"maxiter": 40}))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-5)


def test_a_refit_of_one_model_of_a_list_is_followed() -> None:
    refitted = PyMCGP(*data(), input_transform=Normalize(of_one.D)).fit()
    acqf = qSimpleRegret(ModelListGP(model(), refitted), sampler=sampler(), objective=TRADE)
    compiled, X = compile_acqf(acqf), points(3, 1)
    before = compiled(X)
    refitted.load_state_dict(PyMCGP(data()[0], 2.0 * data()[1], input_transform=Normalize(of_one.D)).fit().state_dict())
    torch.testing.assert_close(compiled(X), acqf(X))
    assert not torch.allclose(compiled(X), before)


@pytest.mark.filterwarnings("ignore:A not p.d.")
def test_points_without_a_factor_are_left_to_botorch() -> None:
    X = points(2, 1).detach().expand(2, 3, of_one.D)  # one point three times
    for acqf in (ONE["qLogEI"](model()), SEVERAL["qLogEI"](pair())):
        torch.testing.assert_close(compile_acqf(acqf)(X), acqf(X))


def test_points_observed_before_have_a_value_under_noisy_improvement() -> None:
    X = data()[0][:4, None]
    compiled = compile_acqf(SEVERAL["qLogNEI"](pair()))
    value, gradient = value_and_gradient(compiled, X.clone().requires_grad_())
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_shapes_and_nan_are_as_of_one_outcome() -> None:
    acqf = SEVERAL["qLogEI"](pair())
    compiled, X = compile_acqf(acqf), points(6, 2).detach()
    assert compiled(X.reshape(2, 3, 2, -1)).shape == acqf(X.reshape(2, 3, 2, -1)).shape
    assert compiled(X[0]).shape == acqf(X[0]).shape
    assert compiled(X.float()).dtype == torch.float32
    X[1, 0, 0] = torch.nan
    assert compiled(X).isnan().tolist() == [i == 1 for i in range(6)]


SPREAD = Spread(weights(300.0, -2.0).numpy(), weights(40.0, 1e-3).numpy())
INPUTS = torch.rand(5, of_one.D, dtype=torch.double)


def test_linear_functions_are_read_to_rounding() -> None:
    found = linear_in_outcomes("It", lambda Y, X: 1e9 - 3.0 * Y[..., 0] + (Y[..., 1] - 2.0) / 1e-7, SPREAD, INPUTS)
    assert found.constant == pytest.approx(1e9 - 2e7, rel=1e-14)
    assert found.weights == pytest.approx([-3.0, 1e7], rel=1e-8)


NOT_LINEAR: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "square": lambda Y, X: Y[..., 0] ** 2,
    "product": lambda Y, X: Y[..., 0] * Y[..., 1],
    "absolute value": lambda Y, X: Y[..., 0].abs(),
    "kink within the data": lambda Y, X: Y[..., 0].clamp_min(310.0),
    "kink where there are no data": lambda Y, X: Y[..., 0].clamp_max(1000.0),
    "logarithm": lambda Y, X: Y[..., 0].log(),
    "deviation from the mean of samples": lambda Y, X: Y[..., 0] - Y[..., 0].mean(dim=0),
    "of the inputs": lambda Y, X: Y[..., 0] + X[..., 0],
    "of inputs where there are no data": lambda Y, X: Y[..., 0] - 100 * (X[..., 0] > 16.0),
    "random": lambda Y, X: Y[..., 0] + torch.rand(()),
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_what_is_not_linear_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedError, match="It is not a linear function of the outcomes"):
        linear_in_outcomes("It", NOT_LINEAR[name], SPREAD, INPUTS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ONE["qLogEI"](ModelListGP(model(), SingleTaskGP(*data()))), "Must specify an objective"),
        (lambda: SEVERAL["qSR"](ModelListGP(model(), SingleTaskGP(*data()))), "Its model is a SingleTaskGP"),
        (lambda: SEVERAL["qSR"](ModelListGP(model(), second("draws"))), r"different numbers of draws \(1, 16\)"),
        (
            lambda: qLogExpectedImprovement(model(), 1.0, constraints=[*BELOW, lambda Y: Y[..., 0] ** 2]),
            "Its constraint 1 is not a linear function of the outcomes",
        ),
        (lambda: qLogExpectedImprovement(model(), 1.0, constraints=[lambda Y: Y]), "makes .* and not one number for each"),
        (lambda: qLogExpectedImprovement(model(), 1.0, constraints=[lambda Y: Y.nothing]), "cannot be evaluated at samples"),
        (
            lambda: qLogExpectedImprovement(model(), 1.0, objective=LinearMCObjective(weights(0.0)), constraints=BELOW),
            "a weight of zero",
        ),
        (lambda: qLogExpectedImprovement(model(), 1.0, constraints=BELOW, eta=weights(1.0, 2.0)), r"Its eta is \[1.0, 2.0\]"),
    ],
)
@pytest.mark.filterwarnings("ignore::botorch.exceptions.InputDataWarning")
def test_what_is_not_served_is_refused_by_name(make: Callable[[], AcquisitionFunction], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        compile_acqf(make())
