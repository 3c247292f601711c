"""Gps of more terms than NumPy's functions take operands: objective, posterior, its pullback, slopes, noise, predictions."""

from functools import reduce
from operator import mul
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch

from pymc_botorch import PyMCGP, compile_predict
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.inference.fit.objective import density_and_gradient, itself, read_objective
from pymc_botorch.inference.fitted import read_fitted

cov = pm.gp.cov
ROUNDING = 1e-8


def data(d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(9, d))
    return X, np.sin(5 * X[:, 0]) + 0.1 * rng.normal(size=9)


def test_an_objective_of_many_scalar_priors() -> None:
    X, y = data(1)
    with pm.Model() as pm_model:
        levels = [pm.Normal(f"level_{j}", 0, 0.2) for j in range(34)]
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(sum(levels)), cov_func=cov.ExpQuad(1, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=0.2, jitter=0.0)
    graph, sources = read_objective(pm_model)
    values = np.random.default_rng(1).normal(0, 0.2, size=34)
    fixed = [np.asarray(getattr(leaf, "data", None)) for leaf in sources.values()]
    functions = compiled(graph, itself, "numpy")
    log_density, *gradient = functions(density_and_gradient, *map(np.asarray, values), *fixed, np.array(0.0))
    K = np.exp(-0.5 * (X - X.T) ** 2 / 0.25) + 0.04 * np.eye(9)
    residual = y - values.sum()
    expected = -0.5 * residual @ np.linalg.solve(K, residual) - 0.5 * np.linalg.slogdet(2 * np.pi * K)[1]
    expected += np.sum(-0.5 * (values / 0.2) ** 2 - np.log(0.2 * np.sqrt(2 * np.pi)))
    assert log_density == pytest.approx(expected, rel=ROUNDING)
    np.testing.assert_allclose(gradient, np.linalg.solve(K, residual).sum() - values / 0.04, rtol=ROUNDING)


def test_a_posterior_of_many_additive_kernels_and_its_pullback() -> None:
    X, y = data(2)
    columns = [[j % 2] for j in range(33)]
    weights = np.linspace(0.1, 1.0, len(columns))
    with pm.Model():
        parts = [weights[j] * cov.Linear(2, c=0.2, active_dims=used) for j, used in enumerate(columns)]
        gp = pm.gp.Marginal(cov_func=reduce(lambda one, two: one + two, parts))
        gp.marginal_likelihood("y", X, y, sigma=0.2)
        model = PyMCGP.from_fitted(gp, {})
    x = torch.rand(2, 1, 2, dtype=torch.double).requires_grad_()
    posterior = model.posterior(x)
    (slope,) = torch.autograd.grad(posterior.mean.sum(), x)

    metric = np.zeros(2)  # of a sum of linear kernels: each input with the weights of the kernels that use it
    for weight, used in zip(weights, columns, strict=True):
        metric[used] += weight
    coefficients = np.linalg.solve((X - 0.2) * metric @ (X - 0.2).T + (0.04 + 1e-6) * np.eye(9), y) @ (X - 0.2) * metric
    np.testing.assert_allclose(posterior.mean.detach()[:, 0, 0], (x.detach().numpy()[:, 0] - 0.2) @ coefficients, rtol=ROUNDING)
    np.testing.assert_allclose(slope[:, 0], np.tile(coefficients, (2, 1)), rtol=ROUNDING)


def test_slopes_in_many_inputs() -> None:
    d = 33
    X, y = data(d)
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=cov.ExpQuad(d, ls=3.0))
        gp.marginal_likelihood("y", X, y, sigma=0.2)
        slopes = compile_predict(gp, {}).gradients(X[:2] + 0.1)
    difference = X[:2, None] + 0.1 - X  # 2 x 9 x d
    k = np.exp(-0.5 * (difference**2).sum(-1) / 9)
    K = np.exp(-0.5 * ((X[:, None] - X) ** 2).sum(-1) / 9) + (0.04 + 1e-6) * np.eye(9)
    expected = np.einsum("mn,mnd,n->md", k, -difference / 9, np.linalg.solve(K, y))
    np.testing.assert_allclose(slopes.mean_gradient, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["sum", "product"])
def test_noise_of_many_terms(kind: str) -> None:
    X, y = data(1)

    def noise(X: Any, share: Any, cos: Any) -> Any:
        if kind == "sum":
            return 0.1 + sum(share[j] * cos(j * X[:, 0]) ** 2 for j in range(36))
        return 0.1 * reduce(mul, [1 + share[j] * cos(j * X[:, 0]) ** 2 for j in range(36)])

    with pm.Model():
        share = pm.HalfNormal("share", 0.02, shape=36)
        gp = pm.gp.Marginal(cov_func=cov.Matern52(1, ls=0.6))
        gp.marginal_likelihood("y", X, y, sigma=noise(pt.as_tensor(X), share, pt.cos))
        fitted, _ = read_fitted(gp, {"share": np.full(36, 0.01)}, model=None, given=None, jitter=None, inputs_transformed=False)
    np.testing.assert_allclose(fitted.noise(0), noise(X, np.full(36, 0.01), np.cos), rtol=ROUNDING)
