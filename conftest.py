"""Ours runs as NumPy source here, PyMC's by PyTensor's Python linker: a cold Numba compile takes tens of seconds."""

import tempfile
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pytensor
import pytest
import torch

import pymc_botorch
from pymc_botorch.graph.compiling import index

CASES = {
    "test_ax_changes": 2,
    "test_ax_choices": 3,
    "test_columns": 2,
    "test_conflict": 2,
    "test_first_hour": 2,
    "test_float32": 4,
    "test_gradients": 3,
    "test_index_columns": 2,
    "test_input_transforms": 2,
    "test_known_noise": 3,
    "test_small_outcomes": 2,
    "test_a_campaign_runs_on_a_class": 4,
    "test_a_compiled_class_is_copied_and_pickled_with_its_values": 4,
    "test_a_conditional_is_predicted_differentiated_and_conditioned": 10,
    "test_a_fresh_process_goes_on_where_another_stopped": 1,
    "test_a_fresh_process_reads_the_same_positions": 1,
    "test_a_posterior_is_written_without_a_fallback_and_equals_pytensors_own": 10,
    "test_acquisition_values_and_gradients_are_those_on_single_task_gp": 9,
    "test_all_draws_of_each_method_give_the_posterior_of_quadrature": 2,
    "test_analytic_functions_are_botorchs": 12,
    "test_ax_features_run": 4,
    "test_density_and_gradient_are_those_of_pymc_for_any_data": 6,
    "test_functions_of_one_outcome_under_constraints_are_botorchs": 6,
    "test_functions_of_two_outcomes_are_botorchs": 8,
    "test_graphs_of_pymcs_gps_are_held_and_loaded": 6,
    "test_monte_carlo_functions_are_botorchs": 12,
    "test_predictions_are_those_of_pymc": 6,
    "test_suggestions_are_those_of_botorchs_own": 5,
    "test_the_default_analyses_have_no_errors": 3,
    "test_the_function_given_outcomes_and_derivatives_has_the_moments_of_numpy": 3,
    "test_the_posterior_is_that_of_single_task_gp": 12,
    "test_under_numba_moments_and_gradients_are_those_of_the_numpy_tier": 1,
    "test_values_and_gradients_are_those_on_single_task_gp": 18,
    "test_what_is_not_compiled_is_used_as_it_is_and_says_why": 2,
}
"""Number of a function's cases, or of each function's in a module, that run unless ``--every-case`` is passed."""

pymc_botorch.config.linker = "numpy"  # also for fixtures that live longer than a test
_held_graphs = tempfile.TemporaryDirectory()
index.FOLDER = _held_graphs.name  # a test that changes how graphs are made must not leave any to others
pytensor.config.traceback__limit = 0  # where each variable was made: a sixth of the time that graphs take, and nobody reads it


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-case", action="store_true", help="run all cases of modules with many cases of one kind")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "site: builds the site and looks at its pages (make docs-check); left out unless asked")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out cases between others of their kind, evenly spaced ones staying, and tests of the site."""
    if "site" not in config.getoption("-m"):
        left_out = [item for item in items if item.get_closest_marker("site")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    if config.getoption("--every-case") or any("::" in argument for argument in config.args):
        return
    by_function = defaultdict(list)
    for item in items:
        by_function[item.path.stem, getattr(item, "originalname", item.name)].append(item)
    kept = {
        cases[i]
        for (module, function), cases in by_function.items()
        for i in np.linspace(0, len(cases) - 1, min(CASES.get(function, CASES.get(module, len(cases))), len(cases))).astype(int)
    }
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture(autouse=True)
def quick_linkers(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("numba"):
        yield
        return
    with pymc_botorch.config.change_flags(linker="numpy"), pytensor.config.change_flags(mode="FAST_COMPILE"):
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)
