"""Models made from data and fitted by draws: each method, old draws with new weights; diagnostics and records."""

import copy
import os
import pickle
import re
import signal
import threading
from dataclasses import replace
from functools import partial
from typing import Any

import arviz as az
import numpy as np
import nutpie
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.acquisition import qLogExpectedImprovement
from botorch.exceptions.errors import InputDataError, ModelFittingError, UnsupportedError
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from quadrature import by_quadrature, raw_data, two
from zoo import saas

from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP, cache_clear, cache_info
from pymc_botorch.errors import FitError
from pymc_botorch.inference.build import build
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.sampling import attempts, fitting, target
from pymc_botorch.inference.sampling.methods import nuts
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models import state

QUICK = {"draws": 60, "tune": 60, "chains": 2, "progressbar": False}
DRAWS = 500
UNTRUSTED = pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")  # few draws are


def many(X: Any, y: Any) -> pm.gp.Marginal:
    """Parameters of several kinds of support and shape, a scale that depends on another, a potential."""
    ell = pm.LogNormal("ell", -0.5, 0.7, dims="feature")
    weights = pm.Dirichlet("weights", np.ones(3))
    top = pm.Gamma("top", 2, 1)
    eta = pm.Uniform("eta", 0.1, 0.2 + top)
    mu = pm.Normal("mu", 0, 2)
    pm.Potential("expert", -((mu - 0.3) ** 2))
    d = X.type.shape[1]
    cov = eta**2 * weights[0] * pm.gp.cov.Matern52(d, ls=ell) + weights[1] * pm.gp.cov.Linear(d, c=0.5)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mu), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=pm.HalfNormal("sigma", 0.5))
    return gp


def known(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.7)))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


def model(n: int = 10, **options: Any) -> FullyBayesianPyMCGP:
    return FullyBayesianPyMCGP(*raw_data(n), build_gp=two, **options)


@pytest.fixture(scope="module")
def sampled() -> FullyBayesianPyMCGP:
    return model().fit("nuts", draws=DRAWS, tune=250, chains=2, seed=1, progressbar=False)


@pytest.fixture(scope="module")
def weighted() -> FullyBayesianPyMCGP:
    return model().fit(seed=1)


def density_of(builder: Any, n: int = 8, d: int = 2, *, jacobian: bool) -> Density:
    X, Y = raw_data(n, d)
    data = TrainingData(X.numpy(), (Y.squeeze(-1) - Y.mean()).numpy())
    return Density(build(builder, data), data, "numpy", jacobian=jacobian)


@pytest.mark.parametrize("jacobian", [False, True])
def test_the_density_is_pymcs_on_either_scale(jacobian: bool, rng: np.random.Generator) -> None:
    density = density_of(many, jacobian=jacobian)
    pm_model = density.built.scales.pm_model
    logp = pm_model.compile_logp(jacobian=jacobian)
    for _ in range(3):
        u = density.support + 0.3 * rng.normal(size=density.support.shape)
        values = dict(zip([v.name for v in pm_model.value_vars], density.split(u), strict=True))
        value, gradient = density(u)
        assert value == pytest.approx(float(logp(values)), rel=1e-10)
        steps = 1e-6 * np.eye(len(u))
        differences = [(density(u + s)[0] - density(u - s)[0]) / 2e-6 for s in steps]
        np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("method", ["nuts", "laplace", "smc", "importance", "auto"])
def test_all_draws_of_each_method_give_the_posterior_of_quadrature(method: str) -> None:
    X, Y = raw_data(10)
    at = np.linspace(-0.1, 1.1, 25)[:, None]
    mean, sd = by_quadrature(X, Y, at)
    options: dict[str, Any] = {
        "num_draws": None,
        "seed": 3,
        "progressbar": False,
        "draws": 400,
        "tune": 200,
        "num_proposals": 2500,
    }
    before = model(8).fit(**options) if method == "auto" else None
    fitted = FullyBayesianPyMCGP(X, Y, build_gp=two).fit(method, before, **options)
    assert fitted.fit_result.method == {"auto": "reweighted"}.get(method, method)
    assert fitted.num_mcmc_samples == int(fitted.state.sample.draws.effective_size) > 800
    posterior = fitted.posterior(torch.from_numpy(at))
    scale = np.ptp(mean)
    np.testing.assert_allclose(posterior.mixture_mean.squeeze(-1).numpy(), mean, rtol=0, atol=0.02 * scale)
    np.testing.assert_allclose(posterior.mixture_variance.sqrt().squeeze(-1).numpy(), sd, rtol=0, atol=0.02 * scale)


