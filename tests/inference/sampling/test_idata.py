"""ArviZ data of a fit: draws before and after the data, where they are from, and what the fit says of them."""

import copy
import pickle
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from quadrature import raw_data, two
from scipy.stats import kstest, lognorm, multivariate_normal, norm

from pymc_botorch import FullyBayesianPyMCGP
from pymc_botorch.inference.build import build
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.training_data import TrainingData


def many(X: Any, y: Any) -> pm.gp.Marginal:
    """Parameters of several shapes, an improper one, and deterministics of some, of one and of none of them."""
    ell = pm.LogNormal("ell", -0.5, 0.7, dims="feature")
    weights = pm.Dirichlet("weights", np.ones(3))
    mu = pm.Flat("mu")
    level = pm.Normal("level", mu, 1)
    pm.Deterministic("reach", 1 / ell, dims="feature")
    pm.Deterministic("twice", 2 * mu)
    pm.Deterministic("fixed", pm.math.stack([1.0, 2.0]))
    pm.Deterministic("prior_cov", weights[0] * pm.gp.cov.Matern52(X.type.shape[1], ls=ell)(X))
    cov = weights[0] * pm.gp.cov.Matern52(X.type.shape[1], ls=ell) + weights[1] * pm.gp.cov.Linear(X.type.shape[1], c=0.5)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(level), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=pm.HalfNormal("sigma", 0.5))
    return gp


def density() -> Density:
    X, Y = raw_data(6, 2)
    data = TrainingData(X.numpy(), (Y.squeeze(-1) - Y.mean()).numpy())
    return Density(build(many, data), data, "numpy", jacobian=True)


@pytest.fixture(scope="module")
def fits() -> dict[str, FullyBayesianPyMCGP]:
    model = lambda: FullyBayesianPyMCGP(*raw_data(), build_gp=two)  # noqa: E731
    return {
        "laplace": model().fit("laplace", seed=1, num_proposals=6000),
        "smc": model().fit("smc", seed=1, progressbar=False),
    }


def test_many_points_are_recorded_as_pymc_records_each(rng: np.random.Generator) -> None:
    made = density()
    U = made.support + 0.3 * rng.normal(size=(1003, len(made.support)))  # more than one call takes
    scales, values = made.built.scales, made.values
    recorded = scales.recorded(made.split_all(U), values)
    pm_model = scales.pm_model
    variables = [*pm_model.free_RVs, *pm_model.deterministics]
    assert list(recorded) == [rv.name for rv in variables]
    assert {array.shape[0] for array in recorded.values()} == {1003}
    one_by_one = pm_model.compile_fn(pm_model.replace_rvs_by_values(variables), inputs=pm_model.value_vars, mode="FAST_COMPILE")
    for s in (0, 500, 1002):
        point = dict(zip([v.name for v in pm_model.value_vars], made.split(U[s]), strict=True))
        for name, expected in zip(recorded, one_by_one(point), strict=True):
            if name != "prior_cov":  # of the data of the model, which are others
                np.testing.assert_allclose(recorded[name][s], expected, rtol=1e-10, atol=1e-12)
    ell, share = recorded["ell"][7], recorded["weights"][7, 0]
    cov = share * pm.gp.cov.Matern52(2, ls=ell)(made.data.X).eval()
    np.testing.assert_allclose(recorded["prior_cov"][7], cov, rtol=1e-6, atol=1e-9)  # PyMC's distances are not exact


def test_what_depends_on_an_improper_prior_has_none() -> None:
    assert density().built.scales.proper == {"ell", "weights", "sigma", "reach", "fixed", "prior_cov"}
    assert density().built.scales.improper == ("mu",)


@pytest.mark.parametrize("method", ["laplace", "smc"])
def test_the_prior_beside_the_posterior_is_that_of_the_model(fits: dict[str, FullyBayesianPyMCGP], method: str) -> None:
    idata = fits[method].idata
    prior = idata["prior"].dataset
    assert dict(prior.sizes)["draw"] == 500
    assert set(prior.data_vars) == set(idata["posterior"].data_vars) == {"ell", "sigma", "reach"}
    for name, (mean, sd) in {"ell": (-1, 0.7), "sigma": (-2, 1)}.items():
        assert kstest(np.log(prior[name].to_numpy().ravel()), norm(mean, sd).cdf).pvalue > 0.01
    np.testing.assert_allclose(prior["reach"], 1 / prior["ell"])
    assert prior["ell"].dims == idata["posterior"]["ell"].dims


