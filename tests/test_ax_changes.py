"""What changes under a running campaign of Ax, and what a class meets there: parameters, priors, metrics, one observation."""

from typing import Any

import ax_gps
import numpy as np
import pymc as pm
import pytest
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig
from ax.core.parameter import ParameterType, RangeParameter
from ax.generators.torch.botorch_modular.surrogate import ModelConfig
from ax_gps import FIT_OPTIONS, PARAMETERS, FieldGP, SampledGP, TrialGP, after, fitted
from botorch.exceptions.errors import InputDataError
from botorch.models import SingleTaskGP

import pymc_botorch
from pymc_botorch.ax import fitted_models, model_config, surrogate_spec

pytestmark = [
    pytest.mark.filterwarnings("ignore::ax.exceptions.core.AxWarning"),
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning"),  # inside pytest.warns, Ax's own come through
    pytest.mark.filterwarnings("ignore:add_tracking_metric is deprecated"),
]
ROWS = [{"dose": 20.0 + 30 * k, "depth": 2 + ((3 * k) % 5) / 2} for k in range(5)]


def reach(d: int) -> Any:
    return pm.LogNormal("reach", -0.5, 0.7)


class ShapelyGP(pymc_botorch.PyMCGP):
    """Whose priors its tests change, as somebody who edits a class between two trials."""

    prior: Any = staticmethod(reach)

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=self.prior(X.type.shape[1])))
        gp.marginal_likelihood("observed", X, y, sigma=0.3)
        return gp


def campaign(surrogate: Any, kind: str = "single", rows: Any = ROWS[:3], **options: Any) -> Client:
    client = Client(random_seed=0)
    client.configure_experiment(PARAMETERS, name="clover")
    objective, constraints = ax_gps.KINDS[kind]
    client.configure_optimization(objective, outcome_constraints=constraints)
    return after(rows, client, surrogate, **options)


def one_more(client: Client, row: dict[str, Any], metrics: tuple[str, ...] = ("harvest",)) -> Client:
    client.complete_trial(client.attach_trial(row), raw_data=dict.fromkeys(metrics, 0.4))
    return fitted(client)


# Warm starts

CHANGES = {
    "another name": lambda d: pm.LogNormal("length", -0.5, 0.7),
    "one more parameter": lambda d: pm.LogNormal("reach", -0.5, 0.7) + pm.LogNormal("extra", -3, 0.7),
    "one for each column": lambda d: pm.LogNormal("reach", -0.5, 0.7, shape=d),
    "another support": lambda d: pm.Uniform("reach", 50, 60),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
def test_a_warm_start_that_no_longer_fits_the_class_is_dropped(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = campaign(ShapelyGP, fit_options={"warm_start": True, "num_starts": 1})
    monkeypatch.setattr(ShapelyGP, "prior", staticmethod(CHANGES[change]))
    with pytest.warns(UserWarning, match="warm start that ShapelyGP remembers for harvest no longer fits") as caught:
        one_more(client, ROWS[3])
    assert sum("warm start" in str(one.message) for one in caught) == 1
    assert fitted_models(client)["harvest"].fit_result.starts == ("prior mode",)
    one_more(client, ROWS[4])
    assert fitted_models(client)["harvest"].fit_result.starts == ("warm start",)


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
@pytest.mark.parametrize("cls", [TrialGP, SampledGP])
def test_a_search_space_that_gains_a_parameter_drops_warm_starts(cls: type) -> None:
    client = campaign(cls, fit_options={"warm_start": True, **FIT_OPTIONS[cls]})
    client._experiment.add_parameters_to_search_space(
        [RangeParameter("gypsum", ParameterType.FLOAT, lower=0, upper=5, backfill_value=1.0)]
    )
    with pytest.warns(UserWarning, match=rf"warm start that {cls.__name__} remembers for harvest no longer .*reach has shape"):
        one_more(client, {**ROWS[3], "gypsum": 2.0})
    assert fitted_models(client)["harvest"].num_inputs == 3


def test_what_is_not_of_the_warm_start_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    client = campaign(ShapelyGP, fit_options={"warm_start": True, "num_starts": 1})
    monkeypatch.setattr(ShapelyGP, "build_gp", lambda self, X, y: None)
    with pytest.raises(InputDataError, match="build_gp"):
        one_more(client, ROWS[3])


# Metrics


class EdgeGP(ShapelyGP):
    """Of which each fit warns."""

    prior = staticmethod(lambda d: pm.Uniform("reach", 50, 60))


class SampledEdgeGP(pymc_botorch.FullyBayesianPyMCGP):
    prior: Any = staticmethod(reach)
    build_gp = ShapelyGP.build_gp


@pytest.mark.parametrize(
    ("cls", "options"),
    [(EdgeGP, {"num_starts": 1}), (SampledEdgeGP, {"method": "nuts", "num_draws": 3, "draws": 5, "tune": 5, "chains": 1})],
)
def test_fit_warnings_name_metric_and_class(cls: type, options: dict[str, Any]) -> None:
    with pytest.warns(pymc_botorch.FitWarning) as caught:
        client = campaign(cls, "multi", fit_options=options)
    messages = [str(one.message) for one in caught if issubclass(one.category, pymc_botorch.FitWarning)]
    warned = {metric: model.fit_result.warning for metric, model in fitted_models(client).items() if model.fit_result.warning}
    assert warned
    assert messages == [f"{cls.__name__} of {metric}: {warning}" for metric, warning in warned.items()]


def field(**by_metric: type) -> Any:
    return surrogate_spec(FieldGP, by_metric=by_metric)


@pytest.mark.parametrize("kind", ["multi", "scalarised", "constrained"])
def test_a_natural_class_that_serves_several_metrics_by_default_warns(kind: str) -> None:
    with pytest.warns(UserWarning, match=r"FieldGP .* serves cost and harvest alike.*by_metric=\{'cost': \.\.\., 'harvest'"):
        campaign(FieldGP, kind)
    with pytest.warns(UserWarning, match=r"not named for cost\. Give each metric"):
        campaign(field(harvest=FieldGP), kind)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(lambda: field(cost=TrialGP), id="another class beside"),
        pytest.param(lambda: field(harvest=TrialGP), id="by default for one"),
        pytest.param(lambda: field(cost=FieldGP, harvest=FieldGP), id="named for both"),
        pytest.param(lambda: TrialGP, id="scaled"),
    ],
)
@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
def test_a_natural_class_for_each_of_its_metrics_is_taken_as_it_is(spec: Any) -> None:
    campaign(spec(), "constrained")  # warnings are errors here


