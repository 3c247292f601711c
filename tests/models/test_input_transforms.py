"""Input and outcome transforms of every sort: those that learn are refused, those for predictions answer as in SingleTaskGP."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.acquisition import qLogExpectedImprovement, qSimpleRegret
from botorch.acquisition.risk_measures import VaR
from botorch.exceptions.errors import BotorchTensorDimensionError, UnsupportedError
from botorch.models import SingleTaskGP
from botorch.models.transforms import Log, Standardize
from botorch.models.transforms.input import (
    AppendFeatures,
    ChainedInputTransform,
    FilterFeatures,
    InputPerturbation,
    InputTransform,
    Normalize,
    NumericToCategoricalEncoding,
    Round,
    Warp,
)
from botorch.models.transforms.outcome import ChainedOutcomeTransform, OutcomeTransform, StratifiedStandardize
from botorch.sampling import SobolQMCNormalSampler
from torch import Tensor
from torch.nn import Linear, Parameter
from zoo import marginal

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP
from pymc_botorch.models.builder import AbstractBuiltGP

SAME: dict[str, float] = {"rtol": 0, "atol": 1e-12}
W = torch.tensor([[0.0], [0.2], [0.5], [0.7], [0.9], [1.0]], dtype=torch.double)


def trial(n: int = 10, d: int = 2) -> tuple[Tensor, Tensor]:
    X = torch.rand(n, d, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return X, (5 * X[:, :1]).sin() + X[:, -1:]


class Shift(InputTransform):
    """A user's own transform, whose parameters sit in a module of its own."""

    transform_on_train = transform_on_eval = transform_on_fantasize = True

    def __init__(self) -> None:
        super().__init__()
        self.network = Linear(2, 2)

    def transform(self, X: Tensor) -> Tensor:
        return self.network(X)


