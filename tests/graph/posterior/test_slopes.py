"""Derivative covariances: closed forms, coincident points, far from the origin, and what is refused."""

from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.traversal import ancestors
from zoo import ZOO

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.posterior.slopes import derivative_covariances
from pymc_botorch.graph.rewrites.diagonal import diagonal
from pymc_botorch.graph.rewrites.differentiable import differentiable
from pymc_botorch.graph.rewrites.subscripts import slice_columns
from pymc_botorch.inference.fitted import read_fitted

cov = pm.gp.cov
LS = np.array([0.4, 0.7])
FORMULA = 1e-11  # relative to the largest entry; far from the origin the inputs themselves are rounded to 1e-13

X = pt.matrix("X", dtype="float64", shape=(None, 2))
Z = pt.matrix("Z", dtype="float64", shape=(None, 2))

KERNELS: dict[str, Callable[[], cov.Covariance]] = {
    "ExpQuad": lambda: cov.ExpQuad(2, ls=LS),
    "Matern52": lambda: cov.Matern52(2, ls=LS),
    "Matern32": lambda: cov.Matern32(2, ls=LS),
    "RatQuad": lambda: cov.RatQuad(2, alpha=1.5, ls=LS),
    "Periodic": lambda: cov.Periodic(2, period=1.7, ls=LS) * cov.Matern52(2, ls=LS),
    "sum and product": lambda: 0.5 * cov.Matern52(2, ls=LS) * cov.Linear(2, c=0.2) + cov.ExpQuad(2, ls=0.5, active_dims=[0]),
    "WarpedInput": lambda: cov.WarpedInput(2, cov_func=cov.Matern52(2, ls=LS), warp_func=lambda x: pt.log1p(pt.exp(x / 50))),
    "ScaledCov": lambda: cov.ScaledCov(2, scaling_func=lambda x: 1.0 + x[:, 0:1] ** 2, cov_func=cov.Matern52(2, ls=LS)),
    "power": lambda: cov.Matern52(2, ls=LS) ** 2,
}


