"""Operations written as NumPy source have the values of PyTensor's own Python linker, and none writes where it must not."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.conditional.op import ifelse
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.raise_op import Assert
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg import cholesky, solve_triangular
from pytensor.tensor.linalg.solvers.psd import cho_solve

from pymc_botorch.graph.compiling.functions import NUMPY, QUICK
from pymc_botorch.graph.numpy_source.linker import NumpyLinker

REFERENCE = Mode("py", "fast_compile")
AS_WRITTEN = Mode(NumpyLinker(), None)
ROUNDING = {"rtol": 1e-13, "atol": 1e-13}

x, y = np.array([0.5, -1.5, 2.0]), np.array([1.0, 0.25, 3.0])
A, B = np.arange(6.0).reshape(2, 3) - 2, np.array([[2.0, 1.0, 0.5], [0.1, 3.0, -1.0]])
S = np.array([[2.0, 0.5, 0.1], [0.5, 1.5, 0.2], [0.1, 0.2, 1.0]])
k, index = np.array(2), np.array([2, 0, 2])
small, truth = np.array([1, 2, 3], dtype="int8"), np.array([True, False, True])
single = np.array([0.1, 0.2, 0.3], dtype="float32")
stack = np.stack([S, 2 * S])

OPERATIONS: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "sums of vectors and matrices": (lambda x, A: [x + A + 1.0 + A, A + x, (A + 1) * 2 + x], [x, A]),
    "products of different shapes": (lambda x, A, s: [s * x * A * 2.0, A * s, -A, A - x], [x, A, np.array(1.7)]),
    "sums with a dimension in front": (
        lambda x, y: [pt.add(*[v[None, :] for v in (x, y, x * y)]), pt.mul(x[None, :], 2.0, y[None, :], pt.exp(x)[None, :])],
        [x, y],
    ),
    "functions": (lambda x: [pt.exp(x), pt.log1p(pt.abs(x)), pt.sqr(x), pt.sqrt(pt.abs(x)), pt.tanh(x), pt.erf(x)], [x]),
    "functions of scipy": (lambda y: [pt.gammaln(y), pt.sigmoid(y), pt.softplus(y), pt.log1mexp(-y), pt.kv(1.5, y)], [y]),
    "special functions without one in numpy": (
        lambda y: [pt.gammainc(y, 2.0), pt.betainc(y, 2.0, 0.3), pt.logaddexp(y, 1.0)],
        [y],
    ),
    "switches and clips": (
        lambda x, y: [pt.switch(x > 0, x, y), pt.clip(x, 0.0, 1.0), pt.switch(x > 0, 1, 0), pt.where(x > y, x, 0)],
        [x, y],
    ),
    "comparisons": (lambda x, y: [x > y, pt.eq(x, x), pt.and_(x > 0, y > 0), pt.invert(x > 0), pt.isnan(x)], [x, y]),
    "powers": (lambda x, y: [y**x, y**2, y**2.0, pt.abs(x) ** 0.5], [x, y]),
    "of numbers": (
        lambda s, k: [s * 2 + k, pt.exp(s), pt.maximum(s, 0.3), s > 1, pt.switch(s > 1, s, 0.0), k // 2 + k, k / 3],
        [np.array(1.2), k],
    ),
    "of small integers": (
        lambda i, b: [i + 1, i * i, i / 2, pt.exp(i), i + b, b * 1.5, pt.switch(b, i, 0), pt.sum(i), pt.sum(b)],
        [small, truth],
    ),
    "of single precision": (
        lambda f, x, i: [f * 2, f * x, f + i, pt.exp(f), pt.sum(f), f.astype("float64"), pt.sqr(f)],
        [single, x, small],
    ),
    "casts": (
        lambda x, k: [pt.cast(x, "int64"), pt.cast(k, "float64"), pt.cast(x > 0, "float64"), pt.cast(x, "float32")],
        [x, k],
    ),
    "reductions": (
        lambda A: [A.sum(), A.sum(0), A.sum(1, keepdims=True), A.max(1), A.min(), A.prod(0), pt.all(A > -9), A.mean(1)],
        [A],
    ),
    "transposes and new dimensions": (
        lambda A, x: [A.T, x[:, None] * x, A.dimshuffle(1, "x", 0), x[None, :].T, A[:, :1].T + A[:1, :2]],
        [A, x],
    ),
    "squeezes": (lambda A: [A[:1].squeeze(0), A[:1, :1].squeeze(), A.sum(0, keepdims=True)[0]], [A]),
    "reshapes": (lambda A, k: [A.ravel(), A.reshape((3, 2)), A.reshape((k, -1)), A.reshape((A.shape[1], A.shape[0], 1))], [A, k]),
    "shapes": (
        lambda A, x: [A.shape[0] * x.shape[0], A.shape, pt.stack([A.shape[0], 7]), pt.arange(x.shape[0]) / A.shape[1]],
        [A, x],
    ),
    "subscripts": (lambda A, k: [A[0], A[:, -1], A[k - 1, 1:], A[::2, ::-1], A[0, k], A[-1:]], [A, k]),
    "subscripts by arrays": (lambda A, i: [A[:, i], A[i % 2, i], A.T[i][:, 0], A[pt.gt(A, 0)]], [A, index]),
    "writes": (
        lambda A, i, x: [A[0].set(1.0), A[:, 1].inc(x[:2]), A[:, i].inc(1.0), A[i % 2, i].inc(x), A[i % 2, i].set(x)],
        [A, index, x],
    ),
    "new arrays": (
        lambda k, x: [pt.zeros((k, 3)), pt.full((k, k), x[0]), pt.eye(k, 3), pt.ones_like(x) * x, pt.alloc(x, k, 3)],
        [k, x],
    ),
    "joins": (lambda A, B: [pt.concatenate([A, B]), pt.concatenate([A, B], axis=1), pt.stack([A, B])], [A, B]),
    "diagonals": (lambda S, x: [pt.diagonal(S), pt.diag(x), pt.tril(S), pt.trace(S)], [S, x]),
    "products of matrices": (lambda A, S, x: [A @ S, A @ x, x @ x, S @ S @ x, pt.outer(x, x)], [A, S, x]),
    "factorisations": (lambda S: [cholesky(S), cholesky(S, lower=False), cholesky(-S)], [S]),
    "solves": (
        lambda S, x: [solve_triangular(cholesky(S), x, lower=True), solve_triangular(cholesky(S), S, lower=True, trans=1)],
        [S, x],
    ),
    "solves from a factor": (
        lambda S, x: [cho_solve((cholesky(S), True), x, b_ndim=1), cho_solve((cholesky(S).T, False), S, b_ndim=2)],
        [S, x],
    ),
    "a solve without a solution": (lambda S, x: [solve_triangular(0 * S, x, lower=True)], [S, x]),
    "batches": (
        lambda C, x: [cholesky(C), C @ C, C @ x, solve_triangular(cholesky(C), x, lower=True, b_ndim=1), pt.trace(C[0])],
        [stack, x],
    ),
    "checks": (lambda x: [Assert("positive")(x, pt.all(x < 9)) * 2, pt.specify_shape(x, (3,)) + 1], [x]),
    "either": (lambda x, k: [ifelse(pt.gt(k, 1), x, 2 * x), ifelse(pt.gt(k, 9), x, 2 * x)], [x, k]),
    "numbers of counts": (
        lambda k, t, A: [pt.reciprocal(k), k**-1.0, 1 / A.shape[0], pt.exp(k), pt.maximum(k, 3), k % 3, pt.eq(t + t, t)],
        [k, np.array(True), A],
    ),
    "casts of numbers": (
        lambda s, k: [pt.cast(k, "int8"), pt.cast(-k, "uint8"), pt.cast(s, "int64"), pt.cast(s, "bool"), pt.cast(s, "float32")],
        [np.array(1.7), np.array(300)],
    ),
    "small and single numbers": (
        lambda i, f, k: [i + i, i * k, f + k, f * f, f > k, -i, pt.sqr(f), pt.exp(f)],
        [np.array(100, dtype="int8"), np.array(0.1, dtype="float32"), np.array(2**24 + 1)],
    ),
    "of nothing": (lambda A: [A[:0].sum(0), A[:0] * 2, pt.exp(A[:0]), A[:, :0].sum(), pt.concatenate([A[:0], A])], [A]),
    "products of batches of nothing": (lambda C: [C[:0] @ C[0], pt.stack([C[0], C[1]])], [stack]),
    "filled": (lambda x, A, s: [pt.second(x, s), pt.second(x[:1].reshape((1,)), x), pt.second(A, x)], [x, A, np.array(1.7)]),
    "derivatives of a product": (lambda y, A: [pt.grad(y.prod(), y), pt.grad(pt.prod(A, axis=1).sum(), A)], [y, A]),
    "shapes of numbers": (lambda s, k: [pt.shape(s), pt.shape(k), s.reshape(()), pt.zeros((k,)).shape], [np.array(1.7), k]),
    "no conditions": (lambda x: [Assert("none")(x) * 2], [x]),
    "of one matrix": (lambda S: [pt.linalg.det(S), pt.linalg.inv(S), pt.diag(S[0])], [S]),
    "inputs and constants as results": (lambda x, A: [x, x, A.T, pt.constant(np.ones(2)), pt.constant(3.0), x[1:]], [x, A]),
}


def symbols_of(arrays: list[np.ndarray]) -> list[Any]:
    return [pt.tensor(dtype=array.dtype, shape=(None,) * array.ndim) for array in arrays]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_the_values_of_pytensors_own_linker(name: str) -> None:
    build, arrays = OPERATIONS[name]
    symbols = symbols_of(arrays)
    outputs = build(*symbols)
    with np.errstate(all="ignore"):
        expected = pytensor.function(symbols, outputs, mode=REFERENCE)(*arrays)
    for mode in (QUICK, NUMPY, AS_WRITTEN):
        function = pytensor.function(symbols, outputs, mode=mode).vm.jit_fn
        copies = [array.copy() for array in arrays]
        got = function(*copies)
        for result, reference in zip(got, expected, strict=True):
            assert isinstance(result, np.ndarray)
            assert result.dtype == reference.dtype
            np.testing.assert_allclose(result, reference, **ROUNDING, strict=True)
        assert all(np.array_equal(copy, array) for copy, array in zip(copies, arrays, strict=True))
        for i, result in enumerate(got):  # nor does any result share its memory with an input or another result
            others = [*copies, *got[:i], *got[i + 1 :]]
            assert not any(np.shares_memory(result, other) for other in others)


@pytest.mark.parametrize("n", [2, 31, 32, 100, 31 * 31 + 1])
@pytest.mark.parametrize(("join", "in_numpy"), [(pt.add, np.sum), (pt.mul, np.prod)])
def test_sums_and_products_have_any_number_of_operands(n: int, join: Callable, in_numpy: Callable) -> None:
    shapes = [(3, 1), (1, 4), (3, 4), (1, 1)]
    symbols = [pt.matrix(dtype="float64", shape=tuple(1 if length == 1 else None for length in shapes[j % 4])) for j in range(n)]
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.9, 1.1, size=shapes[j % 4]) for j in range(n)]
    (result,) = pytensor.function(symbols, [join(*symbols)], mode=NUMPY).vm.jit_fn(*values)
    expected = in_numpy([np.broadcast_to(value, (3, 4)) for value in values], axis=0)
    np.testing.assert_allclose(result, expected[:, : result.shape[1]], rtol=1e-13)


@pytest.mark.parametrize("mode", [QUICK, NUMPY, AS_WRITTEN])
def test_a_sum_has_the_numbers_of_its_result_in_each_part(mode: Mode) -> None:
    counts = [pt.vector(dtype="int8") for _ in range(40)]  # of 100 each: more than an int8 holds
    v = pt.vector("v", dtype="float64")
    f = pytensor.function([*counts, v], pt.add(*counts, v), mode=mode)
    np.testing.assert_array_equal(f(*[np.full(2, 100, dtype="int8")] * 40, np.full(2, 0.5)), [4000.5, 4000.5])
    truths = [pt.vector(dtype="bool") for _ in range(3)]
    for join, expected in ((pt.add, 3.1), (pt.mul, 0.1)):
        f = pytensor.function([*truths, v], join(*truths, v), mode=mode)
        result = f(*[np.full(2, True)] * 3, np.full(2, 0.1))
        assert result.dtype == "float64"
        np.testing.assert_array_equal(result, np.full(2, expected))
    band = (v > 0) * (v < 1) * v
    np.testing.assert_array_equal(pytensor.function([v], band, mode=mode)(x), [0.5, 0, 0])


@pytest.mark.parametrize("kind", ["float64", "int64", "int8"])
def test_a_sum_of_numbers_has_any_number_of_terms(kind: str) -> None:
    terms = [pt.scalar(dtype=kind) for _ in range(1000)]
    s = pt.scalar("s", dtype="float64")
    f = pytensor.function([*terms, s], pt.add(*terms, s), mode=NUMPY).vm.jit_fn
    assert f(*[np.array(1, dtype=kind)] * 1000, np.array(0.5))[0] == 1000.5


def test_what_pytensor_does_not_broadcast_is_refused() -> None:
    v, w, M = pt.vector("v", dtype="float64"), pt.vector("w", dtype="float64"), pt.matrix("M", dtype="float64")
    C, D = pt.tensor3("C", dtype="float64"), pt.tensor3("D", dtype="float64")
    one, three = np.ones(1), np.ones(3)
    for symbols, output, arrays in (
        ([v, w], v + w, (one, three)),
        ([v, w], pt.exp(v) * w[:, None].T, (three, one)),
        ([v, w], pt.alloc(v, 2, 3) + w, (one, three)),
        ([M, v], M + v, (np.ones((2, 1)), three)),
        ([C, D], Blockwise(Doubled())(C) + D, (np.ones((3, 1, 2)), np.ones((3, 2, 2)))),
        ([C, M], solve_triangular(C, M[:, None, :], lower=True, b_ndim=2), (np.ones((1, 1, 1)), np.ones((3, 1)))),
    ):
        f = pytensor.function(symbols, [output], mode=NUMPY).vm.jit_fn
        with pytest.raises(ValueError, match=r"Runtime broadcasting not allowed: an axis of length 1 meets one of length [23]"):
            f(*arrays)
    f = pytensor.function([v, w], [v * w + v], mode=NUMPY).vm.jit_fn
    with pytest.raises(ValueError, match="An axis of length 2 meets one of length 3"):
        f(np.ones(2), three)
    assert f.source.count("shape") == 4  # v and w are compared once


def test_shapes_are_read_at_each_call_and_checks_are_made() -> None:
    v, w = pt.vector("v", dtype="float64"), pt.vector("w", dtype="float64")
    checked = Assert("lengths differ")(v, pt.eq(v.shape[0], w.shape[0]))
    f = pytensor.function([v, w], [checked.reshape((v.shape[0], 1)) + w], mode=NUMPY).vm.jit_fn
    for n in (1, 4, 0):
        assert f(np.ones(n), np.ones(n))[0].shape == (n, n)
    with pytest.raises(AssertionError, match="lengths differ"):
        f(np.ones(2), np.ones(3))


class Doubled(Op):
    """A user's own operation."""

    __props__ = ()
    gufunc_signature = "(n)->(n)"

    def make_node(self, x: Any) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        outputs[0][0] = 2 * inputs[0]


