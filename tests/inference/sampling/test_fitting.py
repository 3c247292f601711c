"""Fit by draws: methods from cheap to sure, a budget of time, and never nothing."""

import itertools
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import InputDataError, ModelFittingError
from botorch.test_functions import Hartmann
from quadrature import raw_data, two
from rich.console import Console
from scipy.integrate import trapezoid

from pymc_botorch import FitWarning, FullyBayesianPyMCGP
from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.inference.fit import budget
from pymc_botorch.inference.sampling import attempts, fitting, judging
from pymc_botorch.inference.sampling.attempts import by_smc
from pymc_botorch.inference.sampling.methods import importance, nuts

UNTRUSTED = pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
ERRORS = 4  # standard errors that an estimate may be off
UNREACHABLE = 1e9
TINY_SMC = partial(by_smc, ancestors=20, length=10)


def model(n: int = 10, build_gp: Any = two) -> FullyBayesianPyMCGP:
    return FullyBayesianPyMCGP(*raw_data(n), build_gp=build_gp)


def of_one_parameter(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("ell", -1, 0.7)))
    gp.marginal_likelihood("y", X, y, sigma=0.1)
    return gp


def of_thirteen_parameters(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(13, ls=pm.LogNormal("ell", 0, 0.7, shape=13)))
    gp.marginal_likelihood("y", X, y, sigma=0.3)
    return gp


def nowhere(X: Any, y: Any) -> pm.gp.Marginal:
    """Build a model whose potential leaves nothing."""
    gp = two(X, y)
    pm.Potential("impossible", pm.math.log(pm.math.zeros_like(gp.cov_func.ls) - 1.0))
    return gp


def fails(*_: Any, **__: Any) -> Any:
    raise FitError("It failed")


