"""What JAX gets of a gp: PyTensor's numbers and derivatives, under ``jit``, ``vmap`` and ``grad``, and through an optimum.

Reference numbers are those of model B: JAX, NumPy and finite differences of refits, without PyMC or PyTensor in their path.
"""

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import torch
from botorch.exceptions.errors import UnsupportedError
from jax.flatten_util import ravel_pytree
from pytensor.graph.replace import graph_replace

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, JaxFunctions, PyMCGP, to_jax
from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.inference.sensitivity.derivatives import read_derivatives

TOLERANCE = 1e-9
"""Between JAX and PyTensor: rounding of derivatives up to hundreds."""
REFIT = 1e-7
"""Of derivatives of the optimum: what finite differences of refits are right to."""

X = np.linspace(0, 10, 10)[:, None]
Y = np.array(
    [
        -0.7318311360952785,
        -0.570004870828556,
        -0.14952702671315835,
        3.6315945749561522,
        8.064930866627284,
        9.932279944385185,
        7.677653433809858,
        2.5611079942967194,
        -2.5073056453259426,
        -5.202742718393319,
    ]
)
OPTIMUM = {"ell": 1.191125222, "eta": 1.676431014, "sigma": -1.729716319}

type Fixture = tuple[pm.gp.Marginal, pm.Model]


@pytest.fixture(autouse=True, scope="module")
def double_precision() -> Iterator[None]:
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def model_b(X: Any = X, y: Any = Y, *, as_data: bool = False) -> Fixture:
    with pm.Model() as pm_model:
        if as_data:
            X, y = pm.Data("fields", X), pm.Data("yields", y)
        ell = pm.LogNormal("ell", np.log(3), 0.4)
        eta = pm.LogNormal("eta", np.log(6), 0.4)
        sigma = pm.LogNormal("sigma", np.log(0.3), 0.6)
        gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
        gp.marginal_likelihood("observed", X, y, sigma=sigma)
    return gp, pm_model


def model_of_two_inputs() -> Fixture:
    generator = np.random.default_rng(0)
    X = generator.uniform(size=(20, 2)) * 10
    with pm.Model() as pm_model:
        ell = pm.LogNormal("ell", np.log(3), 0.5, shape=2)
        sigma = pm.LogNormal("sigma", -2, 0.5)
        parts = [pm.gp.cov.Matern52(2, ls=ell[j], active_dims=[j]) for j in (0, 1)]
        gp = pm.gp.Marginal(cov_func=parts[0] + parts[1])
        gp.marginal_likelihood("observed", pm.Data("fields", X), pm.Data("yields", np.sin(X[:, 0]) + X[:, 1]), sigma=sigma)
    return gp, pm_model


@pytest.fixture(scope="module")
def exported() -> JaxFunctions:
    gp, pm_model = model_b(as_data=True)
    return to_jax(gp, model=pm_model)


