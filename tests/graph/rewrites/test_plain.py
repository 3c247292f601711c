"""Inner graphs are written out."""

import numpy as np
import pytensor.tensor as pt

from pymc_botorch.graph.compiling.functions import compile_function


def test_inner_graphs_are_written_out() -> None:
    x = pt.vector("x")
    outer = pt.grad(pt.sum(pt.diag(pt.square(x))), x)  # the gradient of a diagonal matrix is an inner graph
    (result,) = compile_function([x], [outer], "numpy")(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(result, [2.0, 4.0])
