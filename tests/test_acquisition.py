"""Every acquisition function of BoTorch that a model of another library can serve, side by side with SingleTaskGP."""

import pytest
import torch
from acquisition_cases import CASES, build, finite_differences, inputs, value_and_gradient
from botorch.models import ModelListGP
from botorch.models.model import Model
from zoo import marginal, single_task_gp

from pymc_botorch import PyMCGP, config

FINITE_DIFFERENCES = 1e-6

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*has known numerical issues"),  # BoTorch's advice on its own legacy functions
    pytest.mark.filterwarnings("ignore:A not p.d., added jitter"),  # baselines with points close together, on both sides
]


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """Without jitter, so that all noise is sigma², on both sides also for new observations."""
    first, second = marginal(jitter=0.0), marginal("ExpQuad", seed=2, jitter=0.0)
    with config.change_flags(linker="numpy"):
        ours = [PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model) for case in (first, second)]
    theirs = [single_task_gp(first, jitter=0.0), single_task_gp(second, "ExpQuad", jitter=0.0)]
    return {
        "ours 1": ours[0],
        "theirs 1": theirs[0],
        "ours 2": ModelListGP(*ours),
        "theirs 2": ModelListGP(*theirs),
        "mixed 2": ModelListGP(ours[0], theirs[1]),
    }


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_on_single_task_gp(models: dict[str, Model], name: str) -> None:
    case = CASES[name]
    X = inputs(case)
    expected, expected_gradient = value_and_gradient(build(case, models[f"theirs {case.outcomes}"]), X)
    assert expected.isfinite().all()
    for side in ("ours", "mixed")[: case.outcomes]:
        function = build(case, models[f"{side} {case.outcomes}"])
        value, gradient = value_and_gradient(function, X)
        torch.testing.assert_close(value, expected, rtol=case.value, atol=case.value)
        if case.finite_differences and side == "ours":
            expected_gradient = finite_differences(function, X)
            tolerance = FINITE_DIFFERENCES * expected_gradient.abs().max().item()
        elif case.gradient is None or case.finite_differences:
            continue
        else:
            tolerance = case.gradient * expected_gradient.abs().max().item()
        torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=tolerance)
