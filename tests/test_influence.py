"""How recommendations move with the data: reference numbers, refits with the acquisition optimised again, refusals, the table."""

import re
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pymc as pm
import pytest
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    LogExpectedImprovement,
    PosteriorMean,
    UpperConfidenceBound,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
)
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Normalize
from botorch.optim import optimize_acqf
from botorch.sampling import IIDNormalSampler, SobolQMCNormalSampler
from sensitivity_cases import CANDIDATE, INFLUENCE, Y, fitted
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_acqf, map_sensitivity, recommendation_influence
from pymc_botorch.models.sensitivity.candidate import polish

BOUNDS = torch.tensor([[0.0], [11.0]], dtype=torch.double)
NEAR = torch.tensor([[5.504]], dtype=torch.double)


@pytest.fixture(scope="module")
def model() -> PyMCGP:
    return fitted()


def of_best(model: PyMCGP) -> LogExpectedImprovement:
    return LogExpectedImprovement(model, best_f=model.train_targets.max())


KINDS: dict[str, Callable[[PyMCGP], Any]] = {
    "log EI": of_best,
    "EI": lambda model: ExpectedImprovement(model, best_f=Y.max()),
    "compiled": lambda model: compile_acqf(of_best(model)),
    "a function": lambda model: of_best,
}


@pytest.mark.filterwarnings("ignore:ExpectedImprovement has known numerical issues")
@pytest.mark.parametrize("kind", KINDS)
def test_influence_is_the_reference(model: PyMCGP, kind: str) -> None:
    influence = recommendation_influence(model, KINDS[kind](model), NEAR, bounds=BOUNDS)
    assert influence.candidate.item() == pytest.approx(CANDIDATE, abs=1e-8)
    for name in ("X", "y"):
        np.testing.assert_allclose(influence.gradient[name].ravel(), INFLUENCE[name], atol=2e-9)
    assert influence.incumbent == ("function" if kind == "a function" else "observation")
    assert influence.incumbent_row == (None if kind == "a function" else 5)
    assert influence.free.all()
    assert influence.condition == 1.0


def test_without_the_incumbents_term_one_number_is_wrong(model: PyMCGP) -> None:
    fixed = recommendation_influence(model, lambda other: LogExpectedImprovement(other, best_f=Y.max()), NEAR, "y")
    assert fixed.gradient["y"][0, 0, 5] == pytest.approx(0.0961648, abs=1e-6)


# -- refits in raw units --------------------------------------------------------------------------------------------------------

UNIT = torch.tensor([[0.0, 0.0], [3.0, 3.0]], dtype=torch.double)


def two_inputs(X: Any, y: Any, sigma: Any = None) -> pm.gp.Marginal:
    reach, height = pm.LogNormal("reach", -1, 0.5, shape=2), pm.LogNormal("height", 0, 0.5)
    noise = pm.LogNormal("noise", -2, 0.5) if sigma is None else sigma
    gp = pm.gp.Marginal(cov_func=height**2 * pm.gp.cov.Matern52(2, ls=reach))
    gp.marginal_likelihood("observed", X, y, sigma=noise)
    return gp


def raw_data() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    inputs = 3 * torch.rand(10, 2, dtype=torch.double, generator=generator)
    noise = 0.1 * torch.randn(10, dtype=torch.double, generator=generator)
    return {"X": inputs, "y": 5 - (inputs - 1.4).square().sum(-1) + noise, "sigma": torch.full((10,), 0.2, dtype=torch.double)}


def made(data: dict[str, Tensor], known: bool, warm: Any = None) -> PyMCGP:
    variance = data["sigma"].square().unsqueeze(-1) if known else None
    transform = Normalize(2, bounds=UNIT)
    model = PyMCGP(data["X"], data["y"].unsqueeze(-1), variance, input_transform=transform, build_gp=two_inputs)
    return model.fit(warm, num_starts=1) if warm is not None else model.fit()


SAMPLER = SobolQMCNormalSampler(torch.Size([64]), seed=1)


