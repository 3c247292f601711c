"""Acquisition functions that Ax makes are compiled where they can be: suggestions are the same, and a table says which were."""

import copy
import inspect
import json
import os
import pathlib
import pickle
import subprocess
import sys
from typing import Any

import ax_gps
import pytest
import torch
from ax.adapter.registry import Generators
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import UserInputError
from ax.generation_strategy.generation_node import GenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generators.torch.botorch_modular.surrogate import ModelConfig
from ax.utils.common.random import with_rng_seed
from ax_gps import PARAMETERS, FieldGP, SampledGP, TrialGP, VarietyGP, client_of, run
from botorch.acquisition import (
    LogExpectedImprovement,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qNoisyExpectedImprovement,
    qUpperConfidenceBound,
)
from botorch.acquisition.input_constructors import ACQF_INPUT_CONSTRUCTOR_REGISTRY, get_acqf_input_constructor
from botorch.exceptions.errors import UnsupportedError
from botorch.models import SingleTaskGP
from botorch.optim.initializers import is_nonnegative

import pymc_botorch.acquisition
from pymc_botorch import PyMCGP, compile_acqf
from pymc_botorch.acquisition import CompiledLogExpectedImprovement, CompiledqLogNoisyExpectedImprovement
from pymc_botorch.ax import acquisition_function, acquisition_summary, generation_strategy, load_client, surrogate_spec
from pymc_botorch.models.acquisition.classes import COMPILED_CLASSES

pytestmark = [
    pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning"),  # ax/generators/torch/botorch_moo_utils.py
    pytest.mark.filterwarnings("ignore::ax.exceptions.core.AxWarning"),  # of objectives without thresholds
    pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning"),  # three observations, few draws
    pytest.mark.filterwarnings("ignore:.*has known numerical issues.*"),
]
SAME = 1e-6  # relative to the range: the optimiser ends at the same point
X = torch.rand(6, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1))

RANGE = RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))
WHOLE = RangeParameterConfig("rows", parameter_type="int", bounds=(1, 40))
STEPS = RangeParameterConfig("depth", parameter_type="float", bounds=(2, 4), step_size=0.5)
VARIETY = ChoiceParameterConfig("variety", ["red", "white", "blue"], parameter_type="str", is_ordered=False)
SCALES = {"dose": 160, "rows": 39, "depth": 2}


def harvest(values: dict[str, Any]) -> float:
    variety = {"red": 0.3, "white": 0.0, "blue": -0.2}[values.get("variety", "white")]
    dose, rows, depth = (float(values.get(name, usual)) for name, usual in (("dose", 100), ("rows", 20), ("depth", 3)))
    return round(11 + variety - ((dose - 110) / 60) ** 2 - (rows / 20 - 1) ** 2 - (depth - 3.2) ** 2, 3)


def trial(parameters: list[Any], surrogate: Any = TrialGP, *, minimize: bool = False, **options: Any) -> tuple[Client, list[Any]]:
    """A client after four trials, and what it suggests then, one trial after the other without a result in between."""
    client = Client(random_seed=0)
    client.configure_experiment(parameters)
    client.configure_optimization("-harvest" if minimize else "harvest")
    suggested, fixed = options.pop("suggested", 2), options.pop("fixed", None)
    if baseline := options.pop("baseline", None):
        client.attach_baseline(baseline)
        client.complete_trial(0, raw_data={"harvest": harvest(baseline)})
    options = {"initialization_budget": 4, "seed": 1, "optimizer_kwargs": ax_gps.OPTIMIZER, **options}
    client.set_generation_strategy(generation_strategy(surrogate, **options))
    while len(client._experiment.trials) < 4:
        for index, values in client.get_next_trials(max_trials=1).items():
            client.complete_trial(index, raw_data={"harvest": harvest(values) * (-1 if minimize else 1)})
    pending = [client.get_next_trials(max_trials=1, fixed_parameters=fixed) for _ in range(suggested)]
    return client, [values for trials in pending for values in trials.values()]