@pytest.mark.parametrize("method", ["laplace", "smc"])
def test_weighted_draws_are_resampled_as_many_as_are_effective(fits: dict[str, FullyBayesianPyMCGP], method: str) -> None:
    fit = fits[method]
    draws = fit.state.sample.draws
    count = fit.idata["posterior"].sizes["draw"]
    assert count == min(int(draws.effective_size), 4000)
    assert fit.idata["weighted_posterior"].sizes["draw"] == len(draws.log_weights)
    weights = np.exp(draws.log_weights)
    made = fit.idata["weighted_posterior"]["ell"].to_numpy().ravel()
    expected = weights @ made
    spread = np.sqrt(weights @ (made - expected) ** 2 / count)
    assert fit.idata["posterior"]["ell"].mean() == pytest.approx(expected, abs=3 * spread)


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")  # few draws
def test_a_hundred_draws_are_there_for_arviz_whatever_their_worth() -> None:
    fit = FullyBayesianPyMCGP(*raw_data(), build_gp=two).fit("laplace", seed=1, num_proposals=150)
    assert fit.state.sample.draws.effective_size < 150
    assert fit.idata["posterior"].sizes["draw"] >= 100
    assert fit.idata["posterior"].attrs["trusted"] == 0
    assert fit.idata["posterior"].attrs["warning"] == fit.fit_result.warning


