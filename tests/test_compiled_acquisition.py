"""Compiled acquisition functions have the values and gradients of BoTorch's own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    GenericMCObjective,
    LinearMCObjective,
    LogExpectedImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qKnowledgeGradient,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
from botorch.acquisition.analytic import LogProbabilityOfImprovement
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import UnsupportedError
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from botorch.models.transforms.input import FilterFeatures
from botorch.models.transforms.outcome import Log
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, cache_info, compile_acqf

pytestmark = pytest.mark.filterwarnings("ignore:.*has known numerical issues.*")
D = 3
BOUNDS = torch.tensor([[0.0] * D, [10.0] * D], dtype=torch.double)


def data(n: int = 14) -> tuple[Tensor, Tensor]:
    X = 10 * torch.rand(n, D, dtype=torch.double, generator=torch.Generator().manual_seed(n))
    return X, (X.sin().sum(-1, keepdim=True) * 40 + 300)


@cache
def model(kind: str = "point") -> PyMCGP:
    X, Y = data()
    if kind == "draws":
        return FullyBayesianPyMCGP(X, Y, input_transform=Normalize(D)).fit(seed=1)
    return PyMCGP(X, Y, input_transform=Normalize(D)).fit()


def sampler(num_samples: int = 32) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([num_samples]), seed=3)


type Make = Callable[[Any], AcquisitionFunction]

ANALYTIC: dict[str, Make] = {
    "EI": lambda m: ExpectedImprovement(m, 340.0),
    "EI of a minimum": lambda m: ExpectedImprovement(m, torch.tensor(270.0), maximize=False),
    "LogEI": lambda m: LogExpectedImprovement(m, 340.0),
    "LogEI of a minimum": lambda m: LogExpectedImprovement(m, 270.0, maximize=False),
    "LogEI of a weighted outcome": lambda m: LogExpectedImprovement(
        m, -150.0, posterior_transform=ScalarizedPosteriorTransform(torch.tensor([-0.5], dtype=torch.double), offset=3.0)
    ),
    "LogEI in the tail": lambda m: LogExpectedImprovement(m, 30_000.0),
    "PI": lambda m: ProbabilityOfImprovement(m, 340.0),
    "LogPI": lambda m: LogProbabilityOfImprovement(m, 340.0),
    "LogPI in the tail": lambda m: LogProbabilityOfImprovement(m, 30_000.0),
    "UCB": lambda m: UpperConfidenceBound(m, 0.3),
    "UCB of a minimum": lambda m: UpperConfidenceBound(m, 0.3, maximize=False),
    "mean": lambda m: PosteriorMean(m),
    "mean of a minimum": lambda m: PosteriorMean(m, maximize=False),
    "sd": lambda m: PosteriorStandardDeviation(m),
    "sd of a minimum": lambda m: PosteriorStandardDeviation(m, maximize=False),
}
MONTE_CARLO: dict[str, Make] = {
    "qEI": lambda m: qExpectedImprovement(m, 320.0, sampler=sampler()),
    "qLogEI": lambda m: qLogExpectedImprovement(m, 340.0, sampler=sampler()),
    "qLogEI, slim": lambda m: qLogExpectedImprovement(m, 320.0, sampler=sampler(), fat=False),
    "qLogEI of a minimum": lambda m: qLogExpectedImprovement(
        m, -270.0, sampler=sampler(), objective=LinearMCObjective(torch.tensor([-1.0], dtype=torch.double))
    ),
    "qLogEI of a weighted outcome": lambda m: qLogExpectedImprovement(
        m,
        -150.0,
        sampler=sampler(),
        posterior_transform=ScalarizedPosteriorTransform(torch.tensor([-0.5], dtype=torch.double), offset=3.0),
    ),
    "qLogEI with points pending": lambda m: qLogExpectedImprovement(m, 340.0, sampler=sampler(), X_pending=BOUNDS * 0.3 + 1),
    "qLogNEI": lambda m: qLogNoisyExpectedImprovement(m, data()[0], sampler=sampler(), prune_baseline=False),
    "qLogNEI, pruned": lambda m: qLogNoisyExpectedImprovement(m, data()[0], sampler=sampler()),
    "qLogNEI with points pending": lambda m: qLogNoisyExpectedImprovement(
        m, data()[0], sampler=sampler(), X_pending=BOUNDS * 0.3 + 1
    ),
    "qLogNEI of a weighted outcome": lambda m: qLogNoisyExpectedImprovement(
        m, data()[0], sampler=sampler(), objective=LinearMCObjective(torch.tensor([0.3], dtype=torch.double))
    ),
    "qLogNEI of a minimum, weighted": lambda m: qLogNoisyExpectedImprovement(
        m, data()[0], sampler=sampler(), objective=LinearMCObjective(torch.tensor([-10.0], dtype=torch.double))
    ),
    "qSR": lambda m: qSimpleRegret(m, sampler=sampler()),
    "qUCB": lambda m: qUpperConfidenceBound(m, 0.3, sampler=sampler()),
}


def points(b: int, q: int) -> Tensor:
    return (10 * torch.rand(b, q, D, dtype=torch.double, generator=torch.Generator().manual_seed(b + q))).requires_grad_()


def value_and_gradient(acqf: AcquisitionFunction, X: Tensor) -> tuple[Tensor, Tensor]:
    value = acqf(X)
    return value.detach(), torch.autograd.grad(value.sum(), X)[0]


def assert_same(acqf: AcquisitionFunction, X: Tensor, tolerance: float) -> None:
    compiled = compile_acqf(acqf)
    expected, slope = value_and_gradient(acqf, X)
    value, gradient = value_and_gradient(compiled, X)
    assert value.shape == expected.shape
    torch.testing.assert_close(value, expected, rtol=tolerance, atol=1e-300)
    torch.testing.assert_close(gradient, slope, rtol=tolerance, atol=tolerance * float(slope.abs().max()))
    with torch.no_grad():
        torch.testing.assert_close(compiled(X), expected, rtol=tolerance, atol=1e-300)


@pytest.mark.parametrize("kind", ["point", "draws"])
@pytest.mark.parametrize("name", ANALYTIC)
def test_analytic_functions_are_botorchs(name: str, kind: str) -> None:
    if kind == "draws" and name.startswith("sd"):
        pytest.skip("BoTorch's own fails over draws")
    assert_same(ANALYTIC[name](model(kind)), points(7, 1), 1e-8)


@pytest.mark.parametrize("kind", ["point", "draws"])
@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize("name", MONTE_CARLO)
def test_monte_carlo_functions_are_botorchs(name: str, q: int, kind: str) -> None:
    assert_same(MONTE_CARLO[name](model(kind)), points(5, q), 1e-6)


@pytest.mark.parametrize("name", ["LogEI", "qLogEI", "qLogNEI"])
def test_gradients_are_those_of_differences(name: str) -> None:
    compiled = compile_acqf({**ANALYTIC, **MONTE_CARLO}[name](model()))
    X = points(3, 1 if name in ANALYTIC else 2)
    assert torch.autograd.gradcheck(compiled, X, eps=1e-5, rtol=1e-4, atol=1e-6)


def test_a_standard_deviation_is_the_mean_of_those_of_draws() -> None:
    X = points(4, 1)
    expected = model("draws").posterior(X).variance.sqrt().mean(dim=1).squeeze()
    torch.testing.assert_close(compile_acqf(PosteriorStandardDeviation(model("draws")))(X), expected)


def test_the_logarithm_of_nothing_has_a_value_and_a_slope() -> None:
    for best in (1e4, 1e5, 1e7):
        acqf = LogExpectedImprovement(model(), best)
        value, gradient = value_and_gradient(compile_acqf(acqf), points(4, 1))
        assert (value < -1e5).all() if best > 1e4 else True
        assert gradient.isfinite().all()
        assert (gradient != 0).any(-1).all()


@pytest.mark.parametrize("shape", [(1, D), (4, 1, D), (2, 3, 1, D), (0, 1, D)])
def test_shapes_and_dtypes_are_those_of_the_original(shape: tuple[int, ...]) -> None:
    acqf = LogExpectedImprovement(model(), 340.0)
    X = 10 * torch.rand(shape, dtype=torch.double)
    assert compile_acqf(acqf)(X).shape == acqf(X).shape
    assert compile_acqf(acqf)(X.float()).dtype == torch.float32


def test_a_point_with_nan_has_no_value_and_spoils_no_other() -> None:
    X = points(4, 1).detach().clone()
    clean = compile_acqf(LogExpectedImprovement(model(), 340.0))(X)
    X[1, 0, 0] = torch.nan
    value, gradient = value_and_gradient(compile_acqf(LogExpectedImprovement(model(), 340.0)), X.requires_grad_())
    assert value.isnan().tolist() == [False, True, False, False]
    assert torch.equal(value[[0, 2, 3]], clean[[0, 2, 3]])
    assert gradient.isnan().all(-1).flatten().tolist() == [False, True, False, False]


@pytest.mark.filterwarnings("ignore:A not p.d.")
def test_points_without_a_factor_are_left_to_botorch() -> None:
    acqf = qLogExpectedImprovement(model(), 340.0, sampler=sampler())
    X = points(2, 1).detach().expand(2, 3, D)  # one point three times
    torch.testing.assert_close(compile_acqf(acqf)(X), acqf(X))


@pytest.mark.parametrize(("name", "q"), [("LogEI", 1), ("qLogEI", 2), ("qLogNEI", 2)])
def test_the_optimum_is_the_same(name: str, q: int) -> None:
    acqf = {**ANALYTIC, **MONTE_CARLO}[name](model())
    found = []
    for function in (acqf, compile_acqf(acqf)):
        torch.manual_seed(1)
        found.append(optimize_acqf(function, BOUNDS, q=q, num_restarts=3, raw_samples=16, options={"maxiter": 60}))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-4, atol=1e-5)


def test_points_one_after_another_follow_what_is_pending() -> None:
    acqf = qLogNoisyExpectedImprovement(model(), data()[0], sampler=sampler(), prune_baseline=False)
    found = []
    for function in (acqf, compile_acqf(acqf)):
        torch.manual_seed(1)
        found.append(optimize_acqf(function, BOUNDS, q=3, num_restarts=2, raw_samples=16, sequential=True)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-2)


def test_other_numbers_points_and_data_compile_nothing() -> None:
    compile_acqf(LogExpectedImprovement(model(), 340.0))(points(3, 1))
    compile_acqf(qLogExpectedImprovement(model(), 340.0, sampler=sampler()))(points(3, 2))
    functions = model().process.posterior.functions
    before, known = cache_info().compilations, set(functions._functions)
    other = PyMCGP(*data(20), input_transform=Normalize(D)).fit()
    compile_acqf(LogExpectedImprovement(other, 1.0, maximize=False))(points(9, 1))
    for q in (2, 4):
        compile_acqf(qLogExpectedImprovement(other, 1.0, sampler=sampler(8)))(points(2, q))
    assert cache_info().compilations == before
    assert set(other.process.posterior.functions._functions) <= known | set(functions._shared.ready)


def test_a_refit_is_followed() -> None:
    refitted = PyMCGP(*data(), input_transform=Normalize(D)).fit()
    compiled = compile_acqf(PosteriorMean(refitted))
    X = points(3, 1)
    before = compiled(X)
    more, outcomes = data(20)
    refitted.set_train_data(more, outcomes[:, 0], strict=False)
    refitted.fit()
    torch.testing.assert_close(compiled(X), PosteriorMean(refitted)(X))
    assert not torch.allclose(compiled(X), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda m: qKnowledgeGradient(m, num_fantasies=2),
            "This qKnowledgeGradient cannot be compiled. Those that are compiled are ExpectedImprovement",
        ),
        (lambda m: LogExpectedImprovement(SingleTaskGP(*data()), 1.0), "Its model is a SingleTaskGP"),
        (lambda m: LogExpectedImprovement(m, torch.ones(3)), r"best_f has shape \(3,\), and not one number"),
        (
            lambda m: qLogExpectedImprovement(m, 1.0, objective=GenericMCObjective(lambda Y, X=None: Y[..., 0] ** 2)),
            "Its objective is a GenericMCObjective, which is not a linear function of the outcomes",
        ),
        (lambda m: qLogNoisyExpectedImprovement(m, data()[0], cache_root=False), "It keeps no root of its baseline"),
        (lambda m: LogExpectedImprovement(m.condition_on_observations(*data(3)), 1.0), "given observations after its fit"),
        (lambda m: LogExpectedImprovement(PyMCGP(*data(), outcome_transform=Log()).fit(), 1.0), "outcome transform Log"),
    ],
)
@pytest.mark.filterwarnings("ignore::botorch.exceptions.InputDataWarning")
def test_what_is_not_served_is_refused_by_name(make: Make, message: str) -> None:
    acqf = make(model())
    with pytest.raises(UnsupportedError, match=message):
        compile_acqf(acqf)
    with pytest.warns(UserWarning, match="It is returned as it is"):
        assert compile_acqf(acqf, strict=False) is acqf


def test_several_points_for_an_analytic_function_are_an_error() -> None:
    with pytest.raises(AssertionError, match="q=1"):
        compile_acqf(LogExpectedImprovement(model(), 340.0))(points(2, 2))
    with pytest.raises(ValueError, match="Pass batches of points"):
        compile_acqf(LogExpectedImprovement(model(), 340.0))(torch.rand(3))


def test_values_are_numbers_of_numpy_and_torch_alike() -> None:
    acqf = compile_acqf(LogExpectedImprovement(model(), 340.0))
    X = points(4, 1)
    jacobian = torch.func.jacrev(acqf)(X)
    gradient = value_and_gradient(acqf, X)[1]
    np.testing.assert_allclose(jacobian.detach()[range(4), range(4)].numpy(), gradient.numpy(), rtol=1e-12)


def test_what_is_assigned_is_heeded() -> None:
    """As on BoTorch's own functions, of which compiled ones are subclasses."""
    X = points(3, 1)
    compiled, original = compile_acqf(LogExpectedImprovement(model(), 340.0)), LogExpectedImprovement(model(), 340.0)
    before = compiled(X)
    for acqf in (compiled, original):
        acqf.best_f = torch.tensor(320.0, dtype=torch.double)
    torch.testing.assert_close(compiled(X), original(X))
    assert not torch.allclose(compiled(X), before)
    assert compiled.best_f == compiled.original.best_f == 320.0
    other = PyMCGP(*data(20), input_transform=Normalize(D)).fit()
    for acqf in (compiled, original):
        acqf.model = other
    torch.testing.assert_close(compiled(X), original(X))