class LearnedPower(OutcomeTransform):
    """An outcome transform with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.power = Parameter(torch.ones(1))

    def forward(self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return Y**self.power, Yvar


LEARNED: dict[str, tuple[Any, str]] = {
    "Warp": (lambda: Warp(d=2, indices=[0, 1]), r"The Warp given as input_transform .*concentration0.*WarpedInput"),
    "in a chain": (lambda: ChainedInputTransform(n=Normalize(2), w=Warp(d=2, indices=[0])), "The Warp .*requires_grad_"),
    "a user's own": (Shift, r"The Shift .*network\.weight"),
}


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("of", [PyMCGP, FullyBayesianPyMCGP])
def test_an_input_transform_to_be_learned_is_refused_at_once_and_a_fixed_one_is_taken(kind: str, of: Any) -> None:
    make, message = LEARNED[kind]
    with pytest.raises(UnsupportedError, match=message):
        of(*trial(), input_transform=make())
    of(*trial(), input_transform=make().double().requires_grad_(False))


def test_a_transform_to_be_learned_is_refused_beside_a_fitted_gp_and_for_outcomes() -> None:
    case = marginal()
    with pytest.raises(UnsupportedError, match="The Warp given as input_transform"):
        PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, input_transform=Warp(d=2, indices=[0]))
    fixed = Warp(d=2, indices=[0], bounds=torch.tensor([[0.0, 0.0], [1.0, 1.0]])).double().requires_grad_(False)
    PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, input_transform=fixed)
    with pytest.raises(UnsupportedError, match=r"The LearnedPower given as outcome_transform .*\(power\)"):
        PyMCGP(*trial(), outcome_transform=ChainedOutcomeTransform(a=LearnedPower(), b=Standardize(1)))


def appended(X: Tensor, W: Tensor = W) -> Tensor:
    """Each point with each row of ``W``, as AppendFeatures orders them."""
    return torch.cat([X.unsqueeze(-2).expand(*X.shape[:-1], len(W), -1), W.expand(*X.shape[:-1], *W.shape)], -1).flatten(-3, -2)


FOR_PREDICTIONS: dict[str, Any] = {
    "features": lambda: AppendFeatures(W),
    "features of the point": lambda: AppendFeatures(f=lambda x: torch.stack([x, x / 2, 1 - x], dim=-2)),
    "features, then scaled": lambda: ChainedInputTransform(a=AppendFeatures(W), n=Normalize(2)),
    "perturbed, then features": lambda: ChainedInputTransform(
        p=InputPerturbation(0.1 * W[:3]), a=AppendFeatures(W[:3], skip_expand=True)
    ),
}


@pytest.mark.parametrize("kind", FOR_PREDICTIONS)
@pytest.mark.parametrize("of", [PyMCGP, FullyBayesianPyMCGP])
def test_columns_appended_at_predictions_give_the_points_of_single_task_gp(kind: str, of: Any) -> None:
    X, Y = trial()
    model, theirs = of(X, Y, input_transform=FOR_PREDICTIONS[kind]()), SingleTaskGP(X, Y, input_transform=FOR_PREDICTIONS[kind]())
    x = torch.rand(4, 1, 1, dtype=torch.double)
    posterior = model.posterior(x)
    mean = posterior.mean.squeeze(-3) if of is FullyBayesianPyMCGP else posterior.mean
    assert mean.shape == theirs.posterior(x).mean.shape
    inputs = model.transform_inputs(x)
    torch.testing.assert_close(inputs, theirs.transform_inputs(x), **SAME)
    trained = model.train_inputs[0]
    plain = of(trained, Y) if "scaled" not in kind else of(X, Y, input_transform=Normalize(2))
    expected = plain.posterior(inputs if "scaled" not in kind else appended(x))
    torch.testing.assert_close(posterior.mean, expected.mean, **SAME)
    torch.testing.assert_close(posterior.variance, expected.variance, **SAME)
    for wrong in ((4, 3), (4, 1, 3)):
        with pytest.raises(BotorchTensorDimensionError, match=r"X has shape \(4, .*Pass n x"):
            model.posterior(torch.zeros(wrong, dtype=torch.double))


@pytest.mark.filterwarnings("ignore:A not p.d.:linear_operator.utils.warnings.NumericalWarning")  # twelve points on a line
def test_risk_measures_fantasies_and_loaded_states_go_through_appended_columns() -> None:
    X, Y = trial()
    model, plain = PyMCGP(X, Y, input_transform=AppendFeatures(W)), PyMCGP(X, Y)
    sampler = SobolQMCNormalSampler(torch.Size([8]), seed=1)
    risk = qSimpleRegret(model, sampler=sampler, objective=VaR(alpha=0.8, n_w=6))
    x = torch.rand(3, 2, 1, dtype=torch.double)
    samples = sampler(plain.posterior(appended(x))).squeeze(-1)  # 8 x 3 x 12
    torch.testing.assert_close(risk(x), VaR(alpha=0.8, n_w=6)(samples.unsqueeze(-1)).max(-1).values.mean(0))
    fantasy = model.fantasize(torch.rand(2, 2, 2, dtype=torch.double), SobolQMCNormalSampler(torch.Size([4]), seed=1))
    assert fantasy.posterior(torch.rand(4, 2, 1, 1, dtype=torch.double)).mean.shape == (4, 2, 6, 1)
    given = model.condition_on_observations(x[0], torch.zeros(12, 1, dtype=torch.double))
    torch.testing.assert_close(given.train().train_inputs[0], torch.cat([X, appended(x[0])]))
    before = model.posterior(x).mean
    model.load_state_dict(model.state_dict())
    torch.testing.assert_close(model.posterior(x).mean, before, **SAME)
    with pytest.raises(UnsupportedError, match="several points of one"):
        model.predictive_gradients(x)


CHANGING: dict[str, Any] = {
    "rounded": lambda: Round(integer_indices=[0]),
    "filtered": lambda: FilterFeatures(torch.tensor([0, 1])),
    "one-hot": lambda: NumericToCategoricalEncoding(3, {2: 3}, {2: lambda x: torch.nn.functional.one_hot(x.long(), 3)}),
}


@pytest.mark.parametrize("kind", CHANGING)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.filterwarnings("ignore::botorch.exceptions.InputDataWarning")
def test_new_targets_alone_leave_the_inputs_as_they_are(kind: str, training: bool) -> None:
    X, Y = trial()
    X = torch.cat([3 * X, (torch.arange(len(X)) % 3).unsqueeze(-1)], dim=-1)
    model = PyMCGP(X, Y, input_transform=CHANGING[kind]())
    expected = PyMCGP(X, Y, input_transform=CHANGING[kind]())
    new = model.train_targets[torch.arange(len(X) - 1, -1, -1)]
    for inputs in (None, model.train(training).train_inputs):
        model.train(training).set_train_data(inputs, new)
        torch.testing.assert_close(model.train().train_inputs[0], X, rtol=0, atol=0)
        torch.testing.assert_close(model.eval().train_inputs[0], expected.eval().train_inputs[0], rtol=0, atol=0)
        torch.testing.assert_close(model.train_targets, new, rtol=0, atol=0)
    reversed_Y = model.outcome_transform.untransform(new.unsqueeze(-1))[0]
    expected = PyMCGP(X, reversed_Y, input_transform=CHANGING[kind]())
    torch.testing.assert_close(model.posterior(X).mean, expected.posterior(X).mean)


@pytest.mark.filterwarnings("ignore:The model inputs are of type torch.float32")
def test_targets_of_a_float32_model_leave_its_inputs_in_float64() -> None:
    X, Y = trial()
    model = PyMCGP(X.float(), Y.float(), input_transform=Normalize(2))
    before = model.state.training.inputs
    model.set_train_data(targets=model.train_targets + 1)
    torch.testing.assert_close(model.state.training.inputs, before, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:Data .outcome observations. is not standardized")  # by each stratum they are
@pytest.mark.parametrize("of", [PyMCGP, FullyBayesianPyMCGP])
def test_outcomes_standardized_by_stratum_are_those_of_the_transform(of: type[AbstractBuiltGP]) -> None:
    X, _ = trial()
    X[:, 1] = torch.arange(len(X)) % 2
    Y = (5 * X[:, :1]).sin() + 40 * X[:, 1:]
    by_stratum = StratifiedStandardize(stratification_idx=1, all_task_values=torch.tensor([0, 1]))
    model = of(X, Y, outcome_transform=by_stratum)
    inside = of(X, by_stratum.train()(Y, X=X)[0], outcome_transform=None)
    expected = by_stratum.eval().untransform_posterior(inside.posterior(X), X=X)
    torch.testing.assert_close(model.posterior(X).mean, expected.mean)
    torch.testing.assert_close(model.posterior(X).variance, expected.variance)
    assert qLogExpectedImprovement(model, best_f=40.0)(X.unsqueeze(-2)).isfinite().all()
    with pytest.raises(UnsupportedError, match="StratifiedStandardize is not linear, or not the same everywhere"):
        model.predictive_gradients(X)


def test_a_stratified_standardize_beside_a_fitted_gp_must_be_fitted() -> None:
    case = marginal()
    by_stratum = StratifiedStandardize(stratification_idx=1, all_task_values=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="The StratifiedStandardize given as outcome_transform has no mean and sd yet"):
        PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, outcome_transform=by_stratum)
    of_log = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, outcome_transform=Log())
    with pytest.raises(UnsupportedError, match="Log is not linear"):
        of_log.predictive_gradients(np.zeros((1, 2)))


def test_a_gp_fitted_in_pymc_takes_columns_appended_at_predictions() -> None:
    case = marginal(as_data=True)
    model = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, input_transform=AppendFeatures(W))
    plain = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    x = torch.rand(4, 1, 1, dtype=torch.double)
    torch.testing.assert_close(model.posterior(x).mean, plain.posterior(appended(x)).mean, **SAME)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.4))
        gp.marginal_likelihood("y", pm.Data("raw", 10 * case.X) / 10.0, case.y, sigma=0.1)
    unit = torch.tensor([[0.0, 0.0], [10.0, 10.0]], dtype=torch.double)
    chained = ChainedInputTransform(a=AppendFeatures(10 * W), n=Normalize(2, bounds=unit))
    inside = PyMCGP.from_fitted(gp, {}, model=pm_model, input_transform=chained)
    assert inside.posterior(10 * x).mean.shape == (4, 6, 1)


@pytest.mark.parametrize("table", [False, True])
def test_an_outcome_scaled_inside_the_model_is_predicted_in_its_units_by_the_same_transform(table: bool) -> None:
    case = marginal()
    raw_y = 50 * case.y + 350
    same = Standardize(1)
    z = same(torch.from_numpy(raw_y)[:, None])[0].squeeze(-1).numpy()
    sd = raw_y.std(ddof=1)
    expected: dict[str, Any] = {"inside": None, "before": None}
    for where in expected:
        with pm.Model() as pm_model:
            held = pm.Data("raw", np.column_stack([raw_y, case.X]) if table else raw_y)
            raw = held[:, 0] if table else held
            gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.4))
            gp.marginal_likelihood("y", case.X, (raw - raw.mean()) / sd if where == "inside" else z, sigma=0.1)
        model = PyMCGP.from_fitted(gp, {}, model=pm_model, outcome_transform=same.eval())
        expected[where] = model.posterior(case.X).mean
    torch.testing.assert_close(expected["inside"], expected["before"])
    assert (expected["inside"].squeeze(-1) - torch.from_numpy(raw_y)).abs().max() < 10


def test_an_outcome_that_the_model_only_picks_needs_no_transform() -> None:
    case = marginal()
    with pm.Model() as pm_model:
        held = pm.Data("table", np.column_stack([np.arange(12), case.y]))
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.4))
        gp.marginal_likelihood("y", case.X, held[:, 1], sigma=0.1)
    PyMCGP.from_fitted(gp, {}, model=pm_model)
