"""Tempered SMC on densities that are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from targets import BEND, LOG_EVIDENCE, Density, banana, normal, two_modes

from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.inference.sampling.methods.smc import Population, temper

WIDE = normal(0, 4)
RUNS = 12
SLANT = np.sqrt(2) * BEND / np.sqrt(2 * BEND**2 + 0.4**2)  # correlation of the second number with the square of the first


def runs(density: Density, ancestors: int = 50, length: int = 20, count: int = RUNS) -> list[Population]:
    return [temper(density, WIDE, ancestors, length, np.random.default_rng(seed)) for seed in range(count)]


def test_a_bent_ridge_has_its_moments() -> None:
    U = np.concatenate([run.unconstrained.reshape(-1, 2) for run in runs(banana)])
    assert U.shape == (RUNS * 1000, 2)
    np.testing.assert_allclose(U.mean(0), 0, atol=0.1)
    np.testing.assert_allclose(U.var(0), [1.0, 2 * BEND**2 + 0.4**2], rtol=0.15)
    assert np.corrcoef(np.square(U[:, 0]), U[:, 1])[0, 1] == pytest.approx(SLANT, abs=0.08)


@pytest.mark.parametrize("density", [banana, two_modes(5.0, 0.3)], ids=["banana", "two modes"])
def test_the_evidence_is_that_of_the_density(density: Density) -> None:
    estimates = np.exp([run.log_evidence - LOG_EVIDENCE for run in runs(density)])
    error = estimates.std(ddof=1) / np.sqrt(RUNS)
    assert estimates.mean() == pytest.approx(1, abs=4 * error)
    assert error < 0.1


def test_modes_have_their_weights_and_no_climb_has_found_them() -> None:
    found = runs(two_modes(5.0, 0.3))
    weights = np.exp([run.log_evidence for run in found])
    share = weights @ [(run.unconstrained[..., 0] > 0).mean() for run in found] / weights.sum()
    assert share == pytest.approx(0.3, abs=0.08)


def test_the_density_of_each_draw_is_told_and_the_base_may_be_the_posterior(rng: np.random.Generator) -> None:
    population = temper(banana, WIDE, 20, 10, rng)
    assert population.unconstrained.shape == (20, 10, 2)
    np.testing.assert_allclose(population.log_density.ravel(), banana(population.unconstrained.reshape(-1, 2)))
    same = temper(lambda U: WIDE.log_density(U) + 2, WIDE, 20, 10, rng)
    assert same.log_evidence == pytest.approx(2)


def test_points_of_density_zero_are_left_behind(rng: np.random.Generator) -> None:
    def half(U: np.ndarray) -> np.ndarray:
        return np.where(U[:, 0] > 0, banana(U), -np.inf)

    population = temper(half, WIDE, 100, 20, rng)
    assert (population.unconstrained[..., 0] > 0).all()
    assert np.isfinite(population.log_density).all()
    assert population.log_evidence == pytest.approx(LOG_EVIDENCE - np.log(2), abs=0.4)


def test_a_density_that_is_finite_nowhere_is_an_error(rng: np.random.Generator) -> None:
    with pytest.raises(FitError, match="None of 200 points around the prior has a finite log density"):
        temper(lambda U: np.full(len(U), -np.inf), WIDE, 20, 10, rng)


def test_a_density_far_sharper_than_the_base_is_reached(rng: np.random.Generator) -> None:
    population = temper(lambda U: multivariate_normal.logpdf(U, np.ones(2), 1e-8 * np.eye(2)), WIDE, 100, 25, rng)
    np.testing.assert_allclose(np.median(population.unconstrained, axis=(0, 1)), 1, atol=1e-4)
    assert population.log_evidence == pytest.approx(0, abs=1.5)


def test_where_time_ends_is_an_error(rng: np.random.Generator) -> None:
    calls = []

    def slow(U: np.ndarray) -> np.ndarray:
        calls.append(len(U))
        if len(calls) > 5:
            raise OutOfTime("The budget of 1 s has ended.")
        return banana(U)

    with pytest.raises(OutOfTime, match="has ended"):
        temper(slow, WIDE, 20, 10, rng)
