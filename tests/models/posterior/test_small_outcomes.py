"""Outcomes of small numbers: every path of a posterior is that of the same outcomes in larger units."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.acquisition import ExpectedImprovement, LogExpectedImprovement, qExpectedImprovement
from botorch.exceptions.warnings import InputDataWarning
from botorch.models.transforms import Standardize
from botorch.sampling import SobolQMCNormalSampler
from torch import Tensor
from zoo import data

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_predict

pytestmark = pytest.mark.filterwarnings(
    "ignore:A not p.d.:linear_operator.utils.warnings.NumericalWarning",
    "ignore:q?ExpectedImprovement has known numerical issues",
)

X, Y = data()
SAME = {torch.double: 1e-9, torch.float: 2e-6}


@functools.cache
def small(c: float, *, scaled: bool = False, draws: bool = False, sigma: float = 0.05) -> Any:
    """The gp of outcomes ``c * Y``: written in their units, or in larger ones beside a Standardize."""
    unit = 1.0 if scaled else c
    transform = None
    if scaled:
        transform = Standardize(1, min_stdv=0.0)
        transform(torch.from_numpy(c * Y)[:, None])
        transform.means.fill_(0.0)
        transform.stdvs.fill_(c)
        transform._stdvs_sq.fill_(c**2)
    with pm.Model() as pm_model:
        pm.LogNormal("unused")
        gp = pm.gp.Marginal(cov_func=(1.3 * unit) ** 2 * pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", X, unit * Y, sigma=sigma * unit, jitter=1e-6 * unit**2)
    if draws:
        from xarray import Dataset

        held = Dataset({"unused": (("chain", "draw"), np.ones((1, 3)))})
        return FullyBayesianPyMCGP.from_fitted(gp, held, model=pm_model, num_draws=3, outcome_transform=transform)
    return PyMCGP.from_fitted(gp, {}, model=pm_model, outcome_transform=transform)


def points(*shape: int, dtype: torch.dtype = torch.double) -> Tensor:
    return torch.rand(*shape, 2, dtype=torch.double, generator=torch.Generator().manual_seed(3)).to(dtype)


def samples(posterior: Any) -> Tensor:
    return SobolQMCNormalSampler(torch.Size([8]), seed=1)(posterior)


PATHS: dict[str, tuple[int, Callable[[Any, Tensor], Tensor]]] = {
    "mean": (1, lambda model, x: model.posterior(x).mean),
    "variance": (2, lambda model, x: model.posterior(x).variance),
    "variance of many points": (2, lambda model, x: model.posterior(x.repeat(1, 12, 1)).variance),
    "variance of observations": (2, lambda model, x: model.posterior(x, observation_noise=True).variance),
    "samples": (1, lambda model, x: samples(model.posterior(x))),
    "samples of many points": (1, lambda model, x: samples(model.posterior(points(1, 36, dtype=x.dtype)))),
    "samples of observations": (1, lambda model, x: samples(model.posterior(x, observation_noise=True))),
    "variance given more": (2, lambda model, x: model.condition_on_observations(x[0], 0 * x[0, :, :1]).posterior(x).variance),
    "variance of gpytorch": (2, lambda model, x: model(x).variance),
}


@pytest.mark.parametrize("dtype", SAME, ids=str)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("c", [1e-6, 1e-12])
def test_every_path_is_that_of_the_outcomes_in_larger_units(path: str, c: float, dtype: torch.dtype) -> None:
    power, read = PATHS[path]
    x = points(3, 4, dtype=dtype)
    for options in ({}, {"scaled": True}, {"draws": True}):
        if options.get("scaled") and path == "variance of gpytorch":
            continue  # it is in the units of the gp
        expected = read(small(1.0, **options), x)
        got = read(small(c, **options), x).to(torch.double) / c**power
        atol = SAME[dtype] * expected.abs().max().item()
        torch.testing.assert_close(got, expected.to(torch.double), rtol=1e-5 if dtype == torch.float else 1e-9, atol=atol)


@pytest.mark.parametrize("c", [1e-3, 1e-6, 1e-12])
def test_certain_points_keep_a_variance_above_zero_with_finite_gradients(c: float) -> None:
    model, x = small(c, sigma=0.0), torch.from_numpy(X).unsqueeze(-2).requires_grad_()
    posterior = model.posterior(x)
    assert (posterior.variance > 0).all()
    assert (posterior.variance < 1e-5 * c**2).all()
    (posterior.variance.sqrt() + samples(posterior)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", SAME, ids=str)
def test_acquisition_functions_see_the_sd_of_small_outcomes(dtype: torch.dtype) -> None:
    c, x = 3e-5, points(6, 1, dtype=dtype)  # sds of 1e-6 and more, at which BoTorch's analytic functions end
    model, one = small(c), small(1.0)
    keep = one.posterior(x).variance.sqrt().flatten() * c > 1e-6
    assert keep.sum() > 3
    assert model.posterior(x).variance.min() < 1e-10
    for best in (1.2, 1.6):
        for make in (ExpectedImprovement, LogExpectedImprovement):
            got, expected = make(model, best_f=c * best)(x)[keep], make(one, best_f=best)(x)[keep]
            if make is ExpectedImprovement:
                torch.testing.assert_close(got / c, expected, rtol=1e-3, atol=1e-9)
            else:
                torch.testing.assert_close(got - np.log(c), expected, rtol=1e-3, atol=1e-3)
        improvements = [
            qExpectedImprovement(m, best_f=unit * best, sampler=SobolQMCNormalSampler(torch.Size([64]), seed=1))(x) / unit
            for m, unit in ((model, c), (one, 1.0))
        ]
        torch.testing.assert_close(*improvements, rtol=1e-3, atol=1e-6)


def test_predictions_and_slopes_of_small_outcomes_have_their_sd() -> None:
    c, x = 1e-12, points(3).numpy()
    slopes, expected = small(c).predictive_gradients(x), small(1.0).predictive_gradients(x)
    np.testing.assert_allclose(slopes.sd / c, expected.sd, rtol=1e-6)
    np.testing.assert_allclose(slopes.sd_gradient / c, expected.sd_gradient, rtol=1e-5)
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=(1.3 * c) ** 2 * pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", X, c * Y, sigma=0.05 * c, jitter=1e-6 * c**2)
        predictor = compile_predict(gp, {})
    np.testing.assert_allclose(predictor.predict(x).variance / c**2, expected.variance, rtol=1e-6)
    np.testing.assert_allclose(predictor.gradients(x).sd / c, expected.sd, rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-9, 1e-12])
def test_the_default_transform_standardises_outcomes_of_any_scale_and_one_that_does_not_is_named(scale: float) -> None:
    X = torch.linspace(0, 1, 8, dtype=torch.double)[:, None]
    Y = (5 * X).sin()
    small, large = (PyMCGP(X, factor * Y) for factor in (scale, 1.0))
    of_small, of_large = (model.posterior(X + 0.05) for model in (small, large))
    torch.testing.assert_close(of_small.mean / scale, of_large.mean, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(of_small.variance / scale**2, of_large.variance, rtol=1e-9, atol=0)
    with pytest.warns(InputDataWarning, match="which Standardize takes for a constant"):
        PyMCGP(X, scale * Y, outcome_transform=Standardize(m=1))