# One observation


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
@pytest.mark.filterwarnings("ignore:An input array is constant")  # Ax's rank correlation, of one observation
@pytest.mark.parametrize("criterion", ["Rank correlation", "MSE"])
@pytest.mark.parametrize(
    ("cls", "others"), [(TrialGP, []), (FieldGP, []), (SampledGP, []), (TrialGP, [ModelConfig(SingleTaskGP, name="own")])]
)
def test_a_choice_of_models_begins_with_one_observation(cls: type, others: list[Any], criterion: str) -> None:
    options = FIT_OPTIONS.get(cls, {})
    ours = [model_config(cls, name=name, fit_options=options) for name in ("one", "two")]
    client = campaign(surrogate_spec(*ours, *others, criterion=criterion), rows=ROWS[:1])
    posterior = fitted_models(client)["harvest"].posterior(fitted_models(client)["harvest"].train_inputs[0])
    assert np.isfinite(posterior.mean.detach().numpy()).all()


# Columns by name


class SownGP(ax_gps.AnyGP):
    columns = ("dose", "depth")


class TurnedGP(ax_gps.AnyGP):
    columns = ("depth", "dose")


class ShortGP(ax_gps.AnyGP):
    columns = ("dose",)


def test_columns_of_the_experiment_are_those_of_the_class() -> None:
    campaign(SownGP)


@pytest.mark.parametrize("cls", [TurnedGP, ShortGP])
def test_other_columns_than_those_of_the_experiment_are_refused(cls: type) -> None:
    match = rf"columns of {cls.__name__} are .*, but those of the experiment dose, depth .*Write columns = \('dose', 'depth'\)"
    with pytest.raises(InputDataError, match=match):
        campaign(cls)


def test_columns_of_choices_and_fixed_parameters_are_named() -> None:
    client = Client(random_seed=0)
    variety = ChoiceParameterConfig("variety", ["a", "b", "c"], parameter_type="str", is_ordered=False)
    client.configure_experiment([*PARAMETERS, variety, ChoiceParameterConfig("site", ["x"], parameter_type="str")])
    client.configure_optimization("harvest")
    rows = [{**row, "variety": "ab"[k % 2], "site": "x"} for k, row in enumerate(ROWS[:3])]
    with pytest.raises(InputDataError, match=r"Write columns = \('dose', 'depth', 'variety_OH_PARAM_0', 'variety_OH_PARAM_1'"):
        after(rows, client, SownGP)