def draws_about(parameters: Mapping[str, Any], size: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    return {name: np.asarray(at) + 0.3 * generator.normal(size=(size, *np.shape(at))) for name, at in parameters.items()}


def vectors(draws: Mapping[str, Any]) -> np.ndarray:
    return np.concatenate([np.asarray(value).reshape(len(value), -1) for value in draws.values()], axis=1)


def vectors_of(point: Any) -> np.ndarray:
    return np.array(ravel_pytree(point)[0])


def at_optimum() -> dict[str, jax.Array]:
    return {name: jnp.asarray(value) for name, value in OPTIMUM.items()}


def close(actual: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=tolerance, atol=tolerance)


# Values and gradients


def test_the_density_is_that_of_the_reference(exported: JaxFunctions) -> None:
    close(exported.logp(at_optimum(), exported.data), -21.939199921298)
    close(exported.mean(at_optimum(), exported.data, [[3.0], [6.1]]), [2.2239278905, 9.3155761086], 1e-8)
    sd = jnp.sqrt(jnp.diag(exported.covariance(at_optimum(), exported.data, [[3.0], [6.1]])))
    close(sd, [0.2023389689, 0.2170491220], 1e-8)
    constrained = exported.constrain(at_optimum(), exported.data)
    close([constrained[name] for name in ("ell", "eta", "sigma")], [3.290781985, 5.34644051, 0.1773347094], 1e-8)


def test_with_a_jacobian_the_density_is_that_of_unconstrained_parameters() -> None:
    gp, pm_model = model_b()
    with_jacobian = to_jax(gp, ("logp",), model=pm_model, jacobian=True)
    parameters = {name: np.log(value) for name, value in zip(OPTIMUM, (3.522188082, 5.922172199, 0.2301068423), strict=True)}
    close(with_jacobian.logp(parameters, with_jacobian.data), -20.58475275149)
    assert with_jacobian.mean is None


def test_gradients_of_a_thousand_draws_are_pytensors(exported: JaxFunctions) -> None:
    gp, pm_model = model_b()
    derivatives = read_derivatives(gp, ("X", "y"), model=pm_model)
    draws = draws_about(exported.parameters, 1000)
    in_parameters, in_data = gradients(exported.logp, draws, exported.data)
    expected = [derivatives.score(u)[1:] for u in vectors(draws)]
    close(vectors(in_parameters), [one for one, _ in expected])
    close(in_data["X"], [one["X"] for _, one in expected])
    close(in_data["y"], [one["y"] for _, one in expected])


@pytest.mark.filterwarnings("ignore:Skipping Check")
def test_a_plain_export_is_silently_wrong_where_ours_is_right() -> None:
    gp, pm_model = model_of_two_inputs()
    exported, derivatives = to_jax(gp, ("logp",), model=pm_model), read_derivatives(gp, ("X", "y"), model=pm_model)
    X, y = pt.matrix("X", shape=(None, 2)), pt.vector("y")
    symbols = {pm_model["fields"]: X, pm_model["yields"]: y}
    plain = jaxified([*pm_model.value_vars, X, y], graph_replace([pm_model.logp(jacobian=False)], symbols, strict=False))
    draws = draws_about(exported.parameters, 200)
    expected = [derivatives.score(u) for u in vectors(draws)]
    in_parameters, in_data = gradients(exported.logp, draws, exported.data)
    close(vectors(in_parameters), [one for _, one, _ in expected])
    close(in_data["X"], [one["X"] for *_, one in expected])
    close(in_data["y"], [one["y"] for *_, one in expected])

    def of_plain(parameters: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        return plain(*parameters.values(), data["X"], data["y"])[0]

    close(jax.vmap(of_plain, in_axes=(0, None))(draws, exported.data), [one for one, *_ in expected], 1e-8)
    wrong, _ = gradients(of_plain, draws, exported.data)
    errors = np.abs(vectors(wrong) - [one for _, one, _ in expected]).max(axis=1)
    assert errors.max() > 1.0  # if not, the docstring of to_jax promises too much


def gradients(logp: Callable[..., Any], draws: Any, data: Any) -> Any:
    return jax.jit(jax.vmap(jax.grad(logp, argnums=(0, 1)), in_axes=(0, None)))(draws, data)


def jaxified(inputs: list[Any], outputs: list[Any]) -> Callable[..., Any]:
    """As ``pymc.sampling.jax.get_jaxified_graph``, whose import changes XLA's flags."""
    from pytensor.compile.mode import get_mode
    from pytensor.graph.fg import FunctionGraph
    from pytensor.link.jax.dispatch import jax_funcify

    fgraph = FunctionGraph(inputs, outputs, clone=True)
    get_mode("JAX").optimizer.rewrite(fgraph)
    return jax_funcify(fgraph)


# Second derivatives, in each way that JAX takes them


def forwards(function: Callable[[Any], jax.Array], along: Any) -> Callable[[Any], jax.Array]:
    return lambda at: jax.jvp(function, (at,), (along,))[1]


def backwards(function: Callable[[Any], jax.Array], along: Any) -> Callable[[Any], jax.Array]:
    return lambda at: jnp.vdot(ravel_pytree(jax.grad(function)(at))[0], ravel_pytree(along)[0])


WAYS = {
    "forwards over backwards": (forwards, backwards),
    "backwards twice": (backwards, backwards),
    "backwards over forwards": (backwards, forwards),
    "forwards twice": (forwards, forwards),
}


@pytest.fixture(scope="module")
def curvature(exported: JaxFunctions) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
    gp, pm_model = model_b()
    return read_derivatives(gp, ("X", "y"), model=pm_model).curvature(vectors_of(exported.parameters))


@pytest.mark.parametrize("way", WAYS)
def test_second_derivatives_are_pytensors(exported: JaxFunctions, curvature: Any, way: str) -> None:
    outer, inner = WAYS[way]
    at = exported.parameters, {name: exported.data[name] for name in ("X", "y")}
    one = jax.tree.map(lambda part: jnp.cos(jnp.arange(part.size)).reshape(part.shape), at)
    other = {"ell": jnp.array(0.3), "eta": jnp.array(-0.7), "sigma": jnp.array(1.1)}, jax.tree.map(jnp.zeros_like, at[1])
    found = jax.jit(outer(inner(lambda both: exported.logp(*both), one), other))(at)
    (H, mixed), u = curvature, vectors_of(other[0])
    expected = u @ H @ vectors_of(one[0]) + sum(np.vdot(np.tensordot(u, mixed[name], 1), one[1][name]) for name in ("X", "y"))
    close(found, expected)


def test_second_derivatives_of_predictions_are_those_of_differences(exported: JaxFunctions) -> None:
    new, along, step = jnp.array([[2.2], [3.0]]), jnp.array([[0.7], [-0.4]]), 1e-5

    def moments(X: jax.Array) -> jax.Array:  # new inputs are moved, and the data with the first of them
        data = {**exported.data, "X": exported.data["X"].at[3, 0].add(X[0, 0] - 2.2)}
        mean, covariance = (of(exported.parameters, data, X) for of in (exported.mean, exported.covariance))
        return jnp.vdot(mean, jnp.array([0.3, 0.8])) + jnp.vdot(covariance, jnp.array([[1.0, 0.4], [0.2, -2.0]]))

    gradient = jax.jit(jax.grad(moments))
    found = jax.jit(lambda X: jax.jvp(jax.grad(moments), (X,), (along,))[1])(new)
    close(found, (gradient(new + step * along) - gradient(new - step * along)) / (2 * step), 1e-6)


def test_batches_of_data_parameters_and_inputs_are_those_of_a_loop(exported: JaxFunctions) -> None:
    draws, Ys = draws_about(exported.parameters, 3), Y + np.arange(2)[:, None]
    gradient = jax.jacrev(exported.mean, argnums=(0, 1, 2))
    over_data = jax.vmap(lambda parameters, y, X: gradient(parameters, {**exported.data, "y": y}, X), in_axes=(None, 0, None))
    found = jax.jit(jax.vmap(over_data, in_axes=(0, None, 0)))(draws, Ys, np.array([[[3.0]], [[4.0]], [[5.0]]]))
    for s in range(3):
        for b in range(2):
            point = {name: value[s] for name, value in draws.items()}
            expected = gradient(point, {**exported.data, "y": Ys[b]}, np.array([[3.0 + s]]))
            jax.tree.map(close, jax.tree.map(lambda one, s=s, b=b: one[s, b], found), expected)


def test_third_derivatives_are_refused(exported: JaxFunctions) -> None:
    first, second = jax.grad(exported.logp), jax.jacfwd(jax.jacfwd(exported.logp))
    slope = jax.grad(lambda X: exported.mean(exported.parameters, exported.data, X).sum())
    arguments, new = (exported.parameters, exported.data), (jnp.array([[3.0]]),)
    for third, given in ((jax.hessian(first), arguments), (jax.jacrev(second), arguments), (jax.hessian(slope), new)):
        with pytest.raises(NotImplementedError, match="Third derivatives"):
            jax.eval_shape(third, *given)


# Predictions


def test_predictions_and_their_gradients_are_those_of_compile_predict() -> None:
    gp, pm_model = model_of_two_inputs()
    exported = to_jax(gp, ("mean", "covariance"), model=pm_model)
    parameters, new = exported.parameters, np.random.default_rng(2).uniform(0, 10, size=(6, 2))
    constrained = {name: np.asarray(value) for name, value in exported.constrain(parameters, exported.data).items()}
    predictor = pymc_botorch.compile_predict(gp, constrained, model=pm_model)
    mean, _, covariance = predictor.predict(new, covariance=True)
    close(exported.mean(parameters, exported.data, new), mean)
    close(exported.covariance(parameters, exported.data, new), covariance)
    slopes = jax.grad(lambda X: exported.mean(parameters, exported.data, X).sum())(new)
    close(slopes, predictor.mean_gradient(new))


def test_other_data_of_another_length_are_those_of_a_new_model(exported: JaxFunctions) -> None:
    other_X, other_y = np.linspace(-1, 4, 7)[:, None], np.arange(7.0)
    gp, pm_model = model_b(other_X, other_y)
    own, data = to_jax(gp, model=pm_model), {"X": other_X, "y": other_y}
    with pytest.raises(DataError, match=r"data\['X'\] has shape \(10, 1\). Pass \(7, 1\), which the model has as numbers"):
        own.logp(at_optimum(), exported.data)
    for function in ("logp", "mean", "covariance"):
        new = () if function == "logp" else (np.array([[0.5], [2.5]]),)
        found = getattr(exported, function)(at_optimum(), data, *new)
        close(found, getattr(own, function)(at_optimum(), own.data, *new))


def test_lengths_of_dims_follow_the_data() -> None:
    with pm.Model() as pm_model:
        fields = pm.Data("fields", X, dims=("field", None))
        sigma = pt.full((pm_model.dim_lengths["field"],), pm.LogNormal("sigma"))
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=3.0))
        gp.marginal_likelihood("observed", fields, pm.Data("yields", Y), sigma=sigma)
    exported = to_jax(gp, ("logp", "mean"), model=pm_model)
    assert set(exported.data) == {"X", "y"}
    short = {"X": X[:6], "y": Y[:6]}
    with pm.Model() as other:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=3.0))
        gp.marginal_likelihood("observed", X[:6], Y[:6], sigma=pm.LogNormal("sigma"))
    own = to_jax(gp, ("logp", "mean"), model=other)
    close(exported.logp({"sigma": 0.3}, short), own.logp({"sigma": 0.3}, own.data))
    close(exported.mean({"sigma": 0.3}, short, X), own.mean({"sigma": 0.3}, own.data, X))