def test_the_kept_draws_are_single_models(sampled: FullyBayesianPyMCGP) -> None:
    X, Y = raw_data()
    at = torch.rand(5, 2, 1, dtype=torch.double)
    assert sampled.num_mcmc_samples == 16
    posterior = sampled.posterior(at)
    for s in (0, 7, 15):
        single = PyMCGP(X, Y, build_gp=two)
        built, data = single._build()
        draw = {name: values[s : s + 1] for name, values in sampled.draws.items()}
        single._replace_state(single._conditioned(built, data, draw, 1))
        torch.testing.assert_close(posterior.mean[:, s], single.posterior(at).mean, rtol=0, atol=1e-8)
        torch.testing.assert_close(posterior.variance[:, s], single.posterior(at).variance, rtol=0, atol=1e-8)


def test_the_record_is_arviz_data_with_coords(sampled: FullyBayesianPyMCGP) -> None:
    idata = sampled.idata
    assert idata is sampled.idata
    assert dict(idata.posterior.sizes) == {"chain": 2, "draw": DRAWS}
    assert set(idata.posterior.data_vars) == {"ell", "sigma", "reach"}
    np.testing.assert_allclose(idata.posterior["reach"], 1 / idata.posterior["ell"])
    assert {"lp", "diverging", "tree_depth", "energy"} <= set(idata.sample_stats.data_vars)
    np.testing.assert_allclose(idata.observed_data["y"], raw_data()[1].squeeze(-1))
    np.testing.assert_allclose(idata.constant_data["train_X"], raw_data()[0])
    assert idata.constant_data["train_X"].dims == ("obs_id", "feature")
    summary = az.summary(idata, round_to="none")
    assert sampled.fit_result.r_hat == pytest.approx(summary["r_hat"].astype(float).max(), abs=0.02)
    assert set(sampled.draws["ell"]) <= set(idata.posterior["ell"].to_numpy().ravel())


@UNTRUSTED
def test_the_record_of_fantasies_is_that_of_the_fit() -> None:
    fitted = model().fit("laplace", num_draws=4, seed=2)
    X, Y = raw_data(3)
    fantasy = fitted.condition_on_observations(X, Y)
    xr.testing.assert_identical(fantasy.idata["posterior"].dataset, fitted.idata["posterior"].dataset)
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        fantasy.fit("laplace")


def test_weights_are_in_the_record_and_the_posterior_is_of_equal_ones() -> None:
    fitted = FullyBayesianPyMCGP(*raw_data(8, 2), build_gp=many).fit("importance", seed=0)
    idata = fitted.idata
    made = idata["weighted_posterior"].dataset
    weights = np.exp(idata["weights"]["log_weight"])
    assert float(weights.sum()) == pytest.approx(1)
    for name in ("mu", "ell"):
        expected = (weights * made[name]).sum(("chain", "draw"))
        spread = float(made[name].std()) / np.sqrt(300)
        np.testing.assert_allclose(idata.posterior[name].mean(("chain", "draw")), expected, atol=3 * spread)
    assert idata.posterior["ell"].dims == ("chain", "draw", "feature")
    assert idata.posterior["weights"].dims == ("chain", "draw", "weights_dim_0")
    np.testing.assert_allclose(idata.posterior["weights"].sum("weights_dim_0"), 1)
    assert "y" in idata.observed_data
    result = fitted.fit_result
    assert result.k < 0.7
    assert result.ess == pytest.approx(1 / float((weights**2).sum()), rel=1e-6)
    assert (result.r_hat, result.divergences, result.reason) == (None, None, "importance: passed")


def test_seeds_come_from_torch_or_are_given() -> None:
    torch.manual_seed(4)
    first, second = model().fit("laplace"), model().fit("laplace")
    torch.manual_seed(4)
    again = model().fit("laplace")
    np.testing.assert_array_equal(first.draws["ell"], again.draws["ell"])
    assert (first.draws["ell"] != second.draws["ell"]).any()


