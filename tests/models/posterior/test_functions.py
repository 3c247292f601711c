"""Posteriors under ``torch.func`` and vectorised Jacobians: the same numbers as by ``backward``."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import xarray as xr
from botorch.exceptions.errors import UnsupportedError
from torch.func import grad, jacfwd, jacrev, vmap
from zoo import marginal

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

SAME = {"rtol": 1e-12, "atol": 1e-13}


def at_a_point() -> PyMCGP:
    case = marginal()
    return PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)


def of_draws() -> FullyBayesianPyMCGP:
    case = marginal()
    spread = np.linspace(0.9, 1.1, 3)
    draws = {
        name: (
            ("chain", "draw", *(f"{name}_{i}" for i in range(np.ndim(value)))),
            np.stack([np.multiply(value, s) for s in spread])[None],
        )
        for name, value in case.point.items()
    }
    return FullyBayesianPyMCGP.from_fitted(case.gp, xr.Dataset(draws), model=case.pm_model, num_draws=3)


def given_more() -> PyMCGP:
    X = torch.tensor([[0.2, 0.7], [0.6, 0.1]], dtype=torch.double)
    return at_a_point().condition_on_observations(X, X.sum(-1, keepdim=True))


MODELS: list[Callable] = [at_a_point, of_draws, given_more]
READINGS: dict[str, Callable] = {
    "mean": lambda posterior: posterior.mean,
    "variance": lambda posterior: posterior.variance,
    "covariance": lambda posterior: posterior.distribution.covariance_matrix,
}


def points(n: int) -> torch.Tensor:
    return torch.rand(n, 2, dtype=torch.double)


def by_backward(f: Callable, X: torch.Tensor) -> torch.Tensor:
    X = X.clone().requires_grad_()
    return torch.autograd.grad(f(X), X)[0]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("n", [3, 40])  # 40: the covariance is lazy
def test_gradients_and_jacobians_are_those_of_backward(make: Callable, reading: str, n: int) -> None:
    model, X = make(), points(n)

    def values(X: torch.Tensor) -> torch.Tensor:
        return READINGS[reading](model.posterior(X))

    def total(X: torch.Tensor) -> torch.Tensor:
        return values(X).square().sum()

    torch.testing.assert_close(grad(total)(X), by_backward(total, X), **SAME)
    if n > 3:
        return
    expected = torch.autograd.functional.jacobian(values, X)
    torch.testing.assert_close(jacrev(values)(X), expected, **SAME)
    torch.testing.assert_close(torch.autograd.functional.jacobian(values, X, vectorize=True), expected, **SAME)


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("reading", READINGS)
def test_vmap_is_a_batch(make: Callable, reading: str) -> None:
    model, X = make(), torch.rand(4, 3, 2, dtype=torch.double)

    def values(X: torch.Tensor) -> torch.Tensor:
        return READINGS[reading](model.posterior(X))

    expected = torch.stack([values(x) for x in X])
    torch.testing.assert_close(vmap(values)(X), expected, **SAME)
    torch.testing.assert_close(vmap(values, in_dims=1)(X.movedim(0, 1)), expected, **SAME)

    def total(X: torch.Tensor) -> torch.Tensor:
        return values(X).square().sum()

    torch.testing.assert_close(vmap(grad(total))(X), torch.stack([by_backward(total, x) for x in X]), **SAME)
    nested = X.reshape(2, 2, 3, 2)
    torch.testing.assert_close(vmap(vmap(grad(total)))(nested).reshape(X.shape), vmap(grad(total))(X), **SAME)


def test_a_row_with_nan_stays_alone_under_vmap() -> None:
    model, X = at_a_point(), points(3)
    X[1, 0] = torch.nan
    slopes = vmap(grad(lambda x: model.posterior(x[None]).mean.sum()))(X)
    assert slopes.isnan().any(-1).tolist() == [False, True, False]


@pytest.mark.parametrize("of", [jacfwd, torch.func.hessian])
def test_other_derivatives_are_refused_with_a_way_on(of: Callable) -> None:
    model = at_a_point()
    with pytest.raises(UnsupportedError, match="in reverse mode, and once"):
        of(lambda X: model.posterior(X).mean.sum())(points(2))
    with pytest.raises(UnsupportedError, match="Second derivatives"):
        jacrev(grad(lambda X: model.posterior(X).mean.square().sum()))(points(2))
