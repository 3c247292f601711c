"""Multivariate normal of a process at points, without GPyTorch's detours."""

__all__ = ["PosteriorNormal", "add_noise", "normal_at"]

import torch
from gpytorch.distributions import MultivariateNormal
from linear_operator import to_linear_operator
from linear_operator.operators import DenseLinearOperator, DiagLinearOperator, LinearOperator
from torch import Tensor
from torch.distributions import Distribution

from pymc_botorch.models.posterior.cholesky import DenseCovariance
from pymc_botorch.models.posterior.covariance import PosteriorCovariance
from pymc_botorch.models.posterior.functions import is_transformed
from pymc_botorch.models.posterior.process import AbstractProcess

JOINT_UP_TO = 32
"""Points for which mean and covariance come from one call; for more, the covariance waits until it is asked for."""


class PosteriorNormal(MultivariateNormal):
    """A multivariate normal that costs little where mean and covariance have the same batches.

    GPyTorch's own constructor broadcasts their batch shapes, and its variance passes through three views, each with a gradient:
    as long as a small posterior takes. Nor does this variance end at GPyTorch's ``min_variance``, which is much where outcomes
    are small numbers: a process has none below its own, relative to the scale of the outcome.
    """

    def __init__(self, mean: Tensor, covariance_matrix: Tensor | LinearOperator, validate_args: bool = False) -> None:
        if validate_args or mean.shape[:-1] != covariance_matrix.shape[:-2]:
            super().__init__(mean, covariance_matrix, validate_args)
            return
        self._islazy = True
        self.loc = mean
        self._covar = to_linear_operator(covariance_matrix)
        self._MultivariateNormal__unbroadcasted_scale_tril = None  # GPyTorch's private cache of a Cholesky factor
        self._validate_args = False
        Distribution.__init__(self, mean.shape[:-1], mean.shape[-1:], validate_args=False)

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance, ``... x q``; that of GPyTorch, with its warning, where it is negative."""
        if not self._islazy:
            return super().variance
        if isinstance(self._covar, DenseLinearOperator):
            cov = self._covar.tensor
            diagonal = cov.squeeze(-1) if cov.shape[-1] == 1 else cov.diagonal(dim1=-1, dim2=-2)
        else:
            diagonal = self._covar.diagonal(dim1=-1, dim2=-2)
        tiny = torch.finfo(diagonal.dtype).tiny
        least = tiny if is_transformed() or diagonal.numel() == 0 else diagonal.detach().min().item()
        if least < 0:
            return super().variance
        return (diagonal if least > tiny else diagonal.clamp_min(tiny)).expand(self.loc.shape)


def normal_at(X: Tensor, process: AbstractProcess, like: Tensor) -> MultivariateNormal:
    """Return the multivariate normal at ``X`` in the dtype of ``like``, its covariance lazy for many points."""
    if X.shape[-2] <= JOINT_UP_TO or X.numel() == 0 or (plain := process.without_batches(X)) is None:
        mean, cov = process.joint(X)
        return PosteriorNormal(mean.to(like), DenseCovariance(cov.to(like)))
    mean = process.mean(X).to(like)
    return PosteriorNormal(mean, PosteriorCovariance(plain[1], mean, plain[0]))


def add_noise(mvn: MultivariateNormal, noise: Tensor) -> MultivariateNormal:
    """Return the distribution with independent noise of these variances added, its covariance as lazy as before."""
    cov = mvn.lazy_covariance_matrix
    noisy = cov + DiagLinearOperator(noise)
    if not isinstance(cov, PosteriorCovariance):
        noisy = DenseCovariance(noisy.to_dense())
    return PosteriorNormal(mvn.mean, noisy)
