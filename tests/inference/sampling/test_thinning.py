"""A few draws that stand for all: their moments, and where they are evenly spaced instead."""

from collections.abc import Sequence

import numpy as np
import pytest
from quadrature import raw_data, two

from pymc_botorch.errors import FitError
from pymc_botorch.inference.build import build
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.predictions import predictions_at
from pymc_botorch.inference.sampling import thinning
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws, select
from pymc_botorch.inference.sampling.methods.mixture import Mixture
from pymc_botorch.inference.sampling.thinning import MAX_CHOSEN, choose
from pymc_botorch.inference.training_data import TrainingData

COUNT = 16
CLOSER = 4  # how many times as close moments are at least


@pytest.fixture(scope="module")
def density() -> Density:
    X, Y = raw_data(4)  # few, so that draws differ in what they predict
    data = TrainingData(X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy())
    return Density(build(two, data), data, "numpy", jacobian=True)


@pytest.fixture(scope="module")
def draws(density: Density) -> WeightedDraws:
    wide = Mixture.of_covariances(np.array([[-1.0, -2.0]]), np.diag([0.5, 0.8])[None], np.ones(1))
    U = wide.draw(3000, np.random.default_rng(0))
    return WeightedDraws.unweighted(U, wide.log_density(U), log_normaliser=0.0).reweighted(density.at_all(U))[0]


def moments(density: Density, draws: WeightedDraws, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the function, and its second moment, over some draws."""
    predicted = predictions_at(density.built, density.data, [density.constrained(draws.unconstrained[i]) for i in chosen])
    return predicted.mean.mean(0), (np.square(predicted.mean) + np.square(predicted.sd)).mean(0)


def test_the_moments_of_chosen_draws_are_much_closer_than_by_chance(density: Density, draws: WeightedDraws) -> None:
    every = moments(density, draws, select(draws.log_weights, 400))
    chosen = moments(density, draws, choose(density, draws, COUNT))
    some = np.random.default_rng(1).choice(len(draws.log_weights), size=(20, COUNT), p=np.exp(draws.log_weights))
    by_chance = [moments(density, draws, indices) for indices in some]
    for whole, ours, theirs in zip(every, chosen, zip(*by_chance, strict=True), strict=True):
        typical = np.sqrt(np.mean([np.square(one - whole).sum() for one in theirs]))
        assert CLOSER * np.linalg.norm(ours - whole) < typical


def test_draws_of_no_weight_are_not_chosen(density: Density, draws: WeightedDraws) -> None:
    chosen = choose(density, draws, COUNT)
    assert chosen.shape == (COUNT,)
    assert draws.log_weights[chosen].min() > np.log(1e-3 / len(draws.log_weights))


def test_the_same_draws_give_the_same_choice(density: Density, draws: WeightedDraws) -> None:
    np.testing.assert_array_equal(choose(density, draws, COUNT), choose(density, draws, COUNT))


def test_many_draws_are_evenly_spaced(density: Density, draws: WeightedDraws) -> None:
    np.testing.assert_array_equal(choose(density, draws, MAX_CHOSEN + 1), select(draws.log_weights, MAX_CHOSEN + 1))
    assert not np.array_equal(choose(density, draws, MAX_CHOSEN), select(draws.log_weights, MAX_CHOSEN))


def test_one_draw_and_a_single_candidate_can_be_kept(density: Density, draws: WeightedDraws) -> None:
    (one,) = choose(density, draws, 1)
    assert 0 <= one < len(draws.log_weights)
    alone = draws.some(np.array([7]))
    np.testing.assert_array_equal(choose(density, alone, 3), [0, 0, 0])


def test_hyperparameters_are_matched_where_predictions_fail(
    density: Density, draws: WeightedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise FitError("The training covariance cannot be factorised.")

    monkeypatch.setattr(thinning, "predictions_at", fails)
    chosen, spaced = choose(density, draws, COUNT), select(draws.log_weights, COUNT)
    U, mean = draws.unconstrained, np.exp(draws.log_weights) @ draws.unconstrained
    assert CLOSER * np.linalg.norm(U[chosen].mean(0) - mean) < np.linalg.norm(U[spaced].mean(0) - mean)
