"""Ax runs on our surrogates: loop, analyses, storage, warm starts, and refusals before a trial is lost."""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import ax_gps
import numpy as np
import pymc as pm
import pytest
import torch
from ax.adapter.cross_validation import cross_validate
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig, StorageConfig
from ax.core.analysis_card import ErrorAnalysisCard
from ax.core.search_space import SearchSpaceDigest
from ax.exceptions.core import UserInputError
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, SurrogateSpec, submodel_input_constructor
from ax.storage.botorch_modular_registry import MODEL_REGISTRY, REVERSE_MODEL_REGISTRY
from ax.storage.sqa_store.db import create_all_tables, get_engine, init_engine_and_session_factory
from ax.utils.common.random import with_rng_seed
from ax.utils.sensitivity.sobol_measures import ax_parameter_sens
from ax_gps import KINDS, FieldGP, SampledGP, TrialGP, VarietyGP, client_of, run
from botorch.acquisition import qKnowledgeGradient
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models import SingleTaskGP
from botorch.models.transforms import Normalize
from botorch.utils.datasets import SupervisedDataset

import pymc_botorch
from pymc_botorch.ax import WarmStarts, fitted_models, generation_strategy, model_config, register, surrogate_spec

pytestmark = [
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning"),  # ax/generators/torch/botorch_moo_utils.py
    pytest.mark.filterwarnings("ignore::ax.exceptions.core.AxWarning"),  # of objectives without thresholds
    pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning"),  # three observations, few draws
    pytest.mark.filterwarnings("ignore:When all training points are infeasible"),
    pytest.mark.filterwarnings("ignore:NSGA-II only returned"),
]

CLASSES = [TrialGP, SampledGP]
SAME_OPTIMUM = 1e-4  # relative to the range; outcomes are stored to 1e-10, which optimisers amplify


@pytest.fixture(scope="module")
def campaigns() -> dict[tuple[str, type], Client]:
    return {}


