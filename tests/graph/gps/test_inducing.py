"""Inducing inputs of a sparse gp: fixed ones in any form; parameters are refused in words of their own."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest

from pymc_botorch import PyMCGP

X = np.random.default_rng(0).uniform(size=(10, 1))
GRID = np.linspace(0, 1, 4)[:, None]


def fitted(Xu: Any, pm_model: pm.Model) -> PyMCGP:
    gp = pm.gp.MarginalApprox(cov_func=pm.gp.cov.ExpQuad(1, ls=0.3), approx="VFE")
    gp.marginal_likelihood("y", X, Xu, np.sin(5 * X[:, 0]), sigma=0.1)
    return PyMCGP.from_fitted(gp, {}, model=pm_model)


def test_inducing_inputs_may_be_computed_from_constants() -> None:
    with pm.Model() as pm_model:
        computed = fitted(0.5 * pt.as_tensor(2 * GRID), pm_model)
    np.testing.assert_allclose(computed.state.fitted.data["Xu"], GRID)


@pytest.mark.parametrize("kind", ["a random variable", "computed from one"])
def test_inducing_inputs_that_are_parameters_are_refused(kind: str) -> None:
    with pm.Model() as pm_model:
        u = pm.Uniform("u", 0, 1, shape=(4, 1))
        with pytest.raises(ValueError, match=r"inducing inputs Xu are parameters.*kmeans_inducing_points"):
            fitted(u if kind == "a random variable" else pt.sqrt(u), pm_model)
