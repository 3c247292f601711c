"""Choices and scales of Ax as a class sees them: values of the experiment, positions of categories, and nothing unasked."""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.core.parameter import ChoiceParameter, ParameterType
from ax_gps import AnyGP, AnyScaledGP, after, client_of, fitted

from pymc_botorch.ax import fitted_models
from pymc_botorch.ax.transforms import CategoryPositions


def choice(name: str, values: list[Any], kind: str, *, ordered: bool) -> ChoiceParameterConfig:
    return ChoiceParameterConfig(name, values, parameter_type=kind, is_ordered=ordered)


def columns(rows: list[dict[str, Any]], parameters: list[Any], surrogate: Any, **options: Any) -> tuple[Client, dict[str, Any]]:
    """The client, and what the class saw by the name of the column."""
    client = Client(random_seed=0)
    client.configure_experiment(parameters, parameter_constraints=options.pop("parameter_constraints", None))
    client.configure_optimization("m")
    after(rows, client, surrogate, **options)
    return client, seen_by(client)


def seen_by(client: Client) -> dict[str, Any]:
    (data,) = client._generation_strategy.adapter.generator.surrogate.training_data
    assert data.X.equal(fitted_models(client)["m"].train().train_inputs[0])
    return dict(zip(data.feature_names, data.X.T.tolist(), strict=True))


# Values of the experiment

VALUES: dict[str, tuple[Any, list[Any]]] = {
    "constant ratios": (choice("a", [11.25, 22.5, 45.0, 90.0], "float", ordered=True), [11.25, 45.0, 90.0]),
    "powers with a gap": (choice("b", [64, 128, 512], "int", ordered=True), [64, 512, 128]),
    "two decades": (choice("c", [0.01, 0.3, 1.0], "float", ordered=True), [0.3, 1.0, 0.01]),
    "steps over two decades": (
        RangeParameterConfig("d", parameter_type="float", bounds=(1, 101), step_size=10),
        [101.0, 1.0, 51.0],
    ),
    "steps of whole numbers": (RangeParameterConfig("e", parameter_type="int", bounds=(1, 401), step_size=100), [401, 1, 201]),
    "an even range": (RangeParameterConfig("f", parameter_type="float", bounds=(0.001, 1000)), [0.001, 10.0, 900.0]),
    "whole numbers": (RangeParameterConfig("g", parameter_type="int", bounds=(1, 1000)), [1, 10, 1000]),
    "two numbers": (choice("h", [1, 1000], "int", ordered=True), [1, 1000, 1]),
}
LOG = RangeParameterConfig("k", parameter_type="float", bounds=(0.1, 1000), scaling="log")
WHOLE_LOG = RangeParameterConfig("l", parameter_type="int", bounds=(1, 1000), scaling="log")
AS_ASKED: dict[str, tuple[Any, list[Any], list[float]]] = {
    "a log scale": (LOG, [0.1, 10.0, 1000.0], [-1, 1, 3]),
    "a log scale of whole numbers": (WHOLE_LOG, [1, 10, 1000], [0, 1, 3]),
    "ordered text": (choice("o", ["low", "mid", "high"], "str", ordered=True), ["mid", "low", "high"], [1, 0, 2]),
    "truth": (choice("p", [True, False], "bool", ordered=True), [True, False, True], [1, 0, 1]),
}


@pytest.fixture(scope="module", params=["one-hot", "index"])
def natural(request: pytest.FixtureRequest) -> tuple[Client, dict[str, Any]]:
    given = [(config, observed) for config, observed, *_ in [*VALUES.values(), *AS_ASKED.values()]]
    rows = [{config.name: observed[k] for config, observed in given} for k in range(3)]
    client, seen = columns(rows, [config for config, _ in given], AnyGP, categories=request.param)
    return client, {**seen, "categories": request.param}