@pytest.fixture
def campaign(campaigns: dict[tuple[str, type], Client], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Five trials of a kind with a class, run once; not to be changed."""

    def get(kind: str, cls: type = TrialGP) -> Client:
        if (kind, cls) not in campaigns:
            campaigns[kind, cls] = run(client_of(kind, cls), kind, 5)
        return campaigns[kind, cls]

    return get


def adapter_of(client: Client) -> Any:
    return client._generation_strategy.adapter


def models_of(client: Client) -> list[Any]:
    """The models of harvest and cost, in this order, or of the only metric."""
    by_metric = fitted_models(client)
    return [by_metric[metric] for metric in sorted(by_metric, reverse=True)]


def points(client: Client) -> np.ndarray:
    return client.summarize()[["dose", "depth"]].to_numpy(dtype=float) / [160, 2]


def run_with(
    parameters: list[Any],
    measure: Any,
    *,
    objective: str = "-m",
    parameter_constraints: list[str] | None = None,
    outcome_constraints: list[str] | None = None,
    surrogate: Any = TrialGP,
    baseline: dict[str, Any] | None = None,
    fixed: dict[str, Any] | None = None,
    trials: int = 4,
    batch: int = 1,
    **options: Any,
) -> Client:
    client = Client(random_seed=0)
    client.configure_experiment(parameters, parameter_constraints=parameter_constraints)
    client.configure_optimization(objective, outcome_constraints=outcome_constraints)
    options = {"initialization_budget": 3, "seed": 1, "optimizer_kwargs": ax_gps.OPTIMIZER, **options}
    client.set_generation_strategy(generation_strategy(surrogate, **options))
    if baseline:
        client.attach_baseline(baseline)
        client.complete_trial(0, raw_data=measure(baseline))
    for _ in range(trials):
        for index, values in client.get_next_trials(max_trials=batch, fixed_parameters=fixed).items():
            client.complete_trial(index, raw_data=measure(values))
    assert client.summarize()["generation_node"].iloc[-1] == "MBM"
    return client


# The loop


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_campaign_runs_on_a_class(campaign: Any, kind: str, cls: type) -> None:
    summary = campaign(kind, cls).summarize()
    assert list(summary["generation_node"]) == ["CenterOfSearchSpace", "Sobol", "Sobol", "MBM", "MBM"]
    assert all(type(model) is cls for model in models_of(campaign(kind, cls)))


@pytest.mark.parametrize("cls", CLASSES)
def test_a_seeded_client_repeats_itself(campaign: Any, cls: type) -> None:
    assert np.array_equal(points(campaign("single", cls)), points(run(client_of("single", cls), "single", 5)))


def test_scaled_priors_meet_the_unit_cube_and_standardised_outcomes(campaign: Any) -> None:
    client = campaign("multi")
    raw = points(client)[:4] - [0, 1]
    for model in models_of(client):
        assert np.allclose(model.eval().train_inputs[0].numpy(), raw)
        assert np.allclose([float(model.train_targets.mean()), float(model.train_targets.std())], [0, 1], atol=0.3)  # winsorised
        assert not hasattr(model, "outcome_transform")
        assert "(dose, depth)" in repr(model)
    assert [model.outcome_name for model in models_of(client)] == ["harvest, standardised", "cost, standardised"]


def test_natural_priors_meet_the_units_of_the_experiment() -> None:
    client = run(client_of("single", FieldGP), "single", 4)
    (model,) = models_of(client)
    assert (model.column_names, model.outcome_name) == (("dose", "depth"), "harvest")
    summary = client.summarize()[:3]
    assert np.array_equal(model.train_inputs[0].numpy(), summary[["dose", "depth"]].to_numpy())
    assert np.array_equal(model.train_targets.numpy(), summary["harvest"].to_numpy())


@pytest.mark.parametrize("kind", ["multi", "constrained"])
def test_natural_and_scaled_priors_live_in_one_strategy(kind: str) -> None:
    client = run(client_of(kind, surrogate_spec(TrialGP, by_metric={"harvest": FieldGP})), kind, 4)
    harvest, cost = models_of(client)
    assert (type(harvest), type(cost)) == (FieldGP, TrialGP)
    assert np.array_equal(harvest.train_targets.numpy(), client.summarize()["harvest"].to_numpy()[:3])
    assert abs(float(cost.train_targets.mean())) < 1e-9
    assert abs(float(cost.train_targets.std()) - 1) < 1e-9


def test_a_natural_class_warns_of_standardised_outcomes() -> None:
    data = SupervisedDataset(torch.rand(5, 2).double(), torch.randn(5, 1).double(), feature_names=["a", "b"], outcome_names=["m"])
    data._Y = (data.Y - data.Y.mean()) / data.Y.std()
    digest = SearchSpaceDigest(feature_names=["a", "b"], bounds=[(0, 1), (0, 1)])
    with pytest.warns(UserWarning, match="looks as if Ax had standardised it"):
        submodel_input_constructor(
            FieldGP, model_config=model_config(FieldGP), dataset=data, search_space_digest=digest, surrogate=None
        )


X = RangeParameterConfig("x", parameter_type="float", bounds=(0, 1))
Z = RangeParameterConfig("z", parameter_type="float", bounds=(0, 10))


def distance(parameters: dict[str, Any]) -> dict[str, float]:
    values = [len(value) if isinstance(value, str) else float(value) for value in parameters.values()]
    return {"m": sum((value - 0.3) ** 2 for value in values)}


def six(parameters: dict[str, Any]) -> dict[str, float]:
    return {f"m{k}": float(np.sin(k + parameters["x"] + parameters["z"])) for k in range(6)}


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        pytest.param([RangeParameterConfig("k", parameter_type="int", bounds=(0, 9)), X], {}, id="integers"),
        pytest.param([RangeParameterConfig("k", parameter_type="float", bounds=(0, 10), step_size=2.5), X], {}, id="steps"),
        pytest.param([X, ChoiceParameterConfig("k", [1, 4, 9], parameter_type="int", is_ordered=True)], {}, id="ordinal"),
        pytest.param([X, ChoiceParameterConfig("k", ["a", "bb"], parameter_type="str", is_ordered=False)], {}, id="two choices"),
        pytest.param([X, RangeParameterConfig("k", parameter_type="float", bounds=(0.001, 10), scaling="log")], {}, id="log"),
        pytest.param([X, Z], {"parameter_constraints": ["x + z <= 5"]}, id="parameter constraint"),
        pytest.param([X, Z], {"fixed": {"x": 0.25}}, id="fixed"),
        pytest.param([X, Z], {"batch": 2, "trials": 3}, id="batches"),
        pytest.param([X, Z], {"botorch_acqf_class": qKnowledgeGradient}, id="knowledge gradient"),
        pytest.param([X, Z], {"acquisition_options": {"prune_irrelevant_parameters": True}}, id="simpler candidates"),
    ],
)
def test_ax_features_run(parameters: list[Any], options: dict[str, Any]) -> None:
    run_with(parameters, distance, **options)


def test_a_misspelt_metric_is_noticed() -> None:
    client = run(client_of("multi", surrogate_spec(TrialGP, by_metric={"harvets": FieldGP})), "multi", 3)
    with pytest.raises(UserWarning, match=r"by_metric names harvets.*the data have only cost, harvest"):  # here, an error
        client.get_next_trials(max_trials=1)


def test_a_client_without_models_says_so() -> None:
    client = client_of("single", TrialGP)
    with pytest.raises(UserInputError, match="not fitted a surrogate yet"):
        fitted_models(client)
    run(client, "single", 2)
    with pytest.raises(UserInputError, match="not fitted a surrogate yet"):
        fitted_models(client)


def test_a_metric_without_noise_is_no_reason_to_warn() -> None:  # warnings are errors
    client = run_with([X], lambda parameters: {"m": (distance(parameters)["m"], 0.0)})
    model = fitted_models(client)["m"]
    assert model.likelihood.noise.max() < 1e-5 * model.train_targets.var()


def test_six_objectives_run() -> None:
    run_with([X, Z], six, objective=", ".join(f"m{k}" for k in range(6)))


def test_a_constraint_relative_to_a_status_quo_runs() -> None:
    run_with([X, Z], six, objective="m0", outcome_constraints=["m1 >= 0.9 * baseline"], baseline={"x": 0.5, "z": 2.0})


def test_known_noise_reaches_the_builder() -> None:
    client = run_with([X, Z], lambda p: {"m": (distance(p)["m"], 0.5)})
    (model,) = models_of(client)
    assert list(model.point) == ["reach"]
    assert model.likelihood.noise.shape == (3,)
    assert next(model.parameters()).numel() == 0
    assert set(ax_parameter_sens(adapter_of(client), order="first", num_mc_samples=32)["m"]) == {"x", "z"}


def test_some_missing_errors_are_refused_by_metric() -> None:
    with pytest.raises(InputDataError, match="1 of 3 observations of m have no SEM"):
        run_with([X, Z], lambda p: {"m": (distance(p)["m"], 0.5) if p["x"] != 0.5 else distance(p)["m"]})


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"fidelity_features": [1]}, "b is a fidelity parameter"),
        ({"hierarchical_dependencies": {0: {1.0: [1]}}}, "not flattened"),
    ],
)
def test_fidelities_and_unflattened_spaces_are_refused(extra: dict[str, Any], match: str) -> None:
    data = SupervisedDataset(torch.rand(5, 2).double(), torch.randn(5, 1).double(), feature_names=["a", "b"], outcome_names=["m"])
    digest = SearchSpaceDigest(feature_names=["a", "b"], bounds=[(0, 1), (0, 1)], **extra)
    with pytest.raises(UnsupportedError, match=match):
        submodel_input_constructor(
            TrialGP, model_config=model_config(TrialGP), dataset=data, search_space_digest=digest, surrogate=None
        )


VARIETY = ChoiceParameterConfig("k", ["a", "bb", "cccc"], parameter_type="str", is_ordered=False)


def test_choices_are_a_column_for_each_value() -> None:
    (model,) = models_of(run_with([Z, VARIETY], distance))
    assert model.num_inputs == 4
    assert np.allclose(model.train_inputs[0][:, 1:].sum(-1), 1)


def test_choices_are_an_index_if_asked_for() -> None:
    client = run_with([Z, VARIETY], distance, surrogate=VarietyGP, categories="index")
    (model,) = models_of(client)
    assert set(model.train_inputs[0][:, 1].tolist()) <= {0.0, 1.0, 2.0}
    assert model.train_inputs[0][:, 0].max() <= 1
    with pytest.raises(UnsupportedError, match="takes column 1 as an index"):
        adapter_of(client).feature_importances("m")


# Analyses


def leaves(card: Any) -> Iterator[Any]:
    children = getattr(card, "children", None)
    if children is None:
        yield card
    for child in children or ():
        yield from leaves(child)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", ["single", "multi", "constrained"])
def test_the_default_analyses_have_no_errors(campaign: Any, kind: str, cls: type) -> None:
    cards = [leaf for card in campaign(kind, cls).compute_analyses(display=False) for leaf in leaves(card)]
    assert len(cards) > 8
    assert not [card.name for card in cards if isinstance(card, ErrorAnalysisCard)]


@pytest.mark.parametrize("cls", CLASSES)
def test_predictions_and_the_best_treatment(campaign: Any, cls: type) -> None:
    client = campaign("single", cls)
    (prediction,) = client.predict([{"dose": 100.0, "depth": 3.0}])
    mean, sem = prediction["harvest"]
    assert 5 < mean < 13
    assert sem > 0
    best, *_ = client.get_best_parameterization(use_model_predictions=True)
    assert set(best) == {"dose", "depth"}


@pytest.mark.parametrize("cls", CLASSES)
def test_a_metric_is_predicted_alike_alone_and_among_others(campaign: Any, cls: type) -> None:
    # a plain botorch Model of draws has an sd of 0.220 for 0.415 there
    surrogate = adapter_of(campaign("multi", cls)).generator.surrogate
    x = torch.tensor([[100.0, 3.0], [20.0, 2.1]]).double()
    mean, cov = surrogate.predict(x)
    for model, metric in zip(models_of(campaign("multi", cls)), ["harvest", "cost"], strict=True):
        column = surrogate.outcomes.index(metric)
        posterior = model.posterior(x)
        alone = getattr(posterior, "mixture_mean", posterior.mean), getattr(posterior, "mixture_variance", posterior.variance)
        assert torch.allclose(mean[:, [column]], alone[0])
        assert torch.allclose(cov[:, column, [column]], alone[1])


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_leaving_one_out_compiles_and_refits_nothing(
    campaign: Any, kind: str, cls: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = adapter_of(campaign(kind, cls))
    cross_validate(adapter)  # the prior's functions, asked for the first time
    owner = next(base for base in cls.__mro__ if "fit" in vars(base))
    monkeypatch.setattr(owner, "fit", lambda *_, **__: pytest.fail("it was fitted"))
    before = pymc_botorch.cache_info()
    results = cross_validate(adapter)
    after = pymc_botorch.cache_info()
    assert len(results) >= 4
    assert (after.compilations, after.builders) == (before.compilations, before.builders)


def test_leaving_one_out_at_once_equals_fold_by_fold(campaign: Any) -> None:
    adapter = adapter_of(campaign("single"))
    by_fold = {other.observed.arm_name: other for other in cross_validate(adapter, folds=4)}
    for one in cross_validate(adapter):
        other = by_fold[one.observed.arm_name]
        assert np.allclose(one.predicted.means, other.predicted.means, rtol=1e-6)
        assert np.allclose(one.predicted.covariance, other.predicted.covariance, rtol=1e-4)


@pytest.mark.parametrize("cls", CLASSES)
def test_sensitivities_make_no_covariance_of_thousands_of_points(campaign: Any, cls: type) -> None:
    adapter = adapter_of(campaign("single", cls))
    tracemalloc.start()
    indices = ax_parameter_sens(adapter, order="first", num_mc_samples=1500)["harvest"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(indices) == {"dose", "depth"}
    assert peak < 12e6  # 1,500² numbers would be 18 MB


@pytest.mark.parametrize("cls", CLASSES)
def test_feature_importances_are_the_inverse_lengthscales(campaign: Any, cls: type) -> None:
    adapter = adapter_of(campaign("multi", cls))
    for model, metric in zip(models_of(campaign("multi", cls)), ["harvest", "cost"], strict=True):
        hyperparameters = getattr(model, "draws", None) or model.point
        inverse = 1 / np.median(np.atleast_2d(hyperparameters["reach"]), axis=0)
        assert np.allclose(list(adapter.feature_importances(metric).values()), inverse / inverse.sum(), rtol=1e-6)


# Storage

CONTINUE = """
import json, sys, warnings
import ax_gps
from ax.api.client import Client
from ax.utils.common.random import with_rng_seed
points = {}
for kind in sys.argv[2:]:
    client = Client.load_from_json_file(f"{sys.argv[1]}/{kind}.json")
    with with_rng_seed(0):
        (parameters,) = client.get_next_trials(max_trials=1).values()
    points[kind] = [parameters["dose"], parameters["depth"]]
print(json.dumps(points))
"""


@pytest.mark.parametrize("cls", CLASSES)
def test_a_fresh_process_goes_on_where_another_stopped(tmp_path: pathlib.Path, cls: type) -> None:
    expected, kinds = {}, ("multi", "constrained")
    for kind in kinds:
        client = run(client_of(kind, cls, fit_options={"warm_start": True}), kind, 5)
        client.save_to_json_file(str(tmp_path / f"{kind}.json"))
        (parameters,) = client.get_next_trials(max_trials=1).values()
        expected[kind] = [parameters["dose"], parameters["depth"]]
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "numpy", "PYTENSOR_FLAGS": "mode=FAST_COMPILE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parent.parent)])
    command = [sys.executable, "-c", CONTINUE, str(tmp_path), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    continued = json.loads(done.stdout.splitlines()[-1])
    for kind in kinds:
        assert np.allclose(np.divide(continued[kind], [160, 2]), np.divide(expected[kind], [160, 2]), atol=SAME_OPTIMUM), kind


@pytest.mark.filterwarnings("ignore:TypeDecorator JSONEncodedText:sqlalchemy.exc.SAWarning")  # of Ax's own column type
@pytest.mark.parametrize("cls", CLASSES)
def test_a_database_holds_a_campaign(tmp_path: pathlib.Path, cls: type) -> None:
    storage = StorageConfig(url=f"sqlite:///{tmp_path / 'campaign.db'}")
    init_engine_and_session_factory(url=storage.url, force_init=True)
    create_all_tables(get_engine())
    client = run(client_of("single", cls, storage_config=storage, fit_options={"warm_start": True}), "single", 5)
    loaded = Client.load_from_database("clover", storage_config=storage)
    assert memory_of(loaded) == memory_of(client)
    with with_rng_seed(0):
        loaded.get_next_trials(max_trials=1)
    client.get_next_trials(max_trials=1)
    assert len(points(loaded)) == 6
    assert np.allclose(points(loaded), points(client), atol=SAME_OPTIMUM)


@pytest.mark.parametrize("cls", CLASSES)
def test_the_state_of_a_model_has_its_point_or_draws(campaign: Any, cls: type) -> None:
    (model,) = models_of(campaign("single", cls))
    other = cls(
        torch.rand(5, 2).double(),
        torch.linspace(-2, 2, 5).double().unsqueeze(-1) / 2.5**0.5,
        outcome_transform=None,
        input_transform=copy.deepcopy(model.input_transform),
    )
    other.load_state_dict(model.state_dict())
    other.set_train_data(model.train_inputs[0], model.train_targets, strict=False)
    x = torch.tensor([[100.0, 3.0]]).double()
    torch.testing.assert_close(other.posterior(x).mean, model.posterior(x).mean, rtol=0, atol=1e-9)


def test_inputs_rank_alike_in_either_units() -> None:
    X, Y = 160 * torch.rand(8, 2).double() * torch.tensor([1.0, 0.0125]), torch.rand(8, 1).double()

    class Scaled(pymc_botorch.PyMCGP):
        reach = (0.25, 4.0)

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(2, ls=np.array(self.reach)))
            gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -1, 1))
            return gp

    class Natural(Scaled):
        units, reach = "natural", (40.0, 8.0)

    scaled = Scaled(X, Y, input_transform=Normalize(2, bounds=torch.tensor([[0.0, 0.0], [160.0, 2.0]]).double()))
    natural = Natural(X, Y).covar_module.lengthscale * (X.amax(0) - X.amin(0)) / torch.tensor([160.0, 2.0])
    torch.testing.assert_close(natural, scaled.covar_module.lengthscale, rtol=1e-6, atol=0)


def test_the_units_of_a_configuration_made_by_ax_are_those_of_the_class() -> None:
    by_ax = ModelConfig(FieldGP, name="by Ax")
    for strategy in (
        generation_strategy(by_ax),
        generation_strategy(surrogate_spec(by_ax)),
        generation_strategy(SurrogateSpec([by_ax])),
    ):
        (config,) = strategy._nodes[-1].generator_specs[0].generator_kwargs["surrogate_spec"].model_configs
        assert config.input_transform_classes is None


# Warm starts


def memory_of(client: Client) -> WarmStarts:
    return memory_in(client._generation_strategy)


def memory_in(strategy: Any) -> WarmStarts:
    (spec,) = strategy._nodes[-1].generator_specs
    return spec.generator_kwargs["surrogate_spec"].model_configs[0].mll_options["warm_start"]


def test_a_warm_start_begins_where_fewer_observations_ended() -> None:
    client = run(client_of("multi", TrialGP, fit_options={"warm_start": True, "num_starts": 2}), "multi", 5)
    memory = memory_of(client)
    assert {metric: [fit["n"] for fit in fits] for metric, fits in memory.fits.items()} == {"harvest": [3, 4], "cost": [3, 4]}
    for model, metric in zip(models_of(client), ["harvest", "cost"], strict=True):
        assert model.fit_result.starts == ("warm start", "prior mode")
        assert np.array_equal(memory.fits[metric][-1]["point"]["reach"], model.point["reach"])
    before = copy.copy(memory.fits)
    cross_validate(adapter_of(client), folds=2)
    assert memory.fits == before
    assert memory_of(run(client_of("multi", TrialGP, fit_options={"warm_start": True}), "multi", 0)).fits == {}


def test_warm_starts_do_not_depend_on_who_asks_for_a_fit() -> None:
    memory = WarmStarts()
    memory.remember("m", 5, {"a": np.array([1.0, 2.0])})
    memory.remember("m", 8, {"a": np.array([3.0, 4.0])})
    memory.remember("m", 7, {"a": np.array([0.0, 0.0])})  # a fold
    memory.remember("m", 8, {"a": np.array([9.0, 9.0])})  # asked for again
    assert memory.before("m", 8)["a"].tolist() == [1.0, 2.0]
    assert memory.before("m", 9)["a"].tolist() == [3.0, 4.0]
    assert memory.before("m", 5) is None
    assert memory.before("other", 9) is None


def test_configurations_share_no_warm_starts() -> None:
    config = model_config(TrialGP, fit_options={"warm_start": True})
    one, two = (memory_in(generation_strategy(config)) for _ in range(2))
    assert one is not two


def test_copies_of_a_strategy_share_no_warm_starts() -> None:
    client = run(client_of("single", TrialGP, fit_options={"warm_start": True}), "single", 4)
    strategy = client._generation_strategy
    assert memory_in(strategy).fits
    for twin in (strategy.clone_reset(), copy.deepcopy(client)._generation_strategy):
        assert memory_in(twin).fits == {}


# Choices between surrogates


def test_the_surrogate_that_predicts_best_is_chosen_for_each_metric() -> None:
    spec = surrogate_spec(TrialGP, ModelConfig(SingleTaskGP, name="own"), criterion="MSE", by_metric={"cost": TrialGP})
    client = run(client_of("multi", spec), "multi", 4)
    surrogate = adapter_of(client).generator.surrogate
    assert set(surrogate._model_name_to_eval["harvest"]) == {"TrialGP", "own"}
    assert type(models_of(client)[1]) is TrialGP


# Registration and refusals


def test_classes_are_registered_when_they_are_made() -> None:
    class LaterGP(TrialGP):
        pass

    first = LaterGP

    class LaterGP(TrialGP):
        """Made again, as in a notebook."""

    assert MODEL_REGISTRY[pymc_botorch.PyMCGP] == "PyMCGP"
    assert MODEL_REGISTRY[first] == MODEL_REGISTRY[LaterGP] == "LaterGP"
    assert REVERSE_MODEL_REGISTRY["LaterGP"] is LaterGP


def test_a_name_that_another_class_bears_is_refused() -> None:
    with pytest.warns(UserWarning, match="an experiment that Ax stores with it is loaded with the other class") as caught:
        made = type("SingleTaskGP", (TrialGP,), {})
    assert caught[0].filename == __file__
    assert REVERSE_MODEL_REGISTRY["SingleTaskGP"] is SingleTaskGP
    for use in (register, model_config, generation_strategy):
        with pytest.raises(UserInputError, match=r"already the name of botorch\.models\.gp_regression\.SingleTaskGP"):
            use(made)


def test_a_class_of_a_function_cedes_its_name_until_it_is_used() -> None:
    class PassingGP(TrialGP):
        pass

    assert REVERSE_MODEL_REGISTRY["PassingGP"] is PassingGP
    with pytest.warns(UserWarning, match="an experiment that Ax stores with it is loaded with the other class"):
        neighbour = type("PassingGP", (TrialGP,), {"__module__": __name__})
    with pytest.raises(UserInputError, match=r"already the name of test_ax\..*<locals>\.PassingGP"):
        register(neighbour)
    other = type("PassingGP", (TrialGP,), {"__module__": "elsewhere"})
    assert REVERSE_MODEL_REGISTRY["PassingGP"] is other
    assert PassingGP not in MODEL_REGISTRY
    with pytest.raises(UserInputError, match=r"already the name of elsewhere\.PassingGP"):
        model_config(PassingGP)


def test_a_class_of_a_function_keeps_its_name_once_it_is_used() -> None:
    def make() -> type[pymc_botorch.PyMCGP]:
        class KeptGP(TrialGP):
            pass

        return KeptGP

    register(make())
    again = make()
    with pytest.warns(UserWarning, match="an experiment that Ax stores with it is loaded with the other class"):
        type("KeptGP", (TrialGP,), {"__module__": "elsewhere"})
    assert REVERSE_MODEL_REGISTRY["KeptGP"] is again


def test_a_class_of_main_warns() -> None:
    made = type("MainGP", (TrialGP,), {"__module__": "__main__"})
    with pytest.warns(UserWarning, match="MainGP is defined in __main__"):
        model_config(made)
    model_config(made)  # once


class NarrowGP(TrialGP):
    def __init__(self, train_X: Any, train_Y: Any, **others: Any) -> None:
        super().__init__(train_X, train_Y, **others)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        pytest.param(
            lambda: model_config(TrialGP, model_options={"build_gp": distance}), "can't store a build_gp function", id="builder"
        ),
        pytest.param(
            lambda: model_config(TrialGP, model_options={"reach": 1}), "model_options of TrialGP can't be used", id="option"
        ),
        pytest.param(
            lambda: model_config(TrialGP, fit_options={"draws": 1}), "Pass some of warm_start, num_starts", id="fit option"
        ),
        pytest.param(lambda: model_config(TrialGP, fit_options={"warm_start": {"reach": 1}}), "pass True or False", id="point"),
        pytest.param(lambda: model_config(TrialGP, fit_options={"seed": distance}), "Ax can't store this", id="function"),
        pytest.param(lambda: model_config(TrialGP, fit_options={"seed": {1: 2}}), "Ax would load", id="integer key"),
        pytest.param(lambda: model_config(TrialGP, fit_options={"num_starts": 0}), "num_starts is 0", id="no start"),
        pytest.param(lambda: model_config(SampledGP, fit_options={"method": "vi"}), "method is 'vi'", id="method"),
        pytest.param(
            lambda: model_config(SampledGP, fit_options={"method": "nuts", "draws": 3, "chains": 1}),
            "num_draws is 16",
            id="few draws",
        ),
        pytest.param(
            lambda: model_config(type("Typo", (TrialGP,), {"units": "Natural"})), "units of Typo are 'Natural'", id="units"
        ),
        pytest.param(lambda: register(dict), "is not a model class of pymc_botorch", id="dict"),
        pytest.param(lambda: surrogate_spec(by_metric={"cost": []}), "a metric without a surrogate", id="empty"),
        pytest.param(lambda: model_config(NarrowGP), "does not name input_transform and outcome_transform", id="constructor"),
        pytest.param(lambda: model_config(SingleTaskGP), "is not a model class of pymc_botorch", id="foreign class"),
        pytest.param(lambda: generation_strategy("TrialGP"), "The surrogate is a str", id="name"),
        pytest.param(
            lambda: generation_strategy(model_config(TrialGP), fit_options={"seed": 1}), "Pass them to model_config", id="late"
        ),
        pytest.param(lambda: generation_strategy(TrialGP, initialization_budget=-1), "a whole number from 0 up", id="budget"),
        pytest.param(lambda: generation_strategy(TrialGP, categories="ordinal"), "'one-hot' or 'index'", id="categories"),
        pytest.param(
            lambda: generation_strategy(TrialGP, optimizer_kwargs={"f": distance}), "optimizer_kwargs: Ax can't", id="optimizer"
        ),
        pytest.param(
            lambda: generation_strategy(TrialGP, botorch_acqf_class=dict), "The strategy: Ax can't store", id="acquisition"
        ),
        pytest.param(
            lambda: generation_strategy(TrialGP, botorch_acqf_class="qEI"), "botorch_acqf_class is 'qEI'", id="acqf name"
        ),
        pytest.param(lambda: generation_strategy(TrialGP, seed=1.5), "seed is 1.5", id="seed"),
        pytest.param(lambda: generation_strategy(TrialGP, optimizer_kwargs="x"), "optimizer_kwargs is 'x'", id="no dict"),
        pytest.param(lambda: model_config(TrialGP, model_options={"train_Yvar": [1]}), "Ax passes train_Yvar itself", id="Ax's"),
        pytest.param(lambda: model_config(SampledGP, fit_options={"tune": None}), "tune is None", id="None"),
        pytest.param(lambda: surrogate_spec(TrialGP, TrialGP), "Two configurations are called 'TrialGP'", id="twice"),
        pytest.param(lambda: surrogate_spec(TrialGP, criterion="AIC"), "can't compare these models by 'AIC'", id="criterion"),
    ],
)
def test_what_ax_could_not_use_or_store_is_refused_at_once(call: Any, match: str) -> None:
    with pytest.raises(UserInputError, match=match):
        call()