def test_a_length_that_no_data_have_is_kept_and_others_are_refused() -> None:
    with pm.Model(coords={"field": range(10)}) as pm_model:
        sigma = pt.full((pm_model.dim_lengths["field"],), pm.LogNormal("sigma"))
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=3.0))
        gp.marginal_likelihood("observed", pm.Data("fields", X), pm.Data("yields", Y), sigma=sigma)
    exported = to_jax(gp, ("logp",), model=pm_model)
    assert np.isfinite(exported.logp(exported.parameters, exported.data))
    with pytest.raises(DataError, match=r"data\['X'\] has shape \(6, 1\). Pass \(10, 1\), which the model has"):
        exported.logp(exported.parameters, {"X": X[:6], "y": Y[:6]})


def test_integers_are_data_without_derivatives() -> None:
    with pm.Model() as pm_model:
        offset = pm.Normal("offset", shape=3)
        group = pm.Data("group", np.arange(10) % 3)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=3.0))
        gp.marginal_likelihood("observed", X, Y, sigma=pm.math.exp(offset[group]))
    exported = to_jax(gp, ("logp",), model=pm_model)
    assert exported.data["group"].dtype.kind == "i"
    parameters = {"offset": jnp.array([0.1, 0.2, 0.3])}
    gradient = jax.jit(jax.grad(exported.logp))
    slopes = gradient(parameters, exported.data)["offset"]
    turned = {**exported.data, "group": (exported.data["group"] + 1) % 3}
    close(jnp.roll(slopes, 1), gradient({"offset": jnp.roll(parameters["offset"], 1)}, turned)["offset"])
    with pytest.raises(DataError, match=r"data\['group'\] is of type float64. Pass integers"):
        exported.logp(parameters, {**exported.data, "group": np.zeros(10)})


