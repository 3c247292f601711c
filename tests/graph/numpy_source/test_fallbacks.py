"""Every gp of PyMC is written as NumPy source without a fallback, with the moments and gradients of PyTensor's own linker."""

import numpy as np
import pytensor
import pytest
from pytensor.compile.mode import Mode
from pytensor.tensor.linalg.decomposition.eigen import Eigh
from zoo import ZOO

from pymc_botorch.graph.compiling.functions import compile_build
from pymc_botorch.graph.posterior.conditioned import compiled_posterior, condition
from pymc_botorch.graph.posterior.cut import frozen_arrays
from pymc_botorch.graph.posterior.moments import moments, moments_vjp, rows, rows_vjp
from pymc_botorch.graph.posterior.pointwise import variances, variances_vjp
from pymc_botorch.inference.fit.objective import density_and_gradient, read_objective
from pymc_botorch.inference.fitted import read_fitted

REFERENCE = Mode("py", "fast_compile")
AGREEMENT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize(
    "name",
    ["WarpedInput with a parameter", "ExpQuad * Coregion", "own mean, priors on all", "SAAS in 20 inputs", "VFE", "MarginalKron"],
)
def test_a_density_is_written_without_a_fallback(name: str) -> None:
    objective, _ = read_objective(ZOO[name]().pm_model)
    fallbacks = compile_build(objective, density_and_gradient, "numpy").fallbacks  # type: ignore[attr-defined]
    assert {type(op) for op in fallbacks} == ({Eigh} if name == "MarginalKron" else set())


@pytest.mark.parametrize("name", ZOO)
def test_a_posterior_is_written_without_a_fallback_and_equals_pytensors_own(name: str) -> None:
    specimen = ZOO[name]()
    options = {"given": specimen.given, "jitter": None, "inputs_transformed": False}
    fitted, _ = read_fitted(specimen.gp, specimen.point, model=specimen.pm_model, **options)
    functions = compiled_posterior(fitted.graph, "numpy")
    posterior = condition(
        functions, [*fitted.data.values(), *(draws[0, ...] for draws in fitted.draws.values())], n=len(fitted.X)
    )
    X = np.random.default_rng(2).uniform(size=(3, 2, specimen.d))
    if "Coregion" in name:
        X[..., 1] = X[..., 1] > 0.5
    mean, cov, *solves = posterior(moments, X)
    calls = {moments: (X,), moments_vjp: (X, mean, cov, *solves)}
    for build in (frozen_arrays, moments, moments_vjp, rows, rows_vjp, variances, variances_vjp):
        assert not functions.function(build).fallbacks, build.__name__
    for build, arrays in calls.items():
        inputs, outputs = build(functions.subject)
        slow = pytensor.function(inputs, outputs, mode=REFERENCE, on_unused_input="ignore")
        with np.errstate(all="ignore"):
            expected = slow(*arrays, *posterior.frozen)
        for got, reference in zip(posterior(build, *arrays), expected, strict=True):
            scale = max(1.0, np.abs(reference).max(initial=0))
            np.testing.assert_allclose(got / scale, reference / scale, **AGREEMENT)
