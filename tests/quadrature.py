"""A gp with two hyperparameters, whose posterior is had by quadrature: a reference for every way to draw them."""

from typing import Any

import numpy as np
import pymc as pm
import torch
from scipy.special import logsumexp
from torch import Tensor


def raw_data(n: int = 10, d: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(40, d, dtype=torch.double, generator=generator)
    noise = 0.1 * torch.randn(40, 1, dtype=torch.double, generator=generator)
    return X[:n], (3 + 2 * (5 * X[:, :1]).sin() + noise)[:n]


def two(X: Any, y: Any) -> pm.gp.Marginal:
    ell = pm.LogNormal("ell", -1, 0.7)
    pm.Deterministic("reach", 1 / ell)
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=ell))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def by_quadrature(X: Tensor, Y: Tensor, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of f under the posterior of ``two``, in raw units, by NumPy alone."""
    x, y = X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy()

    def kernel(a: np.ndarray, b: np.ndarray, ell: float) -> np.ndarray:
        r = np.sqrt(5) * np.abs(a - b.T) / ell
        return (1 + r + r**2 / 3) * np.exp(-r)

    log_p, means, variances = [], [], []
    for log_ell in np.linspace(-1 - 3.5, -1 + 3.5, 90):
        for log_sigma in np.linspace(-2 - 4.5, -2 + 4.5, 90):
            ell, sigma = np.exp(log_ell), np.exp(log_sigma)
            L = np.linalg.cholesky(kernel(x, x, ell) + (sigma**2 + 1e-6) * np.eye(len(x)))
            white, half = np.linalg.solve(L, y), np.linalg.solve(L, kernel(x, at, ell))
            prior = -0.5 * ((log_ell + 1) / 0.7) ** 2 - 0.5 * (log_sigma + 2) ** 2
            log_p.append(prior - 0.5 * white @ white - np.log(np.diag(L)).sum())
            means.append(half.T @ white)
            variances.append(1 - np.square(half).sum(0))
    w = np.exp(np.array(log_p) - logsumexp(log_p))[:, None]
    mean = (w * means).sum(0)
    variance = (w * (np.array(variances) + (np.array(means) - mean) ** 2)).sum(0)
    return mean * Y.std().item() + Y.mean().item(), np.sqrt(variance) * Y.std().item()