def noisy(model: PyMCGP) -> AcquisitionFunction:
    X = model.state.training.raw_X
    return qLogNoisyExpectedImprovement(model, X_baseline=X, sampler=SAMPLER, prune_baseline=False)


def of_mean(model: PyMCGP) -> AcquisitionFunction:
    best = model.posterior(model.state.training.raw_X).mean.max().detach()
    return qLogExpectedImprovement(model, best_f=best, sampler=SAMPLER)


ACQUISITIONS: dict[str, tuple[Callable[[PyMCGP], AcquisitionFunction], int, bool, str]] = {
    "the mean": (PosteriorMean, 1, False, "none"),
    "UCB of known noise": (lambda model: UpperConfidenceBound(model, beta=2.0), 1, True, "none"),
    "EI of a batch over the best mean": (of_mean, 2, False, "mean"),
}


def optimised(make: Callable[[PyMCGP], AcquisitionFunction], model: PyMCGP, near: Tensor) -> np.ndarray:
    bounds = torch.tensor([[-9.0, -9.0], [9.0, 9.0]], dtype=torch.double)
    found, _ = optimize_acqf(
        make(model), bounds, q=len(near), num_restarts=1, batch_initial_conditions=near.unsqueeze(0), options={"maxiter": 200}
    )
    return polish(make(model), found.numpy(), np.ones(2), None, np.zeros(2, bool)).X


@pytest.mark.parametrize("kind", ACQUISITIONS)
def test_influence_is_that_of_fitting_and_optimising_again(kind: str) -> None:
    make, q, known, incumbent = ACQUISITIONS[kind]
    data = raw_data()
    base = made(data, known)
    starts, _ = optimize_acqf(make(base), UNIT, q=q, num_restarts=4, raw_samples=64, options={"seed": 0})
    names = ["y", "X"] + ["sigma"] * known
    influence = recommendation_influence(base, make(base), starts, names)
    assert influence.incumbent == incumbent
    near, step = torch.from_numpy(influence.candidate), 1e-3
    tolerance = 0.01 if q > 1 else 2e-5  # averages over samples have kinks, and steps of another length see others of them
    for name, entry in (("y", (4,)), ("X", (3, 1)), ("sigma", (2,))):
        if name not in names:
            continue
        candidates = []
        for sign in (1, -1):
            moved = {key: value.clone() for key, value in data.items()}
            moved[name][entry] += sign * step
            exact = map_sensitivity(warm := made(moved, known, base)).point
            refit = warm.given_data(moved["X"], moved["y"].unsqueeze(-1), _variance(moved, known), exact)
            candidates.append(optimised(make, refit, near))
        difference = (candidates[0] - candidates[1]) / (2 * step)
        np.testing.assert_allclose(influence.gradient[name][(..., *entry)], difference, atol=tolerance)


def _variance(data: dict[str, Tensor], known: bool) -> Tensor | None:
    return data["sigma"].square().unsqueeze(-1) if known else None


def test_a_function_takes_what_computes_more_from_a_model() -> None:
    base = made(raw_data(), False)
    acqf = noisy(base)
    starts, _ = optimize_acqf(acqf, UNIT, q=1, num_restarts=4, raw_samples=64, options={"seed": 0})
    with pytest.raises(UnsupportedError, match="Pass a function that makes it from a model"):
        recommendation_influence(base, acqf, starts)
    influence = recommendation_influence(base, noisy, starts, "y", bounds=UNIT)
    assert influence.gradient["y"].shape == (1, 2, 10)
    assert np.abs(influence.gradient["y"]).max() > 0.01


# -- bounds, minimising, what is held --------------------------------------------------------------------------------------------


def test_what_is_at_a_bound_does_not_move(model: PyMCGP) -> None:
    bounds = torch.tensor([[0.0], [5.0]], dtype=torch.double)
    at_bound = recommendation_influence(model, PosteriorMean(model), torch.tensor([[5.0]]), bounds=bounds)
    assert not at_bound.free.any()
    assert not at_bound.gradient["y"].any()
    assert "1 of its 1 inputs are at a bound or held" in repr(at_bound)
    with pytest.raises(InputDataError, match=r"rises from it along input 0.*pass bounds=, as to optimize_acqf"):
        recommendation_influence(model, PosteriorMean(model), torch.tensor([[5.0]]))