def assert_same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    for values, expected in zip(one, other, strict=True):
        for name, value in expected.items():
            scale = SCALES.get(name)
            assert values[name] == (value if scale is None else pytest.approx(value, abs=SAME * scale))


CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "ranges": (PARAMETERS, {}),
    "a minimum": (PARAMETERS, {"minimize": True}),
    "natural units": (PARAMETERS, {"surrogate": FieldGP}),
    "over draws": (PARAMETERS, {"surrogate": SampledGP, "fit_options": ax_gps.FIT_OPTIONS[SampledGP]}),
    "fixed parameters": (PARAMETERS, {"fixed": {"depth": 2.7}}),
    "whole numbers": ([RANGE, WHOLE], {}),
    "steps": ([RANGE, STEPS], {}),
    "nothing but steps": ([WHOLE, STEPS], {}),
    "choices in columns": ([RANGE, VARIETY], {}),
    "choices as an index": ([VARIETY, RANGE], {"surrogate": VarietyGP, "categories": "index"}),
    "pruned": (
        PARAMETERS,
        {"baseline": {"dose": 80.0, "depth": 3.0}, "acquisition_options": {"prune_irrelevant_parameters": True}},
    ),
    "LogEI": (PARAMETERS, {"botorch_acqf_class": LogExpectedImprovement, "suggested": 1}),  # it takes no pending points
    "qLogEI": (PARAMETERS, {"botorch_acqf_class": qLogExpectedImprovement}),
    "qEI": (PARAMETERS, {"botorch_acqf_class": qExpectedImprovement}),
    "qUCB": (PARAMETERS, {"botorch_acqf_class": qUpperConfidenceBound}),
}


@pytest.mark.parametrize("name", CASES)
def test_suggestions_are_those_of_botorchs_own(name: str) -> None:
    parameters, options = CASES[name]
    client, suggested = trial(parameters, **options)
    plain, expected = trial(parameters, compile_acqf=False, **options)
    made, original = acquisition_function(client), acquisition_function(plain)
    assert type(made) is COMPILED_CLASSES[type(original)]
    assert_same(suggested, expected)
    assert list(acquisition_summary(client)["trial_index"]) == list(range(4, 4 + len(suggested)))
    assert acquisition_summary(client)["compiled"].all()
    assert set(acquisition_summary(client)["acquisition_function"]) == {type(made).__name__}
    assert acquisition_summary(plain).empty


@pytest.mark.parametrize("kind", ["constrained", "scalarised"])
def test_several_outcomes_are_compiled(kind: str) -> None:
    """Suggestions are not compared: of several optima as near, rounding may decide which one a search ends at."""
    client = run(client_of(kind, TrialGP), kind, 4)
    made = acquisition_function(client)
    assert type(made) is CompiledqLogNoisyExpectedImprovement
    X = torch.tensor([160.0, 2.0]) * torch.rand(20, 1, 2, dtype=torch.double) + torch.tensor([0.0, 2.0])
    torch.testing.assert_close(made(X), made.original(X), rtol=1e-8, atol=1e-10)
    ((_, is_compiled),) = acquisition_summary(client)[["trial_index", "compiled"]].itertuples(index=False)
    assert is_compiled


def test_a_batch_is_that_of_botorchs_own() -> None:
    batches = []
    for on in (True, False):
        client, _ = trial(PARAMETERS, compile_acqf=on, suggested=0)
        with with_rng_seed(1):
            ((run_of_two,),) = client._generation_strategy.gen(client._experiment, n=2, num_trials=1)
        batches.append([arm.parameters for arm in run_of_two.arms])
        assert (type(acquisition_function(client)) is CompiledqLogNoisyExpectedImprovement) is on
    assert len(batches[0]) == 2
    assert_same(*batches)


# What is left to BoTorch

