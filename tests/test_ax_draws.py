"""Draws in Ax: doubtful ones are told of and stop no trial, and evidences choose between models."""

import itertools
import json
import pathlib
import re
import warnings
from collections.abc import Callable
from typing import Any

import ax_gps
import pandas as pd
import pymc as pm
import pytest
from ax.api.client import Client
from ax.core.analysis_card import ErrorAnalysisCard, NotApplicableStateAnalysisCard
from ax.exceptions.core import UserInputError
from ax_gps import RisingTrialGP, TrialGP, client_of, fitted
from botorch.exceptions.errors import ModelFittingError

import pymc_botorch
from pymc_botorch import FitWarning, FullyBayesianPyMCGP
from pymc_botorch.ax import EvidenceSurrogate, FitAnalysis, fitted_models, model_config, surrogate_spec

DOUBTFUL = {"method": "laplace", "num_proposals": 100, "num_draws": 3}  # fewer draws than 400 are effective
QUICK = {"method": "laplace", "num_proposals": 500, "num_draws": 3}
UNTRUSTED = pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")  # as few draws are
ROWS = [
    {"dose": float(dose), "depth": depth}
    for dose, depth in zip(range(5, 155, 20), [2.1, 3.7, 2.9, 3.3, 2.4, 3.9, 2.6, 3.1], strict=True)
]


class RoughTrialGP(FullyBayesianPyMCGP):
    """Continuous only: what a smooth one is compared with."""

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern12(X.type.shape[1], ls=pm.LogNormal("reach", -0.5, 0.5)))
        gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -1, 1))
        return gp


class SmoothTrialGP(FullyBayesianPyMCGP):
    """Changes with all inputs."""

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(X.type.shape[1], ls=pm.LogNormal("reach", -0.5, 0.5)))
        gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -1, 1))
        return gp


class FlatTrialGP(RoughTrialGP):
    """A mean with an improper prior."""

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        cov = pm.gp.cov.ExpQuad(X.type.shape[1], ls=pm.LogNormal("reach", -0.5, 0.5))
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Flat("mu")), cov_func=cov)
        gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -1, 1))
        return gp


def observed(client: Client) -> Client:
    for row in ROWS:
        index = client.attach_trial(row)
        metrics = tuple(client._experiment.metrics)
        client.complete_trial(index, raw_data=ax_gps.observe(row, metrics))
    return client


