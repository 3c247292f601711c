"""Mixtures of Student-t distributions: their density and draws against SciPy's, and their fit to weighted draws."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

from pymc_botorch.inference.sampling.methods.mixture import DEGREES_OF_FREEDOM, SCALE, Mixture, joined, log_sum

EXACT = 1e-7  # a root has a ridge of 1e-9
NU = DEGREES_OF_FREEDOM
VARIANCE = NU / (NU - 2)  # of a component, in its squared scales
SHARES = np.array([0.25, 0.75])
CENTRES = np.array([[-4.0, 1.0, 0.0], [5.0, -2.0, 0.5]])


@pytest.fixture
def squares(rng: np.random.Generator) -> np.ndarray:
    """Squared scales of two components of three numbers."""
    roots = rng.normal(size=(2, 3, 3))
    return roots @ roots.transpose(0, 2, 1) + 0.3 * np.eye(3)


@pytest.fixture
def mixture(squares: np.ndarray) -> Mixture:
    return Mixture.of_covariances(CENTRES, squares, 8 * SHARES)


def moments(mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the mixture."""
    shares = mixture.shares / mixture.shares.sum()
    mean = shares @ mixture.centres
    offsets = mixture.centres - mean
    own = VARIANCE * np.einsum("k,kij,klj->il", shares, mixture.roots, mixture.roots)
    return mean, own + np.einsum("k,ki,kj->ij", shares, offsets, offsets)


@pytest.mark.parametrize("count", [1, 7, 2300], ids=lambda count: f"{count} points")
def test_the_density_is_that_of_scipy(count: int, mixture: Mixture, squares: np.ndarray, rng: np.random.Generator) -> None:
    U = 6 * rng.normal(size=(count, 3))
    own = [multivariate_t(c, S, df=NU).logpdf(U).reshape(-1) for c, S in zip(CENTRES, squares, strict=True)]
    parts = np.log(SHARES)[:, None] + np.array(own)
    np.testing.assert_allclose(mixture.log_parts(U), parts, rtol=EXACT, atol=EXACT)
    np.testing.assert_allclose(mixture.log_density(U), logsumexp(parts, axis=0), rtol=EXACT, atol=EXACT)


def test_draws_are_those_of_scipy_and_each_component_has_its_share(
    mixture: Mixture, squares: np.ndarray, rng: np.random.Generator
) -> None:
    draws = mixture.draw(40_000, rng)
    assert draws.shape == (40_000, 3)
    reference = multivariate_t(np.zeros(3), np.eye(3), df=NU).rvs(200_000, random_state=1)
    quartiles = np.quantile(np.square(reference).sum(1), (0.25, 0.5, 0.75))
    first = int(SHARES[0] * 40_000)  # components come one after another, whole numbers of draws each
    for k, own in enumerate((draws[:first], draws[first:])):
        np.testing.assert_allclose(np.median(own, axis=0), CENTRES[k], atol=0.1)
        standard = np.linalg.solve(np.linalg.cholesky(squares[k]), (own - CENTRES[k]).T)
        np.testing.assert_allclose(np.quantile(np.square(standard).sum(0), (0.25, 0.5, 0.75)), quartiles, rtol=0.06)
        np.testing.assert_allclose(np.corrcoef(np.sign(standard)), np.eye(3), atol=0.04)


def test_draws_have_the_moments_of_the_mixture(mixture: Mixture, rng: np.random.Generator) -> None:
    draws = mixture.draw(200_000, rng)
    mean, covariance = moments(mixture)
    np.testing.assert_allclose(draws.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.05 * covariance.max())