def ended(*_: Any, **__: Any) -> Any:
    raise OutOfTime("The budget of 60 s has ended.")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number of effective draws is enough."""
    monkeypatch.setattr(importance, "MIN_EFFECTIVE_SIZE", UNREACHABLE)
    monkeypatch.setattr(judging, "MIN_EFFECTIVE_SIZE", UNREACHABLE)
    monkeypatch.setitem(fitting.WAYS, "smc", TINY_SMC)
    monkeypatch.setattr(fitting, "LONGER_SMC", TINY_SMC)


def names(fitted: FullyBayesianPyMCGP) -> list[str]:
    return [one.method for one in fitted.fit_result.attempts]


def test_auto_trusts_its_draws_of_a_few_points_in_many_inputs() -> None:
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(12, 6, dtype=torch.double, generator=generator)
    Y = Hartmann(dim=6)(X)[:, None]
    noisy = Y + 0.1 * Y.std() * torch.randn(12, 1, dtype=torch.double, generator=generator)
    result = FullyBayesianPyMCGP(X, noisy).fit(seed=0).fit_result
    assert result.trusted
    assert result.ess > 400
    assert result.method == "importance"


@pytest.mark.parametrize("method", ["importance", "smc", "nuts", "laplace"])
def test_a_method_of_ones_choice_is_the_only_one_that_is_tried(method: Any) -> None:
    fitted = model().fit(method, seed=1, progressbar=False)
    assert names(fitted) == [method]
    assert fitted.fit_result.reason == f"{method}: passed"
    assert (fitted.fit_result.log_evidence is None) == (method == "nuts")


def test_the_evidence_is_that_of_quadrature() -> None:
    X, Y = raw_data(8)
    x, y = X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy()
    log_ells = np.linspace(-6, 4, 400)
    likelihoods = []
    for log_ell in log_ells:
        r = np.sqrt(5) * np.abs(x - x.T) / np.exp(log_ell)
        L = np.linalg.cholesky((1 + r + r**2 / 3) * np.exp(-r) + (0.1**2 + pm.gp.util.JITTER_DEFAULT) * np.eye(8))
        likelihoods.append(-0.5 * np.square(np.linalg.solve(L, y)).sum() - np.log(np.diag(L)).sum() - 4 * np.log(2 * np.pi))
    prior = -0.5 * ((log_ells + 1) / 0.7) ** 2 - np.log(0.7 * np.sqrt(2 * np.pi))
    expected = np.log(trapezoid(np.exp(likelihoods + prior), log_ells))
    for method in ("importance", "smc", "laplace"):
        result = model(8, of_one_parameter).fit(method, seed=2).fit_result
        assert 0 < result.log_evidence_error < 0.1
        assert result.log_evidence == pytest.approx(expected, abs=ERRORS * result.log_evidence_error), method


def test_importance_and_smc_agree_on_the_evidence_also_of_old_draws_with_new_weights() -> None:
    results = [model(11).fit(method, seed=3).fit_result for method in ("importance", "smc")]
    results.append(model(11).fit("auto", model().fit("importance", seed=3), seed=3).fit_result)
    assert [result.method for result in results] == ["importance", "smc", "reweighted"]
    for result in results[1:]:
        error = np.hypot(result.log_evidence_error, results[0].log_evidence_error)
        assert result.log_evidence == pytest.approx(results[0].log_evidence, abs=ERRORS * error)


def test_no_time_at_all_gives_a_model_and_one_warning() -> None:
    fitted = model()
    with pytest.warns(FitWarning, match=r"the budget of 0\.001 s ended first.*max_seconds=") as caught:
        fitted.fit(max_seconds=1e-3, seed=0)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not fitted.fit_result.trusted
    assert fitted.fit_result.warning == str(caught[0].message)
    assert names(fitted) == ["importance", "laplace"]
    assert fitted.posterior(raw_data(3)[0]).mean.shape == (16, 3, 1)


def test_a_strict_fit_raises_and_leaves_the_model_as_it_was() -> None:
    fitted = model().fit("laplace", seed=0)
    before, result = fitted.draws["ell"], fitted.fit_result
    with pytest.raises(ModelFittingError, match=r"the budget of 0\.001 s ended first"):
        fitted.fit(max_seconds=1e-3, seed=0, strict=True)
    assert fitted.fit_result is result
    np.testing.assert_array_equal(fitted.draws["ell"], before)
    assert fitted.fit(seed=0, strict=True).fit_result.trusted


@UNTRUSTED
@pytest.mark.parametrize("ticks", [1, 3, 30, 150, 250, 300, 400])
def test_there_is_a_model_wherever_time_ends(ticks: int, refused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock ticks at each call of the density."""
    clock = itertools.count()
    monkeypatch.setattr(budget, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    fitted = model().fit(max_seconds=ticks, seed=0, draws=20, tune=20, progressbar=False)
    assert not fitted.fit_result.trusted
    assert all(np.isfinite(values).all() for values in fitted.draws.values())
    assert np.isfinite(fitted.state.sample.draws.log_density).any()


@UNTRUSTED
@pytest.mark.parametrize("installed", [True, False], ids=["nutpie", "PyMC"])
def test_nuts_ends_with_the_budget(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "adapt", fails)
    monkeypatch.setattr(attempts, "temper", fails)
    if not installed:
        monkeypatch.setattr(nuts, "find_spec", lambda _: None)
    fitted = model().fit(max_seconds=1.0, draws=50_000, tune=50_000, seed=0, progressbar=False)
    assert names(fitted) == ["importance", "smc", "smc", "nuts", "laplace"]
    assert "budget of 1 s" in fitted.fit_result.attempts[3].problem
    assert fitted.fit_result.attempts[3].seconds < 20
    assert not fitted.fit_result.trusted


def test_where_time_ends_in_smc_the_draws_of_importance_sampling_are_kept(refused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "temper", ended)
    with pytest.warns(
        FitWarning, match=r"The draws by importance sampling may not represent the posterior: there are \d+ effective draws"
    ):
        fitted = model().fit(seed=0)
    assert names(fitted) == ["importance", "smc"]
    assert fitted.fit_result.attempts[1].ess is None
    assert fitted.fit_result.method == "importance"


@UNTRUSTED
def test_the_best_of_attempts_that_did_not_pass_is_kept(refused: None) -> None:
    fitted = model().fit(seed=0, draws=20, tune=20, chains=2, progressbar=False)
    assert names(fitted) == ["importance", "smc", "smc", "nuts"]
    assert all(one.problem for one in fitted.fit_result.attempts)
    assert fitted.fit_result.method == "importance"
    assert fitted.fit_result.ess == max(one.ess for one in fitted.fit_result.attempts)
    assert not fitted.fit_result.trusted


@UNTRUSTED
def test_draws_that_are_better_are_kept_though_they_are_fewer(refused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    weighted = attempts.adapt
    too_large = {"k": 1.3}
    monkeypatch.setattr(attempts, "adapt", lambda *arguments, **options: weighted(*arguments, **options)._replace(**too_large))
    fitted = model().fit(seed=0, draws=20, tune=20, chains=2, progressbar=False)
    assert fitted.fit_result.method == "smc"
    assert fitted.fit_result.ess < fitted.fit_result.attempts[0].ess


@UNTRUSTED
@pytest.mark.parametrize(
    ("build_gp", "d", "order"),
    [(two, 1, ["importance", "smc", "smc", "nuts"]), (of_thirteen_parameters, 13, ["importance", "nuts", "smc", "smc"])],
    ids=["2 parameters", "13 parameters"],
)
def test_gradients_come_before_populations_where_there_are_many_parameters(
    build_gp: Any, d: int, order: list[str], refused: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "adapt", fails)
    monkeypatch.setattr(attempts, "nuts", fails)
    fitted = FullyBayesianPyMCGP(*raw_data(6, d), build_gp=build_gp).fit(seed=0)
    assert names(fitted) == order
    assert fitted.fit_result.attempts[0][:3] == ("importance", "It failed", None)


def far_from_the_initial_point(X: Any, y: Any) -> pm.gp.Marginal:
    """Build a model whose potential rules out PyMC's initial point and the prior's mode."""
    ell = pm.LogNormal("ell", -1, 0.7)
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=ell))
    pm.Potential("long", pm.math.switch(ell > 0.6, 0.0, -np.inf))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