def warned(call: Callable[[], Any], category: type[Warning] = UserWarning) -> str:
    """The messages of the warnings of a call; ``pytest.warns`` would give Ax's own deprecations again as the test's."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return "\n".join(str(one.message) for one in caught if issubclass(one.category, category))


def of(surrogate: Any, kind: str = "single", **options: Any) -> Client:
    return observed(client_of(kind, surrogate, initialization_budget=0, **options))


def test_doubtful_draws_warn_by_metric_and_the_trial_goes_on() -> None:
    client, trials = of(SmoothTrialGP, fit_options=DOUBTFUL), {}
    messages = warned(lambda: trials.update(client.get_next_trials(max_trials=1)), FitWarning)
    assert re.search(r"^SmoothTrialGP of harvest: The draws by Laplace's method may not represent the posterior", messages)
    assert len(trials) == 1
    assert not fitted_models(client)["harvest"].fit_result.trusted


def test_strict_fits_are_an_error_that_names_the_metric() -> None:
    client = of(SmoothTrialGP, fit_options={**DOUBTFUL, "strict": True})
    with pytest.raises(
        ModelFittingError, match=r"SmoothTrialGP of harvest: The draws by Laplace's method may not represent .*Use method='auto'"
    ):
        client.get_next_trials(max_trials=1)


def test_the_budget_of_a_fit_and_whether_it_is_strict_are_stored(tmp_path: pathlib.Path) -> None:
    client = client_of("single", SmoothTrialGP, fit_options={"max_seconds": 20.5, "strict": True})
    client.save_to_json_file(str(tmp_path / "client.json"))
    (spec,) = Client.load_from_json_file(str(tmp_path / "client.json"))._generation_strategy._nodes[-1].generator_specs
    options = spec.generator_kwargs["surrogate_spec"].model_configs[0].mll_options
    assert (options["max_seconds"], options["strict"]) == (20.5, True)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"max_seconds": -1}, "positive number of seconds"), ({"method": "smc", "max_seconds": 9}, "method='auto'")],
)
def test_a_budget_that_cannot_be_used_is_refused_at_once(options: dict[str, Any], match: str) -> None:
    with pytest.raises(UserInputError, match=match):
        model_config(SmoothTrialGP, fit_options=options)


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning", "ignore::ax.exceptions.core.AxOptimizationWarning")
def test_the_card_has_a_row_for_each_metric_and_counts_the_doubtful() -> None:
    spec = surrogate_spec(
        model_config(SmoothTrialGP, fit_options=DOUBTFUL),
        by_metric={"cost": model_config(TrialGP, fit_options={"num_starts": 1})},
    )
    client = fitted(of(spec, "multi"))
    (card,) = client.compute_analyses(analyses=[FitAnalysis()], display=False)
    assert not isinstance(card, ErrorAnalysisCard)
    assert card.title == "Fits of 2 surrogates: 1 is doubtful"
    assert "harvest" in card.subtitle
    rows = card.df.set_index("metric")
    assert rows["model"].to_dict() == {"harvest": "SmoothTrialGP", "cost": "TrialGP"}
    assert rows["method"].to_dict() == {"harvest": "laplace", "cost": "map"}
    assert rows["trusted"].to_dict() == {"harvest": False, "cost": True}
    result = fitted_models(client)["harvest"].fit_result
    assert rows.loc["harvest", "effective_draws"] == pytest.approx(result.ess)
    assert rows.loc["harvest", "log_evidence"] == pytest.approx(result.log_evidence)
    assert rows.loc["harvest", "warning"] == result.warning
    assert pd.isna(rows.loc["cost", "warning"])
    assert json.loads(card.blob)


def test_a_client_without_surrogates_has_no_card_yet() -> None:
    (card,) = client_of("single", SmoothTrialGP).compute_analyses(analyses=[FitAnalysis()], display=False)
    assert isinstance(card, NotApplicableStateAnalysisCard)


def by_evidence(*classes: type, **options: Any) -> Any:
    return surrogate_spec(*(model_config(cls, fit_options=QUICK | options) for cls in classes), criterion="Log evidence")


@UNTRUSTED
@pytest.mark.parametrize("order", [(RoughTrialGP, SmoothTrialGP), (SmoothTrialGP, RoughTrialGP)])
def test_the_model_of_largest_evidence_is_chosen_without_cross_validation(
    order: tuple[type, type], monkeypatch: pytest.MonkeyPatch
) -> None:
    fits: list[str] = []
    fit = FullyBayesianPyMCGP.fit
    for cls in order:
        monkeypatch.setattr(
            cls, "fit", lambda self, *args, **options: (fits.append(type(self).__name__), fit(self, *args, **options))[1]
        )
    client = fitted(of(by_evidence(*order)))
    assert sorted(fits) == ["RoughTrialGP", "SmoothTrialGP"]
    chosen = fitted_models(client)["harvest"]
    assert type(chosen) is SmoothTrialGP
    surrogate = client._generation_strategy.adapter.generator.surrogate
    assert isinstance(surrogate, EvidenceSurrogate)
    scores = surrogate._model_name_to_eval["harvest"]
    assert scores["SmoothTrialGP"] == pytest.approx(chosen.fit_result.log_evidence)
    assert scores["SmoothTrialGP"] > scores["RoughTrialGP"]


@UNTRUSTED
def test_a_strategy_by_evidence_goes_on_after_it_was_stored(tmp_path: pathlib.Path) -> None:
    client = of(by_evidence(RoughTrialGP, SmoothTrialGP))
    client.get_next_trials(max_trials=1)
    client.save_to_json_file(str(tmp_path / "client.json"))
    loaded = fitted(pymc_botorch.ax.load_client(tmp_path / "client.json"))
    assert isinstance(loaded._generation_strategy.adapter.generator.surrogate, EvidenceSurrogate)
    assert type(fitted_models(loaded)["harvest"]) is SmoothTrialGP


@UNTRUSTED
def test_leave_one_out_predictions_choose_where_improper_priors_differ() -> None:
    client = of(by_evidence(FlatTrialGP, RoughTrialGP))
    messages = warned(lambda: fitted(client))
    assert re.search(r"Leave-one-out predictions chose the model of harvest.*FlatTrialGP: mu", messages)
    assert type(fitted_models(client)["harvest"]) is FlatTrialGP


@UNTRUSTED
def test_a_model_that_cannot_be_fitted_is_left_out_of_the_choice() -> None:
    strict = model_config(SmoothTrialGP, fit_options={**DOUBTFUL, "strict": True})
    client = of(surrogate_spec(strict, model_config(RoughTrialGP, fit_options=QUICK), criterion="Log evidence"))
    assert "SmoothTrialGP of harvest could not be fitted, and is left out of the choice" in warned(lambda: fitted(client))
    assert type(fitted_models(client)["harvest"]) is RoughTrialGP


class NaturalTrialGP(SmoothTrialGP):
    units = "natural"


@pytest.mark.parametrize(
    ("surrogates", "match"),
    [
        (lambda: [SmoothTrialGP, TrialGP], "TrialGP has no evidence"),
        (
            lambda: [SmoothTrialGP, model_config(RoughTrialGP, fit_options={"method": "nuts"})],
            "NUTS gives no evidence of RoughTrialGP",
        ),
        (lambda: [SmoothTrialGP, NaturalTrialGP], "Give all classes the same units"),
    ],
    ids=["at a point", "nuts", "units"],
)
def test_models_without_comparable_evidence_are_refused_at_once(surrogates: Any, match: str) -> None:
    with pytest.raises(UserInputError, match=match):
        surrogate_spec(*surrogates(), criterion="Log evidence")


def test_a_campaign_with_known_signs_is_generated_stored_and_judged(tmp_path: pathlib.Path) -> None:
    client = of(RisingTrialGP, fit_options={"num_draws": 8})
    (trial,) = client.get_next_trials(max_trials=1).values()
    assert set(trial) == {"dose", "depth"}
    model = fitted_models(client)["harvest"]
    assert model.num_mcmc_samples == 8
    assert (model.draws["observed_slopes"] > -0.1).mean() > 0.95
    points = [{"dose": float(dose), "depth": 3.0} for dose in range(0, 161, 20)]
    means = [row["harvest"][0] for row in client.predict(points)]
    assert all(later > earlier - 0.05 for earlier, later in itertools.pairwise(means))
    (card,) = client.compute_analyses(analyses=[FitAnalysis()], display=False)
    assert card.df.set_index("metric").loc["harvest", "method"] == "map"
    client.save_to_json_file(str(tmp_path / "client.json"))
    loaded = fitted(pymc_botorch.ax.load_client(tmp_path / "client.json"))
    assert type(fitted_models(loaded)["harvest"]) is RisingTrialGP
    assert len(loaded.get_next_trials(max_trials=1)) == 1