def closed_form(kernel: str, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariances of values with slopes, ``n x m x d``, and of slopes, ``n x m x d x d``, by Rasmussen and Williams (9.4)."""
    step = (a[:, None] - b[None]) / LS
    r = np.sqrt((step**2).sum(-1))[..., None]
    u = step / LS
    outer, unit = u[..., :, None] * u[..., None, :], np.diag(LS**-2.0)
    if kernel == "ExpQuad":
        k = np.exp(-0.5 * r**2)
        return k * u, k[..., None] * (unit - outer)
    if kernel == "Matern52":
        k = 5 / 3 * np.exp(-np.sqrt(5) * r)
        linear = 1 + np.sqrt(5) * r
        return linear * k * u, k[..., None] * (linear[..., None] * unit - 5 * outer)
    k = 3 * np.exp(-np.sqrt(3) * r)
    return k * u, k[..., None] * (unit - np.sqrt(3) * outer / np.maximum(r, 1e-300)[..., None])


def evaluate(kernel: cov.Covariance, a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    return pytensor.function([X, Z], list(derivative_covariances(kernel, X, Z)), on_unused_input="ignore")(a, b)


@pytest.mark.parametrize("offset", [0.0, 2000.0])
@pytest.mark.parametrize("kernel", ["ExpQuad", "Matern52", "Matern32"])
def test_they_are_the_closed_forms_at_coincident_close_and_far_points(
    kernel: str, offset: float, rng: np.random.Generator
) -> None:
    a = offset * LS + rng.uniform(size=(40, 2))
    b = np.vstack([a, a[:9] + 1e-5 * rng.normal(size=(9, 2)), offset * LS + rng.uniform(size=(7, 2))])
    value_gradient, gradient = evaluate(KERNELS[kernel](), a, b)
    expected, expected_gradient = closed_form(kernel, a, b)
    np.testing.assert_allclose(value_gradient, expected, rtol=0, atol=FORMULA * abs(expected).max())
    np.testing.assert_allclose(
        gradient.transpose(0, 2, 1, 3), expected_gradient, rtol=0, atol=FORMULA * abs(expected_gradient).max()
    )


@pytest.mark.parametrize("offset", [0.0, 2000.0])
@pytest.mark.parametrize("name", KERNELS)
def test_the_prior_covariance_of_gradients_is_positive_semidefinite(name: str, offset: float, rng: np.random.Generator) -> None:
    a = offset * LS + 2 * rng.uniform(size=(60, 2))
    (_, gradient) = evaluate(KERNELS[name](), a, a)
    matrix = gradient.reshape(120, 120)
    assert np.linalg.eigvalsh(matrix).min() > -1e-10 * max(1.0, abs(matrix).max())


def test_pymc_s_own_distance_loses_the_slope_variance_of_some_points(rng: np.random.Generator) -> None:
    """The reason for graph/distance.py; where this fails, PyMC has mended it and the module can go."""
    a = rng.uniform(size=(500, 2))
    kernel = cov.ExpQuad(2, ls=LS)
    slope = pytensor.gradient.pushforward(kernel(X, Z), Z, pt.ones_like(Z))
    slope = pytensor.gradient.pushforward(slope, X, pt.ones_like(X))
    variances = np.diag(pytensor.function([X, Z], slope)(a, a))
    assert (variances == 0).sum() > 2
    assert (np.einsum("iaib->i", evaluate(kernel, a, a)[1]) > 0).all()


def clips(outputs: list) -> int:
    nodes = [v.owner for v in ancestors(outputs) if v.owner]
    return sum(type(getattr(node.op, "scalar_op", None)).__name__ == "Clip" for node in nodes)


@pytest.mark.parametrize("name", ZOO)
def test_kernels_written_to_be_differentiated_keep_their_values_and_have_a_diagonal(name: str) -> None:
    gp, pm_model, point, given, d = ZOO[name]()
    fitted = read_fitted(gp, point, model=pm_model, given=given, jitter=None, inputs_transformed=False)[0]
    graph = fitted.graph
    mean, whole = slice_columns(differentiable([graph.mean, graph.cov]))
    assert clips([mean, whole]) == (name == "FITC")  # of variances there; no distance of PyMC's is left
    variances = diagonal(whole)
    assert variances is not None
    assert whole not in ancestors([variances])
    point = (draws[0] for draws in fitted.draws.values())
    values = [np.random.default_rng(0).integers(2, size=(5, d)) * 0.9, *fitted.data.values(), *point, fitted.noise(0)]
    outputs = [graph.mean, graph.cov, mean, whole, variances]
    before_mean, before, after_mean, after, found = pytensor.function(graph.symbols, outputs, on_unused_input="ignore")(*values)
    np.testing.assert_allclose(after_mean, before_mean, rtol=0, atol=1e-9)  # PyMC adds 1e-12 to squared distances
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found, np.diag(after), rtol=0, atol=1e-12)


def test_a_column_of_indices_has_no_gradient() -> None:
    a = np.column_stack([np.linspace(0, 1, 6), np.arange(6) % 2])
    kernel = cov.ExpQuad(2, ls=0.4, active_dims=[0]) * cov.Coregion(2, W=np.ones((2, 1)), kappa=np.ones(2), active_dims=[1])
    _, gradient = evaluate(kernel, a, a)
    assert (gradient[:, 1] == 0).all()
    B = 1 + np.eye(2)
    np.testing.assert_allclose(gradient[range(6), 0, range(6), 0], np.diag(B)[0] / 0.4**2, rtol=FORMULA)


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (cov.Matern12(2, ls=1.0), "Matern12"),
        (cov.Exponential(2, ls=1.0), "Exponential"),
        (cov.Circular(2, period=2.0), "Circular"),
        (2.0 * cov.Matern12(2, ls=1.0) * cov.Matern52(2, ls=1.0) + cov.Constant(1.0), "Matern12"),
        (cov.WarpedInput(2, cov_func=cov.Exponential(2, ls=1.0) ** 2, warp_func=pt.exp), "Exponential"),
    ],
)
def test_a_kernel_without_derivative_is_refused_by_name(kernel: cov.Covariance, name: str) -> None:
    with pytest.raises(UnsupportedGPError, match=f"covariance {name} have no derivative that"):
        derivative_covariances(kernel, X, Z)
