"""A mean and a covariance that are known to fit come in, GPyTorch's multivariate normal goes out, without its detours."""

__all__ = ["PosteriorNormal"]

from gpytorch.distributions import MultivariateNormal
from gpytorch.settings import min_variance
from linear_operator import to_linear_operator
from linear_operator.operators import DenseLinearOperator, LinearOperator
from torch import Tensor
from torch.distributions import Distribution


class PosteriorNormal(MultivariateNormal):
    """A multivariate normal that costs little where mean and covariance have the same batches.

    GPyTorch's own constructor broadcasts their batch shapes, and its variance passes through three views, each with a gradient:
    as long as a small posterior takes.
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
        """The diagonal of the covariance, ``... x q``, where it is not below GPyTorch's ``min_variance``."""
        if self._islazy and type(self._covar) is DenseLinearOperator:
            cov = self._covar.tensor
            diagonal = cov.squeeze(-1) if cov.shape[-1] == 1 else cov.diagonal(dim1=-1, dim2=-2)
            fits = diagonal.shape == self.loc.shape and diagonal.numel() > 0
            if fits and diagonal.detach().min() >= min_variance.value(diagonal.dtype):
                return diagonal
        return super().variance
