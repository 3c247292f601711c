"""What the compiled graphs cost, and that nothing compiles twice."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import torch
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.raise_op import Assert
from pytensor.tensor.basic import AllocDiag
from pytensor.tensor.linalg import cholesky
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.linalg.solvers.core import SolveBase
from zoo import KERNELS, ZOO, data, marginal

from pymc_botorch import PyMCGP
from pymc_botorch.graph.compiling import cache as structures
from pymc_botorch.graph.compiling import functions as functions_module
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import NUMPY, Build, Compilable, compile_build, compile_function, making_graphs
from pymc_botorch.graph.compiling.ops import factor, inverse_from_factor
from pymc_botorch.graph.posterior import cut as cut_module
from pymc_botorch.graph.posterior import moments as moments_module
from pymc_botorch.graph.posterior.conditioned import compiled_posterior, condition
from pymc_botorch.graph.posterior.cut import CutPosterior, cut_posterior, frozen_arrays, noise_of_data
from pymc_botorch.graph.posterior.moments import moments, moments_vjp, rows, rows_vjp
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.graph.traversal import core_op, nodes_between
from pymc_botorch.inference.fitted import FittedGP, read_fitted


def graph_of(compiled: CompiledGraph[CutPosterior], build: Build[CutPosterior]) -> FunctionGraph:
    """The rewritten graph of a build."""
    return pytensor.function(*build(compiled.subject), mode=NUMPY, on_unused_input="ignore").maker.fgraph


def count(graph: FunctionGraph, kind: type) -> int:
    return sum(isinstance(core_op(node), kind) for node in graph.toposort())


@pytest.fixture
def functions() -> dict[str, object]:
    """The compiled functions of each kernel's posterior."""
    return {name: uncached(fitted(name)) for name in KERNELS}


def uncached(gp: FittedGP) -> CompiledGraph[CutPosterior]:
    return CompiledGraph(gp.graph, cut_posterior, "numpy", cut_posterior(gp.graph))


def fitted(kernel: str = "Matern52", **options: object):
    case = marginal(kernel, **options)
    return read_fitted(case.gp, case.point, model=case.pm_model, given=None, jitter=None, inputs_transformed=False)[0]


def test_moments_factorise_nothing_and_solve_one_triangular_system(functions: dict) -> None:
    for compiled in functions.values():
        assert count(graph_of(compiled, frozen_arrays), Cholesky) == 1
        assert count(graph_of(compiled, noise_of_data), Cholesky) == 0
        assert count(graph_of(compiled, moments), Cholesky) == 0
        assert count(graph_of(compiled, moments), SolveBase) == 1
        assert count(graph_of(compiled, moments_vjp), Cholesky) == 0
        assert count(graph_of(compiled, moments_vjp), SolveBase) == 1


def test_the_mean_alone_needs_no_solve(functions: dict) -> None:
    for compiled in functions.values():
        mean = graph_of(compiled, moments).outputs[0]
        assert not any(isinstance(v.owner.op, SolveBase) for v in ancestors([mean]) if v.owner)


def test_rewrites_change_cost_but_not_values(monkeypatch: pytest.MonkeyPatch) -> None:
    read = fitted()
    X = np.random.default_rng(0).uniform(size=(3, 4, 2))
    bars = np.ones((3, 4)), np.ones((3, 4, 4))
    results = []
    for off in ([], ["weights_before_solves"], ["fold_batches"], ["plain_products"]):
        with monkeypatch.context() as patch:
            for name in off:
                modules = {"weights_before_solves": cut_module, "fold_batches": moments_module}
                patch.setattr(modules.get(name, functions_module), name, lambda outputs, *_: list(outputs))
            posterior = condition(uncached(read), [*read.data.values(), *(v[0] for v in read.draws.values())], n=12)
        mean, cov, saved = posterior.moments(X)
        results.append((mean, cov, posterior.vjp(X, *bars, saved)))
    for result in results[1:]:
        for got, expected in zip(result, results[0], strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)


def test_fifty_sizes_of_n_b_and_q_compile_one_structure() -> None:
    structures.cache_clear()
    rng = np.random.default_rng(1)
    for _ in range(50):
        case = marginal(n=int(rng.integers(1, 30)), seed=int(rng.integers(1000)))
        model = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
        X = torch.from_numpy(rng.uniform(size=(rng.integers(1, 6), rng.integers(1, 6), 2))).requires_grad_()
        posterior = model.posterior(X)
        (posterior.mean.sum() + posterior.variance.sum()).backward()
        assert X.grad.isfinite().all()
    assert structures.cache_info()[:3] == (49, 1, 1)


