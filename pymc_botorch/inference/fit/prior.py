"""Prior of a built gp's parameters: its mode, where most of it is, and where in it a point is."""

__all__ = ["Prior", "prior_quantiles", "read_prior"]

import weakref
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.density import Density, flatten
from pymc_botorch.inference.fit.optimise import FLAT_CHANGE, climb

NUM_DRAWS = 200
"""Number of draws from the prior, whose quantiles are taken."""
ONE_SD = 0.159
"""Probability below one sd under the centre of a normal distribution."""


class Prior(NamedTuple):
    """Where the prior of each of ``D`` unconstrained numbers is.

    Attributes:
        mode: The point of highest density on the constrained scale, or PyMC's initial point where there is none, or where priors
            depend on the data.
        centre: Medians.
        below: Distances from the median to the quantile that is one sd below the centre of a normal distribution.
        above: The same above it. Both are zero for an improper prior.
        draws: Draws of each parameter on its constrained scale, ``200 x ...`` by name; improper priors have none.
    """

    mode: np.ndarray
    centre: np.ndarray
    below: np.ndarray
    above: np.ndarray
    draws: Mapping[str, np.ndarray]

    @property
    def spread(self) -> np.ndarray:
        """Half the distance between the quantiles; one for an improper prior."""
        half = (self.below + self.above) / 2
        return np.where(half > 0, half, 1.0)


_known: weakref.WeakKeyDictionary[BuiltGP, Prior] = weakref.WeakKeyDictionary()


def read_prior(density: Density) -> Prior:
    """Return the prior of a density's parameters, known for its builder unless it depends on the data."""
    if (known := _known.get(density.built)) is not None:
        return known
    scales = density.built.scales
    U = np.stack([flatten(drawn) for drawn in scales.draws(NUM_DRAWS, 0, density.values)])
    U = np.where(np.isfinite(U), U, density.support)
    low, centre, high = np.quantile(U, (ONE_SD, 0.5, 1 - ONE_SD), axis=0)
    points = [density.constrained(u) for u in U]
    draws = {name: np.stack([point[name] for point in points]) for name in scales.names if name in scales.proper}
    mode = density.support if scales.priors_need_data else _mode(density.without_data())
    prior = Prior(mode, centre, centre - low, high - centre, draws)
    if not scales.priors_need_data:
        _known[density.built] = prior
    return prior


def prior_quantiles(prior: Prior, point: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the share of the prior of each number that is below it at a point, by name; improper priors are left out.

    It is a share of 200 draws, of which those that are equal to it count half.
    """
    return {
        name: ((draws < point[name]).mean(0) + (draws <= point[name]).mean(0)) / 2
        for name, draws in prior.draws.items()
        if np.isfinite(point[name]).all()
    }


def _mode(prior: Density) -> np.ndarray:
    """Return the mode of a density without data; of a number along which it is flat, PyMC's initial point."""
    mode = climb(prior, prior.support, maxiter=100).u
    slope = prior(mode)[1]
    ran_off = []
    for i, reached in enumerate(mode):
        ahead = mode.copy()
        ahead[i] += np.sign(reached - prior.support[i]) or 1.0
        ran_off.append(abs(prior(ahead)[1][i] - slope[i]) < FLAT_CHANGE)  # no curvature: it ran off, or never moved
    return np.where(ran_off, prior.support, mode)
