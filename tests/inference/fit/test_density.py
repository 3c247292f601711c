"""Many points of the log posterior density in one call: each as it is alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.basic import AllocDiag, Eye
from pytensor.tensor.blockwise import Blockwise
from quadrature import raw_data, two
from zoo import ZOO, saas

from pymc_botorch.errors import OutOfTime
from pymc_botorch.graph.compiling.functions import compile_function
from pymc_botorch.graph.rewrites.plain import write_out_diagonals
from pymc_botorch.graph.traversal import core_op, nodes_between
from pymc_botorch.inference.build import build, build_default_gp
from pymc_botorch.inference.fit import density as density_module
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.objective import ObjectiveGraph, densities, read_objective
from pymc_botorch.inference.training_data import TrainingData

SAME = 1e-9  # the same formula, with matrices in another order of operations
INVALID = 1e200  # of which any prior has the density zero
cov = pm.gp.cov
IN_THE_ZOO = ("ExpQuad * Coregion", "own mean, priors on all", "SAAS in 20 inputs", "VFE", "FITC", "DTC", "MarginalKron")


def likelihood(X: Any, y: Any, kernel: Any, **options: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=kernel, **options)
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def additive(X: Any, y: Any) -> pm.gp.Marginal:
    slow = pm.gp.Marginal(cov_func=cov.ExpQuad(X.type.shape[1], ls=pm.LogNormal("slow", 0, 0.5)))
    total = slow + pm.gp.Marginal(cov_func=pm.HalfNormal("eta", 1) ** 2 * cov.Matern32(X.type.shape[1], ls=0.2))
    total.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return total


def with_dims_and_a_potential(X: Any, y: Any) -> pm.gp.Marginal:
    ell = pm.LogNormal("ell", -0.5, 0.7, dims="feature")
    weights = pm.Dirichlet("weights", np.ones(3))
    top = pm.Gamma("top", 2, 1)
    eta = pm.Uniform("eta", 0.1, 0.2 + top)
    mu = pm.Normal("mu", 0, 2)
    pm.Potential("expert", -((mu - 0.3) ** 2))
    kernel = eta**2 * weights[0] * cov.Matern52(X.type.shape[1], ls=ell) + weights[1] * cov.Linear(X.type.shape[1], c=0.5)
    return likelihood(X, y, kernel, mean_func=pm.gp.mean.Constant(mu))


def of_known_noise(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.7)))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


def sparse(X: Any, y: Any) -> pm.gp.MarginalApprox:
    gp = pm.gp.MarginalApprox(cov_func=cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -0.5, 0.7)), approx="VFE")
    inducing = np.random.default_rng(0).random((4, 2))
    gp.marginal_likelihood("y", X, inducing, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


BUILDERS = (build_default_gp, two, additive, with_dims_and_a_potential, of_known_noise, sparse, saas)


def density_of(builder: Callable[..., Any], n: int = 8, d: int = 2, tier: Any = "numpy", *, jacobian: bool = True) -> Density:
    X, Y = raw_data(n, d)
    sigma = np.full(n, 0.1) if builder is of_known_noise else None
    data = TrainingData(X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy(), sigma)
    return Density(build(builder, data), data, tier, jacobian=jacobian)


def points(density: Density, count: int, rng: np.random.Generator) -> np.ndarray:
    return density.support + 0.5 * rng.normal(size=(count, len(density.support)))


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)
def test_each_point_has_the_density_that_it_has_alone(builder: Any, rng: np.random.Generator) -> None:
    for jacobian in (False, True):
        density = density_of(builder, jacobian=jacobian)
        U = points(density, 9, rng)
        U[4, -1] = INVALID
        together = density.at_all(U)
        np.testing.assert_array_equal(np.isfinite(together), np.arange(9) != 4)
        np.testing.assert_allclose(together, [density(u)[0] for u in U], rtol=SAME, atol=SAME)
        np.testing.assert_allclose(density.at_all(U[:1]), together[:1], rtol=SAME)
        assert density.at_all(U[:0]).shape == (0,)


def test_a_check_that_fails_at_one_point_costs_no_call_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An sd that another parameter makes negative is an error of PyMC's alone, and a density of zero among others."""

    def of_an_sd_below_zero(X: Any, y: Any) -> pm.gp.Marginal:
        level = pm.Normal("level", 0, sigma=pm.Normal("spread", 0, 1, initval=1.0), initval=0.0)
        return likelihood(X, y, cov.Matern52(2, ls=0.5), mean_func=pm.gp.mean.Constant(level))

    density = density_of(of_an_sd_below_zero)
    U = np.tile(density.support, (5, 1))
    U[2, density.names.index("spread")] = -1.0
    assert density(U[2])[0] == -np.inf
    calls, whole = [], density._at_some
    monkeypatch.setattr(density, "_at_some", lambda some: calls.append(len(some)) or whole(some))
    np.testing.assert_array_equal(np.isfinite(density.at_all(U)), np.arange(5) != 2)
    assert calls == [5]