@UNTRUSTED
def test_nuts_is_reproducible_by_its_seed() -> None:
    one, two_, other = (model().fit("nuts", seed=seed, **QUICK).draws["ell"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two_)
    assert (one != other).any()


def test_auto_weighs_the_original_draws_round_after_round(weighted: FullyBayesianPyMCGP) -> None:
    before = weighted
    for n in (11, 12, 14):
        new = model(n).fit("auto", before, seed=0)
        assert new.fit_result.method == "reweighted"
        assert new.fit_result.reason == "reweighted: passed"
        assert new.state.sample.draws.unconstrained is weighted.state.sample.draws.unconstrained
        assert new.fit_result.evaluations == len(weighted.state.sample.draws.unconstrained)
        before = new
    direct = model(14).fit("auto", weighted, seed=0)
    np.testing.assert_array_equal(direct.draws["ell"], before.draws["ell"])
    assert new.fit_result.ess < 0.9 * weighted.fit_result.ess


def test_auto_goes_on_where_old_draws_do_not_pass(sampled: FullyBayesianPyMCGP) -> None:
    X, Y = raw_data(30)
    elsewhere = FullyBayesianPyMCGP(X, (40 * X).sin() + 0.01 * Y, build_gp=two).fit("auto", sampled, seed=0)
    assert elsewhere.fit_result.method == "importance"
    assert elsewhere.fit_result.trusted
    assert re.search(
        r"reweighted: (hardly any draw|Pareto k is|there are \d+ effective draws, fewer than 400).*; importance: passed",
        elsewhere.fit_result.reason,
    )


def test_few_draws_warn_with_their_numbers() -> None:
    fitted = model()
    with pytest.warns(
        FitWarning,
        match=r"The draws by NUTS may not represent the posterior: .*effective sample size is \d+ of 40 draws.*Sample longer",
    ) as caught:
        fitted.fit("nuts", draws=20, tune=20, chains=2, seed=0, progressbar=False)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert fitted.fit_result.warning == str(caught[0].message)
    with pytest.warns(FitWarning, match=r"The draws by Laplace's method may not represent the posterior: .*Use method='auto'"):
        model().fit("laplace", num_proposals=100, seed=0)


def test_an_interrupt_leaves_the_last_fit(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, sampled: FullyBayesianPyMCGP
) -> None:
    interrupted = copy.deepcopy(sampled)
    at = torch.linspace(0, 1, 5, dtype=torch.double).unsqueeze(-1)
    before, result = interrupted.posterior(at).mean, interrupted.fit_result
    sample = nutpie.sample

    def interrupted_soon(*args: Any, **options: Any) -> Any:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        return sample(*args, **options)

    monkeypatch.setattr(nutpie, "sample", interrupted_soon)
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process begins with the signal ignored
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit("nuts", draws=2000, seed=0, progressbar=False)
    assert interrupted.fit_result is result
    torch.testing.assert_close(interrupted.posterior(at).mean, before, rtol=0, atol=0)
    assert interrupted.idata.posterior.sizes["draw"] == DRAWS


@UNTRUSTED
def test_pymcs_own_sampler_serves_without_nutpie(monkeypatch: pytest.MonkeyPatch, sampled: FullyBayesianPyMCGP) -> None:
    monkeypatch.setattr(nuts, "find_spec", lambda _: None)
    fitted = model(12).fit("nuts", seed=1, draws=150, tune=150, chains=2, progressbar=False)
    assert fitted.idata.sample_stats.attrs["inference_library"] == "pymc"
    assert np.log(fitted.idata.posterior["ell"]).mean() == pytest.approx(
        float(np.log(sampled.idata.posterior["ell"]).mean()), abs=0.5
    )
    density = density_of(two, 12, 1, jacobian=True)
    assert fitted.state.sample.draws.unconstrained.shape == (300, len(density.support))
    again = model(13).fit("auto", fitted, seed=0)
    assert again.fit_result.attempts[0].method == "reweighted"
    assert again.fit_result.attempts[0].ess > 50


def test_an_interrupt_of_pymcs_sampler_is_one(monkeypatch: pytest.MonkeyPatch, sampled: FullyBayesianPyMCGP) -> None:
    monkeypatch.setattr(nuts, "find_spec", lambda _: None)
    short = sampled.idata.isel(draw=slice(0, 37))  # what PyMC returns then
    monkeypatch.setattr(nuts.pm, "sample", lambda *_, **__: short)
    interrupted = model()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit("nuts", draws=250, chains=2, progressbar=False)
    assert interrupted.fit_result is None


def test_auto_goes_on_where_a_method_fails(monkeypatch: pytest.MonkeyPatch, sampled: FullyBayesianPyMCGP) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise FitError("None of 5 starts")

    monkeypatch.setattr(target, "modes", fails)
    with pytest.raises(ModelFittingError, match="None of 5 starts"):
        model().fit("laplace")
    assert model().fit(seed=1).fit_result.reason == "importance: passed"  # which does without modes
    monkeypatch.setattr(attempts, "adapt", fails)
    monkeypatch.setitem(fitting.WAYS, "smc", fails)
    monkeypatch.setattr(fitting, "LONGER_SMC", fails)
    fitted = model().fit(draws=DRAWS, tune=250, chains=2, seed=1, progressbar=False)
    failed = "".join(f"{name}: None of 5 starts; " for name in ("importance", "smc", "smc"))
    assert fitted.fit_result.reason == f"{failed}nuts: passed"
    np.testing.assert_array_equal(fitted.draws["ell"], sampled.draws["ell"])


def test_factors_beyond_a_limit_are_not_kept(monkeypatch: pytest.MonkeyPatch, sampled: FullyBayesianPyMCGP) -> None:
    at = torch.rand(3, 2, 1, dtype=torch.double, requires_grad=True)
    expected = sampled.posterior(at)
    (gradient,) = torch.autograd.grad(expected.variance.sum(), at)
    monkeypatch.setattr(state, "KEPT_BYTES", 5 * 8 * 11 * 10)
    small = copy.deepcopy(sampled)
    small.load_state_dict(sampled.state_dict())
    kept = [process.posterior.nbytes > 0 for process in small.process.processes]
    assert 0 < sum(kept) < 16
    got = small.posterior(at)
    torch.testing.assert_close(got.mean, expected.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(got.variance.sum(), at)[0], gradient, rtol=0, atol=1e-10)


def test_a_sparse_gp_has_its_outcomes_in_the_record() -> None:
    def sparse(X: Any, y: Any) -> pm.gp.MarginalApprox:
        gp = pm.gp.MarginalApprox(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("ell", -0.5, 0.7)), approx="VFE")
        gp.marginal_likelihood("y", X, np.linspace(0, 1, 4)[:, None], y, sigma=pm.LogNormal("sigma", -2, 1))
        return gp

    fitted = FullyBayesianPyMCGP(*raw_data(), build_gp=sparse).fit("laplace", seed=0)
    np.testing.assert_allclose(fitted.idata.observed_data["train_Y"], raw_data()[1].squeeze(-1))
    assert fitted.idata["posterior_predictive"]["train_Y"].dims == fitted.idata["log_likelihood"]["train_Y"].dims