@UNTRUSTED
def test_no_time_gives_a_model_where_the_first_start_has_no_density_too() -> None:
    fitted = model(build_gp=far_from_the_initial_point).fit(max_seconds=1e-4, seed=0)
    assert not fitted.fit_result.trusted
    assert (fitted.draws["ell"] > 0.6).all()


def test_progress_is_shown_while_a_method_runs_and_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "SHOWN_AFTER", 0.0)
    in_a_log = budget.Budget(60, show=True)
    in_a_log.say("Sampling hyperparameters: importance")
    in_a_log.check()
    assert in_a_log.shows is None
    monkeypatch.setattr(Console, "is_terminal", True)
    shown = budget.Budget(60, show=True)
    shown.check()
    assert shown.shows is None
    shown.say("Sampling hyperparameters: importance")
    shown.check()
    shown.say("Sampling hyperparameters: smc")
    assert shown.shows == "Sampling hyperparameters: smc"
    shown.close()
    assert shown.shows is None
    hidden = budget.Budget(60, show=False)
    hidden.say("Sampling hyperparameters: smc")
    hidden.check()
    assert hidden.shows is None


def test_the_effective_size_of_smc_is_that_of_its_chains() -> None:
    """Means of independent runs differ by as much as it says, within what few runs can tell."""
    fits = [model(8, of_one_parameter).fit("smc", seed=seed, num_draws=2) for seed in range(8)]
    draws = [np.log(fitted.idata["weighted_posterior"]["ell"].to_numpy().ravel()) for fitted in fits]
    weights = [np.exp(fitted.idata["weights"]["log_weight"].to_numpy().ravel()) for fitted in fits]
    means = [w @ x for w, x in zip(weights, draws, strict=True)]
    size = np.mean([x.var() for x in draws]) / np.var(means, ddof=1)
    said = np.median([fitted.fit_result.ess for fitted in fits])
    assert said < 6 * size


def test_a_density_that_is_finite_nowhere_gives_no_model() -> None:
    untouched = model(build_gp=nowhere)
    with pytest.raises(ModelFittingError, match="has a finite log density"):
        untouched.fit(seed=0)
    assert untouched.fit_result is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_seconds": -1}, "max_seconds is -1. Pass a positive number of seconds"),
        ({"max_seconds": "60"}, "max_seconds is '60'"),
        ({"max_seconds": True}, "max_seconds is True"),
        ({"max_seconds": 5, "method": "nuts"}, "max_seconds is the budget of method='auto', but method is 'nuts'"),
    ],
    ids=str,
)
def test_budgets_that_cannot_be_kept_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        model().fit(**options)


def test_the_result_prints_as_a_short_table() -> None:
    trusted = repr(model().fit(seed=0).fit_result)
    assert trusted.splitlines()[0] == "Fit by posterior draws"
    rows = {line[2:18].strip(): line[18:].strip() for line in trusted.splitlines()[1:]}
    assert rows["trusted"] == "yes"
    assert rows["method"] == "importance"
    assert set(rows) == {"trusted", "method", "effective draws", "Pareto k", "log evidence", "evaluations"}
    assert max(map(len, trusted.splitlines())) <= 100
    with pytest.warns(FitWarning, match="ended first"):
        doubtful = repr(model().fit(max_seconds=1e-3, seed=0).fit_result)
    assert "trusted          no" in doubtful
    assert "importance: The budget" in doubtful
    assert max(map(len, doubtful.splitlines())) <= 100


@pytest.mark.parametrize("method", ["importance", "smc"])
def test_the_same_seed_gives_the_same_draws(method: Any) -> None:
    one, again, other = (model().fit(method, seed=seed).draws["ell"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_seasons_need_no_more_than_importance_sampling() -> None:
    before = None
    for n in (6, 12, 18, 24, 30):
        before = model(n).fit(warm_start=before, seed=0, strict=True)
        assert set(names(before)) <= {"reweighted", "importance"}
    assert "reweighted" in names(before)


def test_climbs_begin_at_a_point() -> None:
    fitted = model().fit(warm_start={"ell": 0.3, "sigma": 0.1}, num_starts=1, seed=0)
    assert names(fitted) == ["importance"]
    assert fitted.fit_result.trusted
