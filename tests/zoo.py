"""The gps that the tests share: one with a SingleTaskGP that equals it, and one of each Gaussian conditional of ``pm.gp``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gpytorch
import numpy as np
import pymc as pm
import pytensor.tensor as pt
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


cov = pm.gp.cov


class Specimen(NamedTuple):
    """A gp, its model and a point; ``d`` columns of inputs."""

    gp: pm.gp.gp.Base
    pm_model: pm.Model
    point: dict[str, Any]
    given: dict[str, Any] | None = None
    d: int = 2


def inputs(n: int = 12, d: int = 2) -> np.ndarray:
    return np.random.default_rng(3).uniform(size=(n, d))


def outcomes(X: np.ndarray) -> np.ndarray:
    return np.sin(5 * X[:, 0]) + 0.5 * X[:, -1] ** 2


def of_kernel(make: Callable[[], cov.BaseCovariance], point: dict[str, Any] | None = None, **options: Any) -> Specimen:
    X = options.pop("X", inputs())
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=make(), **({"mean_func": options["mean"]()} if "mean" in options else {}))
        gp.marginal_likelihood("y", X, outcomes(X), sigma=options.get("sigma", lambda: 0.2)())
    return Specimen(gp, pm_model, point or {}, d=X.shape[1])


class ParabolicMean(pm.gp.mean.Mean):
    """A user's own mean function with parameters."""

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b

    def __call__(self, X: Any) -> Any:
        return self.a + self.b * pt.square(X[:, 0] - 0.5)


def coregion() -> Specimen:
    X = np.column_stack([inputs(d=1), np.arange(12) % 2])
    with pm.Model() as pm_model:
        W = pm.Normal("W", shape=(2, 1))
        kernel = cov.ExpQuad(2, ls=0.4, active_dims=[0]) * cov.Coregion(2, W=W, kappa=np.array([0.3, 0.5]), active_dims=[1])
        gp = pm.gp.Marginal(cov_func=kernel)
        gp.marginal_likelihood("y", X, outcomes(X), sigma=0.2)
    return Specimen(gp, pm_model, {"W": np.array([[0.8], [1.1]])})


def approximation(approx: str) -> Specimen:
    X = inputs()
    with pm.Model() as pm_model:
        ell, sigma = pm.LogNormal("ell"), pm.LogNormal("sigma")
        gp = pm.gp.MarginalApprox(cov_func=cov.Matern52(2, ls=ell), approx=approx)
        gp.marginal_likelihood("y", X, X[::3].copy(), outcomes(X), sigma=sigma)
    return Specimen(gp, pm_model, {"ell": 0.5, "sigma": 0.2})


def kronecker() -> Specimen:
    axes = [np.linspace(0, 1, 4)[:, None], np.linspace(0, 1, 3)[:, None]]
    grid = pm.math.cartesian(*axes)
    with pm.Model() as pm_model:
        ell = pm.LogNormal("ell")
        gp = pm.gp.MarginalKron(cov_funcs=[cov.ExpQuad(1, ls=ell), 1.5**2 * cov.Matern32(1, ls=0.5)])
        gp.marginal_likelihood("y", axes, outcomes(grid), sigma=0.2)
    return Specimen(gp, pm_model, {"ell": 0.4})


def component() -> Specimen:
    X = inputs()
    with pm.Model() as pm_model:
        slow = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(0.3), cov_func=cov.ExpQuad(2, ls=1.0))
        total = slow + pm.gp.Marginal(cov_func=0.4**2 * cov.Matern32(2, ls=0.2))
        total.marginal_likelihood("y", X, outcomes(X), sigma=0.2)
    return Specimen(slow, pm_model, {}, {"gp": total, "X": X, "y": outcomes(X), "sigma": 0.2})


def with_priors() -> Specimen:
    return of_kernel(
        lambda: pm.HalfNormal("eta") ** 2 * cov.Matern52(2, ls=pm.LogNormal("ell", shape=2)),
        {"eta": 1.2, "ell": np.array([0.4, 0.8]), "a": 0.2, "b": -1.0, "sigma": 0.15},
        mean=lambda: ParabolicMean(pm.Normal("a"), pm.Normal("b")),
        sigma=lambda: pm.LogNormal("sigma"),
    )


def sparse_axes(X: Any, y: Any, jitter: float) -> pm.gp.Marginal:
    """The model and priors of BoTorch's ``SaasFullyBayesianSingleTaskGP`` (Eriksson & Jankowiak 2021, arXiv:2103.00349)."""
    shrinkage, relevance = pm.HalfCauchy("shrinkage", 0.1), pm.HalfCauchy("relevance", 1.0, dims="feature")
    lengthscale = pm.Deterministic("lengthscale", 1 / pt.sqrt(shrinkage * relevance), dims="feature")
    outputscale, noise = pm.Gamma("outputscale", 2.0, 0.15), pm.Gamma("noise", 0.9, 10.0)
    kernel = outputscale * cov.Matern52(X.type.shape[1], ls=lengthscale)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Normal("mean", 0, 1)), cov_func=kernel)
    gp.marginal_likelihood("y", X, y, sigma=pt.sqrt(noise), jitter=jitter)
    return gp