@pytest.mark.parametrize("kind", VALUES)
def test_a_natural_class_sees_the_values_of_the_experiment(natural: Any, kind: str) -> None:
    config, observed = VALUES[kind]
    if natural[1]["categories"] == "index" and kind == "two numbers":
        observed = [0, 1, 0]
    assert natural[1][config.name] == observed


@pytest.mark.parametrize("kind", AS_ASKED)
def test_a_natural_class_sees_what_was_asked_for(natural: Any, kind: str) -> None:
    config, _, expected = AS_ASKED[kind]
    assert np.allclose(natural[1][config.name], expected)


@pytest.mark.filterwarnings("ignore:Parameterization:RuntimeWarning")  # Ax's, of rows that were not declared
def test_values_that_were_observed_beyond_the_declared_stay_values() -> None:
    dose = choice("dose", [11.25, 22.5, 45.0, 90.0], "float", ordered=True)
    _, seen = columns([{"dose": 22.5}, {"dose": 30.0}, {"dose": 180.0}], [dose], AnyGP)
    assert seen["dose"] == [22.5, 30.0, 180.0]


def test_scaled_classes_see_ax_s_scale() -> None:
    dose = choice("dose", [11.25, 22.5, 45.0, 90.0], "float", ordered=True)
    client, seen = columns([{"dose": 11.25}, {"dose": 45.0}, {"dose": 90.0}], [dose], AnyScaledGP)
    assert np.allclose(seen["dose"], np.log10([11.25, 45, 90]))
    model = fitted_models(client)["m"].eval()
    assert np.allclose(model.train_inputs[0].flatten(), [0, 2 / 3, 1], atol=1e-6)


# Positions of categories

CATEGORIES: dict[str, tuple[Any, list[Any], list[int]]] = {
    "fractions": (choice("lime", [1.4, 0.2, 0.7], "float", ordered=False), [0.2, 0.7, 1.4], [0, 1, 2]),
    "years": (choice("year", [2023, 2021, 2022], "int", ordered=False), [2023, 2021, 2022], [2, 0, 1]),
    "two years": (choice("season", [2024, 2023], "int", ordered=False), [2024, 2023, 2023], [1, 0, 0]),
    "two fractions": (choice("gypsum", [0.5, 2.5], "float", ordered=False), [2.5, 0.5, 2.5], [1, 0, 1]),
    "negative numbers": (choice("matric", [-3, 7, -1], "int", ordered=False), [-1, 7, -3], [1, 2, 0]),
    "text": (choice("variety", ["Lerma", "Alta", "Rex"], "str", ordered=False), ["Rex", "Lerma", "Alta"], [2, 0, 1]),
    "two texts": (choice("plough", ["yes", "no"], "str", ordered=False), ["no", "yes", "yes"], [1, 0, 0]),
    "truth": (choice("drained", [True, False], "bool", ordered=False), [False, True, True], [0, 1, 1]),
}


@pytest.fixture(scope="module", params=[AnyGP, AnyScaledGP], ids=["natural", "scaled"])
def indexed(request: pytest.FixtureRequest) -> tuple[Client, dict[str, Any]]:
    depth = RangeParameterConfig("depth", parameter_type="float", bounds=(2, 4))
    rows = [{"depth": 2.0 + k, **{config.name: observed[k] for config, observed, _ in CATEGORIES.values()}} for k in range(3)]
    parameters = [depth, *(config for config, *_ in CATEGORIES.values())]
    return columns(rows, parameters, request.param, categories="index")


@pytest.mark.parametrize("kind", CATEGORIES)
def test_an_index_is_the_position_of_the_value(indexed: Any, kind: str) -> None:
    config, _, expected = CATEGORIES[kind]
    client, seen = indexed
    assert seen[config.name] == expected
    model = fitted_models(client)["m"].eval()
    column = list(seen).index(config.name)
    assert model.train_inputs[0][:, column].tolist() == expected  # nor is it scaled


def test_the_constructor_is_told_each_category(indexed: Any) -> None:
    client, seen = indexed
    assert fitted_models(client)["m"].categories == tuple(range(1, len(seen)))


