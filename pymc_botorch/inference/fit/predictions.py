"""What predictions depend on, at points of a hyperposterior: the function at some inputs, and the noise.

Hyperparameters may differ and mean the same: a weight and its negative, two exchangeable components, a rotation.
"""

__all__ = ["Predictions", "predictions_at", "probes"]

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.training_data import TrainingData

NUM_PROBES = 12
"""Number of training inputs, and of inputs elsewhere, at which functions are compared."""


class Predictions(NamedTuple):
    """Moments of a function at ``P`` inputs at ``S`` points of its hyperposterior, in the units of the gp.

    Attributes:
        mean: Of the noise-free function, ``S x P``.
        sd: Of the same, ``S x P``.
        noise: Standard deviation of the observation noise, the root of the mean variance over training observations, ``S``.
    """

    mean: np.ndarray
    sd: np.ndarray
    noise: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """Means, logarithms of sds and of the noise, ``S x F``; those that vary between points."""
        tiny = np.finfo(np.float64).tiny
        stacked = np.column_stack([self.mean, np.log(self.sd + tiny), np.log(self.noise + tiny)])
        return stacked[:, np.ptp(stacked, axis=0) > 1e-9 * np.abs(stacked).max(axis=0)]


def probes(X: np.ndarray) -> np.ndarray:
    """Return inputs at which functions are compared, ``P x d``: some training inputs, and others between them.

    The others combine columns of different training inputs, so that an index of a category stays one.
    """
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))[:NUM_PROBES]
    elsewhere = np.column_stack([rng.permutation(column)[:NUM_PROBES] for column in X.T])
    return np.unique(np.concatenate([X[rows], elsewhere]), axis=0)


def predictions_at(built: BuiltGP, data: TrainingData, points: Sequence[Mapping[str, np.ndarray]]) -> Predictions:
    """Return what is predicted at each of some points, given the data.

    Raises:
        FitError: If the training covariance cannot be factorised at one of them.
    """
    draws = {name: np.stack([point[name] for point in points]) for name in points[0]}
    fitted, _ = built.given(data, draws, len(points))
    at = probes(data.X)[:, None]  # P x 1 x d
    moments, noise = [], []
    for posterior in fitted.conditioned():
        mean, cov, _ = posterior.moments(at)
        moments.append((mean[:, 0], cov[:, 0, 0]))
        noise.append(posterior.noise.mean())
    means, variances = map(np.stack, zip(*moments, strict=True))
    return Predictions(means, np.sqrt(np.maximum(variances, 0.0)), np.sqrt(np.array(noise)))