def test_known_sds_are_data_of_density_and_predictions() -> None:
    sds = np.linspace(0.1, 0.5, 10)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("ell")))
        gp.marginal_likelihood("observed", X, Y, sigma=sds)
    exported = to_jax(gp, model=pm_model)
    assert set(exported.data) == {"X", "y", "sigma"}
    for function, new in ((exported.logp, ()), (exported.mean, (np.array([[3.3]]),))):
        slope = jax.grad(lambda data, f=function, new=new: f(exported.parameters, data, *new).sum())(exported.data)["sigma"]
        assert np.abs(slope).min() > 1e-6


# Through an optimum


def climbed(logp: Callable[..., jax.Array], start: Any, data: Any) -> Any:
    """Maximise by optax's L-BFGS."""
    negative = functools.partial(lambda data, parameters: -logp(parameters, data), data)
    optimiser, value_and_grad = optax.lbfgs(), optax.value_and_grad_from_state(negative)

    def step(carry: Any) -> Any:
        parameters, state = carry
        value, gradient = value_and_grad(parameters, state=state)
        updates, state = optimiser.update(gradient, state, parameters, value=value, grad=gradient, value_fn=negative)
        return optax.apply_updates(parameters, updates), state

    def goes_on(carry: Any) -> Any:
        state = carry[1]
        gradient, count = optax.tree.get(state, "grad"), optax.tree.get(state, "count")
        return (count == 0) | ((count < 100) & (optax.tree.norm(gradient) > 1e-9))

    return jax.lax.while_loop(goes_on, step, (start, optimiser.init(start)))[0]