UNTOUCHED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "several objectives": ("multi", {}, "qLogNoisyExpectedHypervolumeImprovement", "Those that are compiled are"),
    "another class": (
        "single",
        {"botorch_acqf_class": qNoisyExpectedImprovement},
        "qNoisyExpectedImprovement",
        "Those that are compiled are",
    ),
    "a model of Ax": ("single", {"surrogate": ModelConfig(SingleTaskGP)}, "qLogNoisyExpectedImprovement", "is a SingleTaskGP"),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_what_is_not_compiled_is_used_as_it_is_and_says_why(
    name: str, tmp_path: pathlib.Path, recwarn: pytest.WarningsRecorder
) -> None:
    kind, options, cls, reason = UNTOUCHED[name]
    client = run(client_of(kind, **{"surrogate": TrialGP, **options}), kind, 4)
    assert type(acquisition_function(client)).__name__ == cls
    client.save_to_json_file(str(tmp_path / "client.json"))
    for one in (client, load_client(tmp_path / "client.json")):
        ((index, named, is_compiled, why),) = acquisition_summary(one).itertuples(index=False)
        assert (index, named, is_compiled) == (3, cls, False)
        assert reason in why
    assert not [warning for warning in recwarn if "compiled" in str(warning.message)]


def test_a_metric_that_is_only_tracked_prevents_nothing() -> None:
    client = client_of("single", TrialGP)
    client.configure_metrics([])
    client.configure_tracking_metrics(["cost"])
    client = run(client, "multi", 4)
    assert list(acquisition_summary(client)["compiled"]) == [True]


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_the_option_is_true_or_false(value: Any) -> None:
    with pytest.raises(UserInputError, match=r"compile_acqf is .*Pass True or False"):
        generation_strategy(TrialGP, compile_acqf=value)


def test_a_client_without_an_acquisition_function_says_so() -> None:
    client = client_of("single", TrialGP)
    assert acquisition_summary(client).empty
    with pytest.raises(UserInputError, match="has not fitted a surrogate yet"):
        acquisition_function(client)
    ax_gps.fitted(run(client, "single", 3))
    with pytest.raises(UserInputError, match="has suggested no trial since it was fitted"):
        acquisition_function(client)
    with pytest.raises(UserInputError, match="no strategy"):
        acquisition_summary(Client())


# Classes with names of their own


def strategy_of_ax(cls: type) -> GenerationStrategy:
    """A strategy that nothing of ours has made, but for the model and the acquisition function."""
    options = {"surrogate_spec": surrogate_spec(TrialGP), "botorch_acqf_class": cls}
    spec = GeneratorSpec(Generators.BOTORCH_MODULAR, generator_kwargs=options)
    return GenerationStrategy(name="own", nodes=[GenerationNode(name="own", generator_specs=[spec])])


def suggestion_of(strategy: GenerationStrategy) -> tuple[Client, dict[str, Any]]:
    client = Client(random_seed=0)
    client.configure_experiment(PARAMETERS)
    client.configure_optimization("harvest")
    client.set_generation_strategy(strategy)
    for dose, depth in ((20.0, 2.2), (90.0, 3.7), (150.0, 2.9)):
        parameters = {"dose": dose, "depth": depth}
        client.complete_trial(client.attach_trial(parameters), raw_data={"harvest": harvest(parameters)})
    ((_, values),) = client.get_next_trials(max_trials=1).items()
    return client, values


@pytest.mark.parametrize("cls", [CompiledqLogNoisyExpectedImprovement, CompiledLogExpectedImprovement])
def test_strategies_of_ax_take_compiled_classes(cls: type, tmp_path: pathlib.Path) -> None:
    client, values = suggestion_of(strategy_of_ax(cls))
    plain, expected = suggestion_of(strategy_of_ax(cls.botorch_class))
    assert type(acquisition_function(client)) is cls
    assert type(acquisition_function(plain)) is cls.botorch_class
    assert_same([values], [expected])
    client.save_to_json_file(str(tmp_path / "client.json"))
    loaded = load_client(tmp_path / "client.json")
    loaded.complete_trial(3, raw_data={"harvest": harvest(values)})
    loaded.get_next_trials(max_trials=1)
    assert type(acquisition_function(loaded)) is cls


def test_our_strategy_takes_compiled_classes() -> None:
    client, suggested = trial(PARAMETERS, botorch_acqf_class=CompiledqLogNoisyExpectedImprovement)
    assert type(acquisition_function(client)) is CompiledqLogNoisyExpectedImprovement
    assert_same(suggested, trial(PARAMETERS)[1])


