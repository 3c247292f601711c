"""Expressions that the Python linker evaluates as they are: sums of any number of terms, clips, inner graphs."""

from collections.abc import Callable

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from pymc_botorch.graph.compiling.functions import QUICK, compile_function
from pymc_botorch.graph.rewrites.plain import MAX_OPERANDS

ROUNDING = 1e-13


@pytest.mark.parametrize("n", [2, MAX_OPERANDS, MAX_OPERANDS + 1, 100, 31 * 31 + 1])
@pytest.mark.parametrize(("join", "in_numpy"), [(pt.add, np.sum), (pt.mul, np.prod)])
def test_sums_and_products_have_any_number_of_operands(n: int, join: Callable, in_numpy: Callable) -> None:
    shapes = [(3, 1), (1, 4), (3, 4), (1, 1)]
    symbols = [pt.matrix(dtype="float64", shape=tuple(1 if length == 1 else None for length in shapes[j % 4])) for j in range(n)]
    rng = np.random.default_rng(0)
    values = [rng.uniform(0.9, 1.1, size=shapes[j % 4]) for j in range(n)]
    (result,) = compile_function(symbols, [join(*symbols)], "python")(*values)
    expected = in_numpy([np.broadcast_to(value, (3, 4)) for value in values], axis=0)
    np.testing.assert_allclose(result, expected[:, : result.shape[1]], rtol=ROUNDING)


def test_ordinary_sums_stay_one_operation() -> None:
    symbols = [pt.vector() for _ in range(MAX_OPERANDS)]
    (node,) = pytensor.function(symbols, pt.add(*symbols), mode=QUICK).maker.fgraph.toposort()
    assert len(node.inputs) == MAX_OPERANDS


def test_a_long_sum_has_the_numbers_of_its_result_in_each_part() -> None:
    counts = [pt.vector(dtype="int8") for _ in range(40)]  # of 100 each: more than an int8 holds
    f = pytensor.function(counts, pt.add(*counts, pt.constant(0.5, dtype="float64")), mode=QUICK)
    np.testing.assert_array_equal(f(*[np.full(2, 100, dtype="int8")] * 40), [4000.5, 4000.5])


def test_a_clip_is_a_minimum_of_a_maximum() -> None:
    x = pt.vector("x")
    values = np.array([-np.inf, -1.0, 0.5, 3.0, np.inf, np.nan])
    for low, high in [(0.0, np.inf), (-0.5, 1.0)]:
        (result,) = compile_function([x], [pt.clip(x, low, high)], "python")(values)
        np.testing.assert_array_equal(result, np.clip(values, low, high))


def test_inner_graphs_are_written_out() -> None:
    x = pt.vector("x")
    outer = pt.grad(pt.sum(pt.diag(pt.square(x))), x)  # the gradient of a diagonal matrix is an inner graph
    (result,) = compile_function([x], [outer], "python")(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(result, [2.0, 4.0])