def saas(X: Any, y: Any) -> pm.gp.Marginal:
    """As BoTorch has it: without jitter."""
    return sparse_axes(X, y, jitter=0.0)


def sparse_in_twenty_inputs() -> Specimen:
    X = inputs(d=20)
    relevance = np.where(np.arange(20) < 2, 20.0, 0.05)  # two inputs matter
    point = {"shrinkage": 0.1, "relevance": relevance, "outputscale": 1.5, "noise": 0.02, "mean": 0.3}
    point["lengthscale"] = 1 / np.sqrt(0.1 * relevance)  # PyMC asks for it, too
    with pm.Model(coords={"feature": range(20)}) as pm_model:
        gp = sparse_axes(pm.Data("X", X, shape=(None, 20)), pm.Data("y_data", outcomes(X)), jitter=1e-6)  # as gp.predict has it
    return Specimen(gp, pm_model, point, d=20)


ZOO: dict[str, Callable[[], Specimen]] = {
    "ExpQuad": lambda: of_kernel(lambda: cov.ExpQuad(2, ls=[0.4, 0.7])),
    "Matern52": lambda: of_kernel(lambda: cov.Matern52(2, ls=[0.4, 0.7])),
    "Matern32": lambda: of_kernel(lambda: cov.Matern32(2, ls=[0.4, 0.7])),
    "Matern12": lambda: of_kernel(lambda: cov.Matern12(2, ls=[0.8, 1.2])),
    "Exponential": lambda: of_kernel(lambda: cov.Exponential(2, ls=[0.8, 1.2])),
    "RatQuad": lambda: of_kernel(lambda: cov.RatQuad(2, alpha=1.5, ls=0.5)),
    "Periodic on one input": lambda: of_kernel(
        lambda: cov.Periodic(2, period=0.6, ls=0.8, active_dims=[0]) * cov.ExpQuad(2, ls=0.9, active_dims=[1])
    ),
    "WrappedPeriodic": lambda: of_kernel(lambda: cov.WrappedPeriodic(cov.Matern52(1, ls=0.7), period=0.9), X=inputs(d=1)),
    "Linear + Polynomial + Constant": lambda: of_kernel(
        lambda: cov.Linear(2, c=[0.2, 0.4]) + cov.Polynomial(2, c=0.3, d=2, offset=0.5) + cov.Constant(0.4)
    ),
    "WarpedInput with a parameter": lambda: of_kernel(
        lambda: cov.WarpedInput(
            2, cov_func=cov.Matern52(2, ls=0.5), warp_func=lambda x, p: pt.log1p(p * x), args=(pm.LogNormal("p"),)
        ),
        {"p": 1.7},
    ),
    "Gibbs": lambda: of_kernel(lambda: cov.Gibbs(1, lengthscale_func=lambda x: 0.3 + 0.4 * x), X=inputs(d=1)),
    "ScaledCov": lambda: of_kernel(
        lambda: cov.ScaledCov(2, scaling_func=lambda x, a: a + x[:, 0:1], args=(0.5,), cov_func=cov.Matern52(2, ls=0.5))
    ),
    "ExpQuad * Coregion": coregion,
    "a kernel to a power": lambda: of_kernel(lambda: cov.Matern52(2, ls=0.6) ** 2),
    "a product and a sum": lambda: of_kernel(
        lambda: 0.5 * cov.Matern32(2, ls=0.4) * cov.ExpQuad(2, ls=1.0) + 0.8 * cov.Matern52(2, ls=1.5)
    ),
    "a linear mean": lambda: of_kernel(
        lambda: cov.Matern52(2, ls=0.5),
        {"slope": np.array([1.0, -0.5])},
        mean=lambda: pm.gp.mean.Linear(coeffs=pm.Normal("slope", shape=2), intercept=0.3),
    ),
    "own mean, priors on all": with_priors,
    "noise for each observation": lambda: of_kernel(lambda: cov.Matern52(2, ls=0.5), sigma=lambda: np.linspace(0.1, 0.4, 12)),
    "correlated noise": lambda: of_kernel(
        lambda: cov.Matern52(2, ls=0.5), sigma=lambda: cov.WhiteNoise(0.2) + 0.2**2 * cov.Exponential(2, ls=0.3)
    ),
    "SAAS in 20 inputs": sparse_in_twenty_inputs,
    "a component of a sum": component,
    "VFE": lambda: approximation("VFE"),
    "FITC": lambda: approximation("FITC"),
    "DTC": lambda: approximation("DTC"),
    "MarginalKron": kronecker,
}
