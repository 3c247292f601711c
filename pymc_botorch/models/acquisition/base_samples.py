"""The base samples that BoTorch takes, in its order: those of an acquisition function are fixed."""

__all__ = ["base_samples", "noisy_base_samples"]

import numpy as np
import torch
from botorch.acquisition import MCAcquisitionFunction, qLogNoisyExpectedImprovement
from botorch.sampling import IIDNormalSampler, SobolQMCNormalSampler
from botorch.sampling.get_sampler import get_sampler  # of botorch.sampling it may be the module: names are imported lazily

from pymc_botorch.models.acquisition.reading import models_of
from pymc_botorch.models.errors import UnsupportedModelError


def base_samples(acqf: MCAcquisitionFunction, q: int) -> np.ndarray:
    """Return base samples for ``q`` points and ``m`` outcomes: ``S x m x q x s``, or ``1 x m x q x s`` where draws share them.

    Raises:
        UnsupportedError: If the sampler is not one of normal base samples.
    """
    with torch.no_grad():
        X = models_of(acqf.model)[0].state.training.raw_X[:1].expand(1, q, -1)
        posterior = acqf.model.posterior(X, posterior_transform=acqf.posterior_transform)
        if acqf.sampler is None:
            acqf.sampler = get_sampler(posterior, sample_shape=acqf._default_sample_shape)
        sampler = acqf.sampler
        if not isinstance(sampler, SobolQMCNormalSampler | IIDNormalSampler) or len(sampler.sample_shape) != 1:
            raise UnsupportedModelError(f"Its sampler is a {type(sampler).__name__}. Pass a SobolQMCNormalSampler.")
        sampler._construct_base_samples(posterior)
    return _by_outcome(acqf, q)


def noisy_base_samples(acqf: qLogNoisyExpectedImprovement, q: int) -> np.ndarray:
    """Return those for the baseline of ``r`` points and ``q`` new ones: ``S x m x (r + q) x s``."""
    with torch.no_grad():
        X = torch.cat([acqf.X_baseline, acqf.X_baseline[:1].expand(q, -1)]).unsqueeze(0)
        posterior = acqf.model.posterior(X, posterior_transform=acqf.posterior_transform)
        acqf._set_sampler(q_in=q, posterior=posterior)
    return _by_outcome(acqf, X.shape[-2])


def _by_outcome(acqf: MCAcquisitionFunction, q: int) -> np.ndarray:
    """Return the base samples that a sampler keeps for ``q`` points."""
    m = 1 if acqf.posterior_transform is not None else len(models_of(acqf.model))  # a scalarized posterior has one outcome
    z = acqf.sampler.base_samples.detach().to(torch.float64)  # s x ... x q, of several outcomes s x ... x q x m
    return np.ascontiguousarray(z.reshape(len(z), -1, q, m).permute(1, 3, 2, 0).numpy())