def test_draws_say_which_run_they_are_from(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    idata = fits["smc"].idata
    source = idata["weights"]["source"].to_numpy().ravel()
    np.testing.assert_array_equal(source, np.repeat(np.arange(4), len(source) // 4))
    lp = dict(zip(idata["weights"]["lp"].to_numpy().ravel(), source, strict=True))
    resampled = idata["sample_stats"]
    assert set(np.unique(resampled["source"])) == {0, 1, 2, 3}
    pairs = zip(resampled["lp"].to_numpy().ravel(), resampled["source"].to_numpy().ravel(), strict=True)
    assert all(lp[value] == run for value, run in pairs)
    assert "source" not in fits["laplace"].idata["sample_stats"]


@pytest.mark.parametrize("method", ["laplace", "smc"])
def test_attributes_say_what_the_fit_does(fits: dict[str, FullyBayesianPyMCGP], method: str) -> None:
    result = fits[method].fit_result
    for group in ("posterior", "sample_stats"):
        attributes = fits[method].idata[group].attrs
        assert (attributes["method"], attributes["trusted"]) == (method, 1)
        assert attributes["log_evidence"] == result.log_evidence
        assert "warning" not in attributes


def test_arviz_draws_prior_and_posterior_in_one_call(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    figure = az.plot_prior_posterior(fits["laplace"].idata, backend="matplotlib")
    assert {"ell", "sigma", "reach"} <= set(figure.viz["plot"].dataset.data_vars)
    summary = az.summary(fits["laplace"].idata)
    assert set(summary.index) == {"ell", "sigma", "reach"}


def by_hand(fit: FullyBayesianPyMCGP, ell: float, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and outcomes as the gp sees them, and the covariance of these, jitter included."""
    x, y = fit.train_inputs[0].numpy(), fit.train_targets.numpy()
    r = np.sqrt(5) * np.abs(x - x.T) / ell
    return x, y, (1 + r + r**2 / 3) * np.exp(-r) + (sigma**2 + 1e-6) * np.eye(len(y))


def log_density(fit: FullyBayesianPyMCGP, posterior: xr.Dataset, s: int, i: int) -> float:
    """Log density of an observation given the others in a draw, in raw units."""
    _, y, K = by_hand(fit, *(float(posterior[name][0, s]) for name in ("ell", "sigma")))
    rest = np.delete(np.arange(len(y)), i)
    weights = np.linalg.solve(K[np.ix_(rest, rest)], K[rest, i])
    alone = norm(weights @ y[rest], np.sqrt(K[i, i] - weights @ K[rest, i]))
    return float(alone.logpdf(y[i]) - np.log(fit.outcome_scale.scale))


@pytest.mark.parametrize("method", ["laplace", "smc"])
def test_densities_are_those_of_the_formulas_in_raw_units(fits: dict[str, FullyBayesianPyMCGP], method: str) -> None:
    idata, scale = fits[method].idata, fits[method].outcome_scale.scale
    posterior, before = idata["posterior"].dataset, idata["log_prior"].dataset
    assert set(before.data_vars) == {"ell", "sigma"}
    assert before["ell"].dims == ("chain", "draw")
    for name, (mean, sd) in {"ell": (-1, 0.7), "sigma": (-2, 1)}.items():
        expected = lognorm(sd, scale=np.exp(mean)).logpdf(posterior[name])
        np.testing.assert_allclose(before[name], expected, rtol=1e-6, atol=1e-9)
    for s in (0, 40, 99):
        ell, sigma = (float(posterior[name][0, s]) for name in ("ell", "sigma"))
        _, y, K = by_hand(fits[method], ell, sigma)
        joint = multivariate_normal(np.zeros(len(y)), K).logpdf(y) - len(y) * np.log(scale)
        assert float(idata["log_marginal_likelihood"]["y"][0, s]) == pytest.approx(joint, abs=1e-5)
        for i in (0, 7):
            assert float(idata["log_likelihood"]["y"][0, s, i]) == pytest.approx(
                log_density(fits[method], posterior, s, i), abs=1e-5
            )


def test_replicates_are_new_observations_at_the_training_inputs(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    fit = fits["laplace"]
    idata, (X, Y) = fit.idata, raw_data()
    np.testing.assert_allclose(idata["observed_data"]["y"], Y.squeeze(-1))
    drawn = idata["posterior_predictive"]["y"].to_numpy()[0]
    assert drawn.shape == (idata["posterior"].sizes["draw"], len(Y))
    posterior = fit.posterior(X, observation_noise=True)
    sd = posterior.mixture_variance.sqrt().squeeze(-1).numpy()
    np.testing.assert_allclose(drawn.mean(0), posterior.mixture_mean.squeeze(-1), atol=0.1 * sd.max())
    np.testing.assert_allclose(drawn.std(0), sd, rtol=0.15)


def test_arviz_takes_resampled_draws_for_independent_ones(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    for fit in fits.values():
        posterior = fit.idata["posterior"]
        if "weights" in fit.idata.children:  # not chains
            sizes = az.ess(posterior)
            assert min(float(sizes[name].min()) for name in sizes.data_vars) > 0.7 * posterior.sizes["draw"]


def test_a_loaded_model_has_the_densities_of_its_draws(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    fit = fits["laplace"]
    loaded = copy.deepcopy(fit)
    loaded.load_state_dict(fit.state_dict())
    idata, (_, Y) = loaded.idata, raw_data()
    assert set(idata.children) == {"posterior", "observed_data", "log_likelihood", "posterior_predictive"}
    np.testing.assert_allclose(idata["observed_data"]["y"], Y.squeeze(-1))
    expected = log_density(fit, idata["posterior"].dataset, 3, 7)
    assert float(idata["log_likelihood"]["y"][0, 3, 7]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore::UserWarning")  # three of the ten observations are hard to leave out
def test_arviz_judges_a_fit_by_its_record(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    ours = {name: fit.leave_one_out(num_draws=None) for name, fit in fits.items()}
    found = {name: az.loo(fit.idata, pointwise=True) for name, fit in fits.items()}
    for name, loo in found.items():
        easy = loo.pareto_k.to_numpy() < 0.6
        assert easy.sum() >= 5
        np.testing.assert_allclose(loo.elpd_i[easy], ours[name].log_density[easy], atol=0.02)
    table = az.compare({name: fit.idata for name, fit in fits.items()}, round_to="none")
    assert dict(table["elpd"]) == pytest.approx({name: loo.elpd for name, loo in found.items()})
    idata = fits["laplace"].idata
    for plot in (az.plot_ppc_dist, az.plot_loo_pit, az.plot_ppc_pit):
        assert "y" in plot(idata, backend="matplotlib").viz["plot"].dataset.data_vars


def test_arviz_tells_what_priors_and_likelihood_do(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    idata = fits["laplace"].idata
    copied = idata.copy()
    copied["log_likelihood"] = copied["log_marginal_likelihood"]
    summary, joint = (az.psense_summary(one, round_to=9) for one in (idata, copied))
    assert set(summary.index) == {"ell", "sigma", "reach"}
    np.testing.assert_allclose(summary["prior"], joint["prior"])
    assert (summary["likelihood"] > joint["likelihood"]).all()  # neighbours are counted several times
    assert "log_marginal_likelihood" in idata.children
    assert idata["log_likelihood"]["y"].ndim == 3


def test_a_record_is_pickled_with_what_it_computes(fits: dict[str, FullyBayesianPyMCGP]) -> None:
    idata = fits["laplace"].idata
    twin = pickle.loads(pickle.dumps(idata))
    for group, name in (("log_prior", "ell"), ("log_marginal_likelihood", "y"), ("posterior_predictive", "y")):
        np.testing.assert_array_equal(twin[group][name], idata[group][name])
