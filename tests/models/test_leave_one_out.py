"""Leave-one-out predictions: equal to conditioning on the others, for points, sums and draws; PIT, coverage, table, figure."""

import copy
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.cross_validation import loo_cv
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Log, Standardize
from quadrature import two
from scipy.special import logsumexp, ndtr
from scipy.stats import norm
from zoo import JITTER, ZOO, Specimen, data, inputs, marginal, of_kernel, outcomes

from pymc_botorch import FullyBayesianPyMCGP, LeaveOneOut, PyMCGP

cov = pm.gp.cov
SAME = {"rtol": 0, "atol": 1e-8}
SAMPLING = {"rtol": 0, "atol": 0.03}  # 1500 weighted draws


def read(specimen: Specimen, **options: Any) -> PyMCGP:
    return PyMCGP.from_fitted(specimen.gp, specimen.point, model=specimen.pm_model, given=specimen.given, **options)


def by_hand(mean: np.ndarray, K: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each observation given the others, by conditioning on these."""
    means, variances = [], []
    for i in range(len(y)):
        rest = np.delete(np.arange(len(y)), i)
        weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
        means.append(mean[i] + weights @ (y - mean)[rest])
        variances.append(K[i, i] - weights @ K[rest, i])
    return np.array(means), np.array(variances)


def conditioned_on_the_others(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same by other training data of a copy of the model, in raw units."""
    X, y, means, variances = model.train_inputs[0], model.train_targets, [], []
    for i in range(len(y)):
        rest, other = np.delete(np.arange(len(y)), i), copy.deepcopy(model)
        other.set_train_data(X[rest], y[rest], strict=False)
        posterior = other.posterior(X[i : i + 1], observation_noise=True)
        means.append(posterior.mean.item())
        variances.append(posterior.variance.item())
    return np.array(means), np.array(variances)


@pytest.mark.parametrize("name", ["Matern52", "noise for each observation", "correlated noise", "a component of a sum"])
def test_a_point_predicts_each_observation_as_numpy_does_from_the_others(name: str) -> None:
    specimen = ZOO[name]()
    gp = specimen.given["gp"] if specimen.given else specimen.gp  # observations are of the sum
    X, y = inputs(), outcomes(inputs())
    sigma = gp.sigma
    noise = sigma(X).eval() if isinstance(sigma, cov.BaseCovariance) else np.diag(np.broadcast_to(np.square(sigma), 12))
    K = gp.cov_func(X).eval() + JITTER * np.eye(12) + noise
    mean, variance = by_hand(np.broadcast_to(gp.mean_func(X).eval(), 12), K, y)
    found = read(specimen).leave_one_out()
    np.testing.assert_allclose(found.observed, y)
    np.testing.assert_allclose(found.mean, mean, **SAME)
    np.testing.assert_allclose(found.sd, np.sqrt(variance - JITTER), **SAME)  # as posterior(observation_noise=True): without
    np.testing.assert_allclose(found.standardised_residual, (y - mean) / found.sd, **SAME)
    np.testing.assert_allclose(found.pit, ndtr((y - mean) / found.sd), **SAME)
    np.testing.assert_allclose(found.log_density, norm.logpdf(y, mean, found.sd), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.lower, norm.ppf(0.025, mean, found.sd), **SAME)
    np.testing.assert_allclose(found.upper, norm.ppf(0.975, mean, found.sd), **SAME)
    assert found.pareto_k is None


@pytest.mark.parametrize("name", ["VFE", "FITC", "MarginalKron", "ExpQuad * Coregion", "own mean, priors on all"])
def test_every_kind_predicts_as_when_conditioned_on_the_others(name: str) -> None:
    model = read(ZOO[name]())
    mean, variance = conditioned_on_the_others(model)
    found = model.leave_one_out()
    np.testing.assert_allclose(found.mean, mean, **SAME)
    np.testing.assert_allclose(found.sd, np.sqrt(variance), **SAME)


def in_kilograms(**options: Any) -> PyMCGP:
    case, outcome = marginal(), Standardize(m=1)
    outcome(torch.tensor([[1000.0], [1400.0], [1900.0]], dtype=torch.double))
    return PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, outcome_transform=outcome.eval())