def test_pending_points_are_taken_back() -> None:
    """By assigning None, as BoTorch's wrappers do."""
    compiled = compile_acqf(qLogExpectedImprovement(model(), 340.0, sampler=sampler()))
    X = points(3, 1)
    before = compiled(X)
    compiled.set_X_pending(BOUNDS * 0.3 + 1)
    assert not torch.allclose(compiled(X), before)
    compiled.X_pending = None
    torch.testing.assert_close(compiled(X), before)


def test_threads_that_ask_first_for_other_numbers_of_points_have_their_values() -> None:
    acqf = qLogExpectedImprovement(model(), 340.0, sampler=sampler())
    expected = [acqf(points(4, q)) for q in (1, 2, 3)]
    for _ in range(3):
        compiled = compile_acqf(qLogExpectedImprovement(model(), 340.0, sampler=sampler()))
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda q: compiled(points(4, q)), (1, 2, 3)))  # noqa: B023  # used up in the loop
        for got, value in zip(found, expected, strict=True):
            torch.testing.assert_close(got, value, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("q", [1, 2])
def test_no_batch_has_no_value(q: int) -> None:
    acqf = qSimpleRegret(model(), sampler=sampler())
    assert compile_acqf(acqf)(torch.zeros(0, q, D, dtype=torch.double)).shape == (0,)
    assert compile_acqf(acqf)(torch.rand(2, 5, q, D, dtype=torch.double)).shape == (2, 5)


def test_a_transform_for_predictions_only_is_refused() -> None:
    transform = FilterFeatures(torch.tensor([0, 2]), transform_on_train=False)
    X, Y = data()
    filtered = PyMCGP(X[:, [0, 2]] / 10, Y, input_transform=transform).fit()
    with pytest.raises(UnsupportedError, match="for predictions only"):
        compile_acqf(qSimpleRegret(filtered, sampler=sampler()))
