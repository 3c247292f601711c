"""Measurements of knowledge of shape: of slopes, of errors, of seconds, of slopes as data."""

import time
from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import torch
from rows import Row, deviation, quartiles
from scipy.stats import norm
from shape_cases import GRID, TRUTHS, Case, PlainGP, RisingGP, mean_of, observe

from pymc_botorch import PyMCGP, gradient_posterior
from pymc_botorch.inference.sampling.slopes import SlopesReport
from pymc_botorch.shape import MonotoneGP

TOLERANCE, STEP = 1e-3, 1e-5
Fits = list[tuple[RisingGP, PlainGP]]


def fits(case: Case, repeats: int) -> Fits:
    """Fit both surrogates to each data set of a case."""
    data = [observe(case, seed) for seed in range(repeats)]
    return [(RisingGP(X, Y).fit(seed=0, progressbar=False), PlainGP(X, Y).fit(seed=0)) for X, Y in data]


def errors(case: Case, both: Fits) -> dict[str, list[float]]:
    """Return root mean square errors over the unit interval, and what else a table tells of each data set."""
    truth = TRUTHS[case.truth](GRID[:, 0])
    found: dict[str, list[float]] = {name: [] for name in ("rising", "plain", "monotone", "r_hat")}
    for rising, plain in both:
        for name, model in (("rising", rising), ("plain", plain)):
            found[name].append(float(np.sqrt(np.mean((mean_of(model, GRID) - truth) ** 2))))
        found["monotone"].append(rising.prob_monotone(torch.from_numpy(GRID), tolerance=TOLERANCE))
        found["r_hat"].append(report(rising).r_hat or np.nan)
    return found


def rows_of_slopes(both: Fits, of_case: dict[str, list[float]]) -> list[Row]:
    """Return what the issue asks of the slopes in its one-dimensional case."""
    plain = [_share_monotone(model) for _, model in both]
    shares = [share_positive(model, GRID) for model, _ in both]
    gradients = max(_gradient_error(model) for model, _ in both)
    return [
        quartiles("draws that rise at all of 101 points, with knowledge", of_case["monotone"], 0.8),
        _ceiling("draws that rise at all of 101 points, without", plain, 0.2),
        quartiles("share of slopes that are positive", shares, 0.99),
        _ceiling("R-hat of slopes at sites, 4 x 1000 draws", of_case["r_hat"], 1.02),
        deviation("gradients of mean and variance against finite differences", gradients, 1e-6),
    ]


def report(model: RisingGP) -> SlopesReport:
    """Return how the slopes at the sites were drawn."""
    result = model.fit_result
    if result is None or not isinstance(result.slopes, SlopesReport):
        raise AssertionError("The model was fitted with signs.")
    return result.slopes


def share_positive(model: RisingGP, points: np.ndarray) -> float:
    """Return the share of slopes in all rising inputs that are positive, over points and draws."""
    slopes = gradient_posterior(model, points, per_draw=True)
    sd = np.sqrt(np.maximum(np.diagonal(slopes.covariance, axis1=-2, axis2=-1), 1e-300)).reshape(slopes.mean.shape)
    return float(norm.cdf(slopes.mean / sd).mean())


def rows_in_the_plane(repeats: int) -> list[Row]:
    """Return the share of positive slopes and the seconds of a function that rises in two inputs, 25 observations."""
    axis = np.linspace(0, 1, 11)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    shares, sampling, monotone, r_hats, first = [], [], [], [], 0.0
    for seed in range(repeats):
        rng = np.random.default_rng([20, seed])
        X = rng.random((25, 2))
        y = TRUTHS["sigmoid"](X[:, 0]) + X[:, 1] ** 2 / (X[:, 1] ** 2 + 0.25) + 0.1 * rng.normal(size=25)
        began = time.perf_counter()
        model = RisingGP(torch.from_numpy(X), torch.from_numpy(y)[:, None]).fit(seed=0, progressbar=False)
        first = first or time.perf_counter() - began - report(model).seconds
        sampling.append(report(model).seconds)
        shares.append(share_positive(model, grid))
        monotone.append(model.prob_monotone(torch.from_numpy(grid), tolerance=TOLERANCE))
        r_hats.append(report(model).r_hat or np.nan)
    return [
        quartiles("two inputs: share of slopes that are positive, 11 x 11 points", shares, 0.99),
        quartiles("two inputs: sampling, 98 slopes, one thread", sampling, 180.0, "seconds"),
        quartiles("two inputs: all else of the first fit, with compilation", [first], None, "seconds"),
        quartiles("two inputs: draws that rise in both at all of 121 points", monotone, None),
        _ceiling("two inputs: R-hat of slopes at sites", r_hats, None),
    ]