@UNTRUSTED
def test_refits_with_more_data_compile_nothing_new() -> None:
    cache_clear()
    before = None
    for n in (6, 9, 12):
        for method in ("laplace", "nuts", "auto"):
            before = model(n).fit(method, before, seed=0, num_draws=4, **QUICK)
            before.posterior(raw_data(3)[0])
    info = cache_info()
    assert (info.compilations, info.structures, info.builders) == (2, 2, 1)


def test_state_copies_and_pickles_keep_the_draws(sampled: FullyBayesianPyMCGP) -> None:
    at = torch.rand(4, 1, dtype=torch.double)
    expected = sampled.posterior(at)
    for twin in (copy.deepcopy(sampled), pickle.loads(pickle.dumps(sampled))):
        torch.testing.assert_close(twin.posterior(at).mean, expected.mean, rtol=0, atol=1e-12)
        assert twin.fit_result == sampled.fit_result
        again = model(11).fit("auto", twin, seed=0).fit_result
        assert again == replace(model(11).fit("auto", sampled, seed=0).fit_result, seconds=again.seconds, attempts=again.attempts)
    fresh = model(12)
    fresh.load_state_dict(sampled.state_dict())
    np.testing.assert_array_equal(fresh.draws["ell"], sampled.draws["ell"])
    assert fresh.fit_result is None
    np.testing.assert_array_equal(fresh.idata.posterior["ell"], sampled.draws["ell"][None])
    begun = model(12).fit("auto", fresh, seed=0)  # weights of its draws are not known: they are where climbs begin
    assert begun.fit_result.attempts[0].method == "importance"


def test_it_predicts_before_a_fit_and_follows_its_data(sampled: FullyBayesianPyMCGP) -> None:
    unfitted = model()
    assert unfitted.num_mcmc_samples == 1
    single = PyMCGP(*raw_data(), build_gp=two)
    at = torch.rand(3, 1, dtype=torch.double)
    torch.testing.assert_close(unfitted.posterior(at).mean[0], single.posterior(at).mean, rtol=0, atol=1e-12)


