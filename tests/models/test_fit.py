"""Models made from data and fitted: the maximum a posteriori, what is compiled for it, and what is refused."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
import xarray as xr
from botorch.acquisition import LogExpectedImprovement
from botorch.exceptions.errors import BotorchTensorDimensionError, InputDataError, ModelFittingError, UnsupportedError
from botorch.exceptions.warnings import InputDataWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Log, Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.utils.datasets import SupervisedDataset
from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from torch import Tensor

from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP, cache_clear, cache_info
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.inference import build as build_module
from pymc_botorch.inference.build import build, build_default_gp
from pymc_botorch.inference.fit.objective import density_and_gradient, itself
from pymc_botorch.inference.training_data import TrainingData

SAME_DENSITY = 1e-5  # of log posteriors at two optima, by optimisers that stop where they please
SAME_POINT = 2e-3


def raw_data(n: int = 15, d: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    X = torch.rand(n, d, dtype=torch.double, generator=generator)
    noise = 0.1 * torch.randn(n, 1, dtype=torch.double, generator=generator)
    return X, 3 + 2 * (5 * X[:, :1]).sin() + X[:, 1:].square().sum(-1, keepdim=True) + noise


def matern(X: Any, y: Any) -> pm.gp.Marginal:
    ell = pm.LogNormal("ell", -0.5, 0.7, dims="feature")
    eta = pm.HalfNormal("eta", 2)
    mu = pm.Normal("mu", 0, 2)
    sigma = pm.LogNormal("sigma", -2, 1)
    cov = eta**2 * pm.gp.cov.Matern52(X.type.shape[1], ls=ell)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mu), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


def with_known_noise(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -0.5, 0.7)))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


def sparse(X: Any, y: Any) -> pm.gp.MarginalApprox:
    d = X.type.shape[1]
    gp = pm.gp.MarginalApprox(cov_func=pm.gp.cov.Matern52(d, ls=pm.LogNormal("ell", -0.5, 0.7)), approx="VFE")
    gp.marginal_likelihood("y", X, np.random.default_rng(1).uniform(size=(5, d)), y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def component(X: Any, y: Any) -> tuple[pm.gp.Marginal, dict[str, Any]]:
    part = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -0.5, 0.7)))
    total = part + pm.gp.Marginal(cov_func=pm.gp.cov.Linear(X.type.shape[1], c=0.5))
    total.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return part, {"gp": total}


def with_potential(X: Any, y: Any) -> pm.gp.Marginal:
    gp = matern(X, y)
    level = pm.modelcontext(None)["mu"]
    pm.Potential("expert", -((level - 0.3) ** 2) / 0.02)
    pm.Normal("gauge", level, 0.5, observed=0.4)
    return gp


class PlotGP(PyMCGP):
    """Options of its own, as Ax passes them, and a builder in another method."""

    def __init__(self, *args: Any, order: float = 1.5, **options: Any) -> None:
        super().__init__(*args, **options)
        self.order = order

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        kernel = {0.5: pm.gp.cov.Exponential, 1.5: pm.gp.cov.Matern32}[self.order]
        gp = pm.gp.Marginal(cov_func=kernel(X.type.shape[1], ls=pm.LogNormal("ell", -0.5, 0.7, dims="feature")))
        gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
        return gp


BUILDERS: dict[str, Callable] = {
    "Matern": matern,
    "a sparse approximation": sparse,
    "a component": component,
    "other terms": with_potential,
}


def model_of(builder: Callable, data: TrainingData) -> pm.Model:
    """The PyMC model that a builder makes of plain arrays."""
    with pm.Model(coords={"feature": range(data.X.shape[1]), "obs_id": range(len(data.y))}) as pm_model:
        arrays = [pm.Data("X_data", data.X, shape=(None, data.X.shape[1])), pm.Data("y_data", data.y)]
        if data.sigma is not None:
            arrays.append(pm.Data("sd_data", data.sigma))
        builder(*arrays)
    return pm_model


def training_data(n: int = 15, seed: int = 0) -> TrainingData:
    X, Y = raw_data(n, seed=seed)
    Y = Y - 3
    return TrainingData(X.numpy(), Y.squeeze(-1).numpy())


@pytest.mark.parametrize(("name", "n"), [*((name, 9) for name in BUILDERS), ("Matern", 1)])
def test_density_and_gradient_are_those_of_pymc_for_any_data(name: str, n: int, rng: np.random.Generator) -> None:
    built = build(BUILDERS[name], training_data())
    data = training_data(n, seed=3)
    pm_model = model_of(BUILDERS[name], data)
    function = compiled(built.objective, itself, "numpy").function(density_and_gradient)
    for _ in range(3):
        point = {
            symbol.name: rng.normal(size=np.shape(start))
            for symbol, start in zip(
                built.objective.parameters.values(), built.scales.support_point(built.objective_values(data)), strict=True
            )
        }
        log_density, *gradient = function(*point.values(), *built.objective_values(data), np.asarray(0.0))
        assert log_density == pytest.approx(pm_model.compile_logp(jacobian=False)(point), rel=1e-10)
        expected = pm_model.compile_dlogp(jacobian=False)(point)
        np.testing.assert_allclose(np.concatenate([np.ravel(g) for g in gradient]), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.numba
def test_under_numba_the_density_and_its_gradient_are_those_of_the_numpy_tier() -> None:
    built = build(build_default_gp, training_data())
    for n in (1, 15):
        values = built.objective_values(training_data(n, seed=3))
        weights = [np.asarray(weight) for weight in (0.0, 1.0)]
        start = built.scales.support_point(values)
        slow, fast = (compiled(built.objective, itself, linker).function(density_and_gradient) for linker in ("numpy", "numba"))
        for weight in weights:
            for ours, expected in zip(fast(*start, *values, weight), slow(*start, *values, weight), strict=True):
                np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n", [2, 20])
@pytest.mark.parametrize("known", [False, True])
def test_the_default_model_has_the_optimum_of_single_task_gp(n: int, known: bool) -> None:
    X, Y = raw_data(n)
    variances = torch.linspace(0.01, 0.05, n, dtype=torch.double).unsqueeze(-1) if known else None
    theirs = SingleTaskGP(X, Y, variances)
    mll = fit_gpytorch_mll(ExactMarginalLogLikelihood(theirs.likelihood, theirs))
    ours = PyMCGP(X, Y, variances).fit()

    def density() -> float:
        theirs.train()
        value = n * mll(theirs(X), theirs.train_targets).item()
        theirs.eval()
        return value

    new = raw_data(7, seed=9)[0]
    best, posterior = density(), theirs.posterior(new)
    torch.testing.assert_close(ours.posterior(new).mean, posterior.mean, rtol=0, atol=SAME_POINT)
    torch.testing.assert_close(ours.posterior(new).variance, posterior.variance, rtol=SAME_POINT, atol=1e-4)
    point = ours.point
    theirs.covar_module.lengthscale = torch.from_numpy(point["lengthscale"])
    theirs.mean_module.constant = float(point["mean"])
    if not known:
        theirs.likelihood.noise = float(point["noise"])
    assert density() == pytest.approx(best, abs=SAME_DENSITY)
    torch.testing.assert_close(theirs.posterior(new).variance, ours.posterior(new).variance, rtol=1e-6, atol=1e-9)


def test_the_fit_is_that_of_find_map_and_its_posterior_that_of_from_fitted() -> None:
    X, Y = raw_data()
    model = PyMCGP(X, Y, build_gp=matern).fit()
    arrays = TrainingData(X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy())
    with model_of(matern, arrays):
        expected = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)["posterior"]
    pm_point = {name: model.point[name] for name in ("ell", "eta", "mu", "sigma")}
    for name, value in pm_point.items():
        np.testing.assert_allclose(value, expected[name].to_numpy()[0, 0], rtol=SAME_POINT)
    with pm.Model():
        ell, mu = pm.LogNormal("ell", shape=2), pm.Normal("mu")
        eta, sigma = pm.LogNormal("eta"), pm.LogNormal("sigma")
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mu), cov_func=eta**2 * pm.gp.cov.Matern52(2, ls=ell))
        gp.marginal_likelihood("y", arrays.X, arrays.y, sigma=sigma)
        same = PyMCGP.from_fitted(gp, pm_point)
    new = raw_data(5, seed=4)[0]
    posterior = same.posterior(new)
    torch.testing.assert_close(model.posterior(new).mean, Y.mean() + Y.std() * posterior.mean, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(model.posterior(new).variance, Y.var() * posterior.variance, rtol=1e-6, atol=1e-10)


def test_thirty_growing_rounds_three_outcomes_and_leave_one_out_compile_each_structure_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cache_clear()
    built = []
    monkeypatch.setattr(build_module, "_build", lambda *a, run=build_module._build: built.append(run(*a)) or built[-1])
    X, Y = raw_data(40)
    outcomes = [Y, Y.exp(), -Y.square()]

    def unseen(X: Any, y: Any) -> pm.gp.Marginal:
        return matern(X, y)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # small data have several optima
        for n in range(5, 35):
            for outcome in outcomes:
                model = PyMCGP(X[:n], outcome[:n], build_gp=unseen).fit(num_starts=1)
                model.posterior(X[-2:])
        for left_out in range(10):
            keep = torch.arange(10) != left_out
            PyMCGP(X[:10][keep], Y[:10][keep], build_gp=unseen).fit(num_starts=1).posterior(X[:2])
    fantasies = model.condition_on_observations(X[-2:], Y[-2:])
    assert fantasies.posterior(X[:1]).mean.isfinite().all()
    assert len(built) == 2  # the second, once, to see that other data give the same graphs
    assert cache_info().compilations == 2  # the posterior and the objective


def test_a_changed_closure_attribute_or_class_is_never_served_stale() -> None:
    X, Y = raw_data()
    level = {"mean": 0.0}

    def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(
            mean_func=pm.gp.mean.Constant(level["mean"]), cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", -1, 0.1))
        )
        gp.marginal_likelihood("y", X, y, sigma=0.1)
        return gp

    far = torch.full((1, 2), 50.0, dtype=torch.double)
    for level["mean"] in (0.0, 5.0):
        mean = PyMCGP(X, Y, outcome_transform=Standardize(1), build_gp=build_gp).fit().posterior(far).mean
        torch.testing.assert_close(mean, (Y.mean() + level["mean"] * Y.std()).reshape(1, 1))
    smooth, rough = PlotGP(X, Y).fit(), PlotGP(X, Y, order=0.5).fit()
    assert smooth.fit_result.log_posterior != rough.fit_result.log_posterior
    rough.order = 1.5
    assert rough.fit().fit_result.values == smooth.fit_result.values


def test_fitting_through_botorch_is_fit_and_says_what_it_cannot_use() -> None:
    X, Y = raw_data()
    expected = PyMCGP(X, Y).fit().point
    model = PyMCGP(X, Y)
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    assert fit_gpytorch_mll(mll) is mll
    assert not model.training
    np.testing.assert_array_equal(model.point["lengthscale"], expected["lengthscale"])
    both = ModelListGP(PyMCGP(X, Y), SingleTaskGP(X, -Y))
    fit_gpytorch_mll(SumMarginalLogLikelihood(both.likelihood, both))
    np.testing.assert_array_equal(both.models[0].point["lengthscale"], expected["lengthscale"])
    with pytest.warns(UserWarning, match="does not use optimizer_kwargs"):
        fit_gpytorch_mll(mll, optimizer_kwargs={"options": {"maxiter": 1}})


def test_a_model_is_made_from_a_data_set_as_ax_makes_it() -> None:
    X, Y = raw_data()
    data = SupervisedDataset(X, Y, Yvar=torch.full_like(Y, 0.01), feature_names=["a", "b"], outcome_names=["y"])
    model = PyMCGP(**PyMCGP.construct_inputs(data)).fit()
    assert isinstance(model.likelihood.noise, Tensor)
    torch.testing.assert_close(model.likelihood.noise, torch.full((15,), 0.01, dtype=torch.double) / Y.var())


def test_an_unfitted_model_predicts_at_its_initial_point_and_takes_a_state() -> None:
    X, Y = raw_data()
    fitted, empty = PyMCGP(X, Y).fit(), PyMCGP(X, Y)
    assert empty.posterior(X[:2]).variance.isfinite().all()
    empty.load_state_dict(fitted.state_dict())
    torch.testing.assert_close(empty.posterior(X).mean, fitted.posterior(X).mean)
    torch.testing.assert_close(copy.deepcopy(PyMCGP(X, Y)).fit().posterior(X).mean, fitted.posterior(X).mean)


def test_the_constructor_compiles_nothing_and_keeps_the_data() -> None:
    cache_clear()
    X, Y = raw_data()
    model = PyMCGP(40 * X - 5, Y.exp(), outcome_transform=Log(), input_transform=Normalize(2), build_gp=matern)
    assert cache_info().compilations == 0
    torch.testing.assert_close(model.train_inputs[0], 40 * X - 5)
    model.fit()
    torch.testing.assert_close(model.train_inputs[0].amax(0), torch.ones(2, dtype=torch.double))
    torch.testing.assert_close(model.train_targets, Y.squeeze(-1))
    assert model.posterior(40 * X - 5).mean.min() > 0


def test_single_precision_comes_back_as_it_came() -> None:
    X, Y = raw_data()
    with pytest.warns(InputDataWarning, match="float32"):
        model = PyMCGP(X.float(), Y.float()).fit()
    assert model.train_inputs[0].dtype == model.train_targets.dtype == torch.float32
    assert model.posterior(X.float()).mean.dtype == torch.float32


def test_a_warm_start_is_one_of_the_starts_and_the_same_seed_gives_the_same_fit() -> None:
    X, Y = raw_data()
    first = PyMCGP(X, Y, build_gp=matern).fit()
    for start in (first, first.point):
        warm = PyMCGP(X, Y, build_gp=matern).fit(warm_start=start, num_starts=1)
        assert warm.fit_result.starts == ("warm start",)
        assert warm.fit_result.evaluations < first.fit_result.evaluations / 3
        assert warm.fit_result.log_posterior == pytest.approx(first.fit_result.log_posterior, abs=SAME_DENSITY)
    again = PyMCGP(X, Y, build_gp=matern).fit()
    assert again.fit_result.values == first.fit_result.values
    assert PyMCGP(X, Y, build_gp=matern).fit(seed=1).fit_result.values[1:] != first.fit_result.values[1:]
    assert first.fit_result.starts == ("prior mode", "prior draw", "prior draw")
    with pytest.raises(InputDataError, match=r"The warm start's ell has shape \(3,\)\. Pass a value of shape \(2,\)"):
        PyMCGP(X, Y, build_gp=matern).fit(warm_start={**first.point, "ell": np.ones(3)})
    with pytest.raises(InputDataError, match="no value for ell"):
        PyMCGP(X, Y, build_gp=matern).fit(warm_start={"eta": 1.0})


@pytest.mark.parametrize("kind", ["one", "constant", "duplicates", "noise-free", "two clusters"])
def test_difficult_data_are_fitted(kind: str) -> None:
    X, Y = raw_data(12)
    if kind == "one":
        X, Y = X[:1], Y[:1]
    elif kind == "constant":
        Y = torch.full_like(Y, 3.0)
    elif kind == "duplicates":
        X = X[:3].repeat(4, 1)
    elif kind == "noise-free":
        Y = X.sum(-1, keepdim=True)
    else:
        X = torch.cat([X[:6] / 1e6, 1 - X[6:] / 1e6])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        warnings.simplefilter("ignore", NumericalWarning)  # a prior that allows it puts the variance of constant data at zero
        for builder in (None, matern):
            model = PyMCGP(X, Y, build_gp=builder).fit()
            assert model.posterior(X).mean.isfinite().all()
            assert (model.posterior(X).variance > 0).all()
            assert np.isfinite(model.fit_result.log_posterior)


def test_the_whole_round_works_in_natural_units() -> None:
    class Natural(PyMCGP):
        units = "natural"

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            ell = pm.LogNormal("ell", np.log(20), 0.5, dims="feature")
            gp = pm.gp.Marginal(
                mean_func=pm.gp.mean.Constant(pm.Normal("mean", 3, 2)), cov_func=4 * pm.gp.cov.Matern52(2, ls=ell)
            )
            gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 0.5))
            return gp

    X, Y = raw_data()
    model = Natural(40 * X, Y).fit()
    assert not hasattr(model, "outcome_transform")
    bounds = torch.tensor([[0.0, 0.0], [40.0, 40.0]], dtype=torch.double)
    best, _ = optimize_acqf(LogExpectedImprovement(model, Y.max()), bounds, q=1, num_restarts=2, raw_samples=16)
    assert model.posterior(best).mean.item() > Y.median()


def test_inputs_outside_the_unit_cube_are_named_with_the_remedy() -> None:
    X, Y = raw_data()
    with pytest.warns(InputDataWarning, match=r"Columns \[1\] of train_X .*Normalize\(d=2.* \"natural\""):
        PyMCGP(X * torch.tensor([1.0, 40.0]), Y)
    with pytest.warns(InputDataWarning, match="not standardized"):
        PyMCGP(X, 100 * Y, outcome_transform=None)


def flat_prior(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", -0.5, 0.7)))
    pm.Flat("idle")
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def zero_noise(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(2, ls=pm.LogNormal("ell", -0.5, 0.3)))
    gp.marginal_likelihood("y", X, y, sigma=pm.HalfNormal("sigma", 1))
    return gp


def two_modes(X: Any, y: Any) -> pm.gp.Marginal:
    """Return a gp of confounded inputs, of which either may be the one that matters."""
    side = pm.Normal("side", 0, 2)
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pt.exp(pt.stack([side, -side]))))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (flat_prior, "Neither data nor prior determine `idle`"),
        (zero_noise, r"MAP estimate of `sigma` ran to the boundary .* vanishes there"),
        (two_modes, "two different modes .* `side` = "),
    ],
)
def test_a_fit_that_should_not_be_trusted_warns_once(builder: Callable, message: str) -> None:
    X, _ = raw_data()
    if builder is two_modes:
        X = X[:, :1].expand(-1, 2).clone()
    start = {"side": -1.0, "sigma": 0.1} if builder is two_modes else None
    with pytest.warns(FitWarning, match=message) as caught:
        model = PyMCGP(X, (3 * X.sum(-1, keepdim=True)).sin(), build_gp=builder).fit(start)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert model.fit_result.warning == str(caught[0].message)


def scaled_inside(X: Any, y: Any) -> pm.gp.Marginal:
    return matern(X * 2, y)


def other_data(X: Any, y: Any) -> pm.gp.Marginal:
    return matern(X, pt.log(pt.abs(y) + 1))


def not_a_gp(X: Any, y: Any) -> object:
    matern(X, y)
    return "gp"


def discrete(X: Any, y: Any) -> pm.gp.Marginal:
    pm.Poisson("k", 3)
    return matern(X, y)


def ignores_sigma(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    return matern(X, y)


def latent(X: Any, y: Any) -> pm.gp.Latent:
    gp = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell")))
    pm.Normal("y", gp.prior("f", X), 1, observed=y)
    return gp


def impossible(X: Any, y: Any) -> pm.gp.Marginal:
    pm.Potential("never", pt.log(pt.constant(-1.0)))
    return matern(X, y)


BAD_BUILDERS = {
    "scaled inside": (scaled_inside, False, InputDataError, "X of the gp's likelihood is not the X"),
    "other data": (other_data, False, InputDataError, "outcome_transform"),
    "not a gp": (not_a_gp, False, InputDataError, "build_gp returned a str"),
    "discrete": (discrete, False, InputDataError, "k are discrete"),
    "no sigma": (matern, True, InputDataError, r"build_gp\(X, y, sigma\)"),
    "three arguments": (with_known_noise, False, InputDataError, r"Write it as build_gp\(X, y\)"),
    "ignores sigma": (ignores_sigma, True, InputDataError, "does not use its argument sigma"),
    "latent": (latent, False, UnsupportedError, "Latent cannot be used here"),
    "impossible": (impossible, False, ModelFittingError, "None of 3 starts"),
}


@pytest.mark.parametrize("name", BAD_BUILDERS)
def test_a_builder_that_does_not_fit_is_refused_with_advice(name: str) -> None:
    builder, known, error, message = BAD_BUILDERS[name]
    X, Y = raw_data()
    with pytest.raises(error, match=message):
        PyMCGP(X, Y, torch.full_like(Y, 0.01) if known else None, build_gp=builder).fit()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"train_X": None}, InputDataError, "train_X is a NoneType"),
        ({"train_Y": "Y"}, InputDataError, "train_Y is a str"),
        ({"train_Y": torch.ones(15, 2, dtype=torch.double)}, UnsupportedError, "2 columns, .*ModelListGP"),
        ({"train_Y": torch.ones(15, dtype=torch.double)}, BotorchTensorDimensionError, "output dimension"),
        ({"train_Y": torch.ones(14, 1, dtype=torch.double)}, InputDataError, "15 rows, train_Y 14"),
        ({"train_Y": torch.full((15, 1), torch.nan, dtype=torch.double)}, InputDataError, "train_Y is not finite in rows"),
        ({"train_X": torch.rand(2, 15, 2, dtype=torch.double)}, UnsupportedError, "one data set"),
        ({"train_X": torch.rand(0, 2).double(), "train_Y": torch.rand(0, 1).double()}, InputDataError, "at least one"),
        ({"train_Yvar": -torch.ones(15, 1, dtype=torch.double)}, InputDataError, "negative entries"),
        ({"input_transform": "scale"}, InputDataError, "input_transform is a str"),
        ({"outcome_transform": "log"}, InputDataError, "outcome_transform is a str"),
        ({"build_gp": 3}, InputDataError, "build_gp is a int"),
    ],
)
def test_bad_arguments_are_refused_by_the_constructor(change: dict[str, Any], error: type, message: str) -> None:
    X, Y = raw_data()
    with pytest.raises(error, match=message):
        PyMCGP(**{"train_X": X, "train_Y": Y, **change})


@pytest.mark.parametrize("option", [{"num_starts": 0}, {"num_starts": 1.5}, {"seed": -1}, {"maxiter": True}])
def test_bad_options_of_fit_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(InputDataError, match="Pass a whole number"):
        PyMCGP(*raw_data()).fit(**option)


def test_known_noise_reaches_the_builder_as_an_sd_and_refits_take_other_data() -> None:
    X, Y = raw_data()
    variances = torch.linspace(0.01, 0.3, 15, dtype=torch.double).unsqueeze(-1)
    model = PyMCGP(X, Y, variances, build_gp=with_known_noise).fit()
    torch.testing.assert_close(model.likelihood.noise, variances.squeeze(-1) / Y.var())
    longer = PyMCGP(*raw_data(20), torch.full((20, 1), 0.1, dtype=torch.double), build_gp=with_known_noise).fit()
    assert longer.likelihood.noise.shape == (20,)


def test_the_default_builder_is_what_the_method_builds() -> None:
    data = training_data()
    ours, method = build(build_default_gp, data), model_of(PyMCGP.build_gp.__get__(object()), data)
    assert ours.scales.names == [rv.name for rv in method.free_RVs] == ["lengthscale", "mean", "noise"]


def hierarchical(X: Any, y: Any) -> pm.gp.Marginal:
    z = pm.Normal("z", pm.Normal("mu"), pm.LogNormal("tau", -1, 0.5), dims="feature")
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pt.exp(z)))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def from_data(X: Any, y: Any) -> pm.gp.Marginal:
    level = pm.Normal("level", y.mean(), y.std() + 0.1)
    reach = pm.LogNormal("reach", pt.log(X.max(0) - X.min(0) + 0.1), 0.5)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(level), cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def one_noise_each(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.5)))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 0.5, dims="obs_id"))
    return gp


@pytest.mark.parametrize("builder", [hierarchical, from_data, one_noise_each])
def test_priors_that_depend_on_parameters_or_data_are_fitted_and_forget_earlier_data(builder: Callable) -> None:
    X, Y = raw_data()
    first = PyMCGP(X, Y, outcome_transform=Standardize(1), build_gp=builder).fit()
    again = [PyMCGP(X[:9], Y[:9] + 5, build_gp=builder), PyMCGP(X[:9], Y[:9] + 5, build_gp=builder)]
    unfitted = [again[0].point]
    again[0].fit()
    cache_clear()
    unfitted.append(again[1].point)
    for name, value in unfitted[1].items():
        np.testing.assert_array_equal(unfitted[0][name], value)
    assert again[1].fit().fit_result.values == pytest.approx(again[0].fit_result.values, rel=1e-8)
    warm = PyMCGP(X, Y, build_gp=builder).fit(warm_start=first.point, num_starts=1)
    assert warm.fit_result.log_posterior >= first.fit_result.log_posterior - 1e-3
    loaded = PyMCGP(X, Y, build_gp=builder)
    loaded.load_state_dict(first.state_dict())
    assert set(loaded.point) == set(first.point)


def reads_values(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=float(y.get_value().std())))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def test_a_builder_that_reads_values_of_its_data_runs_anew_and_says_so() -> None:
    X, Y = raw_data()
    options: dict[str, Any] = {"outcome_transform": None, "build_gp": reads_values}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        warnings.simplefilter("ignore", FitWarning)  # its priors are for other units
        with pytest.warns(UserWarning, match="values of its data"):
            PyMCGP(X, Y, **options).fit()
        densities = [PyMCGP(X, factor * Y, **options).fit().fit_result.log_posterior for factor in (1, 3)]
        cache_clear()
        assert PyMCGP(X, 3 * Y, **options).fit().fit_result.log_posterior == pytest.approx(densities[1])


class ReadsTransform(PyMCGP):
    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        return known_scale(X, y, float(self.outcome_transform.stdvs))


def known_scale(X: Any, y: Any, ls: float) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=ls))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


class Misspelt(PyMCGP):
    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        return known_scale(X, y, self.lengthscal)


class Static(PyMCGP):
    @staticmethod
    def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
        return known_scale(X, y, 0.5)


def test_builders_of_other_forms_are_used_and_mistakes_inside_them_are_shown() -> None:
    X, Y = raw_data()
    with pytest.raises(InputDataError, match="build_gp reads outcome_transform of its model"):
        ReadsTransform(X, Y).fit()
    with pytest.raises(RuntimeError, match=r"build_gp failed: .*lengthscal"):
        Misspelt(X, Y).point  # noqa: B018  # what is raised is the test
    static, patched = Static(X, Y).fit(), PyMCGP(X, Y)
    patched.build_gp = lambda X, y: known_scale(X, y, 0.5)  # type: ignore[method-assign]
    assert patched.fit().fit_result.values == static.fit_result.values


def test_a_parameter_in_natural_units_far_from_its_prior_mean_is_at_no_bound() -> None:
    def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
        level = pm.Normal("level", 6000, 3000)
        gp = pm.gp.Marginal(
            mean_func=pm.gp.mean.Constant(level), cov_func=3000**2 * pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", -1, 0.5))
        )
        gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", 5, 0.5))
        return gp

    X, Y = raw_data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputDataWarning)
        assert PyMCGP(X, 3000 * Y, outcome_transform=None, build_gp=build_gp).fit().fit_result.warning is None


def test_fitting_through_botorch_gives_the_likelihood_as_fitted_and_a_loaded_state_has_no_fit_result() -> None:
    X, Y = raw_data()
    model = PyMCGP(X, Y)
    mll = fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    assert mll.likelihood is model.likelihood
    model.load_state_dict(PyMCGP(X, -Y).fit().state_dict())
    assert model.fit_result is None
    assert model.fit(num_starts=np.int64(1)).fit_result is not None


def test_a_marginal_likelihood_of_gpytorch_is_refused_with_what_to_call_instead() -> None:
    model = PyMCGP(*raw_data())
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    with pytest.raises(UnsupportedError, match=r"leave out the priors of the PyMC model. Call model.fit\(\)"):
        mll(model(*model.train_inputs), model.train_targets)


@pytest.mark.parametrize("kind", ["ensemble", "tree", "number"])
def test_a_warm_start_of_another_kind_is_refused_before_anything_is_compiled(kind: str) -> None:
    X = torch.linspace(0, 1, 6, dtype=torch.double).unsqueeze(-1)
    given = {"ensemble": FullyBayesianPyMCGP(X, X.sin()), "tree": xr.DataTree(), "number": 3}[kind]
    cache_clear()
    with pytest.raises(InputDataError, match=f"The warm start is a {type(given).__name__}"):
        PyMCGP(X, X.sin()).fit(given)
    assert cache_info().compilations == 0
