"""Priors that contradict their data, mostly by their units: what warns, and what does not."""

import warnings
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.warnings import InputDataWarning
from botorch.models.transforms import Normalize, Round, Standardize
from botorch.models.transforms.input import ChainedInputTransform
from torch import Tensor

from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP

N = 12
DATA_SETS = 40
"""Drawn from the prior; ``benchmarks/false_alarms.py`` takes 200 of each kind."""


def in_the_field(X: Any, y: Any) -> pm.gp.Marginal:
    """Build priors for doses in kg/ha, up to 160, and yields in t/ha."""
    reach = pm.LogNormal("reach", np.log(60), 0.5, dims="feature")
    level, size = pm.Normal("level", 8, 2), pm.LogNormal("size", np.log(1.5), 0.5)
    cov = size**2 * pm.gp.cov.Matern52(X.type.shape[1], ls=reach)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(level), cov_func=cov)
    gp.marginal_likelihood("yield", X, y, sigma=pm.LogNormal("noise", np.log(0.3), 0.7))
    return gp


def of_fixed_size(X: Any, y: Any) -> pm.gp.Marginal:
    """Build the priors of the README's class: only the noise is free."""
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8), cov_func=9 * pm.gp.cov.Matern52(X.type.shape[1], ls=60))
    gp.marginal_likelihood("yield", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


def in_the_cube(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("reach", mu=-1, sigma=0.7, dims="feature")))
    gp.marginal_likelihood("yield", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


def trial(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.linspace(0, 160, N), 160 * rng.random(N)])
    return X, 6 + 3 * (1 - np.exp(-X[:, 0] / 50)) + np.sin(X[:, 1] / 40) + 0.3 * rng.normal(size=N)


def field_gp(builder: Any, cls: Any, units_of_priors: Any) -> Any:
    class FieldGP(cls):
        units = units_of_priors

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            return builder(X, y)

    return FieldGP


def model_of(build_gp: Any, X: np.ndarray, y: np.ndarray, *, cls: Any = PyMCGP, units: str = "natural", **options: Any) -> Any:
    named = field_gp(build_gp, cls, units)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        return named(tensor(X), tensor(y)[:, None], **options)


def tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float64))


def to_the_cube() -> Normalize:
    return Normalize(2, bounds=torch.tensor([[0.0, 0.0], [160.0, 160.0]], dtype=torch.double))


MISTAKES = {
    "yields in kg": (in_the_field, 1, 1000, {}),
    "yields in kt": (in_the_field, 1, 1e-3, {}),
    "doses in g": (in_the_field, 1000, 1, {}),
    "doses in t": (in_the_field, 1e-3, 1, {}),
    "yields in kg, only the noise free": (of_fixed_size, 1, 1000, {}),
    "yields in kt, only the noise free": (of_fixed_size, 1, 1e-3, {}),
    "doses in g, only the noise free": (of_fixed_size, 1000, 1, {}),
    "plants per hectare": (of_fixed_size, 1, 30_000, {}),
    "priors for the cube": (in_the_cube, 1, 1, {}),
    "natural priors, but units forgotten": (in_the_field, 1, 1, {"units": "scaled", "input_transform": to_the_cube}),
    "natural units with Normalize": (in_the_field, 1, 1, {"input_transform": to_the_cube}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_priors_in_other_units_than_the_data_warn(mistake: str) -> None:
    build_gp, of_inputs, of_outcomes, options = MISTAKES[mistake]
    X, y = trial()
    given = {name: value() if callable(value) else value for name, value in options.items()}
    model = model_of(build_gp, of_inputs * X, of_outcomes * y, **given)
    with pytest.warns(FitWarning, match=r"The data contradict the priors of FieldGP: .*units that the gp sees \(inputs from "):
        model.fit(num_starts=2)
    assert "contradict the priors" in model.fit_result.warning


@pytest.mark.parametrize(("build_gp", "of_inputs"), [(in_the_field, 1), (of_fixed_size, 1), (in_the_cube, 1 / 160)])
def test_priors_in_the_units_of_the_data_do_not(build_gp: Any, of_inputs: float) -> None:
    for seed in range(3):
        X, y = trial(seed)
        outcomes = (y - y.mean()) / y.std() if build_gp is in_the_cube else y
        assert model_of(build_gp, of_inputs * X, outcomes).fit(num_starts=2).fit_result.warning is None


def test_the_message_names_the_hyperparameter_and_how_far_it_is() -> None:
    X, y = trial()
    with pytest.warns(FitWarning, match=r"`noise` is 5\d{3}\.\d*, 1\d prior sds above the median of its prior"):
        model_of(of_fixed_size, X, 1000 * y).fit(num_starts=1)


def test_draws_warn_too_and_name_the_function() -> None:
    X, y = trial()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        wrong = FullyBayesianPyMCGP(tensor(X), tensor(1000 * y)[:, None], outcome_transform=None, build_gp=of_fixed_size)
    with pytest.warns(FitWarning, match="contradict the priors of of_fixed_size: `noise`"):
        wrong.fit(method="laplace", seed=1)
    right = model_of(of_fixed_size, X, y, cls=FullyBayesianPyMCGP).fit(method="laplace", seed=1)
    assert right.fit_result.warning is None


@pytest.mark.parametrize(("cls", "options"), [(PyMCGP, {}), (FullyBayesianPyMCGP, {"method": "laplace", "seed": 1})])
def test_data_with_hardly_any_noise_are_no_conflict(cls: Any, options: dict[str, Any]) -> None:
    X = np.linspace(0, 1, 30)[:, None]
    model = model_of(in_the_cube, X, np.sin(3 * X[:, 0]), cls=cls, units="scaled", outcome_transform=None).fit(**options)
    assert model.point["noise"] < np.exp(-2 - 4)  # four prior sds below its median
    assert model.fit_result.warning is None


@pytest.mark.parametrize(("of_inputs", "message"), [(1000, "unrelated to all others"), (1e-3, "the same at all observations")])
def test_a_few_observations_are_enough_for_inputs_in_other_units(of_inputs: float, message: str) -> None:
    X, y = trial()
    with pytest.warns(FitWarning, match=message):
        model_of(in_the_field, of_inputs * X[::2], y[::2]).fit(num_starts=1)


def test_the_sum_is_judged_where_a_component_is_predicted_and_equal_outcomes_are_not() -> None:
    def of_a_sum(X: Any, y: Any) -> Any:
        one, two = (pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal(ls, -1, 0.5))) for ls in ("short", "long"))
        total = one + two
        total.marginal_likelihood("yield", X, y, sigma=0.1)
        return one, {"gp": total}

    X, y = trial()
    with pytest.warns(FitWarning, match="contradict the priors of FieldGP"):
        model_of(of_a_sum, X / 160, 1000 * y).fit(num_starts=1)
    assert model_of(of_a_sum, X / 160, 0 * y).fit(num_starts=1).fit_result.warning is None


