"""Hyperparameters that differ and mean the same: starts on their saddles, modes and chains that are one model."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch import settings
from torch import Tensor

from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP
from pymc_botorch.inference.sampling import attempts, judging
from pymc_botorch.inference.sampling.methods.convergence import Convergence

VARIETIES = 4
SAME_DENSITY = 1e-4


def data(n: int = 40) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(n), rng.integers(0, VARIETIES, n)])
    effect = np.array([1.0, -1.0, 0.5, 2.0])[X[:, 1].astype(int)]
    y = np.sin(5 * X[:, 0]) * effect + 0.4 * np.sin(40 * X[:, 0]) + 0.1 * rng.normal(size=n)
    return torch.from_numpy(X), torch.from_numpy(y)[:, None]


def likelihood(X: Any, y: Any, cov: Any, mean: Any = None) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(mean_func=mean or pm.gp.mean.Zero(), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


def of_varieties(X: Any, y: Any) -> pm.gp.Marginal:
    """Build a coregionalisation: of ``W`` only ``W Wᵀ`` matters."""
    W = pm.Normal("W", 0, 1, shape=(VARIETIES, 2))
    varieties = pm.gp.cov.Coregion(2, W=W, kappa=np.full(VARIETIES, 0.01), active_dims=[1])
    return likelihood(X, y, varieties * pm.gp.cov.Matern52(2, ls=pm.LogNormal("reach", -1, 0.7), active_dims=[0]))


def of_a_signed_size(X: Any, y: Any) -> pm.gp.Marginal:
    size = pm.Normal("size", 0, 1)
    return likelihood(X, y, size**2 * pm.gp.cov.Matern52(2, ls=pm.LogNormal("reach", -1, 0.7), active_dims=[0]))


def of_two_factors(X: Any, y: Any) -> pm.gp.Marginal:
    one, two = pm.Normal("one", 0, 1), pm.Normal("two", 0, 1)
    mean = pm.gp.mean.Linear(coeffs=pt.stack([5 * one * two, 0.0]))
    return likelihood(X, y, 0.1 * pm.gp.cov.Matern52(2, ls=0.2, active_dims=[0]), mean)


def of_exchangeable_components(X: Any, y: Any) -> pm.gp.Marginal:
    reach = pm.LogNormal("reach", -1, 1, shape=2)
    size = pm.LogNormal("size", -0.5, 1.5, shape=2)
    cov = sum(size[i] ** 2 * pm.gp.cov.ExpQuad(2, ls=reach[i], active_dims=[0]) for i in range(2))
    return likelihood(X, y, cov)


SADDLES = {"W": 0.0, "size": 0.0, "one": 0.0, "two": 0.0, "reach": 0.3, "noise": 0.2}
CHAINS = {"draws": 400, "tune": 150, "chains": 4, "seed": 5, "progressbar": False}


def model_of(build_gp: Any, cls: Any = PyMCGP) -> Any:
    return cls(*data(), outcome_transform=None, build_gp=build_gp)


@pytest.fixture(autouse=True)
def _ignore_ranges() -> Any:
    with settings.validate_input_scaling(False):
        yield


@pytest.mark.parametrize("build_gp", [of_varieties, of_a_signed_size, of_two_factors])
def test_no_start_stays_on_a_saddle_and_modes_of_one_model_do_not_warn(build_gp: Any) -> None:
    many = model_of(build_gp).fit(num_starts=8, seed=3)
    assert many.fit_result.warning is None
    cold = model_of(build_gp).fit(num_starts=1)
    saddle = {name: np.full(np.shape(value), SADDLES[name]) for name, value in many.point.items()}
    warm = model_of(build_gp).fit(warm_start=saddle, num_starts=1)
    again = model_of(build_gp).fit(warm_start=cold, num_starts=1)
    for model in (cold, warm, again):
        assert model.fit_result.log_posterior == pytest.approx(many.fit_result.log_posterior, abs=SAME_DENSITY)


def test_a_start_leaves_the_point_where_exchangeable_components_are_equal() -> None:
    X = torch.linspace(0, 1, 60, dtype=torch.double)[:, None].expand(-1, 2).clone()
    noise = torch.randn(60, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    Y = (4 * X[:, :1]).sin() + 0.4 * (50 * X[:, :1]).sin() + 0.05 * noise
    equal = {"reach": np.array([0.3, 0.3]), "size": np.array([0.5, 0.5]), "noise": 0.3}
    model = PyMCGP(X, Y, outcome_transform=None, build_gp=of_exchangeable_components).fit(warm_start=equal, num_starts=1)
    assert np.ptp(np.log(model.point["reach"])) > 0.1
    assert model.fit_result.starts == ("warm start",)


def test_chains_of_one_model_are_kept_and_judged_by_what_they_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(of_a_signed_size, FullyBayesianPyMCGP)
    sampling_nuts = attempts.nuts
    drawn = []

    def nuts_once(*arguments: Any) -> Any:
        drawn.append(drawn[0] if drawn else sampling_nuts(*arguments))
        return drawn[0]

    monkeypatch.setattr(attempts, "nuts", nuts_once)
    result = model.fit("nuts", **CHAINS).fit_result
    assert set(np.sign(model.draws["size"])) == {-1.0, 1.0}  # chains on either side
    assert result.r_hat > judging.MAX_R_HAT
    assert result.r_hat_of_predictions < judging.MAX_R_HAT
    assert result.reason.startswith("nuts: passed (of hyperparameters, R-hat is ")
    assert result.warning is None
    monkeypatch.setattr(judging, "of_predictions", lambda *_: Convergence(5.0, 1.6, 400))
    with pytest.warns(FitWarning, match=r"R-hat is 1\.60"):
        model.fit("nuts", **CHAINS)


def test_a_warm_start_is_never_left_for_less() -> None:
    best = model_of(of_a_signed_size).fit()
    again = model_of(of_a_signed_size).fit(warm_start=best, num_starts=1, maxiter=1)
    assert again.fit_result.log_posterior >= best.fit_result.log_posterior - 1e-9
