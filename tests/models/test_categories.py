"""Inputs that a gp uses as indices: what its tables do not have is refused by name, in every path and tier."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch.exceptions.errors import InputDataError

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, compile_predict, config, gradient_posterior

pytestmark = pytest.mark.filterwarnings("ignore::botorch.exceptions.InputDataWarning", "ignore::pymc_botorch.FitWarning")

REFUSED = r"Column 1 of X, which the gp uses as an index, is {} in row {}\. It takes 0 to 2: number categories from 0"
SAMPLING: dict[str, Any] = {"num_draws": 2, "seed": 0}


class VarietyMean(pm.gp.mean.Mean):
    """A level for each variety."""

    def __init__(self, level: Any) -> None:
        super().__init__()
        self.level = level

    def __call__(self, X: Any) -> Any:
        return self.level[X[:, 1].astype("int64")]


class VarietyScale(pm.gp.cov.Covariance):
    """A kernel of a user's own: an amplitude for each variety."""

    def __init__(self, scale: Any) -> None:
        super().__init__(2, active_dims=[0, 1])
        self.scale = scale
        self.cov = pm.gp.cov.Matern52(2, active_dims=[0], ls=0.4)

    def full(self, X: Any, Xs: Any = None) -> Any:
        rows = self.scale[pt.cast(X[:, 1], "int32")]
        columns = rows if Xs is None else self.scale[pt.cast(Xs[:, 1], "int32")]
        return rows[:, None] * columns[None, :] * self.cov.full(X, Xs)

    def diag(self, X: Any) -> Any:
        return self.scale[pt.cast(X[:, 1], "int32")] ** 2


def coregion(X: Any, y: Any) -> pm.gp.Marginal:
    kappa = pm.HalfNormal("kappa", 1, shape=3)
    shared = pm.gp.cov.Coregion(2, W=np.ones((3, 1)), kappa=kappa, active_dims=[1])
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, active_dims=[0], ls=0.4) * shared)
    gp.marginal_likelihood("y", X, y, sigma=0.2)
    return gp


def mean(X: Any, y: Any) -> pm.gp.Marginal:
    level = pm.Normal("level", 0, 1, shape=3)
    gp = pm.gp.Marginal(mean_func=VarietyMean(level), cov_func=pm.gp.cov.Matern52(2, active_dims=[0], ls=0.4))
    gp.marginal_likelihood("y", X, y, sigma=0.2)
    return gp


def own_kernel(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=VarietyScale(pm.HalfNormal("scale", 1, shape=3)))
    gp.marginal_likelihood("y", X, y, sigma=0.2)
    return gp


def one_hot(X: Any, y: Any) -> pm.gp.Marginal:
    """Build a level for each variety through a code that is written, not read."""
    level = pm.Normal("level", 0, 1, shape=3)

    class Coded(pm.gp.mean.Mean):
        def __call__(self, X: Any) -> Any:
            return pt.extra_ops.to_one_hot(X[:, 1].astype("int64"), 3) @ level

    gp = pm.gp.Marginal(mean_func=Coded(), cov_func=pm.gp.cov.Matern52(2, active_dims=[0], ls=0.4))
    gp.marginal_likelihood("y", X, y, sigma=0.2)
    return gp


def noise(X: Any, y: Any) -> pm.gp.Marginal:
    sd = pm.HalfNormal("sd", 1, shape=3)
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, active_dims=[0], ls=0.4))
    gp.marginal_likelihood("y", X, y, sigma=sd[X[:, 1].astype("int64")])
    return gp


BUILDERS = [coregion, one_hot, own_kernel, mean, noise]


