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
    "test_a_campaign_runs_on_a_class": 2,
    "test_a_compiled_class_is_copied_and_pickled_with_its_values": 4,
    "test_a_conditional_is_predicted_differentiated_and_conditioned": 10,
    "test_a_conditional_of_the_zoo_has_the_same_densities_without_loops_over_diagonals": 3,
    "test_a_fresh_process_goes_on_where_another_stopped": 1,
    "test_a_fresh_process_reads_the_same_positions": 1,
    "test_a_plain_export_is_silently_wrong_where_ours_is_right": 0,
    "test_a_posterior_is_written_without_a_fallback_and_equals_pytensors_own": 5,
    "test_acquisition_values_and_gradients_are_those_on_single_task_gp": 9,
    "test_all_draws_of_each_method_give_the_posterior_of_quadrature": 2,
    "test_analytic_functions_are_botorchs": 12,
    "test_ax_features_run": 4,
    "test_density_and_gradient_are_those_of_pymc_for_any_data": 3,
    "test_derivatives_are_those_of_refits": 1,
    "test_derivatives_given_outcomes_have_the_moments_of_numpy": 2,
    "test_derivatives_of_an_optimum_by_optax_are_those_of_refits": 0,
    "test_each_part_has_the_conditional_of_pymc_and_components_add_up": 1,
    "test_each_point_has_the_density_that_it_has_alone": 3,
    "test_errors_of_nuts_are_what_they_say": 0,
    "test_functions_of_one_outcome_under_constraints_are_botorchs": 6,
    "test_functions_of_two_outcomes_are_botorchs": 8,
    "test_gradients_and_jacobians_are_those_of_backward": 2,
    "test_graphs_of_pymcs_gps_are_held_and_loaded": 3,
    "test_influence_is_that_of_fitting_and_optimising_again": 1,
    "test_influence_is_the_reference": 2,
    "test_kernels_written_to_be_differentiated_keep_their_values_and_have_a_diagonal": 9,
    "test_monte_carlo_functions_are_botorchs": 12,
    "test_nodes_and_weights_of_a_quadrature_give_its_derivative": 2,
    "test_noise_of_any_kind_enters_the_posterior_as_in_pymc": 3,
    "test_noise_that_is_computed_serves_posterior_prior_leave_one_out_and_lengthscales": 3,
    "test_other_data_are_refused_by_what_differs": 2,
    "test_parameters_are_found": 2,
    "test_predictions_are_those_of_pymc": 6,
    "test_priors_that_depend_on_parameters_or_data_are_fitted_and_forget_earlier_data": 1,
    "test_second_derivatives_are_pytensors": 2,
    "test_second_derivatives_of_predictions_are_those_of_differences": 0,
    "test_suggestions_are_those_of_botorchs_own": 5,
    "test_symbolic_variables_are_the_compiled_numbers": 2,
    "test_the_default_analyses_have_no_errors": 2,
    "test_the_density_is_that_of_outcomes_times_that_of_signs": 2,
    "test_the_function_given_outcomes_and_derivatives_has_the_moments_of_numpy": 3,
    "test_the_model_of_largest_evidence_is_chosen_without_cross_validation": 1,
    "test_the_posterior_is_that_of_single_task_gp": 12,
    "test_the_prior_covariance_of_gradients_is_positive_semidefinite": 6,
    "test_training_data_with_an_unknown_category_are_refused_before_a_fit": 3,
    "test_under_numba_moments_and_gradients_are_those_of_the_numpy_tier": 1,
    "test_values_and_gradients_are_those_on_single_task_gp": 18,
    "test_what_can_not_be_used_is_refused": 8,
    "test_what_is_not_compiled_is_used_as_it_is_and_says_why": 2,
}
"""Number of a function's cases, or of each function's in a module, that run unless ``--every-case`` is passed; 0 is none."""

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
