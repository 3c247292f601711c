"""Derivatives of posterior expectations in the data are those of quadrature, and their errors what they say."""

from collections.abc import Callable
from functools import cache
from typing import Any

import expectations as model_b
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
import xarray as xr
from botorch.models.transforms import Normalize
from scipy.special import logsumexp

import pymc_botorch
from pymc_botorch import (
    ExpectationGradient,
    FullyBayesianPyMCGP,
    PyMCGP,
    expectation_gradient,
    symbolic_gradients,
    symbolic_posterior,
)
from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.inference.sensitivity.control_variates import Order
from pymc_botorch.inference.sensitivity.derivatives import read_derivatives
from pymc_botorch.inference.sensitivity.draws import PosteriorDraws
from pymc_botorch.inference.sensitivity.expectation import expectation_gradient_over
from pymc_botorch.inference.sensitivity.quantity import Quantity
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

IDENTITY = {"rtol": 1e-8, "atol": 1e-8}
"""Of the score identity on a grid with derivatives of the quadrature on that grid, by differences."""
DIFFERENCES = {"rtol": 1e-6, "atol": 1e-7}
"""Of derivatives by differences of two points."""
VANISHING = 1e-10

FUNCTIONS = list(model_b.FUNCTIONS)

MU_X = [-0.007057475886, -0.01959589708, -0.8013412309, -3.27963781, 0.2092684639]
MU_X += [-5.970687033e-05, -0.0111950555, 0.01536223771, 0.008322438196, 0.002228050618]
MU_Y = [0.01011764461, -0.08168051771, 0.3741139754, 0.7617080405, -0.06656849696]
MU_Y += [0.001347732713, -0.003214334462, 0.003028919625, 0.001707056617, -0.0006521009026]
MEAN_X = [-3.115058772e-05, -5.842261655e-05, -0.0001204148135, 0.0003528763022, 0.0001030186255]
MEAN_X += [-8.690252685e-06, -0.0001257452362, -0.000539416182, 0.0008322238547, -0.0004042790938]
SD_X = [-0.004827950456, -0.001371473056, -0.01588866978, 0.1251052473, 0.03960552548]
SD_X += [0.002553184801, 0.0006199541345, 0.02018909551, -0.05156876843, 0.01819203483]
VALUES = dict(zip(FUNCTIONS, (2.27051073, 2.245104485, 0.2737463916, 9.298485833, 0.2895347987), strict=True))
GRADIENTS = {("mu(3.0)", "X"): MU_X, ("mu(3.0)", "y"): MU_Y, ("mean of mu(X)", "X"): MEAN_X, ("sd(3.0)", "X"): SD_X}
"""By a quadrature in JAX with 56³ nodes, which shares no code with PyMC, PyTensor or this package."""


def dataset(draws: dict[str, np.ndarray]) -> xr.Dataset:
    """Draws ``chain x draw`` as what samplers return."""
    return xr.Dataset({name: (("chain", "draw", *map(str, range(a.ndim - 2))), a) for name, a in draws.items()})


def named(U: np.ndarray) -> xr.Dataset:
    return dataset({name: np.exp(U[None, :, i]) for i, name in enumerate(model_b.NAMES)})


@cache
def by_quadrature(name: str, order: Order = None) -> ExpectationGradient:
    pm_model, gp = model_b.make()
    options: Any = {"X_new": model_b.ASKED_AT[name], "control_variates": order, "weights": model_b.weights()}
    return expectation_gradient(gp, model_b.FUNCTIONS[name], ["X", "y"], named(model_b.nodes()), model=pm_model, **options)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nodes_and_weights_of_a_quadrature_give_its_derivative(name: str) -> None:
    found, i = by_quadrature(name), FUNCTIONS.index(name)
    assert found.value == pytest.approx(model_b.expectations()[i], rel=1e-10)
    for data, of_data in zip(("X", "y"), model_b.derivatives(), strict=True):
        np.testing.assert_allclose(found.gradient[data].ravel(), of_data[i], **IDENTITY)
        np.testing.assert_allclose(found.evidence_gradient[data].ravel(), of_data[-1], **IDENTITY)
    assert found.value == pytest.approx(VALUES[name], abs=1e-8)
    for (function, data), expected in GRADIENTS.items():
        if function == name:
            np.testing.assert_allclose(found.gradient[data].ravel(), expected, **IDENTITY)