def trial(varieties: tuple[float, ...] = (0, 1, 2)) -> tuple[torch.Tensor, torch.Tensor]:
    X = torch.stack([torch.linspace(0, 1, 12), torch.tensor(varieties).repeat(12 // len(varieties))], dim=-1).double()
    return X, (4 * X[:, :1]).sin() + 0.3 * X[:, 1:]


def at(variety: float, q: int = 1) -> torch.Tensor:
    return torch.tensor([[0.3, variety]], dtype=torch.double).repeat(q, 1)


@pytest.mark.parametrize(
    ("linker", "builder"),
    [*(("numpy", builder) for builder in BUILDERS), pytest.param("numba", coregion, marks=pytest.mark.numba)],
)
@pytest.mark.parametrize(("varieties", "value", "row"), [((1.0, 2.0, 3.0), "3", 2), ((0.0, 1.0, -1.0), "-1", 2)])
def test_training_data_with_an_unknown_category_are_refused_before_a_fit(
    linker: Any, builder: Callable, varieties: tuple[float, ...], value: str, row: int
) -> None:
    with config.change_flags(linker=linker):
        with pytest.raises(InputDataError, match=REFUSED.format(value, row)):
            PyMCGP(*trial(varieties), build_gp=builder, outcome_transform=None).fit(num_starts=1)
        with pytest.raises(InputDataError, match=REFUSED.format(value, row)):
            FullyBayesianPyMCGP(*trial(varieties), build_gp=builder, outcome_transform=None).fit("laplace", **SAMPLING)
        with pytest.raises(InputDataError, match=REFUSED.format(value, row)):
            PyMCGP(*trial(varieties), build_gp=builder, outcome_transform=None).posterior(at(0))


@pytest.mark.parametrize("builder", BUILDERS[:3])
def test_a_new_input_with_an_unknown_category_is_refused_in_every_path(builder: Callable) -> None:
    model = PyMCGP(*trial(), build_gp=builder, outcome_transform=None).fit(num_starts=1)
    sampled = FullyBayesianPyMCGP(*trial(), build_gp=builder, outcome_transform=None).fit("laplace", **SAMPLING)
    paths: dict[str, Callable] = {
        "joint": lambda X: model.posterior(X),
        "with gradient": lambda X: model.posterior(X.requires_grad_()),
        "mean": lambda X: model.posterior(X.repeat(40, 1)).mean,
        "variance": lambda X: sampled.posterior(X.repeat(40, 1)).variance,
        "of draws": lambda X: sampled.posterior(X),
        "slopes": model.predictive_gradients,
        "slopes of draws": sampled.predictive_gradients,
        "slopes as a posterior": lambda X: gradient_posterior(model, X),
        "fantasies": lambda X: model.condition_on_observations(X, torch.zeros(1, 1).double()).posterior(at(0)),
        "other data": lambda X: model.set_train_data(X, torch.zeros(1).double(), strict=False),
        "prior": lambda X: model.train()(X),
    }
    for unknown, value in ((3.0, "3"), (-1.0, "-1"), (1e6, r"1e\+06 \(index 1000000\)")):
        for path in paths.values():
            with pytest.raises(InputDataError, match=REFUSED.format(value, 0)):
                path(at(unknown))
        model.eval()
    X = torch.stack([at(0)[0], at(float("nan"))[0], at(2)[0]])
    assert model.posterior(X).mean.isnan().squeeze(-1).tolist() == [False, True, False]
    X[1, 1] = 5.0
    with pytest.raises(InputDataError, match=REFUSED.format("5", 1)):
        model.posterior(X)


@pytest.mark.numba
def test_numba_reads_no_foreign_memory() -> None:
    with config.change_flags(linker="numba"):
        model = PyMCGP(*trial(), build_gp=coregion, outcome_transform=None)
        for unknown, value in ((3.0, "3"), (-1.0, "-1"), (1e6, r"1e\+06 \(index 1000000\)")):
            with pytest.raises(InputDataError, match=REFUSED.format(value, 0)):
                model.posterior(at(unknown))
        assert model.posterior(at(2)).mean.isfinite().all()


def test_predictions_name_an_unknown_category_too() -> None:
    X, Y = trial()
    with pm.Model():
        gp = coregion(pm.Data("X", X.numpy()), pm.Data("Y", Y.squeeze(-1).numpy()))
        predictor = compile_predict(gp, {"kappa": np.ones(3)})
    for ask in (predictor.predict, predictor.mean, predictor.gradients):
        with pytest.raises(ValueError, match=REFUSED.format("3", 0)):
            ask(at(3).numpy())


def test_an_index_made_of_two_columns_names_both() -> None:
    def builder(X: Any, y: Any) -> pm.gp.Marginal:
        level = pm.Normal("level", 0, 1, shape=4)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(3, active_dims=[0], ls=0.4), mean_func=Cell(level))
        gp.marginal_likelihood("y", X, y, sigma=0.2)
        return gp

    class Cell(VarietyMean):
        def __call__(self, X: Any) -> Any:
            return self.level[(2 * X[:, 1] + X[:, 2]).astype("int64")]

    X = torch.tensor([[0.1, 0, 0], [0.4, 0, 1], [0.6, 1, 0], [0.9, 1, 1]], dtype=torch.double)
    model = PyMCGP(X, X[:, :1] - X[:, :1].mean(), build_gp=builder, outcome_transform=None)
    with pytest.raises(InputDataError, match=r"Columns 1, 2 of X, which .* is 1, 2 \(index 4\) in row 0\. It takes 0 to 3"):
        model.posterior(torch.tensor([[0.5, 1, 2]], dtype=torch.double))


def test_a_gp_without_indices_checks_nothing() -> None:
    X, Y = trial()
    before = pymc_botorch.cache_info()
    model = PyMCGP(X[:, :1], Y - Y.mean(), outcome_transform=None)
    posterior = model.state.process.posterior  # type: ignore[attr-defined]  # of one draw
    assert posterior.functions.subject.subscripts == posterior.functions.subject.data_subscripts == []
    assert pymc_botorch.cache_info().pending == before.pending