def test_predictions_are_in_raw_units() -> None:
    model = in_kilograms()
    mean, variance = conditioned_on_the_others(model)
    found, inside = model.leave_one_out(), model.leave_one_out(raw=False)
    offset, scale = model.outcome_scale.offset, model.outcome_scale.scale
    np.testing.assert_allclose(found.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(found.sd, np.sqrt(variance), rtol=1e-9)
    np.testing.assert_allclose(found.observed, offset + scale * model.train_targets.numpy())
    np.testing.assert_allclose(inside.mean, (mean - offset) / scale, rtol=1e-9)
    np.testing.assert_allclose(found.log_density, inside.log_density - np.log(scale))
    for name in ("pit", "standardised_residual"):
        np.testing.assert_allclose(getattr(found, name), getattr(inside, name))
    np.testing.assert_allclose(found.rmse, np.sqrt(np.mean((found.observed - mean) ** 2)))


def test_known_variances_are_each_observations_own() -> None:
    X, y = data()

    def build_gp(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=cov.Matern52(2, ls=pm.LogNormal("ell", -1, 0.5)))
        gp.marginal_likelihood("y", X, y, sigma=sigma)
        return gp

    variances = np.linspace(0.5, 4.0, 12)
    raw = torch.from_numpy(100 + 10 * y)[:, None]
    model = PyMCGP(torch.from_numpy(X), raw, torch.from_numpy(variances)[:, None], build_gp=build_gp)
    scale = model.outcome_scale.scale
    K = cov.Matern52(2, ls=model.point["ell"])(X).eval() + np.diag(variances / scale**2 + JITTER)
    mean, variance = by_hand(np.zeros(12), K, model.train_targets.numpy())
    found = model.leave_one_out()
    np.testing.assert_allclose(found.mean, model.outcome_scale.offset + scale * mean, rtol=1e-9)
    np.testing.assert_allclose(found.sd, scale * np.sqrt(variance - JITTER), rtol=1e-8)


# Draws


def grid(n: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Data, and covariances ``G x n x n`` and log priors of a grid of the two parameters of ``two``."""
    x = np.linspace(0, 1, n)[:, None]
    y = np.sin(6 * x[:, 0]) + np.array([0.3, -0.3, 0.1, 0.4, -0.2, 0.0, -0.1])
    a, b = (axis.ravel() for axis in np.meshgrid(np.linspace(-3.1, 1.1, 60), np.linspace(-5, 1.5, 60)))
    r = np.sqrt(5) * np.abs(x - x.T) / np.exp(a)[:, None, None]
    K = (1 + r + r**2 / 3) * np.exp(-r) + (np.exp(2 * b)[:, None, None] + JITTER) * np.eye(n)
    return x, y, K, np.stack([a, b, -0.5 * ((a + 1) / 0.7) ** 2 - 0.5 * (b + 2) ** 2])


def log_likelihood(K: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -0.5 * (np.linalg.slogdet(K)[1] + (y * np.linalg.solve(K, y[:, None])[..., 0]).sum(-1))


@pytest.fixture(scope="module")
def sampled() -> tuple[FullyBayesianPyMCGP, LeaveOneOut]:
    """A model of draws from the posterior given all observations, by quadrature, and its leave-one-out predictions."""
    x, y, K, (a, b, log_prior) = grid()
    log_p = log_prior + log_likelihood(K, y)
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(a), 1500, p=np.exp(log_p - logsumexp(log_p)))
    draws = xr.Dataset({"ell": ("draw", np.exp(a[chosen])), "sigma": ("draw", np.exp(b[chosen]))})
    with pm.Model() as pm_model:
        gp = two(pm.Data("X", x, shape=(None, 1)), y)
    model = FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=4, model=pm_model)
    return model, model.leave_one_out(num_draws=None)


def test_draws_are_weighed_to_leave_each_observation_out(sampled: tuple[FullyBayesianPyMCGP, LeaveOneOut]) -> None:
    """Quadrature over the hyperparameters given the others, for each observation."""
    _, y, K, (_, _, log_prior) = grid()
    found = sampled[1]
    for i in range(len(y)):
        rest = np.delete(np.arange(len(y)), i)
        others = K[:, rest][:, :, rest]
        log_w = log_prior + log_likelihood(others, y[rest])
        w = np.exp(log_w - logsumexp(log_w))
        solved = np.linalg.solve(others, K[:, rest, i][..., None])[..., 0]
        means, variances = solved @ y[rest], K[:, i, i] - JITTER - (solved * K[:, rest, i]).sum(-1)
        mean = w @ means
        np.testing.assert_allclose(found.mean[i], mean, **SAMPLING)
        np.testing.assert_allclose(found.sd[i], np.sqrt(w @ (variances + (means - mean) ** 2)), **SAMPLING)
        np.testing.assert_allclose(found.pit[i], w @ ndtr((y[i] - means) / np.sqrt(variances)), **SAMPLING)
        np.testing.assert_allclose(found.log_density[i], np.log(w @ norm.pdf(y[i], means, np.sqrt(variances))), rtol=0, atol=0.1)
        for level, end in ((0.025, found.lower[i]), (0.975, found.upper[i])):
            np.testing.assert_allclose(w @ ndtr((end - means) / np.sqrt(variances)), level, rtol=0, atol=0.01)
    assert (found.pareto_k < 0.7).all()


def test_each_draw_alone_would_not_know_that_it_was_given_the_observation(
    sampled: tuple[FullyBayesianPyMCGP, LeaveOneOut],
) -> None:
    model, _ = sampled
    some = model.leave_one_out(num_draws=300)
    np.testing.assert_allclose(some.mean, sampled[1].mean, rtol=0, atol=0.1)
    with pytest.warns(UserWarning, match="There are only 10 draws, too few.*25 or more"):
        model.leave_one_out(num_draws=10)
    with pytest.raises(InputDataError, match="num_draws is 0"):
        model.leave_one_out(num_draws=0)


def test_weights_that_cannot_be_relied_on_are_told_by_row() -> None:
    rng = np.random.default_rng(0)
    x, y = np.linspace(0, 1, 8)[:, None], np.array([0.0, 0.1, 0.0, -0.1, 0.0, 30.0, 0.0, 0.1])  # an outlier
    draws = xr.Dataset({"ell": ("draw", np.exp(rng.normal(size=200))), "sigma": ("draw", np.exp(rng.normal(1.5, 0.7, size=200)))})
    with pm.Model() as pm_model:
        model = FullyBayesianPyMCGP.from_fitted(two(pm.Data("X", x, shape=(None, 1)), y), draws, num_draws=4, model=pm_model)
    with pytest.warns(UserWarning, match=r"not below 0.57 for \d of 8 observations \(row .*5: .*without these rows"):
        model.leave_one_out()


def test_draws_of_a_fit_are_all_there_not_only_those_kept() -> None:
    x, y, *_ = grid()
    model = FullyBayesianPyMCGP(torch.from_numpy(x), torch.from_numpy(y)[:, None], build_gp=two)
    model.fit("laplace", num_draws=4, num_proposals=2000, seed=1)
    found = model.leave_one_out()
    assert found.pareto_k.shape == (7,)
    assert np.isfinite(found.mean).all()


def test_a_gp_without_hyperparameters_has_no_weights() -> None:
    specimen = of_kernel(lambda: cov.Matern52(2, ls=[0.4, 0.7]))
    none = xr.Dataset({"other": ("draw", np.zeros(3))})
    with specimen.pm_model:
        pm.Normal("other")
    model = FullyBayesianPyMCGP.from_fitted(specimen.gp, none, num_draws=3, model=specimen.pm_model)
    np.testing.assert_allclose(model.leave_one_out().mean, read(specimen).leave_one_out().mean, **SAME)


# Table, figure, refusals


def test_the_table_and_the_figure_have_every_observation() -> None:
    import matplotlib.pyplot as plt

    found = in_kilograms().leave_one_out()
    frame = found.to_frame()
    assert len(frame) == 12
    np.testing.assert_array_equal(frame["sd"], found.sd)
    inside = (found.observed >= found.lower) & (found.observed <= found.upper)
    np.testing.assert_array_equal(frame["within_95%"], inside)
    assert found.coverage == {level: frame[f"within_{level:.0%}"].mean() for level in (0.5, 0.8, 0.95)}
    with pytest.raises(ValueError, match="level is 95"):
        found.covered(95)
    left, right = found.plot()
    assert "observed" in left.get_ylabel()
    assert sum(patch.get_height() for patch in right.patches) == 12
    assert found.plot((left, right))[0] is left
    plt.close("all")


def test_calibrated_models_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(300, 2))
    K = cov.Matern52(2, ls=0.3)(X).eval() + 0.04 * np.eye(300)
    y = np.linalg.cholesky(K) @ rng.normal(size=300)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=cov.Matern52(2, ls=0.3))
        gp.marginal_likelihood("y", X, y, sigma=0.2)
    found = PyMCGP.from_fitted(gp, {}, model=pm_model).leave_one_out()
    for level, share in found.coverage.items():
        assert abs(share - level) < 3 * np.sqrt(level * (1 - level) / 300)
    assert abs(found.standardised_residual.std() - 1) < 0.15


def test_what_cannot_be_left_out_is_refused_with_a_way_on() -> None:
    case = marginal()
    plain = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    log = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, outcome_transform=Log())
    with pytest.raises(UnsupportedError, match=r"Log is not linear.*raw=False"):
        log.leave_one_out()
    np.testing.assert_allclose(log.leave_one_out(raw=False).mean, plain.leave_one_out().mean)
    more = plain.condition_on_observations(torch.rand(1, 2).double(), torch.zeros(1, 1).double())
    with pytest.raises(UnsupportedError, match=r"conditioned on more observations.*fitted to all data"):
        more.leave_one_out()


def test_botorchs_own_cross_validation_agrees() -> None:
    model = in_kilograms()
    theirs, ours = loo_cv(model), model.leave_one_out()
    jitter = JITTER * model.outcome_scale.scale**2  # theirs has it in the variance
    np.testing.assert_allclose(theirs.posterior.mean.squeeze().numpy(), ours.mean, rtol=1e-8)
    np.testing.assert_allclose(theirs.posterior.variance.squeeze().numpy(), ours.sd**2 + jitter, rtol=1e-8)
