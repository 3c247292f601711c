"""What stands for the likelihood and the kernel of a GPyTorch model where BoTorch and Ax look for them."""

__all__ = ["NOT_GAUSSIAN", "LatentLikelihood", "Lengthscales", "gaussian_likelihood"]

from typing import Any, NamedTuple, NoReturn

import torch
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood, Likelihood
from gpytorch.settings import min_fixed_noise
from torch import Tensor

from pymc_botorch.models.errors import UnsupportedModelError

NOT_GAUSSIAN = (
    "The gp is latent: its outcomes are not the function plus Gaussian noise, and new ones would change how probable each draw "
    "of the function is. Take posterior(X) of the function, with the response as an objective; to add observations sample the "
    "PyMC model with all of them."
)


class Lengthscales(NamedTuple):
    """What Ax reads of a GPyTorch kernel for its feature importances, and nothing else of one.

    Attributes:
        lengthscale: ``1 x d``, of draws ``S x 1 x d``; see :func:`pymc_botorch.inference.lengthscales.effective_lengthscales`.
    """

    lengthscale: Tensor


class LatentLikelihood(Likelihood):
    """The likelihood of a latent gp: there, because ``ModelListGP`` asks for one, and refused wherever it is used."""

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be evaluated."""
        raise UnsupportedModelError(NOT_GAUSSIAN)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be evaluated."""
        raise UnsupportedModelError(NOT_GAUSSIAN)


def gaussian_likelihood(noise: Tensor, *, known: bool) -> GaussianLikelihood | FixedNoiseGaussianLikelihood:
    """Return GPyTorch's likelihood with this noise variance, in the units of the gp, as BoTorch reads it."""
    if known:
        with min_fixed_noise(double_value=0.0):  # PyMC takes noise as it is
            likelihood = FixedNoiseGaussianLikelihood(noise=noise)
        likelihood.register_parameter(
            "unused", torch.nn.Parameter(torch.zeros(0, dtype=torch.float64))
        )  # Ax asks for dtype, device
    else:
        likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.0, transform=None), batch_shape=noise.shape).double()
        likelihood.noise_covar.raw_noise.data.copy_(noise.unsqueeze(-1))
    return likelihood.requires_grad_(False)