def test_control_variates_change_nothing_of_a_quadrature() -> None:
    found, plain = by_quadrature("mu(3.0)", "linear"), by_quadrature("mu(3.0)")
    assert (found.control_variates, plain.control_variates) == ("linear", None)
    for name in ("X", "y"):
        np.testing.assert_allclose(found.gradient[name], plain.gradient[name], **IDENTITY)
        assert np.median(found.mcse[name] / plain.mcse[name]) < 1.0


@pytest.fixture(scope="module")
def sampled() -> FullyBayesianPyMCGP:
    class ModelB(FullyBayesianPyMCGP):
        units = "natural"

        def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
            return model_b.build(X, y)

    with pymc_botorch.config.change_flags(linker="numpy"):
        model = ModelB(torch.from_numpy(model_b.X), torch.from_numpy(model_b.y)[:, None])
        return model.fit("nuts", draws=2000, tune=500, chains=4, seed=3, progressbar=False)


def test_errors_of_nuts_are_what_they_say(sampled: FullyBayesianPyMCGP) -> None:
    (pm_model, gp), z = model_b.make(), []
    for i, name in enumerate(FUNCTIONS):
        f, asked_at = model_b.FUNCTIONS[name], model_b.ASKED_AT[name]
        found = expectation_gradient(gp, f, ["X", "y"], sampled.idata, model=pm_model, X_new=asked_at)
        assert (found.num_draws, found.control_variates) == (8000, "quadratic")
        for data, of_data in zip(("X", "y"), model_b.derivatives(), strict=True):
            z.append((found.gradient[data].ravel() - of_data[i]) / found.mcse[data].ravel())
        assert abs(found.value - model_b.expectations()[i]) < 4.5 * found.value_mcse
        assert max(np.abs(one).max() for one in found.stein_z.values()) < 4.5
        if name == "mu(3.0)":  # the model whose draws these are, without transforms
            same = expectation_gradient(sampled, f)
            assert (same.num_draws, same.control_variates) == (8000, "quadratic")
            for part, other in ((same.gradient, found.gradient), (same.mcse, found.mcse), (same.ess, found.ess)):
                np.testing.assert_allclose(part["X"], other["X"], rtol=1e-5)
                np.testing.assert_allclose(part["y"], other["y"], rtol=1e-5)
    scores = np.concatenate(z)
    assert len(scores) == 100
    assert np.abs(scores).max() < 4.5
    assert 0.5 < np.sqrt(np.mean(np.square(scores))) < 1.5


def test_control_variates_lower_the_error(rng: np.random.Generator) -> None:
    pm_model, gp = model_b.make()
    derivatives = read_derivatives(gp, ["X", "y"], model=pm_model, jacobian=True, quantity=Quantity(model_b.FUNCTIONS["mu(3.0)"]))
    exact = np.concatenate([part[FUNCTIONS.index("mu(3.0)")] for part in model_b.derivatives()])
    errors: dict[Order, list[np.ndarray]] = {None: [], "quadratic": []}
    for _ in range(8):
        block = rng.choice(model_b.nodes(), size=500, p=model_b.weights())  # draws of the posterior, by quadrature
        draws = PosteriorDraws(block, None, 1, {"chain": 1, "draw": 500})
        for order, found in errors.items():
            result = expectation_gradient_over(derivatives, draws, order)
            found.append(np.concatenate([result.gradient[data].ravel() for data in ("X", "y")]) - exact)
    plain, reduced = (np.median(np.abs(found)) for found in errors.values())
    assert plain > 1.5 * reduced