def test_derivatives_of_an_optimum_by_optax_are_those_of_refits(exported: JaxFunctions) -> None:
    def optimum(data: Any) -> Any:
        def solve(_: Any, start: Any) -> Any:
            return climbed(exported.logp, start, data)

        def solve_tangent(linear: Any, bars: Any) -> Any:
            flat, unravel = ravel_pytree(bars)
            matrix = jax.jacobian(lambda u: ravel_pytree(linear(unravel(u)))[0])(flat)
            return unravel(jnp.linalg.solve(matrix, flat))

        return jax.lax.custom_root(lambda u: jax.grad(exported.logp)(u, data), exported.parameters, solve, solve_tangent)

    def answers(data: Any) -> Any:
        parameters = optimum(data)
        mean = exported.mean(parameters, data, jnp.array([[3.0]]))[0]
        sd = jnp.sqrt(exported.covariance(parameters, data, jnp.array([[3.0]]))[0, 0])
        return {**exported.constrain(parameters, data), "mean": mean, "sd": sd}

    found = jax.jit(optimum)(exported.data)
    close([found[name] for name in OPTIMUM], list(OPTIMUM.values()), 1e-8)
    in_data = jax.jit(jax.jacrev(answers))(exported.data)
    close(np.ravel(in_data["ell"]["X"]), ELL_IN_X, REFIT)
    close(in_data["ell"]["y"], ELL_IN_Y, REFIT)
    close(np.ravel(in_data["mean"]["X"]), MEAN_IN_X, REFIT)
    close(in_data["sd"]["X"][3, 0], 0.1187266936, REFIT)
    unit = {"X": jnp.zeros((10, 1)).at[3, 0].set(1.0), "y": jnp.zeros(10)}
    along = jax.jvp(jax.jit(answers), (exported.data,), (unit,))[1]
    close(along["mean"], in_data["mean"]["X"][3, 0])


ELL_IN_X = np.fromstring(
    "0.01075428169 -0.04573957603 -0.939747236 0.8320945584 -0.1285742412 -0.008992745583 0.01666756461 -0.1714891781 "
    "0.6240924662 -0.189065894",
    sep=" ",
)
ELL_IN_Y = np.fromstring(
    "0.1097109746 -0.4219138908 0.5196377317 -0.1949611774 0.03994831196 -0.04850173116 0.004173788799 -0.03443741618 "
    "0.1739014165 -0.1267223453",
    sep=" ",
)
MEAN_IN_X = np.fromstring(
    "-0.00941069879 -0.03527494656 -0.7679969923 -3.45589625 0.3249676649 0.002093011526 -0.01492332239 0.00437174712 "
    "0.002325573289 0.0004720119628",
    sep=" ",
)


# Models of BoTorch


class Wheat(PyMCGP):
    def build_gp(self, X: Any, y: Any) -> Any:
        return wheat(X, y)


class SampledWheat(FullyBayesianPyMCGP):
    def build_gp(self, X: Any, y: Any) -> Any:
        return wheat(X, y)


def wheat(X: Any, y: Any) -> pm.gp.Marginal:
    reach = pm.LogNormal("reach", mu=-1, sigma=0.7, dims="feature")
    noise = pm.LogNormal("noise", mu=-2, sigma=1)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(y.mean()), cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
    gp.marginal_likelihood("observed", X, y, sigma=noise)
    return gp


