"""What the benchmark of knowledge of shape is run on: truths that rise, data, and both surrogates with the same priors.

The priors are those of the library's default model, which is BoTorch's: a squared exponential of variance one for standardised
outcomes, dimension-scaled lengthscales, a flat mean, a prior on the noise variance. They know nothing of these truths.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import torch
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP
from pymc_botorch.shape import MonotoneGP

GRID = np.linspace(0, 1, 101)[:, None]
NUM_SITES = 15
SITES = np.linspace(0, 1, NUM_SITES)[:, None]
"""Of one input; of two, the default 7 x 7."""
Truth = Callable[[np.ndarray], np.ndarray]
"""``N`` inputs to ``N`` values, from about 0 to about 1 over the unit interval."""

TRUTHS: dict[str, Truth] = {
    "steep sigmoid": lambda x: 1 / (1 + np.exp(-20 * (x - 0.5))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-10 * (x - 0.5))),
    "sigmoid without plateaus": lambda x: 1 / (1 + np.exp(-6 * (x - 0.5))),
    "saturating": lambda x: (1 - np.exp(-3 * x)) / (1 - np.exp(-3)),
    "linear": lambda x: x,
    "logarithm": lambda x: np.log1p(20 * x) / np.log(21),
}


class Case(NamedTuple):
    """A truth, the number of observations, the sd of their noise, and whether they are evenly spaced or at random."""

    truth: str
    n: int
    noise: float
    even: bool = True

    @property
    def text(self) -> str:
        """The case in words."""
        return f"{self.truth}, n = {self.n}, noise {self.noise:g}, {'even' if self.even else 'random'}"


THE_CASE = Case("steep sigmoid", 12, 0.1)
"""The issue's: "1-d sigmoid, n = 12, sd 0.1"."""
CASES = (
    THE_CASE,
    Case("steep sigmoid", 12, 0.1, even=False),
    Case("sigmoid", 12, 0.1),
    Case("sigmoid without plateaus", 12, 0.1),
    Case("saturating", 12, 0.1),
    Case("linear", 12, 0.1),
    Case("logarithm", 12, 0.1),
    Case("saturating", 6, 0.1),
    Case("sigmoid", 12, 0.3),
    Case("saturating", 12, 0.3),
)


class RisingGP(FullyBayesianPyMCGP):
    """The default model of a function that rises in all inputs."""

    def build_gp(self, X: pt.TensorVariable, y: pt.TensorVariable) -> MonotoneGP:
        """Build the gp."""
        d = X.type.shape[1]
        mean, cov, sd = _priors(d)
        gp = MonotoneGP(mean_func=mean, cov_func=cov, increasing=list(range(d)))
        gp.marginal_likelihood("observed", X, y, sigma=sd, at=SITES if d == 1 else None)
        return gp


class PlainGP(PyMCGP):
    """The same model without knowledge of shape."""

    def build_gp(self, X: pt.TensorVariable, y: pt.TensorVariable) -> pm.gp.Marginal:
        """Build the gp."""
        mean, cov, sd = _priors(X.type.shape[1])
        gp = pm.gp.Marginal(mean_func=mean, cov_func=cov)
        gp.marginal_likelihood("observed", X, y, sigma=sd)
        return gp


def observe(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Return the data set of a seed: inputs ``n x 1`` and outcomes ``n x 1``."""
    rng = np.random.default_rng([18, seed])
    x = np.linspace(0, 1, case.n) if case.even else np.sort(rng.random(case.n))
    y = TRUTHS[case.truth](x) + case.noise * rng.normal(size=case.n)
    return torch.from_numpy(x).unsqueeze(-1), torch.from_numpy(y).unsqueeze(-1)


def mean_of(model: FullyBayesianPyMCGP | PyMCGP, points: np.ndarray) -> np.ndarray:
    """Return the posterior mean at points, over draws if there are any."""
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(points))
        mean = posterior.mixture_mean if isinstance(model, FullyBayesianPyMCGP) else posterior.mean
    return mean[:, 0].numpy()


def _priors(d: int) -> tuple[pm.gp.mean.Mean, pm.gp.cov.Covariance, pt.TensorVariable]:
    """Return mean, covariance and sd of the noise."""
    lengthscale = pm.LogNormal("lengthscale", np.sqrt(2) + np.log(d) / 2, np.sqrt(3), shape=d)
    sd = pt.sqrt(pm.LogNormal("noise", -4, 1))
    return pm.gp.mean.Constant(pm.Flat("mean")), pm.gp.cov.ExpQuad(d, ls=lengthscale), sd