DRAWS = model_b.MEAN + 0.3 * np.random.default_rng(0).normal(size=(6, 3))
WEIGHTS = np.array([0.1, 0.3, 0.15, 0.05, 0.22, 0.18])
START = np.array([0.0, 2.0, 4.5])[:, None]
OUTCOMES = np.array([1.0, -0.5, 2.0])
"""A few draws are a quadrature of any posterior, whose derivative is exact as well: weights follow the density."""

type Made = tuple[pm.Model, Any]


def weighted(made: Made, f: Any) -> Callable[[], float]:
    """Return the average of ``f`` over the draws as a function of what the model's data are then, by PyMC alone."""
    pm_model, _ = made
    log_p = pm_model.compile_logp()
    value = pm_model.compile_fn(pm_model.replace_rvs_by_values([f])[0], inputs=pm_model.value_vars)
    points = [dict(zip([v.name for v in pm_model.value_vars], u, strict=True)) for u in DRAWS]
    at_start = np.array([float(log_p(point)) for point in points])

    def average() -> float:
        log_w = np.log(WEIGHTS) + [float(log_p(point)) for point in points] - at_start
        return float(np.exp(log_w - logsumexp(log_w)) @ [float(value(point)) for point in points])

    return average


def by_differences(made: Made, f: Any, names: list[str], step: float = 1e-4) -> dict[str, np.ndarray]:
    """Return the derivatives of the weighted average in data of a model."""
    average, found = weighted(made, f), {}
    for name in names:
        shared = made[0][name]
        start = np.array(shared.get_value())
        found[name] = np.zeros_like(start)
        for k in np.ndindex(start.shape):
            unit = np.zeros_like(start)
            unit[k] = step
            ends = []
            for sign in (1, -1):
                shared.set_value(start + sign * unit)
                ends.append(average())
            shared.set_value(start)
            found[name][k] = (ends[0] - ends[1]) / (2 * step)
    return found


def small(inputs: np.ndarray = START, outcomes: np.ndarray = OUTCOMES) -> Made:
    return model_b.make(inputs, outcomes)


def of_few(made: Made, f: Any, wrt: Any, draws: xr.Dataset | None = None, **options: Any) -> ExpectationGradient:
    pm_model, gp = made
    options = {"weights": WEIGHTS, "control_variates": None, **options}
    return expectation_gradient(gp, f, wrt, named(DRAWS) if draws is None else draws, model=pm_model, **options)


def test_new_inputs_stay_or_move() -> None:
    weigh = np.array([3.0, 1.0, 2.0])
    made = pm_model, gp = small()
    stays = (symbolic_posterior(gp, START, model=pm_model).mean * weigh).sum()
    moves = (symbolic_posterior(gp, pm_model["X"], model=pm_model).mean * weigh).sum()
    gradients = {}
    for asked_at, reference, other in (("fixed", stays, moves), ("moves", moves, stays)):
        gradients[asked_at] = by_differences(made, reference, ["X"])["X"]
        for f in (other, lambda at: (at().mean * weigh).sum()):
            found = of_few(made, f, ["X"], X_new=asked_at)
            np.testing.assert_allclose(found.gradient["X"], gradients[asked_at], **DIFFERENCES)
    assert np.abs(gradients["fixed"] - gradients["moves"]).max() > 0.1


@pytest.mark.parametrize("order", ["linear", None])
def test_sums_that_vanish_vanish(order: Order) -> None:
    S = 200
    draws = named(model_b.MEAN + 0.3 * np.random.default_rng(4).normal(size=(S, 3)))
    for name in ("mean of mu(X)", "sd(3.0)"):
        asked_at, f = model_b.ASKED_AT[name], model_b.FUNCTIONS[name]
        found = of_few(model_b.make(), f, ["X", "y"], draws, X_new=asked_at, weights=None, control_variates=order)
        assert found.control_variates == order
        total = found.gradient["X"].sum() + sum(part.sum() for part in found.X_new_gradient)
        assert abs(total) < VANISHING < np.abs(found.gradient["X"]).max()
        assert abs(found.evidence_gradient["X"].sum()) < VANISHING
        assert found.translation is not None
        assert found.score_translation is not None
        assert max(found.translation, found.score_translation) < VANISHING
        assert len(found.X_new_gradient) == (asked_at == "fixed")
    linear = pm.gp.cov.Linear(1, c=0.0)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.LogNormal("eta") ** 2 * linear)
        gp.marginal_likelihood("f", pm.Data("X", START), OUTCOMES, 0.5)
    found = of_few((pm_model, gp), "eta", "X", draws, weights=None)
    assert found.score_translation is not None
    assert found.score_translation > 0.01  # this kernel has an origin


