"""Adaptive importance sampling on densities that are known."""

import numpy as np
import pytest
from targets import BEND, LOG_EVIDENCE, Density, banana, normal, two_modes

from pymc_botorch.errors import OutOfTime
from pymc_botorch.inference.sampling.methods.adaptive import BASE_SHARE, FIRST_ROUNDS, adapt
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws

WIDE = normal(0, 4)
AIMED_AT = 2000
SCOUTS = (50, 20)
ERRORS = 4  # standard errors that an estimate may be off


def moments(draws: WeightedDraws) -> tuple[np.ndarray, np.ndarray]:
    weights = np.exp(draws.log_weights)
    mean = weights @ draws.unconstrained
    return mean, weights @ np.square(draws.unconstrained - mean)


class Counted:
    """A density that counts its evaluations, and runs out of time after some of them."""

    def __init__(self, density: Density, most: float = np.inf) -> None:
        self._density, self._most, self.count = density, most, 0

    def __call__(self, U: np.ndarray) -> np.ndarray:
        if self.count + len(U) > self._most:
            raise OutOfTime("The budget of 1 s has ended.")
        self.count += len(U)
        return self._density(U)


@pytest.mark.parametrize("scouts", [None, SCOUTS], ids=str)
def test_a_bent_ridge_has_its_moments_and_evidence(scouts: tuple[int, int] | None, rng: np.random.Generator) -> None:
    draws, k, _ = adapt(banana, normal(0, 1), WIDE, AIMED_AT, scouts, rng)
    assert k < 0.5
    assert draws.effective_size >= AIMED_AT
    mean, variance = moments(draws)
    expected = np.array([1.0, 2 * BEND**2 + 0.4**2])
    np.testing.assert_allclose(mean, 0, atol=ERRORS * np.sqrt(expected.max() / AIMED_AT))
    np.testing.assert_allclose(variance, expected, atol=ERRORS * 2 * expected.max() / np.sqrt(AIMED_AT))
    assert draws.log_evidence == pytest.approx(LOG_EVIDENCE, abs=ERRORS * draws.log_evidence_error)
    assert 0 < draws.log_evidence_error < 0.05


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_scouts_find_a_mode_that_no_climb_has(share: float, rng: np.random.Generator) -> None:
    target, begun = two_modes(7.0, share), normal(0, 0.5)
    begun = type(begun)(begun.centres - [7.0, 0.0], begun.roots, begun.shares)  # on the left mode
    draws, k, _ = adapt(target, begun, WIDE, AIMED_AT, SCOUTS, rng)
    assert k < 0.5
    assert np.exp(draws.log_weights) @ (draws.unconstrained[:, 0] > 0) == pytest.approx(share, abs=0.05)
    assert draws.log_evidence == pytest.approx(LOG_EVIDENCE, abs=ERRORS * draws.log_evidence_error)


def test_weights_are_over_the_average_of_all_rounds(rng: np.random.Generator) -> None:
    """Each round has the wide distribution's share, so that weights of a density below it are bounded."""
    draws, _, _ = adapt(lambda U: WIDE.log_density(U), normal(3, 0.1), WIDE, AIMED_AT, None, rng)
    ratios = draws.log_density - draws.log_proposal
    assert ratios.max() <= -np.log(BASE_SHARE) + 1e-9
    assert draws.log_evidence == pytest.approx(0, abs=ERRORS * draws.log_evidence_error)


def test_points_of_density_zero_have_no_weight(rng: np.random.Generator) -> None:
    def half(U: np.ndarray) -> np.ndarray:
        return np.where(U[:, 0] > 0, banana(U), -np.inf)

    draws, k, _ = adapt(half, normal(0, 1), WIDE, AIMED_AT, SCOUTS, rng)
    assert k < 0.7
    assert np.exp(draws.log_weights) @ (draws.unconstrained[:, 0] > 0) == pytest.approx(1)
    assert draws.log_evidence == pytest.approx(LOG_EVIDENCE - np.log(2), abs=ERRORS * draws.log_evidence_error)


def test_a_density_that_the_first_mixture_is_close_to_takes_few_evaluations(rng: np.random.Generator) -> None:
    alone, scouted = (Counted(normal(0.2, 1.1).log_density) for _ in range(2))
    adapt(alone, normal(0, 1), WIDE, 800, None, rng)
    adapt(scouted, normal(0, 1), WIDE, 800, SCOUTS, rng)
    assert alone.count == sum(FIRST_ROUNDS[:2]) < scouted.count


def test_where_time_ends_the_draws_so_far_are_kept(rng: np.random.Generator) -> None:
    ended = Counted(banana, most=sum(FIRST_ROUNDS[:2]))
    draws, _, _ = adapt(ended, normal(2, 1), WIDE, 10**6, None, rng)
    assert len(draws.log_weights) == sum(FIRST_ROUNDS[:2])
    assert draws.log_evidence == pytest.approx(LOG_EVIDENCE, abs=1)
    with pytest.raises(OutOfTime, match="The budget of 1 s has ended"):
        adapt(Counted(banana, most=10), normal(2, 1), WIDE, 10**6, None, rng)


@pytest.mark.parametrize("most", [sum(FIRST_ROUNDS), sum(FIRST_ROUNDS) + 500], ids=["before the scouts", "among the scouts"])
def test_where_the_scouts_have_no_time_the_draws_do_not_pass_for_searched(most: int, rng: np.random.Generator) -> None:
    draws, k, searched = adapt(Counted(banana, most), normal(0, 1), WIDE, 800, SCOUTS, rng)
    assert len(draws.log_weights) == sum(FIRST_ROUNDS)
    assert k < 0.7
    assert not searched
    assert adapt(banana, normal(0, 1), WIDE, 800, SCOUTS, rng).searched


def test_the_same_seed_gives_the_same_draws() -> None:
    one, two = (adapt(banana, normal(0, 1), WIDE, 500, SCOUTS, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(one.unconstrained, two.unconstrained)
    np.testing.assert_array_equal(one.log_weights, two.log_weights)