def training_data() -> tuple[torch.Tensor, torch.Tensor]:
    train_X = torch.rand(12, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    return train_X, (3 * train_X).sum(-1, keepdim=True).sin()


def test_a_fitted_model_has_its_maximum_and_posterior() -> None:
    model = Wheat(*training_data()).fit()
    exported = to_jax(model)
    assert set(exported.data) == {"X", "y"}
    slope = jax.grad(exported.logp)(exported.parameters, exported.data)
    assert max(np.abs(part).max() for part in slope.values()) < 1e-3
    for name, value in exported.constrain(exported.parameters, exported.data).items():
        close(value, model.point[name])
    new = torch.rand(5, 2, dtype=torch.double)
    posterior, scale = model.posterior(new), model.outcome_transform.stdvs[0, 0].item()
    mean = np.asarray(exported.mean(exported.parameters, exported.data, new.numpy()))
    close(mean * scale + model.outcome_transform.means.item(), posterior.mean[:, 0].numpy(), 1e-8)
    covariance = np.asarray(exported.covariance(exported.parameters, exported.data, new.numpy()))
    close(covariance * scale**2, posterior.covariance_matrix.detach().numpy(), 1e-8)


def test_an_ensemble_has_its_draws_for_vmap() -> None:
    model = SampledWheat(*training_data()).fit(seed=0)
    exported = to_jax(model, ("mean",))
    new = torch.rand(5, 2, dtype=torch.double)
    means = jax.vmap(exported.mean, in_axes=(0, None, None))(exported.parameters, exported.data, new.numpy())
    scaled = np.asarray(means) * model.outcome_transform.stdvs.item() + model.outcome_transform.means.item()
    close(scaled, model.posterior(new).mean[..., 0].numpy(), 1e-8)


def test_models_without_a_builder_or_of_more_observations_are_refused() -> None:
    gp, pm_model = model_b()
    point = {"ell": 3.0, "eta": 6.0, "sigma": 0.3}
    with pytest.raises(UnsupportedError, match=r"made from a gp fitted in PyMC. Pass that gp and its model="):
        to_jax(PyMCGP.from_fitted(gp, point, model=pm_model))
    train_X, train_Y = training_data()
    model = Wheat(train_X, train_Y)
    given_more = model.condition_on_observations(model.transform_inputs(train_X[:1]), train_Y[:1])
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        to_jax(given_more)


# What is refused


def test_kronecker_gps_are_refused() -> None:
    with pm.Model() as pm_model:
        kernels = [pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("ell")), pm.gp.cov.ExpQuad(1, ls=1.0)]
        gp = pm.gp.MarginalKron(cov_funcs=kernels)
        gp.marginal_likelihood("observed", [X[:3], X[:2]], Y[:6], sigma=0.1)
    with pytest.raises(UnsupportedGPError, match="an array of inputs for each factor"):
        to_jax(gp, model=pm_model)


@pytest.mark.parametrize(
    ("parameters", "data", "message"),
    [
        ({"ell_log__": 1.0}, {}, r"parameters has no 'ell'; it has ell_log__. Pass unconstrained values of ell, eta, sigma"),
        ({**OPTIMUM, "tau": 1.0}, {}, "parameters has 'tau', which the model does not know"),
        ([1.0], {}, "parameters is a list. Pass a dict of unconstrained values by name: ell, eta, sigma"),
        (
            {**OPTIMUM, "ell": np.ones(1000)},
            {},
            r"parameters\['ell'\] has shape \(1000,\). Pass unconstrained values",
        ),
        ({**OPTIMUM, "ell": np.float32(1)}, {}, r"parameters\['ell'\] is of type float32. Pass float64"),
        ({**OPTIMUM, "ell": "long"}, {}, r"parameters\['ell'\] is a str. Pass an array"),
        (OPTIMUM, {"x": X}, "data has 'x', which the model does not know. Pass arrays of X, y"),
        (OPTIMUM, {"X": X[:, 0]}, r"data\['X'\] has shape \(10,\). Pass an array n x 1"),
        (OPTIMUM, {"X": X[:4]}, "data has 4 rows of X and 10 values of y"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(exported: JaxFunctions, parameters: Any, data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        exported.logp(parameters, {**exported.data, **data})


def test_new_inputs_of_another_shape_are_refused(exported: JaxFunctions) -> None:
    with pytest.raises(DataError, match=r"X has shape \(3,\). Pass q x 1 new inputs"):
        exported.mean(exported.parameters, exported.data, np.ones(3))


def test_single_precision_is_refused() -> None:
    gp, pm_model = model_b()
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(RuntimeError, match=r'Call jax.config.update\("jax_enable_x64", True\) before to_jax'):
            to_jax(gp, model=pm_model)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_models_in_single_precision_are_refused() -> None:
    with pytensor.config.change_flags(floatX="float32"):
        gp, pm_model = model_b(as_data=True)
        with pytest.raises(DataError, match=r"has ell in float32. Make it of float64 arrays"):
            to_jax(gp, model=pm_model)


def test_outputs_have_names() -> None:
    gp, pm_model = model_b()
    with pytest.raises(ValueError, match=r"outputs is 'logp'. Pass some of 'logp', 'mean', 'covariance', in a tuple"):
        to_jax(gp, "logp", model=pm_model)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outputs is None"):
        to_jax(gp, None, model=pm_model)  # type: ignore[arg-type]


def test_without_jax_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gp, pm_model = model_b()
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r'pip install "pymc_botorch\[jax\]"'):
        to_jax(gp, model=pm_model)