def test_data_from_the_prior_hardly_ever_warn() -> None:
    alarms = 0
    for seed in range(DATA_SETS):
        rng = np.random.default_rng(seed)
        X = rng.random((N, 2))
        reach, noise = np.exp(-1 + 0.7 * rng.normal(size=2)), np.exp(-2 + rng.normal())
        r = np.sqrt(5 * np.square((X[:, None] - X[None]) / reach).sum(-1))
        K = (1 + r + r**2 / 3) * np.exp(-r) + noise**2 * np.eye(N)
        y = np.linalg.cholesky(K) @ rng.normal(size=N)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            warnings.simplefilter("ignore", InputDataWarning)
            model = PyMCGP(tensor(X), tensor(y)[:, None], outcome_transform=None, build_gp=in_the_cube).fit(num_starts=2)
        warning = model.fit_result.warning
        alarms += "contradict" in (warning or "")
    assert alarms <= 0.02 * DATA_SETS


@pytest.mark.parametrize(
    ("transforms", "named"),
    [
        ({"input_transform": to_the_cube}, "Normalize gives"),
        ({"input_transform": lambda: ChainedInputTransform(a=Round(integer_indices=[0]), b=to_the_cube())}, "Normalize gives"),
        ({"outcome_transform": lambda: Standardize(m=1)}, "Standardize gives"),
    ],
)
def test_natural_units_beside_a_transform_that_takes_them_away_warn(transforms: dict[str, Any], named: str) -> None:
    X, y = trial()
    given = {name: value() for name, value in transforms.items()}
    with pytest.warns(InputDataWarning, match=named):
        field_gp(in_the_field, PyMCGP, "natural")(tensor(X), tensor(y)[:, None], **given)


def of_half_cauchy_relevances(X: Any, y: Any) -> pm.gp.Marginal:
    """Build SAAS's prior: of most inputs the inverse squared lengthscale is small, of a few it is very large."""
    tau, relevance = pm.HalfCauchy("tau", 0.1), pm.HalfCauchy("relevance", 1, dims="feature")
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=1 / pm.math.sqrt(tau * relevance)))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
def test_a_heavy_tail_is_no_conflict() -> None:
    X = torch.quasirandom.SobolEngine(4, scramble=True, seed=1).draw(30, dtype=torch.double)
    noise = torch.randn(30, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    model = FullyBayesianPyMCGP(X, (6 * X[:, :1]).sin() + 0.05 * noise, build_gp=of_half_cauchy_relevances)
    model.fit("laplace", num_proposals=400, seed=0)
    assert np.median(model.draws["relevance"][:, 0]) > 100  # five prior sds above the median
    assert "contradict" not in (model.fit_result.warning or "")