def test_a_fixed_feature_stays_and_the_other_moves_as_if_alone() -> None:
    base = made(raw_data(), False)
    found, _ = optimize_acqf(PosteriorMean(base), UNIT, q=1, num_restarts=2, raw_samples=32, fixed_features={1: 0.7})
    influence = recommendation_influence(base, PosteriorMean(base), found, "y", bounds=UNIT, fixed_features={1: 0.7})
    assert influence.free.tolist() == [[True, False]]
    assert influence.candidate[0, 1] == pytest.approx(0.7)
    assert influence.gradient["y"][0, 0].any()
    assert not influence.gradient["y"][0, 1].any()


def test_minimising_is_maximising_the_negative(model: PyMCGP) -> None:
    flipped = fitted(y=-Y)
    lowest = LogExpectedImprovement(flipped, best_f=-Y.max(), maximize=False)
    transform = ScalarizedPosteriorTransform(torch.tensor([-1.0], dtype=torch.double))
    weighted = LogExpectedImprovement(flipped, best_f=Y.max(), posterior_transform=transform)
    for acqf in (lowest, weighted):
        influence = recommendation_influence(flipped, acqf, NEAR, bounds=BOUNDS)
        assert influence.incumbent_row == 5
        np.testing.assert_allclose(influence.gradient["y"].ravel(), -INFLUENCE["y"], atol=1e-7)
        np.testing.assert_allclose(influence.gradient["X"].ravel(), INFLUENCE["X"], atol=1e-7)


def test_another_number_as_incumbent_stays_fixed(model: PyMCGP) -> None:
    acqf = LogExpectedImprovement(model, best_f=9.0)
    found, _ = optimize_acqf(acqf, BOUNDS, q=1, num_restarts=2, raw_samples=32)
    influence = recommendation_influence(model, acqf, found, "y", bounds=BOUNDS)
    assert (influence.incumbent, influence.incumbent_row) == ("fixed", None)
    assert "The incumbent is neither an outcome nor a mean at the training inputs, and is held fixed." in repr(influence)
    of_function = recommendation_influence(model, lambda other: LogExpectedImprovement(other, best_f=9.0), found, "y")
    np.testing.assert_allclose(influence.gradient["y"], of_function.gradient["y"], atol=1e-9)


def test_a_tie_of_incumbents_is_said() -> None:
    outcomes = Y.copy()
    outcomes[4] = outcomes[5]
    tied = fitted(y=outcomes)
    acqf = LogExpectedImprovement(tied, best_f=outcomes.max())
    found, _ = optimize_acqf(acqf, BOUNDS, q=1, num_restarts=4, raw_samples=64)
    with pytest.warns(UserWarning, match="Several observations are the incumbent"):
        recommendation_influence(tied, acqf, found, "y", bounds=BOUNDS)


# -- refusals, table and figure -------------------------------------------------------------------------------------------------


def of_other_samples(model: PyMCGP) -> AcquisitionFunction:
    return qLogExpectedImprovement(model, Y.max(), sampler=IIDNormalSampler(torch.Size([8]), seed=int(torch.randint(9999, ()))))