def test_known_noise_and_natural_units() -> None:
    X, Y = raw_data(8)
    noisy = FullyBayesianPyMCGP(X, Y, torch.full_like(Y, 0.01), build_gp=known).fit("laplace", seed=0, num_proposals=800)
    assert noisy.posterior(X).mean.shape == (16, 8, 1)
    assert noisy.idata.constant_data["train_sd"].shape == (8,)
    assert noisy.likelihood.noise.shape == (16, 8)

    class Natural(FullyBayesianPyMCGP):
        units = "natural"

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            gp = pm.gp.Marginal(
                mean_func=pm.gp.mean.Constant(3.0), cov_func=4 * pm.gp.cov.Matern52(1, ls=pm.Gamma("ell", 2, 0.1))
            )
            gp.marginal_likelihood("y", X, y, sigma=pm.HalfNormal("sigma", 0.5))
            return gp

    natural = Natural(100 * X, Y).fit("laplace", seed=0, num_proposals=800)
    assert 3 < np.median(natural.draws["ell"]) < 300
    scaled = FullyBayesianPyMCGP(100 * X, Y, input_transform=Normalize(1), build_gp=two).fit("laplace", seed=0, num_proposals=800)
    assert scaled.idata.constant_data["train_X"].max() <= 1


@UNTRUSTED
def test_a_subclass_proposes_a_batch() -> None:
    class Trial(FullyBayesianPyMCGP):
        reach = -1.0

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", self.reach, 0.7)))
            gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
            return gp

    X, Y = raw_data()
    fitted = Trial(X, Y).fit("nuts", seed=0, num_draws=4, **QUICK)
    acqf = qLogExpectedImprovement(fitted, best_f=Y.max())
    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double)
    candidates, value = optimize_acqf(acqf, bounds, q=2, num_restarts=2, raw_samples=8)
    assert candidates.shape == (2, 1)
    assert torch.isfinite(value)
    assert set(Trial(X, Y).fit("laplace", fitted, seed=0, num_proposals=300).draws) == {"ell", "sigma"}

    # what a fit leaves behind is no part of the builder: it would run again, with a warning
    builders = cache_info().builders
    assert "ell" in fitted.idata.posterior
    assert "ell" in fitted.fit("laplace", seed=0, num_proposals=300).idata.posterior
    assert cache_info().builders == builders


@UNTRUSTED
def test_saas_finds_the_input_that_matters() -> None:
    X, Y = raw_data(20, 20)
    fitted = FullyBayesianPyMCGP(X, Y, build_gp=saas).fit("laplace", seed=0, num_draws=8, num_proposals=300)
    assert fitted.posterior(X[:3]).mean.shape == (8, 3, 1)
    assert fitted.idata.posterior["lengthscale"].median(("chain", "draw")).to_numpy().argmin() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "vi"}, "method is 'vi'. Pass one of 'auto', 'importance', 'smc', 'nuts', 'laplace'"),
        ({"draws": 0}, "draws is 0"),
        ({"chains": 2.5}, "chains is 2.5"),
        ({"method": "laplace", "num_proposals": 50}, "num_proposals is 50. Pass a whole number from 100 up"),
        ({"seed": -1}, "seed is -1"),
        ({"num_draws": 0}, "num_draws is 0"),
        ({"method": "nuts", "num_draws": 99, "draws": 10, "chains": 2}, "num_draws is 99, but 2 chains have 10 draws each"),
        ({"target_accept": 1.0}, "target_accept is 1.0"),
        ({"target_accept": "0.8"}, "target_accept is '0.8'"),
        ({"warm_start": 3}, "The warm start is a int"),
        ({"warm_start": xr.DataTree()}, "The warm start is a DataTree"),
        ({"method": "laplace", "num_draws": 501, "num_proposals": 500}, "num_draws is 501, but there are 500 proposals"),
        ({"warm_start": {"ell": 0.3}}, "no value for sigma"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_options_are_refused_before_anything_is_compiled(options: dict[str, Any], message: str) -> None:
    cache_clear()
    with pytest.raises(InputDataError, match=message):
        model().fit(**{"progressbar": False, **options})
    assert cache_info().compilations <= 2 * isinstance(options.get("warm_start"), dict)  # its names are those of the model


def test_a_warm_start_of_another_model_is_refused(sampled: FullyBayesianPyMCGP) -> None:
    other = FullyBayesianPyMCGP(*raw_data(8, 2), build_gp=many)
    with pytest.raises(InputDataError, match="draws of ell, sigma, but not of eta, mu, top, weights"):
        other.fit("auto", sampled)
    fitted = FullyBayesianPyMCGP.from_fitted  # an ensemble of draws that PyMC took can't be fitted
    with pm.Model():
        gp = two(pm.Data("X", raw_data()[0].numpy(), shape=(None, 1)), pm.Data("y_", raw_data()[1].squeeze(-1).numpy()))
        taken = fitted(gp, sampled.idata, num_draws=4)
    assert taken.idata is sampled.idata  # which has all groups
    with pytest.raises(UnsupportedError, match="made from a gp fitted in PyMC"):
        taken.fit()
