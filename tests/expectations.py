"""A gp with three hyperparameters whose posterior expectations, and their derivatives in the data, are had by quadrature."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
from scipy.special import logsumexp

X = np.linspace(0, 10, 10)[:, None]
y = np.array(
    [
        *(-0.7318311360952785, -0.570004870828556, -0.14952702671315835, 3.6315945749561522, 8.064930866627284),
        *(9.932279944385185, 7.677653433809858, 2.5611079942967194, -2.5073056453259426, -5.202742718393319),
    ]
)
NAMES = ("ell", "eta", "sigma")
MU, SD = np.log([3.0, 6.0, 0.3]), np.array([0.4, 0.4, 0.6])
MEAN = np.array([1.23, 1.81, -1.48])
"""Close to the posterior mean of the logarithms."""
ROOT = np.array([[0.21, 0.0, 0.0], [0.17, 0.21, 0.0], [-0.04, 0.03, 0.51]])
"""Close to a root of their posterior covariance: a grid along its columns needs few nodes."""
JITTER = 1e-6

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "mean of mu(X)": lambda posterior: posterior().mean.mean(),
    "mu(3.0)": lambda posterior: posterior([[3.0]]).mean[0],
    "sd(3.0)": lambda posterior: posterior([[3.0]]).covariance[0, 0] ** 0.5,
    "mu(6.1)": lambda posterior: posterior([[6.1]]).mean[0],
    "sd(6.1)": lambda posterior: posterior([[6.1]]).covariance[0, 0] ** 0.5,
}
"""What is asked, as ``f`` of ``expectation_gradient``; the first at inputs that move with ``X``."""
ASKED_AT = {name: "moves" if name == "mean of mu(X)" else "fixed" for name in FUNCTIONS}


def make(inputs: Any = X, outcomes: Any = y) -> tuple[pm.Model, pm.gp.Marginal]:
    with pm.Model() as pm_model:
        return pm_model, build(pm.Data("X", inputs), pm.Data("y", outcomes))


def build(inputs: Any, outcomes: Any) -> pm.gp.Marginal:
    ell, eta, sigma = (pm.LogNormal(name, mu, sd) for name, mu, sd in zip(NAMES, MU, SD, strict=True))
    gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
    gp.marginal_likelihood("f", inputs, outcomes, sigma)
    return gp


@cache
def nodes() -> np.ndarray:
    """Logarithms of the hyperparameters, ``S x 3``: a grid of which those without weight are left out."""
    axis = np.linspace(-9.0, 9.0, 27)
    U = MEAN + np.stack([part.ravel() for part in np.meshgrid(axis, axis, axis, indexing="ij")], 1) @ ROOT.T
    log_density, _ = evaluate(U, X, y)
    return U[log_density > log_density.max() - 28.0]


def evaluate(U: np.ndarray, inputs: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log posterior densities ``S``, and the five functions ``S x 5``, by NumPy alone."""
    ell, eta, sigma = np.exp(U).T[:, :, None, None]
    x, new = inputs[:, 0], np.append(inputs[:, 0], [3.0, 6.1])

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r = np.sqrt(5) * np.abs(a[:, None] - b[None, :]) / ell
        return eta**2 * (1 + r + r**2 / 3) * np.exp(-r)

    L = np.linalg.cholesky(kernel(x, x) + (sigma**2 + JITTER) * np.eye(len(x)))
    solved = np.linalg.solve(L, np.concatenate([np.broadcast_to(outcomes[:, None], (len(U), len(x), 1)), kernel(x, new)], 2))
    white, half = solved[:, :, 0], solved[:, :, 1:]
    log_density = -0.5 * np.square(white).sum(1) - np.log(np.einsum("sii->si", L)).sum(1)
    log_density -= 0.5 * np.square((U - MU) / SD).sum(1)
    mean = np.einsum("sni,sn->si", half, white)
    sd = np.sqrt(eta[:, :, 0] ** 2 - np.square(half).sum(1))
    n = len(x)
    return log_density, np.stack([mean[:, :n].mean(1), mean[:, n], sd[:, n], mean[:, n + 1], sd[:, n + 1]], 1)


def weights() -> np.ndarray:
    log_density, _ = evaluate(nodes(), X, y)
    return np.exp(log_density - logsumexp(log_density))


def expectations(inputs: np.ndarray = X, outcomes: np.ndarray = y) -> np.ndarray:
    """Return the expectations of the five functions, and the log evidence up to a constant."""
    log_density, f = evaluate(nodes(), inputs, outcomes)
    return np.append(np.exp(log_density - logsumexp(log_density)) @ f, logsumexp(log_density))


@cache
def derivatives() -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of these six numbers in ``X`` and ``y``, ``6 x 10`` each, by differences of five points."""
    step, found = 1e-3, []
    for moves_X in (True, False):
        columns = []
        for i in range(len(y)):
            unit = step * np.eye(len(y))[i]
            at = [expectations(X + k * unit[:, None], y) if moves_X else expectations(X, y + k * unit) for k in (-2, -1, 1, 2)]
            columns.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step))
        found.append(np.stack(columns, 1))
    return found[0], found[1]