def rows_of_slopes_as_data(repeats: int) -> list[Row]:
    """Return by how much measured slopes lower the error, 12 points in two dimensions."""
    test = np.random.default_rng(21).random((500, 2))
    ratios = []
    for seed in range(repeats):
        rng = np.random.default_rng([21, seed])
        X = rng.random((12, 2))
        y = _wave(X) + 0.01 * rng.normal(size=12)
        slopes = _wave_slopes(X) + 0.01 * rng.normal(size=(12, 2))
        data = torch.from_numpy(X), torch.from_numpy(y)[:, None]
        found = []
        for measured in (None, (X, slopes, 0.01, [0, 1])):
            model = PyMCGP(*data, outcome_transform=None, build_gp=_with(measured)).fit(seed=0)
            found.append(np.sqrt(np.mean((mean_of(model, test) - _wave(test)) ** 2)))
        ratios.append(found[0] / found[1])
    return [quartiles("measured slopes: error with values alone, of that with slopes", ratios, 5.0)]


def _wave(X: np.ndarray) -> np.ndarray:
    return np.sin(4 * X[:, 0]) + np.cos(3 * X[:, 1]) + X[:, 0] * X[:, 1]


def _wave_slopes(X: np.ndarray) -> np.ndarray:
    return np.stack([4 * np.cos(4 * X[:, 0]) + X[:, 1], -3 * np.sin(3 * X[:, 1]) + X[:, 0]], axis=-1)


def _with(measured: tuple[np.ndarray, np.ndarray, float, list[int]] | None) -> Callable[..., MonotoneGP]:
    """Return a builder of a gp whose slopes were measured, or were not."""

    def build(X: pt.TensorVariable, y: pt.TensorVariable) -> MonotoneGP:
        lengthscale = pm.LogNormal("lengthscale", -0.5, 0.7, shape=2)
        scale, noise = pm.LogNormal("scale", 0, 1), pm.LogNormal("noise", np.log(0.01), 0.5)
        gp = MonotoneGP(cov_func=scale**2 * pm.gp.cov.ExpQuad(2, ls=lengthscale))
        gp.marginal_likelihood("observed", X, y, sigma=noise, slopes=measured)
        return gp

    return build


def _share_monotone(model: PlainGP, samples: int = 2560) -> float:
    """Return the share of joint samples of the slopes that are positive at all points."""
    slopes = gradient_posterior(model, GRID)
    values, vectors = np.linalg.eigh(slopes.covariance)
    normal = np.random.default_rng(0).normal(size=(samples, len(GRID)))
    drawn = slopes.mean[:, 0] + normal @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return float((drawn >= -TOLERANCE).all(1).mean())


def _gradient_error(model: RisingGP) -> float:
    """Return the largest deviation of gradients of mean and variance from central differences, of their largest entry."""
    points = torch.from_numpy(GRID[3:-3:5] + 0.001).requires_grad_()

    def moments(X: torch.Tensor) -> torch.Tensor:
        posterior = model.posterior(X)
        return torch.stack([posterior.mixture_mean[:, 0], posterior.mixture_variance[:, 0]])

    worst = 0.0
    for k in range(2):
        (own,) = torch.autograd.grad(moments(points)[k].sum(), points)
        with torch.no_grad():
            differences = (moments(points + STEP)[k] - moments(points - STEP)[k]) / (2 * STEP)
        worst = max(worst, float((own[:, 0] - differences).abs().max() / own.abs().max()))
    return worst


def _ceiling(work: str, values: list[float], bar: float | None) -> Row:
    return quartiles(work, values, bar, "at most")