def test_an_operation_that_is_not_known_performs_itself() -> None:
    v, C = pt.vector("v", dtype="float64"), pt.matrix("C", dtype="float64")
    f = pytensor.function([v, C], [Doubled()(v) + 1, Blockwise(Doubled())(C)], mode=NUMPY).vm.jit_fn
    assert [type(op) for op in f.fallbacks] == [Doubled, Doubled]
    vector, batched = f(x, A)
    np.testing.assert_array_equal(vector, 2 * x + 1)
    np.testing.assert_array_equal(batched, 2 * A)
    assert f(x, A[:0])[1].shape == (0, 3)


class Kept(Op):
    """An operation with storage of its own, as the function inside a loop has."""

    __props__ = ()
    storage: Any = None

    def make_node(self, x: Any) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Any, outputs: Any) -> None:
        self.storage = inputs[0]
        time.sleep(1e-4)  # other threads run
        outputs[0][0] = 2 * self.storage


def test_operations_that_perform_themselves_wait_for_one_another() -> None:
    v = pt.vector("v", dtype="float64")
    f = pytensor.function([v], [Kept()(v)], mode=NUMPY).vm.jit_fn
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: f(np.array([float(i)]))[0].item(), range(100)))
    assert results == [2.0 * i for i in range(100)]


