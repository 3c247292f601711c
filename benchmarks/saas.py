"""BoTorch's sparse-axis model as a PyMC model (from tests/, which ``make bench`` puts on the path), and as BoTorch has it."""

import botorch.models.fully_bayesian
import numpy as np
import torch
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from torch import Tensor
from zoo import saas

from pymc_botorch import FullyBayesianPyMCGP

PARAMETERS = ("lengthscale", "outputscale", "mean", "noise")


def data(n: int, d: int = 6) -> tuple[Tensor, Tensor]:
    """The first ``n`` of the same observations of a function of two inputs, standardised."""
    generator = torch.Generator().manual_seed(6)
    X = torch.rand(1000, d, dtype=torch.double, generator=generator)
    Y = (6 * X[:, :1]).sin() + X[:, 1:2] ** 2 + 0.1 * torch.randn(1000, 1, dtype=torch.double, generator=generator)
    return X[:n], (Y[:n] - Y[:n].mean()) / Y[:n].std()


def ours(n: int, d: int = 6) -> FullyBayesianPyMCGP:
    """An ensemble that is not fitted."""
    return FullyBayesianPyMCGP(*data(n, d), outcome_transform=None, build_gp=saas)


def theirs(n: int, d: int = 6) -> SaasFullyBayesianSingleTaskGP:
    """An ensemble that is not fitted."""
    return SaasFullyBayesianSingleTaskGP(*data(n, d))


def with_draws_of(model: FullyBayesianPyMCGP) -> SaasFullyBayesianSingleTaskGP:
    """BoTorch's ensemble with the draws of ours."""
    botorch.models.fully_bayesian.MIN_INFERRED_NOISE_LEVEL = 0.0  # PyMC's model has no floor
    draws = {name: torch.from_numpy(np.asarray(value)) for name, value in model.draws.items()}
    lengthscale = 1 / (draws["shrinkage"].unsqueeze(-1) * draws["relevance"]).sqrt()
    samples = {"lengthscale": lengthscale, **{name: draws[name] for name in ("outputscale", "mean", "noise")}}
    twin = SaasFullyBayesianSingleTaskGP(model.train_inputs[0], model.train_targets.unsqueeze(-1))
    twin.load_mcmc_samples(samples)
    return twin.eval()