def test_training_data_may_be_arrays() -> None:
    def make(inputs: np.ndarray = START, outcomes: np.ndarray = OUTCOMES) -> Made:
        with pm.Model() as pm_model:
            return pm_model, model_b.build(inputs, outcomes)

    for asked_at in ("fixed", "moves"):
        arrays = of_few(make(), lambda at: at(START).mean[1], ["X", "y"], X_new=asked_at)
        data = of_few(small(), lambda at: at(START).mean[1], ["X", "y"], X_new=asked_at)
        for name in ("X", "y"):
            np.testing.assert_allclose(arrays.gradient[name], data.gradient[name], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(arrays.mcse[name], data.mcse[name], rtol=1e-10)


def test_data_are_asked_for_by_their_names_and_new_inputs_too() -> None:
    start = {"dose": START, "harvest": OUTCOMES, "where": np.array([[1.0], [3.0]]), "level": np.array(0.3)}
    with pm.Model() as pm_model:
        dose, harvest, where, level = (pm.Data(name, value) for name, value in start.items())
        ell, eta = (pm.LogNormal(name, level, 0.4) for name in ("ell", "eta"))
        sigma = pm.Uniform("sigma", 0.0, 1.0 + pt.abs(harvest).max())  # the transform depends on data
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(harvest.mean()), cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
        gp.marginal_likelihood("f", dose, harvest, sigma)
        gain = pm.Deterministic("gain", symbolic_posterior(gp, where).mean.sum() * sigma + level)
    constrained = {"ell": np.exp(DRAWS[None, :, 0]), "eta": np.exp(DRAWS[None, :, 1])}
    draws = dataset({**constrained, "sigma": 3.0 / (1 + np.exp(-DRAWS[None, :, 2]))})
    made = pm_model, gp
    found = of_few(made, "gain", list(start), draws)
    assert found.value == pytest.approx(weighted(made, gain)(), rel=1e-12)
    for name, expected in by_differences(made, gain, list(start)).items():
        np.testing.assert_allclose(found.gradient[name], expected, **DIFFERENCES)
    np.testing.assert_allclose(found.X_new_gradient[0], found.gradient["where"], rtol=1e-12)


def test_gradients_of_predictions_are_differentiated() -> None:
    made = pm_model, gp = small()
    slope = symbolic_gradients(gp, [[1.2]], model=pm_model).sd_gradient[0, 0]
    found = of_few(made, slope, "X")
    np.testing.assert_allclose(found.gradient["X"], by_differences(made, slope, ["X"])["X"], **DIFFERENCES)


def test_equal_weights_are_none_but_for_the_bias() -> None:
    made, S = small(), len(DRAWS)
    plain = of_few(made, "ell", ["X", "y"], weights=None)
    equal = of_few(made, "ell", ["X", "y"], weights=np.full((1, S), 7.0))
    assert plain.value == pytest.approx(equal.value, rel=1e-12)
    for name in ("X", "y"):
        np.testing.assert_allclose(plain.gradient[name], S / (S - 1) * equal.gradient[name], rtol=1e-9)
        np.testing.assert_allclose(equal.ess[name], S, rtol=1e-9)


def test_a_draw_without_weight_does_not_count() -> None:
    more = named(np.vstack([DRAWS, [[400.0, 400.0, 400.0]]]))  # where nothing is finite
    whole, part = of_few(small(), "ell", "X", more, weights=[*WEIGHTS, 0.0]), of_few(small(), "ell", "X")
    np.testing.assert_allclose(whole.gradient["X"], part.gradient["X"], rtol=1e-12)
    np.testing.assert_allclose(whole.mcse["X"], part.mcse["X"], rtol=1e-12)


def test_other_data_of_one_structure_compile_nothing() -> None:
    of_few(small(), lambda at: at([[1.0], [2.0]]).mean[0], ["X", "y"])
    before = pymc_botorch.cache_info().compilations
    of_few(small(START[:2] + 0.5, OUTCOMES[:2]), lambda at: at([[0.5], [7.0], [1.0]]).mean[0], ["X", "y"])
    assert pymc_botorch.cache_info().compilations == before


def test_few_draws_take_fewer_control_variates() -> None:
    rng = np.random.default_rng(1)
    for count, order in ((400, "quadratic"), (120, "linear"), (40, None)):
        draws = named(np.random.default_rng(2).multivariate_normal([0.3, 0.3, -1.0], 0.01 * np.eye(3), size=count))
        found = of_few(small(), "ell", "y", draws, weights=rng.uniform(0.9, 1.0, size=count), control_variates="quadratic")
        assert found.control_variates == order
        assert ("too few" in repr(found)) == (order != "quadratic")


RAW_X, RAW_Y = np.array([0.0, 20.0, 45.0, 70.0]), np.array([10.0, 4.0, 22.0, 30.0])


@pytest.fixture(scope="module")
def raw() -> FullyBayesianPyMCGP:
    def build(X: Any, y: Any) -> pm.gp.Marginal:
        ell, sigma = pm.LogNormal("ell", -1, 0.4), pm.LogNormal("sigma", -2, 0.5)
        pm.Deterministic("roughness", 1 / ell)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=ell))
        gp.marginal_likelihood("observed", X, y, sigma=sigma)
        return gp

    X, Y = (torch.from_numpy(part)[:, None] for part in (RAW_X, RAW_Y))
    with pymc_botorch.config.change_flags(linker="numpy"):
        return FullyBayesianPyMCGP(X, Y, build_gp=build, input_transform=Normalize(1)).fit(seed=1)