def known_values(ls: list[float], sigma: object, p: float = 0.5) -> PyMCGP:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.RatQuad(2, ls=ls, alpha=p))
        gp.marginal_likelihood("y", X, y, sigma=sigma)
    return PyMCGP.from_fitted(gp, {}, model=pm_model)


def test_known_arrays_are_inputs_and_other_constants_are_never_served_stale() -> None:
    structures.cache_clear()
    x = torch.rand(3, 2, dtype=torch.double)
    means = [known_values([0.3, 0.5], np.full(12, 0.1)).posterior(x).mean]
    means.append(known_values([0.4, 0.8], np.full(12, 0.1)).posterior(x).mean)
    means.append(known_values([0.4, 0.8], np.linspace(0.1, 0.9, 12)).posterior(x).mean)
    assert structures.cache_info().compilations == 1
    means.append(known_values([0.4, 0.8], np.linspace(0.1, 0.9, 12), p=2.0).posterior(x).mean)
    assert structures.cache_info().compilations == 2
    for one, other in pairwise(means):
        assert (one - other).abs().max() > 1e-4


def test_the_cache_is_bounded_and_keeps_what_was_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    structures.cache_clear()
    monkeypatch.setattr(structures, "MAX_STRUCTURES", 2)
    for p in (0.5, 1.0, 0.5, 2.0, 0.5):
        known_values([0.3, 0.5], 0.1, p)
    assert structures.cache_info()[:3] == (2, 3, 2)
    structures.cache_clear()
    assert structures.cache_info()[:3] == (0, 0, 0)


def test_linkers_are_checked_and_kept_apart() -> None:
    from pymc_botorch import config

    with pytest.raises(ValueError, match=r"No linker is called 'c'.*'numba', 'numpy'"):
        config.linker = "c"
    before = config.linker
    with pytest.warns(FutureWarning, match="'python' is called 'numpy' now"), config.change_flags(linker="python"):
        assert config.linker == "numpy"
    with config.change_flags(linker="numba"):
        assert config.linker == "numba"
    assert config.linker == before


@pytest.mark.numba
@pytest.mark.parametrize("name", sorted(ZOO, key=lambda name: name != "own mean, priors on all"))
def test_under_numba_moments_and_gradients_are_those_of_the_numpy_tier(name: str) -> None:
    specimen = ZOO[name]()
    options = {"given": specimen.given, "jitter": None, "inputs_transformed": False}
    read, _ = read_fitted(specimen.gp, specimen.point, model=specimen.pm_model, **options)
    X = np.random.default_rng(2).uniform(size=(12, specimen.d))
    if "Coregion" in name:
        X[..., 1] = X[..., 1] > 0.5
    results = []
    for linker in ("numpy", "numba"):
        compiled = compiled_posterior(read.graph, linker)
        posterior = condition(compiled, [*read.data.values(), *(v[0, ...] for v in read.draws.values())], n=len(read.X))
        for shape in ((3, 4), (12, 1), (1, 1), (1, 12)):
            x = X[: np.prod(shape)].reshape(*shape, specimen.d)
            mean, cov, saved = posterior.moments(x)
            last = posterior.rows(x, 1)[1]
            results.append((mean, cov, posterior.vjp(x, mean, cov, saved), last, posterior.rows_vjp(x, 1, mean, last)))
        if linker == "numba":  # no other layout was met: one specialisation of each function serves all shapes
            for build in (frozen_arrays, moments, moments_vjp, rows, rows_vjp):
                assert len(compiled.function(build).signatures) == 1
    half = len(results) // 2
    for slow, fast in zip(results[:half], results[half:], strict=True):
        for got, expected in zip(fast, slow, strict=True):
            scale = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-12)


@pytest.mark.numba
def test_tiers_refuse_alike_and_have_the_same_values_where_there_is_no_answer() -> None:
    v, w, M = pt.vector("v", dtype="float64"), pt.vector("w", dtype="float64"), pt.matrix("M", dtype="float64")
    outputs = [Assert("not positive")(v, pt.all(v > 0)) + w, cholesky(M), pt.log(v - 1)]
    good, eye = np.array([1.0, 2.0]), np.eye(2)
    for linker in ("numpy", "numba"):
        function = compile_function([v, w, M], outputs, linker)
        total, factor, logarithm = function(good, good, -eye)
        np.testing.assert_array_equal(total, [2.0, 4.0])
        assert np.isnan(factor).all()
        np.testing.assert_array_equal(logarithm, [-np.inf, 0.0])
        with pytest.raises(AssertionError, match="not positive"):
            function(-good, good, eye)
        for other in (np.ones(1), np.ones(3)):
            with pytest.raises(ValueError):  # noqa: PT011  # in the words of each
                function(good, other, eye)


