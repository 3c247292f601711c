"""Importance weights: the sign of Pareto smoothing, the modes of known densities, and the selection of draws."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from pymc_botorch.errors import FitError
from pymc_botorch.inference.fit.starts import Start
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws, effective_size, find_problem, select, weigh
from pymc_botorch.inference.sampling.methods.laplace import modes


class Known(NamedTuple):
    """A mixture of two normal densities, with its gradient by differences."""

    centres: tuple[float, ...]
    support: np.ndarray

    def at_all(self, u: np.ndarray) -> np.ndarray:
        cov = np.array([[1.0, 0.6], [0.6, 0.5]])
        parts = [multivariate_normal.logpdf(u, [c, -c], cov) - 0.5 * i for i, c in enumerate(self.centres)]
        return logsumexp(parts, axis=0)

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        steps = 1e-6 * np.eye(2)
        return float(self.at_all(u)), (self.at_all(u + steps) - self.at_all(u - steps)) / 2e-6


def weighted(density: Any, at_all: Callable[[np.ndarray], np.ndarray], starts: list[Start]) -> tuple[WeightedDraws, float]:
    """Return draws from the mixture of the modes, weighted."""
    mixture = modes(density, starts, maxiter=200)
    U = mixture.draw(4000, np.random.default_rng(1))
    draws = WeightedDraws.unweighted(U, mixture.log_density(U), log_normaliser=0.0)
    return draws.reweighted(at_all(U))


def test_smoothed_weights_turn_a_wide_proposal_into_the_target(rng: np.random.Generator) -> None:
    x = rng.normal(0, 1.5, size=20_000)
    log_weights, k = weigh(norm.logpdf(x) - norm.logpdf(x, scale=1.5))
    assert np.exp(log_weights) @ x**2 == pytest.approx(1.0, abs=0.03)  # 18 where the sign is wrong
    assert k < 0.5
    assert logsumexp(log_weights) == pytest.approx(0, abs=1e-12)


def test_a_proposal_that_misses_the_tail_is_found_out(rng: np.random.Generator) -> None:
    x = rng.normal(0, 0.3, size=2000)
    log_weights, k = weigh(norm.logpdf(x) - norm.logpdf(x, scale=0.3))
    assert k > 0.7
    assert "Pareto k" in str(find_problem(k, effective_size(log_weights), 2000))


def test_weights_at_the_edge(rng: np.random.Generator) -> None:
    equal, k = weigh(np.full(50, -3.0))
    np.testing.assert_allclose(equal, -np.log(50))
    assert (k, effective_size(equal)) == (0.0, pytest.approx(50))
    _, k = weigh(np.full(50, -np.inf))
    assert k == np.inf
    ratios = rng.normal(size=200)
    ratios[3] = -np.inf
    log_weights, _ = weigh(ratios)
    assert np.exp(log_weights[3]) < 1e-300
    assert find_problem(0.1, 399, 2000) == "there are 399 effective draws, fewer than 400"
    assert find_problem(0.4, 500, 30) is not None  # 1 - 1 / log10(30) is 0.32
    assert find_problem(np.inf, 1, 1) == "there are only 1 draws"
    equal, k = weigh(1e-9 * rng.standard_cauchy(size=200))  # rounding
    assert k == 0
    assert find_problem(0.65, 500, 2000) is None


def test_equal_draws_are_selected_evenly_and_others_by_weight() -> None:
    np.testing.assert_array_equal(select(np.full(12, -np.log(12)), 4), [1, 4, 7, 10])
    np.testing.assert_array_equal(select(np.full(12, -np.log(12)), 12), np.arange(12))
    chosen = select(np.log([0.5, 0.25, 0.125, 0.125]), 8)
    np.testing.assert_array_equal(np.bincount(chosen), [4, 2, 1, 1])


def test_laplace_finds_both_modes_and_their_weights() -> None:
    density = Known((-3.0, 3.0), np.zeros(2))
    starts = [Start("here", np.array([c, -c]) + 0.2) for c in (-3.0, 3.0, -2.9)]
    draws, k = weighted(density, density.at_all, starts)
    weights = np.exp(draws.log_weights)
    share = 1 / (1 + np.exp(-0.5))
    assert weights @ (draws.unconstrained[:, 0] < 0) == pytest.approx(share, abs=0.03)
    assert weights @ draws.unconstrained[:, 0] == pytest.approx(-3 * share + 3 * (1 - share), abs=0.15)
    assert k < 0.5
    assert draws.effective_size > 1500
    assert draws.log_evidence == pytest.approx(np.log(1 + np.exp(-0.5)), abs=4 * draws.log_evidence_error)


def test_laplace_keeps_a_low_mode_of_large_mass() -> None:
    """Of ten dimensions: a mode with a third of the sd is 11 higher at the same mass."""
    centres, sds = np.array([-3.0, 3.0]), np.array([0.15, 1.0])

    def density(u: np.ndarray) -> tuple[float, np.ndarray]:
        parts = [norm.logpdf(u, c, s).sum() for c, s in zip(centres, sds, strict=True)]
        shares = np.exp(parts - logsumexp(parts))
        return float(logsumexp(parts)), sum(w * (c - u) / s**2 for w, c, s in zip(shares, centres, sds, strict=True))

    density.support = np.zeros(10)  # type: ignore[attr-defined]
    starts = [Start("here", np.full(10, c + 0.05)) for c in centres]
    draws, k = weighted(density, lambda U: np.array([density(u)[0] for u in U]), starts)
    assert np.exp(draws.log_weights) @ (draws.unconstrained[:, 0] > 0) == pytest.approx(0.5, abs=0.05)
    assert k < 0.7


def test_draws_are_weighed_anew_as_they_were_first_made(rng: np.random.Generator) -> None:
    x = rng.normal(size=(4000, 1))
    first = WeightedDraws.unweighted(x, norm.logpdf(x[:, 0]), efficiency=0.5)
    assert first.effective_size == pytest.approx(2000)
    second, _ = first.reweighted(norm.logpdf(x[:, 0], 0.3))
    third, _ = second.reweighted(norm.logpdf(x[:, 0], 0.6, 0.9))
    direct, _ = first.reweighted(norm.logpdf(x[:, 0], 0.6, 0.9))
    np.testing.assert_array_equal(third.log_weights, direct.log_weights)
    assert np.exp(third.log_weights) @ x[:, 0] == pytest.approx(0.6, abs=0.07)
    assert third.effective_size < first.effective_size


def test_laplace_says_that_no_start_is_finite() -> None:
    def nowhere(u: np.ndarray) -> tuple[float, np.ndarray]:
        return -np.inf, np.zeros_like(u)

    with pytest.raises(FitError, match="None of 1 starts"):
        modes(nowhere, [Start("here", np.zeros(2))], maxiter=10)  # type: ignore[arg-type]
