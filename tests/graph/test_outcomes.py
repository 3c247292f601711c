"""Acquisition functions of the moments of several outcomes: their formula in NumPy, and what their graphs hold."""

import numpy as np
import pytest
from scipy.special import expit

from pymc_botorch.graph.acquisition import formulas
from pymc_botorch.graph.acquisition.outcomes import as_it_is, gradients, moments_graph, value
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.functions import compile_build


@pytest.mark.parametrize("has_constraints", [False, True])
@pytest.mark.parametrize("has_baseline", [False, True])
def test_moments_are_followed_without_a_fallback(has_baseline: bool, has_constraints: bool) -> None:
    graph = moments_graph(formulas.Q_LOG_EXPECTED_IMPROVEMENT, has_constraints=has_constraints, has_baseline=has_baseline)
    assert not compile_build(graph, gradients, "numpy").fallbacks  # type: ignore[attr-defined]


def test_improvement_beside_a_baseline_is_its_formula(rng: np.random.Generator) -> None:
    """Samples are ``mean + L z``, ``L`` the rows of the joint factor at new points; utilities are weighed by sigmoids."""
    m, b, r, q, s, k = 2, 3, 4, 2, 5, 3
    half = rng.standard_normal((m, b, r + q, 9))
    half[:, :, :r] = half[:, :1, :r]  # one baseline for all batches
    joint = half @ half.mT
    root = np.linalg.cholesky(joint)
    mean, z = rng.standard_normal((m, b, q)), rng.standard_normal((m, r + q, s))
    weights, best, slopes, intercepts = (rng.standard_normal(shape) for shape in (m, s, (k, m), k))

    samples = mean[..., None] + root[:, :, r:] @ z[:, None]
    improvement = np.maximum(0.5 + np.einsum("m,mbqs->bqs", weights, samples) - best, 0.0)
    slack = intercepts[:, None, None, None] + np.einsum("km,mbqs->kbqs", slopes, samples)
    expected = (improvement * expit(slack).prod(axis=0)).max(axis=1).mean(axis=-1)

    graph = moments_graph(formulas.Q_EXPECTED_IMPROVEMENT, has_constraints=True, has_baseline=True)
    moments = [mean, joint[:, :, r:, r:].copy(), joint[:, :, :r, r:].copy()]
    given = [np.zeros(m), z, root[:, 0, :r, :r].copy(), np.array(0.5), weights, best, slopes, intercepts]
    (found,) = compiled(graph, as_it_is)(value, *moments, *given)
    np.testing.assert_allclose(found, expected, rtol=1e-10)