def test_one_thread_at_a_time_makes_graphs() -> None:
    def make() -> None:
        with making_graphs():
            pass

    before = pytensor.config.traceback__limit
    with ThreadPoolExecutor(1) as pool:
        with pytensor.config.change_flags(traceback__limit=8), making_graphs():
            other = pool.submit(make)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.05)
        other.result()
    assert pytensor.config.traceback__limit == before


@pytest.mark.numba
def test_threads_share_the_functions_of_both_tiers() -> None:
    x = pt.dvector("x")
    for linker in ("numpy", "numba"):
        function = compile_function([x], [2 * x + 1], linker)

        def is_right(i: int, function: object = function) -> bool:
            array = np.full(4, float(i))
            return np.array_equal(function(array)[0], 2 * array + 1)

        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            with ThreadPoolExecutor(4) as pool:
                assert all(pool.map(is_right, range(4000)))
        finally:
            sys.setswitchinterval(interval)


def test_inner_graphs_are_written_out_with_the_same_values() -> None:
    x = pt.dvector("x")
    outputs = [pt.diag(x) @ x, pt.grad(pt.square(pt.diag(x)).sum(), x)]
    for all_kinds in (True, False):
        written = inline_inner_graphs(outputs, all_kinds=all_kinds)
        left = [type(node.op) for node in nodes_between(written) if isinstance(node.op, OpFromGraph)]
        assert set(left) == (set() if all_kinds else {AllocDiag})
        for got, expected in zip(pytensor.function([x], written)([1.0, 2.0]), ([1.0, 4.0], [2.0, 4.0]), strict=True):
            np.testing.assert_allclose(got, expected)


@pytest.mark.numba
def test_the_inverse_from_a_factor_is_that_of_numpy_under_both_tiers(rng: np.random.Generator) -> None:
    symbol = pt.dmatrix("L")
    for linker in ("numpy", "numba"):
        inverse = compile_function([symbol], [inverse_from_factor(symbol)], linker)
        for n in (0, 1, 7):
            L = np.tril(rng.uniform(0.5, 1.5, size=(n, n)))
            np.testing.assert_allclose(inverse(L)[0], np.linalg.inv(L @ L.T), rtol=1e-9, atol=1e-9)
        assert np.isnan(inverse(np.diag([1.0, 0.0]))[0]).all()


@pytest.mark.numba
def test_the_gradient_of_a_factor_is_that_of_differences_under_both_tiers(rng: np.random.Generator) -> None:
    symbol, weights, batch = pt.dmatrix("A"), pt.dmatrix("weights"), pt.dtensor3("A")
    gradient = pt.grad((factor(symbol) * weights).sum(), symbol)
    batched = vectorize_graph(gradient, {symbol: batch})
    for linker in ("numpy", "numba"):
        of_many = compile_function([batch, weights], [batched], linker)
        for m in (1, 2, 5):
            A, W = rng.normal(size=(3, m, m)), rng.normal(size=(m, m))
            A = A @ A.mT + 2 * np.eye(m)
            direction = rng.normal(size=(m, m))
            direction += direction.T
            step = 1e-6 * direction
            slopes = [(W * (np.linalg.cholesky(a + step) - np.linalg.cholesky(a - step))).sum() / 2e-6 for a in A]
            gradients = of_many(A, W)[0]
            np.testing.assert_allclose((gradients * direction).sum((1, 2)), slopes, rtol=1e-6)
            np.testing.assert_allclose(gradients, gradients.mT)
    of_one = compile_function([symbol, weights], [gradient], "numpy")
    np.testing.assert_allclose(of_one(A[0], W)[0], gradients[0], rtol=1e-12)


def test_large_graphs_have_the_stable_forms_of_others() -> None:
    x = pt.dvector("x")

    def build(_: None) -> Compilable:
        return [x], [pt.log(1 + pt.exp(x)), pt.log(1 + x), 1 / (1 + pt.exp(-x))]

    at, results = np.array([-800.0, 1e-18, 800.0]), []
    for is_large in (False, True):
        vars(build)["is_large"] = is_large
        with np.errstate(all="ignore"):
            results.append(compile_build(None, build, "numpy")(at))
    for ordinary, large in zip(*results, strict=True):
        np.testing.assert_allclose(large, ordinary, rtol=1e-12)
    np.testing.assert_allclose(results[1][0], [0.0, np.log(2), 800.0])
