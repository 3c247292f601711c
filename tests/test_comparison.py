"""Side by side: our posterior and acquisition functions against SingleTaskGP's, PyMC's own predictions and NumPy."""

import numpy as np
import pytest
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    LogExpectedImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qLogExpectedImprovement,
)
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from torch import Tensor
from zoo import JITTER, KERNELS, Case, marginal, single_task_gp

from pymc_botorch import PyMCGP

POSTERIOR = 1e-8  # PyMC adds 1e-12 under the root of a distance, GPyTorch does not
PREDICT = 1e-9  # the same formula in another order of operations
VALUE, GRADIENT = 1e-7, 1e-5  # acquisition values and gradients


@pytest.fixture(params=list(KERNELS))
def pair(request: pytest.FixtureRequest) -> tuple[Case, PyMCGP, torch.nn.Module]:
    case = marginal(request.param)
    ours = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    return case, ours, single_task_gp(case, request.param)


@pytest.mark.parametrize(
    "shape", [(5, 2), (3, 4, 2), (2, 3, 4, 2), (3, 1, 2), (3, 0, 2), (0, 4, 2), (40, 2), (2, 40, 2)], ids=str
)
def test_the_posterior_is_that_of_single_task_gp(pair, shape: tuple[int, ...]) -> None:
    _, ours, theirs = pair
    X = torch.rand(shape, dtype=torch.double)
    if 0 in shape:
        mean = theirs(X).mean.unsqueeze(-1) if shape[0] else torch.empty(*shape[:-1], 1, dtype=torch.double)
        posterior = ours.posterior(X)
        assert posterior.mean.shape == mean.shape == (*shape[:-1], 1)
        assert posterior.variance.shape == (*shape[:-1], 1)
        assert posterior.distribution.covariance_matrix.shape == (*shape[:-1], shape[-2])
        return
    a, b = ours.posterior(X), theirs.posterior(X)
    assert a.mean.shape == b.mean.shape
    torch.testing.assert_close(a.mean, b.mean, rtol=0, atol=POSTERIOR)
    torch.testing.assert_close(a.variance, b.variance, rtol=0, atol=POSTERIOR)
    torch.testing.assert_close(a.distribution.covariance_matrix, b.distribution.covariance_matrix, rtol=0, atol=POSTERIOR)


def test_the_posterior_is_what_gp_predict_says(pair) -> None:
    case, ours, _ = pair
    X = np.random.default_rng(3).uniform(-0.2, 1.2, size=(30, 2))
    mean, variance = case.gp.predict(X, case.point, diag=True, model=case.pm_model)
    posterior = ours.posterior(torch.from_numpy(X))
    np.testing.assert_allclose(posterior.mean.squeeze(-1).numpy(), mean, rtol=0, atol=PREDICT)
    np.testing.assert_allclose(posterior.variance.squeeze(-1).numpy(), variance, rtol=0, atol=PREDICT)


def test_the_posterior_is_the_textbook_formula() -> None:
    case = marginal("ExpQuad")
    p = case.point

    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return p["eta"] ** 2 * np.exp(-0.5 * (((a[:, None] - b) / p["ell"]) ** 2).sum(-1))

    X = np.random.default_rng(4).uniform(size=(4, 2))
    K = k(case.X, case.X) + (p["sigma"] ** 2 + JITTER) * np.eye(len(case.X))
    cross = k(case.X, X)
    posterior = PyMCGP.from_fitted(case.gp, p, model=case.pm_model).posterior(torch.from_numpy(X))
    mean = p["mu"] + cross.T @ np.linalg.solve(K, case.y - p["mu"])
    cov = k(X, X) - cross.T @ np.linalg.solve(K, cross)
    np.testing.assert_allclose(posterior.mean.squeeze(-1).numpy(), mean, rtol=0, atol=PREDICT)
    np.testing.assert_allclose(posterior.distribution.covariance_matrix.numpy(), cov, rtol=0, atol=PREDICT)


ACQUISITIONS = {
    "LogEI": lambda model, sampler: LogExpectedImprovement(model, best_f=1.0),
    "UCB": lambda model, sampler: UpperConfidenceBound(model, beta=2.0),
    "qEI": lambda model, sampler: qExpectedImprovement(model, best_f=1.0, sampler=sampler),
    "qLogEI": lambda model, sampler: qLogExpectedImprovement(model, best_f=1.0, sampler=sampler),
}


def value_and_gradient(acquisition: AcquisitionFunction, X: Tensor) -> tuple[Tensor, Tensor]:
    X = X.clone().requires_grad_()
    value = acquisition(X)
    return value.detach(), torch.autograd.grad(value.sum(), X)[0]


@pytest.mark.filterwarnings("ignore:qExpectedImprovement has known numerical issues")  # BoTorch's advice to take qLogEI
@pytest.mark.parametrize(("name", "q"), [("LogEI", 1), ("UCB", 1), ("qEI", 1), ("qEI", 4), ("qLogEI", 1), ("qLogEI", 4)])
def test_acquisition_values_and_gradients_are_those_on_single_task_gp(pair, name: str, q: int) -> None:
    _, ours, theirs = pair
    sampler = SobolQMCNormalSampler(torch.Size([64]), seed=5)
    X = torch.rand(6, q, 2, dtype=torch.double)
    a, b = (value_and_gradient(ACQUISITIONS[name](model, sampler), X) for model in (ours, theirs))
    torch.testing.assert_close(a[0], b[0], rtol=0, atol=VALUE)
    torch.testing.assert_close(a[1], b[1], rtol=GRADIENT, atol=GRADIENT)


@pytest.mark.filterwarnings("ignore:A not p.d., added jitter")  # four candidates start close together, on both sides
@pytest.mark.parametrize("q", [1, 4])
def test_optimize_acqf_reaches_the_same_value(q: int) -> None:
    case = marginal()
    reached = []
    for model in (PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model), single_task_gp(case)):
        torch.manual_seed(2)
        sampler = SobolQMCNormalSampler(torch.Size([32]), seed=5)
        acquisition = qLogExpectedImprovement(model, best_f=case.y.max(), sampler=sampler)
        bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)
        reached.append(optimize_acqf(acquisition, bounds, q=q, num_restarts=4, raw_samples=128)[1])
    torch.testing.assert_close(*reached, rtol=0, atol=1e-5)  # where L-BFGS-B stops