@pytest.fixture(scope="module")
def model() -> PyMCGP:
    return PyMCGP(X, X.sin().sum(-1, keepdim=True) * 3 + 2).fit()


def test_there_is_a_public_class_for_each_that_can_be_compiled() -> None:
    public = {name for name in pymc_botorch.acquisition.__all__ if name.startswith("Compiled")}
    assert public == {cls.__name__ for cls in COMPILED_CLASSES.values()}
    for original, cls in COMPILED_CLASSES.items():
        assert cls.__name__ == f"Compiled{original.__name__}"
        assert issubclass(cls, original)
        assert inspect.signature(cls) == inspect.signature(original)
        if original in ACQF_INPUT_CONSTRUCTOR_REGISTRY:
            assert get_acqf_input_constructor(cls) is get_acqf_input_constructor(original)


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "PosteriorMean": (),
    "PosteriorStandardDeviation": (),
    "UpperConfidenceBound": (0.3,),
    "qUpperConfidenceBound": (0.3,),
    "qSimpleRegret": (),
    "qLogNoisyExpectedImprovement": (X,),
}


@pytest.mark.filterwarnings("ignore:A not p.d.")  # samples at points of the baseline
@pytest.mark.parametrize("original", COMPILED_CLASSES)
def test_a_compiled_class_is_copied_and_pickled_with_its_values(model: PyMCGP, original: type) -> None:
    arguments = (model, *ARGUMENTS.get(original.__name__, (3.0,)))
    torch.manual_seed(2)
    expected = original(*arguments)(X[:, None])
    torch.manual_seed(2)
    made = COMPILED_CLASSES[original](*arguments)
    torch.testing.assert_close(made(X[:, None]), expected, rtol=1e-6, atol=1e-9)
    assert is_nonnegative(made) == is_nonnegative(made.original)  # by which optimisers choose where they start
    assert made._log == made.original._log
    assert compile_acqf(made) is made
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert type(other) is type(made)
        assert other.original is not made.original
        torch.testing.assert_close(other(X[:, None]), made(X[:, None]), rtol=1e-12, atol=0)


def test_a_compiled_class_refuses_what_it_does_not_compute(model: PyMCGP) -> None:
    with pytest.raises(UnsupportedError, match=r"This qLogNoisyExpectedImprovement cannot be compiled\. .*itself"):
        CompiledqLogNoisyExpectedImprovement(model, X, cache_root=False)
    with pytest.raises(TypeError, match="best_f"):
        CompiledLogExpectedImprovement(model)


# Storage

CONTINUE = """
import json, sys
import ax_gps
from ax.utils.common.random import with_rng_seed
from pymc_botorch.ax import acquisition_function, acquisition_summary, load_client
client = load_client(sys.argv[1])
before = acquisition_summary(client).to_dict("list")
with with_rng_seed(0):
    (parameters,) = client.get_next_trials(max_trials=1).values()
print(json.dumps([before, type(acquisition_function(client)).__name__, parameters]))
"""


def test_a_fresh_process_knows_what_was_compiled_and_goes_on(tmp_path: pathlib.Path) -> None:
    client = run(client_of("single", TrialGP), "single", 5)
    client.save_to_json_file(str(tmp_path / "client.json"))
    folder = pathlib.Path(__file__).parent
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "numpy", "PYTENSOR_FLAGS": "mode=FAST_COMPILE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(folder.parent)])
    command = [sys.executable, "-c", CONTINUE, str(tmp_path / "client.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    before, name, parameters = json.loads(done.stdout.splitlines()[-1])
    assert before == acquisition_summary(client).to_dict("list")
    assert before["trial_index"] == [3, 4]
    assert name == "CompiledqLogNoisyExpectedImprovement"
    (expected,) = client.get_next_trials(max_trials=1).values()
    assert parameters == pytest.approx(expected, rel=1e-4)  # outcomes are stored to 1e-10, which optimisers amplify