def test_a_model_made_from_data_is_asked_in_raw_units(raw: FullyBayesianPyMCGP) -> None:
    axes = [np.linspace(mu - 5 * sd, mu + 5 * sd, 41) for mu, sd in ((-1, 0.4), (-2, 0.5))]
    U = np.stack([part.ravel() for part in np.meshgrid(*axes, indexing="ij")], 1)

    def exact(inputs: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
        """Mean at 30 and its sd, in raw units, and 1/ell, by quadrature of the refitted model."""
        low, high, offset, scale = inputs.min(), inputs.max(), outcomes.mean(), outcomes.std(ddof=1)
        x, new, y = (inputs - low) / (high - low), np.array([(30.0 - low) / (high - low)]), (outcomes - offset) / scale
        r = np.sqrt(5) * np.abs(x[:, None] - np.append(x, new)) / np.exp(U[:, :1, None])
        K = (1 + r + r**2 / 3) * np.exp(-r)
        L = np.linalg.cholesky(K[:, :, :-1] + (np.exp(2 * U[:, 1:, None]) + 1e-6) * np.eye(len(x)))
        white, half = np.linalg.solve(L, np.broadcast_to(y[:, None], (len(U), len(x), 1))), np.linalg.solve(L, K[:, :, -1:])
        log_p = -0.5 * np.square(white).sum((1, 2)) - np.log(np.einsum("sii->si", L)).sum(1)
        log_p -= 0.5 * np.square((U - [-1, -2]) / [0.4, 0.5]).sum(1)
        mean, sd = (white * half).sum((1, 2)), np.sqrt(1 - np.square(half).sum((1, 2)))
        return np.exp(log_p - logsumexp(log_p)) @ np.stack([offset + scale * mean, scale * sd, np.exp(-U[:, 0])], 1)

    x, y = RAW_X, RAW_Y
    step = 1e-4 * np.eye(4)
    of_X = np.stack([(exact(x + 10 * e, y) - exact(x - 10 * e, y)) / 2e-3 for e in step], 1)
    of_y = np.stack([(exact(x, y + e) - exact(x, y - e)) / 2e-4 for e in step], 1)
    functions = [lambda at: at([[30.0]]).mean[0], lambda at: at([[30.0]]).covariance[0, 0] ** 0.5, "roughness"]
    for i, f in enumerate(functions):
        found = expectation_gradient(raw, f)
        assert abs(found.value - exact(x, y)[i]) < 4.5 * found.value_mcse
        assert found.mcse["y"].max() < 0.05 * np.abs(of_y[i]).max()  # else the next lines say little
        assert np.abs((found.gradient["X"].ravel() - of_X[i]) / found.mcse["X"].ravel()).max() < 4.5
        assert np.abs((found.gradient["y"] - of_y[i]) / found.mcse["y"]).max() < 4.5
        assert found.translation is not None
        assert found.translation < VANISHING
        assert max(np.abs(z).max() for z in found.stein_z.values()) < 4.5


def rough(inputs: np.ndarray) -> Made:
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern12(1, ls=pm.LogNormal("ell", 0, 1)))
        gp.marginal_likelihood("f", pm.Data("X", inputs), OUTCOMES, 0.5)
    return pm_model, gp