def test_nothing_is_computed_in_place_by_pytensor() -> None:
    v = pt.vector("v", dtype="float64")
    order = pytensor.function([v], [pt.tan(pt.exp(v))], mode=NUMPY).maker.fgraph.toposort()
    assert [node.op.destroy_map for node in order] == [{}, {}]


def test_a_loop_and_random_numbers_perform_themselves() -> None:
    v = pt.vector("v", dtype="float64")
    total = pytensor.scan(lambda a, b: b + a**2, sequences=v, outputs_info=pt.zeros(()), return_updates=False)
    np.testing.assert_allclose(pytensor.function([v], total[-1], mode=QUICK)(x), (x**2).sum())
    rng = pt.random.default_rng(1)
    _, normal = pt.random.normal(size=3, rng=rng, return_next_rng=True)
    draws = pytensor.function([], normal, mode=QUICK)()
    np.testing.assert_array_equal(draws, np.random.default_rng(1).normal(size=3))


def test_any_number_of_threads_may_call_a_function_at_once() -> None:
    v = pt.vector("v", dtype="float64")
    f = pytensor.function([v], [pt.exp(v).sum() + (v * v + v)], mode=NUMPY).vm.jit_fn

    def is_right(i: int) -> bool:
        array = np.full(5, i / 1000)
        return np.allclose(f(array)[0], np.exp(array).sum() + array**2 + array, rtol=1e-14)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(is_right, range(2000)))
