"""Candidates from compiled acquisition functions are BoTorch's own."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    LogExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
)
from botorch.exceptions.warnings import OptimizationWarning
from botorch.generation.gen import gen_candidates_scipy
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from test_compiled_acquisition import BOUNDS, D, data
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_acqf
from pymc_botorch.acquisition import FormulaAcquisitionFunction, gen_candidates_compiled


@cache
def model(kind: str = "point") -> PyMCGP:
    X, Y = data()
    if kind == "draws":
        return FullyBayesianPyMCGP(X, Y, input_transform=Normalize(D)).fit(seed=1)
    if kind == "no transform":
        return PyMCGP(X / 10, Y).fit()
    return PyMCGP(X, Y, input_transform=Normalize(D, bounds=BOUNDS)).fit()


def acqf(kind: str) -> AcquisitionFunction:
    sampler = SobolQMCNormalSampler(torch.Size([16]), seed=3)
    if kind == "qLogNEI":
        return compile_acqf(qLogNoisyExpectedImprovement(model(), data()[0], sampler=sampler))
    if kind == "pending":
        return compile_acqf(qLogExpectedImprovement(model(), 340.0, sampler=sampler, X_pending=BOUNDS * 0.3 + 1))
    if kind == "formula":
        return FormulaAcquisitionFunction(model(), lambda mean, sd, X: mean + sd - 0.5 * X[:, 0])
    return compile_acqf(LogExpectedImprovement(model(kind), 340.0))


def starts(b: int = 4, q: int = 1) -> Tensor:
    return 10 * torch.rand(b, q, D, dtype=torch.double, generator=torch.Generator().manual_seed(b + q))


@pytest.mark.parametrize(
    ("kind", "q"),
    [("point", 1), ("no transform", 1), ("draws", 1), ("formula", 1), ("qLogNEI", 1), ("qLogNEI", 2), ("pending", 2)],
)
def test_candidates_are_those_of_botorch(kind: str, q: int) -> None:
    """The same search: SciPy is given the same numbers, up to rounding."""
    function, scale = acqf(kind), 0.1 if kind == "no transform" else 1.0
    limits = {"lower_bounds": scale * BOUNDS[0], "upper_bounds": scale * BOUNDS[1], "options": {"maxiter": 8}}
    found = [generate(scale * starts(q=q), function, **limits) for generate in (gen_candidates_compiled, gen_candidates_scipy)]
    torch.testing.assert_close(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-6, atol=1e-6)
    assert found[0][0].shape == (4, q, D)
    assert (found[0][1] > function(scale * starts(q=q))).all()


def test_an_optimum_is_that_of_botorch() -> None:
    function, found = acqf("point"), []
    for options in ({}, {"gen_candidates": gen_candidates_compiled}):
        torch.manual_seed(0)
        found.append(optimize_acqf(function, BOUNDS, q=1, num_restarts=4, raw_samples=32, **options))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "asked",
    [
        {"inequality_constraints": [(torch.tensor([0, 1]), torch.tensor([-1.0, -1.0], dtype=torch.double), -6.0)]},
        {"options": {"method": "SLSQP", "maxiter": 3}},
        {"timeout_sec": 10.0},
    ],
)
def test_what_else_is_asked_for_is_heeded(asked: dict[str, Any]) -> None:
    """By BoTorch's own function."""
    function = acqf("point")
    limits = {"lower_bounds": BOUNDS[0], "upper_bounds": BOUNDS[1], "options": {"maxiter": 3}} | asked
    start = torch.cat([starts()[..., :1] * 0.3, torch.full((4, 1, 1), 2.5).double(), starts()[..., 2:]], -1)
    found = [generate(start, function, **limits) for generate in (gen_candidates_compiled, gen_candidates_scipy)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"max_optimization_problem_aggregation_size": 3}])
@pytest.mark.parametrize("fixed", [{}, {1: 2.5}, {0: 13.0, 2: 0.5}])
def test_columns_are_fixed_and_problems_split_as_by_botorch(options: dict[str, int], fixed: dict[int, float]) -> None:
    """Fixed values may be outside of the bounds."""
    start = starts()
    for column, value in fixed.items():
        start[..., column] = value
    limits = {
        "lower_bounds": BOUNDS[0],
        "upper_bounds": BOUNDS[1] + 2,
        "options": {"maxiter": 6} | options,
        "fixed_features": fixed,
    }
    found = [generate(start, acqf("point"), **limits) for generate in (gen_candidates_compiled, gen_candidates_scipy)]
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    assert all((found[0][0][..., column] == value).all() for column, value in fixed.items())


def test_other_acquisition_functions_are_botorchs() -> None:
    original = LogExpectedImprovement(model(), 340.0)
    found = [generate(starts(), original, 0.0, 10.0) for generate in (gen_candidates_compiled, gen_candidates_scipy)]
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_a_search_that_fails_says_so_and_one_that_is_told_to_end_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    function = acqf("point")
    _, few = gen_candidates_compiled(starts(), function, 0.0, 10.0, options={"maxiter": 1})
    _, many = gen_candidates_compiled(starts(), function, 0.0, 10.0)
    assert few.sum() < many.sum()
    wrong = type(function).value_and_gradient

    def with_wrong_sign(self: Any, X: Tensor) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = wrong(self, X)
        return value, -gradient

    monkeypatch.setattr(type(function), "value_and_gradient", with_wrong_sign)
    with pytest.warns(OptimizationWarning, match="L-BFGS-B failed"):
        gen_candidates_compiled(starts(), function, 0.0, 10.0)