def test_a_kernel_with_a_kink_is_refused_where_points_coincide() -> None:
    draws = dataset({"ell": np.exp(DRAWS[None, :, 0])})
    twice = np.array([[0.0], [2.0], [2.0]])
    with pytest.raises(DataError, match="Matern12 has a kink at distance zero, and rows of X are equal"):
        of_few(rough(twice), "ell", ["X", "y"], draws)
    with pytest.raises(DataError, match="new inputs that stay where they are equal row 1 of X"):
        of_few(rough(START), lambda at: at([[2.0]]).mean[0], "X", draws)
    assert np.isfinite(of_few(rough(twice), "ell", "y", draws).gradient["y"]).all()
    assert np.isfinite(of_few(rough(START), lambda at: at().mean[0], "X", draws, X_new="moves").gradient["X"]).all()


OTHER = pm.Model()
with OTHER:
    STRANGER = pm.Normal("stranger")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"f": "depth"}, "f is 'depth', but the PyMC model has .*ell"),
        ({"f": 3.0}, "f is a float. Pass the name"),
        ({"f": lambda at: at(START).mean}, r"f is of type Vector.*Pass one real number"),
        ({"f": lambda at: at(START).mean[0] > 0}, "a smooth version"),
        ({"f": lambda at: 1.0}, r"f\(posterior\) returned a float"),
        ({"f": lambda at: at([1.0]).mean[0]}, "Pass a q x d matrix"),
        ({"f": STRANGER}, "random variable stranger in it"),
        ({"f": pt.scalar("pH")}, "f depends on pH, which the PyMC model does not have"),
        ({"f": lambda at: pt.log(-at(START).covariance[0, 0])}, "f is nan at chain 0, draw 0"),
        ({"f": lambda at: at([[1.0, 2.0]]).mean[0]}, "Pass as many columns as the gp's X"),
        ({"wrt": []}, "wrt is empty"),
        ({"wrt": None}, "wrt is None. Pass a list of names"),
        ({"wrt": [["X"]]}, r"wrt is \[\['X'\]\]. Pass a list of names"),
        ({"wrt": ["Z"]}, "wrt has 'Z'"),
        ({"X_new": "stays"}, "X_new is 'stays'. Pass 'fixed'"),
        ({"X_new": "moves"}, "f asks for no prediction at the training inputs"),
        ({"control_variates": "cubic"}, "control_variates is 'cubic'"),
        ({"weights": [1.0]}, "There are 1 weights and 6 draws"),
        ({"weights": [*WEIGHTS[:5], np.nan]}, "weights have NaN"),
        ({"weights": -WEIGHTS}, "weights have NaN, infinite or negative"),
        ({"weights": np.ones((6, 1))}, r"weights have shape \(6, 1\). Pass 6"),
        ({"weights": [1.0, 0, 0, 0, 0, 0]}, "By their weights the draws are worth 1.0"),
        ({"weights": ["a"] * 6}, "weights are not numeric"),
        ({"idata": None}, "idata is a NoneType without a posterior of draws"),
        ({"idata": named(DRAWS)[["ell", "eta"]]}, "no draws of sigma"),
        ({"idata": named(DRAWS).isel(draw=slice(2))}, "Pass at least 4 of each chain"),
        ({"idata": named(DRAWS).assign(ell=(("chain", "draw", "k"), np.ones((1, 6, 2))))}, r"ell have shape \(2,\)"),
        ({"idata": named(np.where(np.arange(6)[:, None] == 4, np.nan, DRAWS))}, "ell is nan at chain 0, draw 4"),
        ({"idata": -named(DRAWS)}, "outside the support of its prior"),
    ],
)
def test_what_can_not_be_used_is_refused(changed: dict[str, Any], message: str) -> None:
    pm_model, gp = small()
    arguments: dict[str, Any] = {"f": "ell", "wrt": ["X", "y"], "idata": named(DRAWS), "weights": WEIGHTS, **changed}
    with pytest.raises(DataError, match=message):
        expectation_gradient(gp, arguments.pop("f"), arguments.pop("wrt"), arguments.pop("idata"), model=pm_model, **arguments)


