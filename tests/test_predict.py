"""compile_predict: reference numbers, gp.predict, finite differences, draws, noise, shapes, refusals; the symbolic variables."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from zoo import ZOO, marginal

from pymc_botorch import compile_predict, symbolic_gradients, symbolic_posterior
from pymc_botorch.graph.compiling import cache as cache_module
from pymc_botorch.graph.compiling import compiled_graph
from pymc_botorch.graph.compiling import functions as functions_module
from pymc_botorch.inference.predictive_gradients import PredictiveGradients, mixture

REFERENCE = 1e-7
"""The reference numbers come from quadrature and closed forms in NumPy and JAX, with ten digits."""

X = np.linspace(0, 10, 10)[:, None]
Y = np.array(
    [
        *(-0.7318311360952785, -0.570004870828556, -0.14952702671315835, 3.6315945749561522, 8.064930866627284),
        *(9.932279944385185, 7.677653433809858, 2.5611079942967194, -2.5073056453259426, -5.202742718393319),
    ]
)
MAP = {"ell": np.array(3.290781985), "eta": np.array(5.34644051), "sigma": np.array(0.1773347094)}
PLACES = np.array([[3.0], [6.1]])
PRIOR = {"ell": (np.log(3), 0.4), "eta": (np.log(6), 0.4), "sigma": (np.log(0.3), 0.6)}


def model_b() -> tuple[pm.gp.Marginal, pm.Model]:
    with pm.Model() as pm_model:
        ell, eta, sigma = (pm.LogNormal(name, *prior) for name, prior in PRIOR.items())
        gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
        gp.marginal_likelihood("y", X, Y, sigma)
    return gp, pm_model


def log_posterior(z: np.ndarray) -> np.ndarray:
    """Of the logarithms of ell, eta and sigma, ``... x 3``, with the Jacobian, up to a constant; in NumPy."""
    ell, eta, sigma = np.moveaxis(np.exp(z), -1, 0)[..., None, None]
    r = np.sqrt((X - X.T) ** 2 / ell**2 + 1e-12)
    K = eta**2 * (1 + np.sqrt(5) * r + 5 / 3 * r**2) * np.exp(-np.sqrt(5) * r) + (sigma**2 + 1e-6) * np.eye(10)
    L = np.linalg.cholesky(K)
    white = np.linalg.solve(L, np.broadcast_to(Y[:, None], (*L.shape[:-1], 1)))
    fit = -0.5 * (white**2).sum((-2, -1)) - np.log(np.diagonal(L, axis1=-2, axis2=-1)).sum(-1)
    prior = np.array(list(PRIOR.values()))
    return fit - 0.5 * (((z - prior[:, 0]) / prior[:, 1]) ** 2).sum(-1)


def quadrature() -> tuple[xr.Dataset, np.ndarray]:
    """Nodes and weights of the posterior of model B: the trapezoidal rule along the axes of its curvature at the mode."""
    mode = np.log([3.522188082, 5.922172199, 0.2301068423])
    step = 1e-3 * np.eye(3)
    signs = [(s, t) for s in (1, -1) for t in (1, -1)]
    curvature = (
        -sum(s * t * np.array([[log_posterior(mode + s * a + t * b) for a in step] for b in step]) for s, t in signs) / 4e-6
    )
    line = np.arange(-9, 14, 0.8)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    z = mode + grid @ np.linalg.cholesky(np.linalg.inv(curvature)).T
    log_weights = np.concatenate([log_posterior(part) for part in np.array_split(z, 20)])
    kept = log_weights > log_weights.max() - 30  # a ridge of large sigma carries 1e-7 of the means
    weights = np.exp(log_weights[kept] - log_weights.max())
    nodes = {name: ("sample", values) for name, values in zip(PRIOR, np.exp(z[kept]).T, strict=True)}
    return xr.Dataset(nodes), weights / weights.sum()


def test_map_predictions_of_model_b_are_the_reference_numbers() -> None:
    gp, pm_model = model_b()
    found = compile_predict(gp, MAP, model=pm_model).gradients(PLACES)
    close = {"rtol": 0, "atol": REFERENCE}
    np.testing.assert_allclose(found.mean, [2.2239278905, 9.3155761086], **close)
    np.testing.assert_allclose(found.variance, [0.0409410584, 0.0471103213], **close)
    np.testing.assert_allclose(found.sd, [0.2023389689, 0.2170491220], **close)
    np.testing.assert_allclose(found.mean_gradient[:, 0], [3.9492722015, -2.0396094905], **close)
    np.testing.assert_allclose(found.variance_gradient[:, 0], [-0.0490762779, 0.0031802963], **close)
    np.testing.assert_allclose(found.sd_gradient, found.variance_gradient / (2 * found.sd[:, None]), rtol=1e-14)


@pytest.mark.numba  # 5151 draws
def test_the_mixture_of_model_b_has_the_reference_numbers() -> None:
    gp, pm_model = model_b()
    nodes, weights = quadrature()
    draws = compile_predict(gp, nodes, model=pm_model).gradients(PLACES, average=None)
    found = mixture(draws, weights)
    close = {"rtol": 0, "atol": REFERENCE}
    np.testing.assert_allclose(found.mean, [2.2451044852, 9.2984858326], **close)
    np.testing.assert_allclose(found.variance, [0.0886081161, 0.0977311870], **close)
    np.testing.assert_allclose(found.mean_gradient[:, 0], [3.8837059862, -2.0350926100], **close)
    np.testing.assert_allclose(found.variance_gradient[:, 0], [-0.0842089760, 0.0037969616], **close)
    np.testing.assert_allclose(found.sd_gradient[:, 0], [-0.1414463155, 0.0060728090], **close)
    np.testing.assert_allclose(weights @ draws.sd_gradient[..., 0], [-0.1326081803, 0.0078393237], **close)  # is another thing


def test_600_points_at_once_are_600_points_one_by_one_and_finite_differences() -> None:
    gp, pm_model = model_b()
    predictor = compile_predict(gp, MAP, model=pm_model)
    at = np.linspace(-1, 11, 600)[:, None]
    found = predictor.gradients(at)
    for part, singles in zip(found, zip(*(predictor.gradients(x) for x in at), strict=True), strict=True):
        np.testing.assert_allclose(part, np.stack(singles), rtol=0, atol=1e-12)
    h = 1e-3
    f = [predictor.predict(at + k * h)[:2] for k in (-2, -1, 1, 2)]
    for i, gradient in enumerate((found.mean_gradient, found.variance_gradient)):
        expected = (f[0][i] - 8 * f[1][i] + 8 * f[2][i] - f[3][i]) / (12 * h)
        smooth = abs(at - X.T).min(1) > 3 * h  # a Matern 5/2 has only so many derivatives at its data
        np.testing.assert_allclose(gradient[smooth, 0], expected[smooth], rtol=0, atol=1e-7)
    np.testing.assert_allclose(predictor.mean_gradient(at), found.mean_gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ZOO)
def test_predictions_are_those_of_pymc(name: str, rng: np.random.Generator) -> None:
    gp, pm_model, point, given, d = ZOO[name]()
    predictor = compile_predict(gp, point, model=pm_model, given=given)
    at = rng.integers(2, size=(5, d)) * 0.9
    jitter = 0.0 if isinstance(gp, pm.gp.MarginalKron) else 1e-6
    if isinstance(gp, pm.gp.MarginalKron):
        mean, cov = gp.predict(at, point=point, model=pm_model)
    else:
        mean, cov = gp.predict(at, point=point, given=given, model=pm_model)
        cov = cov - jitter * np.eye(5)
    found = predictor.predict(at, covariance=True)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.covariance, cov, rtol=0, atol=1e-9)
    alone = predictor.predict(at)
    np.testing.assert_allclose(alone.variance, found.variance, rtol=0, atol=1e-9)
    np.testing.assert_allclose(predictor.mean(at), mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["own mean, priors on all", "correlated noise", "noise for each observation"])
def test_noise_is_added_when_asked_for(name: str) -> None:
    gp, pm_model, point, _, _ = ZOO[name]()
    predictor, at = compile_predict(gp, point, model=pm_model), np.full((3, 2), 0.3) + 0.2 * np.arange(3)[:, None]
    without, noisy = predictor.predict(at, covariance=True), predictor.predict(at, covariance=True, pred_noise=True)
    if name == "noise for each observation":
        added = np.mean(np.linspace(0.1, 0.4, 12) ** 2) * np.eye(3)
    else:
        added = gp.predict(at, point=point, model=pm_model, pred_noise=True)[1] - without.covariance
    np.testing.assert_allclose(noisy.covariance - without.covariance, added, rtol=0, atol=1e-9)
    np.testing.assert_allclose(predictor.predict(at, pred_noise=True).variance, noisy.variance, rtol=0, atol=1e-12)


def draws_of(case: object, chains: int = 2, draws: int = 3) -> xr.Dataset:
    rng = np.random.default_rng(0)
    return xr.Dataset(
        {
            name: (
                ("chain", "draw", *(f"{name}_dim",) * value.ndim),
                value * rng.uniform(0.8, 1.2, (chains, draws, *value.shape)),
            )
            for name, value in case.point.items()
        }
    )


def test_draws_are_mixed_by_the_law_of_total_variance() -> None:
    case = marginal()
    idata = draws_of(case)
    predictor = compile_predict(case.gp, idata, model=case.pm_model)
    assert predictor.num_draws == 6
    at = np.random.default_rng(1).uniform(size=(4, 2))
    each = predictor.predict(at, covariance=True, pred_noise=True, average=None)
    for s in range(6):
        point = {name: idata[name].to_numpy()[divmod(s, 3)] for name in idata.data_vars}
        alone = compile_predict(case.gp, point, model=case.pm_model).predict(at, covariance=True, pred_noise=True)
        for part, expected in zip(each, alone, strict=True):
            np.testing.assert_allclose(part[s], expected, rtol=1e-12, atol=1e-14)
    mixed = predictor.predict(at, covariance=True, pred_noise=True)
    centred = each.mean - each.mean.mean(0)
    np.testing.assert_allclose(mixed.mean, each.mean.mean(0), rtol=1e-12)
    np.testing.assert_allclose(mixed.covariance, each.covariance.mean(0) + centred.T @ centred / 6, rtol=1e-10)
    np.testing.assert_allclose(mixed.variance, np.diag(mixed.covariance), rtol=1e-12)
    np.testing.assert_allclose(predictor.predict(at, pred_noise=True).variance, mixed.variance, rtol=1e-10)
    np.testing.assert_allclose(predictor.mean(at), mixed.mean, rtol=1e-12)
    np.testing.assert_allclose(predictor.mean(at, average=None), each.mean, rtol=1e-12)


def test_gradients_of_a_mixture_are_slopes_of_its_moments() -> None:
    case = marginal()
    predictor = compile_predict(case.gp, draws_of(case), model=case.pm_model)
    at, h = np.random.default_rng(1).uniform(size=(4, 2)), 1e-4
    found = predictor.gradients(at)
    for j, axis in enumerate(np.eye(2)):
        above, below = (predictor.gradients(at + sign * h * axis) for sign in (1, -1))
        for value, gradient in (("mean", "mean_gradient"), ("variance", "variance_gradient"), ("sd", "sd_gradient")):
            slope = (getattr(above, value) - getattr(below, value)) / (2 * h)
            np.testing.assert_allclose(getattr(found, gradient)[:, j], slope, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(predictor.mean_gradient(at), found.mean_gradient, rtol=1e-12)
    each = predictor.gradients(at, average=None)
    assert each.sd_gradient.shape == (6, 4, 2)
    np.testing.assert_allclose(mixture(each).variance_gradient, found.variance_gradient, rtol=1e-12)


def test_points_of_any_shape_give_results_of_that_shape() -> None:
    case = marginal()
    one, many = (compile_predict(case.gp, p, model=case.pm_model) for p in (case.point, draws_of(case)))
    for predictor, S in ((one, 1), (many, 6)):
        for shape in ((2,), (5, 2), (3, 4, 2), (0, 2)):
            at = np.full(shape, 0.3, dtype=np.float32)
            for average, lead in (("mixture", ()), (None, (S,))):
                assert predictor.mean(at, average=average).shape == (*lead, *shape[:-1])
                assert predictor.mean_gradient(at, average=average).shape == (*lead, *shape)
                assert predictor.predict(at, average=average).variance.shape == (*lead, *shape[:-1])
                gradients = predictor.gradients(at, average=average)
                assert isinstance(gradients, PredictiveGradients)
                assert gradients.sd.shape == (*lead, *shape[:-1])
                assert gradients.sd_gradient.shape == (*lead, *shape)
        joint = predictor.predict(np.full((3, 4, 2), 0.3), covariance=True)
        assert joint.covariance.shape == (3, 4, 4)
        assert joint.variance.shape == (3, 4)


def test_other_data_points_and_numbers_of_points_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cache_module.cache_clear()
    first = marginal()
    compile_predict(first.gp, first.point, model=first.pm_model).gradients(np.zeros((3, 2)))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a function was compiled")

    monkeypatch.setattr(functions_module.pytensor, "function", fail)
    other = marginal(n=9, seed=4)
    for at in (np.zeros((1, 2)), np.zeros((50, 2))):
        compile_predict(other.gp, {**other.point, "eta": 0.3}, model=other.pm_model).gradients(at)


def test_bad_input_is_refused_before_anything_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    case = marginal()
    predictor = compile_predict(case.gp, case.point, model=case.pm_model)
    monkeypatch.setattr(compiled_graph, "compile_build", None)
    for at, message in (
        (np.zeros((3, 1)), r"shape \(3, 1\). Pass ... x 2 points"),
        (np.float64(3), r"shape \(\). Pass"),
        ([["a", "b"]], "not numeric"),
        (np.array([[0.0, np.nan]]), "NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=message):
            predictor.gradients(at)
    with pytest.raises(ValueError, match="a single point"):
        predictor.predict(np.zeros(2), covariance=True)
    with pytest.raises(ValueError, match="average is 'mean'"):
        predictor.gradients(np.zeros((3, 2)), average="mean")
    with pytest.raises(TypeError, match="no PyMC model in context"):
        compile_predict(case.gp, case.point)
    with pytest.raises(ValueError, match="no value for eta"):
        compile_predict(case.gp, {k: v for k, v in case.point.items() if k != "eta"}, model=case.pm_model)
    idata = draws_of(case)
    idata["eta"][1, 2] = np.nan
    with pytest.raises(ValueError, match="Draw 5 has eta = nan"):
        compile_predict(case.gp, idata, model=case.pm_model)
    with pytest.raises(ValueError, match="has no draws"):
        compile_predict(case.gp, idata.isel(draw=[]), model=case.pm_model)


def test_a_column_is_asked_for_where_a_vector_was_given() -> None:
    gp, pm_model = model_b()
    with pytest.raises(ValueError, match=r"shape \(600,\). Pass ... x 1 points, for example X\[:, None\]"):
        compile_predict(gp, MAP, model=pm_model).mean(np.linspace(0, 1, 600))


@pytest.mark.parametrize(
    "name", ["own mean, priors on all", "a component of a sum", "FITC", "MarginalKron", "ExpQuad * Coregion"]
)
def test_symbolic_variables_are_the_compiled_numbers(name: str, rng: np.random.Generator) -> None:
    gp, pm_model, point, given, d = ZOO[name]()
    predictor = compile_predict(gp, point, model=pm_model, given=given)
    new = pt.matrix("new", shape=(None, d))
    variables = [
        *symbolic_posterior(gp, new, model=pm_model, given=given),
        *symbolic_gradients(gp, 2 * new, model=pm_model, given=given),
    ]
    replaced = pytensor.graph.replace.graph_replace(
        variables, {pm_model[n]: pt.constant(np.asarray(v, dtype=float)) for n, v in point.items()}, strict=False
    )
    at = rng.integers(2, size=(5, d)) * 0.9 if "Coregion" not in name else rng.integers(1, size=(5, d)) * 0.5
    mean, cov, *gradients = pytensor.function([new], replaced, on_unused_input="ignore")(at)
    expected = predictor.predict(at, covariance=True)
    np.testing.assert_allclose(mean, expected.mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(cov, expected.covariance, rtol=0, atol=1e-9)
    for part, number in zip(gradients, predictor.gradients(2 * at), strict=True):
        np.testing.assert_allclose(part, number, rtol=0, atol=1e-8)


def test_symbolic_variables_follow_the_data_of_the_model() -> None:
    case = marginal(as_data=True)
    mean, _ = symbolic_posterior(case.gp, case.X[:3], model=case.pm_model)
    value = pytensor.graph.replace.graph_replace(
        [mean], {case.pm_model[name]: pt.constant(v, dtype="float64") for name, v in case.point.items()}
    )[0]
    before = value.eval()
    with case.pm_model:
        pm.set_data({"y": case.y + 1.0})
    assert (value.eval() > before + 0.1).all()
    with pytest.raises(ValueError, match="Pass an n x 2 matrix"):
        symbolic_gradients(case.gp, pt.vector(), model=case.pm_model)


@pytest.mark.parametrize("offset", [0.0, 2000.0])
def test_symbolic_gradients_can_be_differentiated_again_at_training_points(offset: float) -> None:
    places = np.random.default_rng(0).uniform(size=(40, 2)) + offset
    with pm.Model() as pm_model:
        ell = pm.LogNormal("ell", -1, 0.5)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=ell))
        gp.marginal_likelihood("y", places, np.sin(5 * places[:, 0]), sigma=0.1)
    x = pt.matrix("x", shape=(None, 2))
    slope = symbolic_gradients(gp, x, model=pm_model).mean_gradient[:, 0]
    outputs = pytensor.graph.replace.graph_replace(
        [slope, pt.grad(slope.sum(), x)], {pm_model["ell"]: pt.constant(0.4)}, strict=False
    )
    function = pytensor.function([x], outputs)
    step = 1e-4 * np.array([1.0, 0.0])
    differences = (function(places + step)[0] - function(places - step)[0]) / 2e-4
    np.testing.assert_allclose(function(places)[1][:, 0], differences, rtol=0, atol=1e-3)


def test_a_variance_is_never_negative_and_has_its_own_memory() -> None:
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=1e6 * pm.gp.cov.Matern52(1, ls=3.0))
        gp.marginal_likelihood("y", X, Y, sigma=1e-7, jitter=0.0)
        predictor = compile_predict(gp, {})
        sd = symbolic_gradients(gp, X).sd.eval()
    assert (predictor.predict(X).variance > 0).all()
    assert np.isfinite(sd).all()
    joint = predictor.predict(X, covariance=True)
    joint.variance[:] = -1.0
    assert (np.diag(joint.covariance) > -1.0).all()
    with pytest.raises(ValueError, match="complex"):
        predictor.mean(1j * X)
    with pytest.raises(ValueError, match="NaN or infinite"):
        predictor.mean(np.ma.masked_greater(X, 5.0))