@pytest.mark.filterwarnings("ignore:Unknown solver options")  # botorch/optim/optimize_mixed.py, of SLSQP
@pytest.mark.parametrize("categories", ["one-hot", "index"])
def test_trials_are_in_the_experiment(categories: str) -> None:
    parameters = [CATEGORIES["fractions"][0], CATEGORIES["two years"][0], VALUES["constant ratios"][0]]
    rows = [{"lime": 0.2, "season": 2024, "a": 22.5}, {"lime": 1.4, "season": 2023, "a": 90.0}]
    client, _ = columns(rows, parameters, AnyGP, categories=categories)
    client.get_next_trials(max_trials=1)
    client.predict(rows)
    for _, trial in client.summarize().iterrows():
        for config in parameters:
            assert trial[config.name] in config.values


def test_a_loaded_client_reads_the_same_positions(indexed: Any, tmp_path: pathlib.Path) -> None:
    client, _ = indexed
    client.save_to_json_file(str(tmp_path / "client.json"))
    loaded = fitted(Client.load_from_json_file(str(tmp_path / "client.json")))
    assert seen_by(loaded) == seen_by(client)


FRESH = """
import json, sys
from pymc_botorch.ax import fitted_models, load_client
client = load_client(sys.argv[1])
assert "ax_gps" in sys.modules
client._generation_strategy.fit(experiment=client._experiment)
(data,) = client._generation_strategy.adapter.generator.surrogate.training_data
print(json.dumps(dict(zip(data.feature_names, data.X.T.tolist()))), fitted_models(client)["m"].categories)
"""


def test_a_fresh_process_reads_the_same_positions(indexed: Any, tmp_path: pathlib.Path) -> None:
    client, seen = indexed
    if fitted_models(client)["m"].units == "scaled":
        pytest.skip("one process is enough")
    client.save_to_json_file(str(tmp_path / "client.json"))
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "numpy", "PYTENSOR_FLAGS": "mode=FAST_COMPILE"}
    environment["PYTHONPATH"] = os.pathsep.join([str(pathlib.Path(__file__).parent), str(pathlib.Path(__file__).parent.parent)])
    command = [sys.executable, "-c", FRESH, str(tmp_path / "client.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{json.dumps(seen)} {fitted_models(client)['m'].categories}"


def test_one_hot_columns_of_numbers_are_by_value() -> None:
    lime, *_ = CATEGORIES["fractions"]
    _, seen = columns([{"lime": 0.2}, {"lime": 1.4}, {"lime": 0.7}], [lime], AnyGP)
    assert [*seen.values()] == [[1, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_two_numbers_in_a_constraint_are_quantities() -> None:
    dose = choice("dose", [40.0, 120.0], "float", ordered=True)
    top = RangeParameterConfig("top", parameter_type="float", bounds=(0, 100))
    rows = [{"dose": 40.0, "top": 80.0}, {"dose": 120.0, "top": 30.0}, {"dose": 120.0, "top": 0.0}]
    client, seen = columns(rows, [dose, top], AnyGP, categories="index", parameter_constraints=["dose + top <= 150"])
    assert seen["dose"] == [40, 120, 120]
    assert fitted_models(client)["m"].categories == ()


def test_values_that_come_later_leave_the_positions_of_others() -> None:
    space = client_of("single", AnyGP)._experiment.search_space
    year = ChoiceParameter("year", ParameterType.INT, [2023, 2024], is_ordered=False)
    space.add_parameter(year)
    assert CategoryPositions(search_space=space).encoded_parameters == {"year": {2023: 0, 2024: 1}}
    observed = space.clone()
    observed.parameters["year"].set_values([2022, 2023, 2024])

    class Adapter:
        _search_space = space

    assert CategoryPositions(search_space=observed, adapter=Adapter()).encoded_parameters["year"] == {2023: 0, 2024: 1, 2022: 2}
