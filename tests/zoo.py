"""PyMC models that the tests share, each with data, a point and where there is one a SingleTaskGP that equals it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gpytorch
import numpy as np
import pymc as pm
import torch
from botorch.models import SingleTaskGP
from gpytorch.kernels import MaternKernel, RBFKernel, ScaleKernel

JITTER = pm.gp.util.JITTER_DEFAULT

POINT = {"ell": np.array([0.4, 0.7]), "eta": np.array(1.3), "sigma": np.array(0.15), "mu": np.array(0.6)}


@dataclass
class Case:
    """A PyMC model with its gp, its point and data."""

    pm_model: pm.Model
    gp: pm.gp.Marginal
    point: dict[str, Any]
    X: np.ndarray
    y: np.ndarray


def data(n: int = 12, d: int = 2, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(n, d))
    return X, np.sin(5 * X[:, 0]) + X[:, 1:].sum(1) ** 2 + 0.1 * rng.normal(size=n)


KERNELS: dict[str, tuple[type, Callable[[], gpytorch.kernels.Kernel]]] = {
    "Matern52": (pm.gp.cov.Matern52, lambda: MaternKernel(nu=2.5, ard_num_dims=2)),
    "Matern32": (pm.gp.cov.Matern32, lambda: MaternKernel(nu=1.5, ard_num_dims=2)),
    "ExpQuad": (pm.gp.cov.ExpQuad, lambda: RBFKernel(ard_num_dims=2)),
}


def marginal(kernel: str = "Matern52", n: int = 12, *, seed: int = 1, jitter: float = JITTER, as_data: bool = False) -> Case:
    """A constant mean, a scaled ARD kernel and homoscedastic noise, all with priors."""
    X, y = data(n, seed=seed)
    with pm.Model() as pm_model:
        ell = pm.LogNormal("ell", -0.5, 0.7, shape=2)
        eta = pm.HalfNormal("eta", 2)
        mu = pm.Normal("mu", 0, 2)
        sigma = pm.LogNormal("sigma", -2, 1)
        cov = eta**2 * KERNELS[kernel][0](2, ls=ell)
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mu), cov_func=cov)
        held = (pm.Data("X", X), pm.Data("y", y)) if as_data else (X, y)
        gp.marginal_likelihood("y_obs", *held, sigma=sigma, jitter=jitter)
    return Case(pm_model, gp, dict(POINT), X, y)


def single_task_gp(case: Case, kernel: str = "Matern52", jitter: float = JITTER) -> SingleTaskGP:
    """The SingleTaskGP of ``marginal``: same kernel, mean, hyperparameters, and noise variance sigma² + jitter."""
    double = {name: torch.as_tensor(value, dtype=torch.double) for name, value in case.point.items()}
    covar = ScaleKernel(KERNELS[kernel][1]()).double()
    covar.base_kernel.lengthscale = double["ell"]
    covar.outputscale = double["eta"] ** 2
    mean = gpytorch.means.ConstantMean().double()
    mean.constant.data.fill_(double["mu"])
    model = SingleTaskGP(
        torch.from_numpy(case.X),
        torch.from_numpy(case.y).unsqueeze(-1),
        covar_module=covar,
        mean_module=mean,
        outcome_transform=None,
    )
    model.likelihood.noise_covar.raw_noise_constraint.lower_bound.fill_(0.0)
    model.likelihood.noise = double["sigma"] ** 2 + jitter
    return model.eval()
