"""Functions of arrays: overflow is a result, not a warning."""

import numpy as np
import pytensor.tensor as pt

from pymc_botorch.graph.compiling.functions import compile_function


def test_products_that_overflow_are_infinite_without_a_warning() -> None:
    A, x = pt.matrix("A", dtype="float64"), pt.vector("x", dtype="float64")
    huge = np.full((2, 2), 1e200)
    product, vector, invalid = compile_function([A, x], [A @ A, A @ x, A @ (x - x * np.inf)], "numpy")(huge, huge[0])
    assert np.isposinf(product).all()
    assert np.isposinf(vector).all()
    assert not np.isfinite(invalid).any()