def test_what_cannot_be_answered_is_said_in_words(model: PyMCGP) -> None:
    acqf = of_best(model)
    with pytest.raises(InputDataError, match=r"candidate has shape \(2,\)"):
        recommendation_influence(model, acqf, torch.tensor([1.0, 2.0]))
    with pytest.raises(InputDataError, match="not a maximum of acqf"):
        recommendation_influence(model, acqf, torch.tensor([[5.0]]), bounds=BOUNDS)
    with pytest.raises(InputDataError, match="that of another model"):
        recommendation_influence(fitted(), acqf, NEAR)
    with pytest.raises(InputDataError, match="bounds have shape"):
        recommendation_influence(model, acqf, NEAR, bounds=BOUNDS.T)
    with pytest.raises(InputDataError, match=r"wrt has 'sigma'\. Pass some of 'X', 'y'"):
        recommendation_influence(model, acqf, NEAR, ["sigma"])
    with pytest.raises(InputDataError, match="acqf returns a int"):
        recommendation_influence(model, lambda other: 1, NEAR)
    with pytest.raises(InputDataError, match=r"acqf is a NoneType\. Pass an acquisition function"):
        recommendation_influence(model, None, NEAR)
    with pytest.raises(InputDataError, match="not finite, or a lower one is not below the upper"):
        recommendation_influence(model, acqf, NEAR, bounds=torch.tensor([[0.0], [torch.inf]]))
    with pytest.raises(InputDataError, match="Input 0 of the candidate is outside bounds"):
        recommendation_influence(model, acqf, NEAR, bounds=BOUNDS + 6.0)
    for fixed, message in (
        ({-1: 5.504}, r"has input -1. Pass inputs from 0 to 0"),
        ({0: 5.0}, r"has 5.0 for input 0, at which the candidate has \[5.504\]"),
        ([0], "is a list. Pass a dict"),
    ):
        with pytest.raises(InputDataError, match=message):
            recommendation_influence(model, acqf, NEAR, fixed_features=fixed)
    with pytest.raises(InputDataError, match="sampler with a seed"):
        recommendation_influence(model, of_other_samples, NEAR)
    ensemble = FullyBayesianPyMCGP(torch.rand(5, 1).double(), torch.rand(5, 1).double())
    with pytest.raises(UnsupportedError, match="Pass a PyMCGP"):
        recommendation_influence(ensemble, acqf, NEAR)


def test_it_prints_as_a_table_and_draws_a_panel_for_each_input(model: PyMCGP) -> None:
    influence = recommendation_influence(model, of_best(model), NEAR, bounds=BOUNDS)
    table = influence.table(names=["dose"])
    assert table.splitlines()[0] == "Recommendation: dose = 5.504"
    assert re.search(r"^  5 \* +5\.55556 +9\.932 +\+0\.036$", table, re.M)
    assert "* The incumbent." in table
    assert influence.noise_sd is None
    labels = [f"plot {i}" for i in range(10)]
    assert "plot 7" in influence.table(labels=labels)
    axes = influence.plot(names=["dose"], labels=labels, units=["kg/ha"], outcome="t/ha")
    assert len(axes) == 1
    assert [bar.get_width() for bar in axes[0].patches] == pytest.approx(INFLUENCE["y"].ravel().tolist(), abs=1e-8)
    assert axes[0].get_yticklabels()[5].get_text() == "plot 5"
    assert (axes[0].get_xlabel(), axes[0].get_title()) == ("change of dose, kg/ha per t/ha", "dose = 5.504 kg/ha")
    mpl.pyplot.close(axes[0].figure)
    with pytest.raises(InputDataError, match=r"no derivatives in 'X' of one number each, but in \['y'\]"):
        influence.table(by="X")
    with pytest.raises(InputDataError, match="There are 2 names of 1"):
        influence.plot(names=["a", "b"])


def test_known_noise_says_how_far_it_moves_the_recommendation() -> None:
    base = made(raw_data(), True)
    found, _ = optimize_acqf(PosteriorMean(base), UNIT, q=1, num_restarts=2, raw_samples=32)
    influence = recommendation_influence(base, PosteriorMean(base), found, ["y", "sigma"], bounds=UNIT)
    expected = np.sqrt(np.square(0.2 * influence.gradient["y"]).sum(-1))
    np.testing.assert_allclose(influence.noise_sd, expected)
    assert "Sd of the recommendation by the noise of all observations: x0 " in repr(influence)
    assert "d x1 / d sigma" in influence.table(by="sigma")
    assert np.linalg.eigvalsh(influence.curvature).max() < 0