def stacked_diagonals(outputs: list[Variable]) -> list[Any]:
    return [
        node for node in nodes_between(outputs) if isinstance(node.op, Blockwise) and isinstance(core_op(node), AllocDiag | Eye)
    ]


@pytest.mark.parametrize("name", IN_THE_ZOO)
def test_a_conditional_of_the_zoo_has_the_same_densities_without_loops_over_diagonals(
    name: str, rng: np.random.Generator
) -> None:
    graph, sources = read_objective(ZOO[name]().pm_model)
    held = [s.get_value() if isinstance(s, SharedVariable) else np.asarray(s.data) for s in sources.values()]
    inputs, outputs = densities(graph)
    assert not stacked_diagonals(list(outputs))
    shapes = [np.shape(value) for value in initial_values(name)]
    many = [0.4 * rng.normal(size=(5, *shape)) for shape in shapes]
    (together,) = compile_function(inputs, outputs, "numpy")(*many, *held, np.asarray(1.0))
    one = compile_function(graph.symbols, [graph.log_density], "numpy")
    alone = [one(*(part[s] for part in many), *held, np.asarray(1.0))[0] for s in range(5)]
    np.testing.assert_allclose(together, alone, rtol=SAME, atol=SAME)


def initial_values(name: str) -> list[np.ndarray]:
    pm_model = ZOO[name]().pm_model
    point = pm_model.initial_point()
    return [point[pm_model.rvs_to_values[rv].name] for rv in pm_model.free_RVs]


def test_the_value_alone_is_that_with_the_gradient(rng: np.random.Generator) -> None:
    """One is by a triangular solve, the other by the inverse."""
    density = density_of(two)
    graph: ObjectiveGraph = density.built.objective
    of_both = compile_function(graph.symbols, [graph.log_density, graph.value], "numpy")
    for u in points(density, 4, rng):
        one, other = of_both(*density.split(u), *density.values, np.asarray(1.0))
        assert one == pytest.approx(other, rel=SAME)


def test_points_are_evaluated_in_chunks_and_counted(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    density = density_of(two)
    U = points(density, 11, rng)
    expected = density.at_all(U)
    assert density.evaluations == 11
    sizes = []

    def at_some(U: np.ndarray) -> np.ndarray:
        sizes.append(len(U))
        return whole(U)

    whole = density._at_some
    monkeypatch.setattr(density, "_at_some", at_some)
    monkeypatch.setattr(density_module, "NUMBERS_AT_ONCE", 4 * 8**2)
    np.testing.assert_allclose(density.at_all(U), expected, rtol=SAME)
    assert sizes == [4, 4, 3]
    assert density.evaluations == 22
    U[2, 0] = INVALID
    assert np.isfinite(density.at_all(U)).sum() == 10
    assert density.evaluations == 33


def test_points_are_not_evaluated_where_no_time_is_left(rng: np.random.Generator) -> None:
    density = density_of(two)
    U = points(density, 3, rng)

    def ended() -> None:
        raise OutOfTime("The budget of 1 s has ended.")

    density.check_time = ended
    with pytest.raises(OutOfTime, match="has ended"):
        density.at_all(U)
    with pytest.raises(OutOfTime, match="has ended"):
        density(U[0])
    assert density.evaluations == 0


def test_stacks_of_diagonal_and_identity_matrices_are_written_out(rng: np.random.Generator) -> None:
    diagonal = pt.vector("diagonal")
    stack = pt.matrix("stack")
    formula = pt.diag(diagonal) + 2 * pt.eye(diagonal.shape[0]) + pt.diag(diagonal[:-1], k=1)[: diagonal.shape[0]].sum()
    before = vectorize_graph([formula], {diagonal: stack})
    assert stacked_diagonals(before)
    after = write_out_diagonals(before)
    assert all(core_op(node).offset for node in stacked_diagonals(after) if isinstance(core_op(node), AllocDiag))
    value = rng.normal(size=(3, 4))
    (written,) = compile_function([stack], after, "numpy")(value)
    np.testing.assert_allclose(written, [np.diag(v) + 2 * np.eye(4) + v[:-1].sum() for v in value])


@pytest.mark.numba
def test_under_numba_each_point_has_the_density_of_the_numpy_tier(rng: np.random.Generator) -> None:
    density = density_of(two, tier="numba")
    assert density.linker == "numba"
    U = points(density, 9, rng)
    U[4, -1] = INVALID
    together = density.at_all(U)
    assert np.isfinite(together).sum() == 8
    np.testing.assert_allclose(together, density_of(two).at_all(U), rtol=SAME, atol=SAME)