def test_a_mixture_moves_to_two_normals_far_apart(rng: np.random.Generator) -> None:
    centres, covariance = np.array([[-6.0, 0.0], [6.0, 2.0]]), np.array([[1.0, 0.7], [0.7, 0.8]])
    mixture = Mixture.of_covariances(np.array([[-2.0, 3.0], [3.0, -3.0]]), np.stack(2 * [16 * np.eye(2)]), np.ones(2))
    for _ in range(12):
        U = mixture.draw(3000, rng)
        target = logsumexp(
            [np.log(s) + multivariate_normal.logpdf(U, c, covariance) for s, c in zip((0.3, 0.7), centres, strict=True)], 0
        )
        log_weights = target - mixture.log_density(U)
        mixture = mixture.refitted(U, log_weights - logsumexp(log_weights))
    np.testing.assert_allclose(mixture.centres, centres, atol=0.2)
    np.testing.assert_allclose(mixture.shares, (0.3, 0.7), atol=0.03)
    np.testing.assert_allclose(mixture.roots @ mixture.roots.transpose(0, 2, 1), SCALE * np.stack(2 * [covariance]), atol=0.2)


def test_parts_that_are_known_give_the_same_fit(mixture: Mixture, rng: np.random.Generator) -> None:
    U = mixture.draw(500, rng)
    weights = rng.normal(size=500)
    weights -= logsumexp(weights)
    one, two = mixture.refitted(U, weights), mixture.refitted(U, weights, mixture.log_parts(U))
    np.testing.assert_array_equal(one.centres, two.centres)
    np.testing.assert_array_equal(one.roots, two.roots)


def test_a_component_with_hardly_any_weight_is_dropped_and_one_of_few_draws_keeps_its_scale(rng: np.random.Generator) -> None:
    far = Mixture.of_covariances(np.array([[0.0], [500.0]]), np.ones((2, 1, 1)), np.ones(2))
    U = rng.normal(size=(300, 1))
    assert len(far.refitted(U, np.full(300, -np.log(300))).shares) == 1
    one = Mixture.of_covariances(np.zeros((1, 2)), 4 * np.eye(2)[None], np.ones(1))
    same = one.refitted(np.ones((1, 2)), np.zeros(1))  # one draw: a trust of 1 in 5
    np.testing.assert_allclose(same.centres[0], 0.2)
    np.testing.assert_allclose(same.roots[0] @ same.roots[0].T, 0.8 * 4 * np.eye(2), atol=EXACT)


def test_two_halves_have_the_mean_and_covariance_of_what_was_split(mixture: Mixture) -> None:
    halves = mixture.split()
    assert len(halves.shares) == 4
    for before, after in zip(moments(mixture), moments(halves), strict=True):
        np.testing.assert_allclose(after, before, atol=EXACT)
    assert (np.linalg.norm(halves.roots, axis=(1, 2)) < np.repeat(np.linalg.norm(mixture.roots, axis=(1, 2)), 2)).all()


def test_mixtures_are_joined_with_their_shares(mixture: Mixture, rng: np.random.Generator) -> None:
    other = Mixture.of_covariances(np.ones((1, 3)), np.eye(3)[None], np.ones(1))
    U = rng.normal(size=(20, 3))
    expected = np.log(0.4 * np.exp(mixture.log_density(U)) + 0.6 * np.exp(other.log_density(U)))
    np.testing.assert_allclose(joined((0.4, mixture), (0.6, other)).log_density(U), expected, rtol=EXACT)


def test_a_covariance_that_rounding_made_singular_has_a_root() -> None:
    flat = Mixture.of_covariances(np.zeros((1, 2)), np.array([[[1.0, 1 + 1e-12], [1 + 1e-12, 1.0]]]), np.ones(1))
    assert np.isfinite(flat.log_density(np.ones((3, 2)))).all()
    empty = Mixture.of_covariances(np.zeros((1, 2)), np.diag([1.0, 0.0])[None], np.ones(1))
    assert np.isfinite(empty.log_density(np.zeros((1, 2)))).all()


def test_sums_of_logs_are_scipys_also_where_nothing_is_finite(rng: np.random.Generator) -> None:
    values = rng.normal(size=(3, 50)) * 400
    values[0, :10] = -np.inf
    values[:, 3] = -np.inf
    np.testing.assert_allclose(log_sum(values), logsumexp(values, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(log_sum(values[:1]), values[0])
    assert log_sum(values[:, 20]) == pytest.approx(logsumexp(values[:, 20]))