def test_other_gps_and_models_without_draws_are_refused(raw: FullyBayesianPyMCGP) -> None:
    pm_model, gp = small()
    with pytest.raises(UnsupportedGPError, match="Marginal"):
        expectation_gradient(pm.gp.Latent(), "ell", "X", named(DRAWS), model=pm_model)
    with pytest.raises(UnsupportedGPError, match="Use map_sensitivity"):
        expectation_gradient(PyMCGP(torch.rand(4, 1).double(), torch.rand(4, 1).double()), "mean")
    with pytest.raises(DataError, match="of a sum of gps, pass the one that has it"):
        expectation_gradient(pm.gp.Marginal(), "ell", "X", named(DRAWS), model=pm_model)
    fitted = FullyBayesianPyMCGP.from_fitted(gp, named(DRAWS), num_draws=2, model=pm_model)
    with pytest.raises(UnsupportedModelError, match="made from a gp fitted in PyMC"):
        expectation_gradient(fitted, "ell")
    with pytest.raises(DataError, match="Leave idata, weights and model out"):
        expectation_gradient(raw, "ell", idata=raw.idata)
    with pytest.raises(InvalidDataError, match="wrt has 'sigma'"):
        expectation_gradient(raw, "ell", ["sigma"])
    with pytest.raises(InvalidDataError, match="f is a TensorVariable"):
        expectation_gradient(raw, STRANGER)
    with pytest.raises(InvalidDataError, match="Pass an array of finite numbers, q x 1"):
        expectation_gradient(raw, lambda at: at([1.0]).mean[0])
    unfitted = FullyBayesianPyMCGP(torch.rand(4, 1, dtype=torch.double), torch.tensor([[-1.0], [0.0], [1.0], [0.0]]).double())
    with pytest.raises(InvalidDataError, match=r"no draws of a fit. Call model.fit\(\)"):
        expectation_gradient(unfitted, "mean")


def test_it_prints_as_a_table() -> None:
    text = repr(of_few(small(), lambda at: at([[1.0]]).mean[0], ["X", "y"]))
    assert text.startswith("E[f] = ")
    for part in ("X[2, 0]", "y[1]", "MCSE", "6 draws, ", "Largest Stein z", "Translation: ", "have missed"):
        assert part in text
    wide = small(np.linspace(0, 9, 20)[:, None], np.sin(np.arange(20.0)))
    assert "y: 8 smaller" in repr(of_few(wide, "ell", "y"))
