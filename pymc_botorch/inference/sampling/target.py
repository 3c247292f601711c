"""What a fit draws from, its options, and the distributions that methods begin with."""

__all__ = ["Target"]

from dataclasses import dataclass

import numpy as np

from pymc_botorch.inference.fit.budget import Budget
from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.fit.prior import read_prior
from pymc_botorch.inference.fit.starts import starts, step_off
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.inference.sampling.methods.laplace import modes
from pymc_botorch.inference.sampling.methods.mixture import Mixture
from pymc_botorch.inference.sampling.options import SamplingOptions
from pymc_botorch.inference.training_data import TrainingData

WIDENED = 1.5
"""Scale of the wide distribution, in prior sds."""
WIDENED_MODES = 3.0
"""The same of improper priors, in sds of the modes."""


@dataclass(frozen=True)
class Target:
    """What a fit draws from, and its options.

    Attributes:
        density: Log posterior density with Jacobian.
        data: Its training data.
        options: Options of the methods.
        budget: The time there is.
        points: Unconstrained points to begin at: those of a warm start.
        old: Draws of a warm start, of the same parameters.
    """

    density: Density
    data: TrainingData
    options: SamplingOptions
    budget: Budget
    points: list[np.ndarray]
    old: WeightedDraws | None

    def rng(self, *method: int) -> np.random.Generator:
        """Return a method's own source of random numbers, the same at each call."""
        return np.random.default_rng([self.options.seed, *method])

    def modes(self) -> Mixture:
        """Return the mixture of the modes, climbed to from the warm start, the mode of the prior and its draws.

        Raises:
            FitError: If the density is finite at none of the starts.
        """
        density, options = self.density, self.options
        prior = read_prior(density)
        warm = [step_off(density, prior, u) for u in self.points[:1]]
        others = starts(density, prior, None, max(options.num_starts - len(warm), 0), options.seed)
        return modes(density, [*warm, *others], options.maxiter)

    def wide(self, first: Mixture | None = None) -> Mixture:
        """Return a wide distribution about the prior; where a prior is improper, about the modes, if they are given."""
        density = self.density
        prior = read_prior(density)
        centre, scale = prior.centre, WIDENED * prior.spread
        improper = np.isin(density.names, density.built.scales.improper)
        if first is not None and improper.any():
            middle = first.shares @ first.centres
            variances = np.square(first.roots).sum(2) + np.square(first.centres - middle)
            sds = np.sqrt(first.shares @ variances)
            centre, scale = np.where(improper, middle, centre), np.where(improper, WIDENED_MODES * sds, scale)
        return Mixture.of_covariances(centre[None], np.diag(np.square(scale))[None], np.ones(1))
