"""Cholesky factors of covariances of small numbers, whose jitter is relative to their scale."""

__all__ = ["DenseCovariance", "relative_cholesky"]

import torch
from linear_operator import LinearOperator
from linear_operator.operators import DenseLinearOperator, TriangularLinearOperator
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

SMALL = 1e-3
"""Variance below which linear_operator's jitter, 1e-8 and more, is not taken as it is."""


class DenseCovariance(DenseLinearOperator):
    """A covariance ``... x q x q`` that is there, for outcomes of any size.

    Where it is not positive definite to rounding, linear_operator adds a jitter of 1e-8 (in float32 1e-6) or more to its
    diagonal, which would be most of a covariance of small numbers.
    """

    def _cholesky(self, upper: bool = False) -> LinearOperator:
        scale = _scale(self.tensor)
        if scale is None:
            return super()._cholesky(upper)
        root = DenseLinearOperator(self.tensor / scale).cholesky(upper).to_dense()
        return TriangularLinearOperator(root * scale.sqrt(), upper=upper)


def relative_cholesky(cov: Tensor) -> Tensor:
    """Return the lower Cholesky factor of ``... x q x q``, with jitter where it needs some, relative to small variances."""
    scale = _scale(cov)
    return psd_safe_cholesky(cov) if scale is None else psd_safe_cholesky(cov / scale) * scale.sqrt()


def _scale(cov: Tensor) -> Tensor | None:
    """Return the largest variance of each matrix, ``... x 1 x 1``, if none is large; None of no points or with NaN."""
    variance = cov.detach().diagonal(dim1=-2, dim2=-1)
    if variance.numel() == 0 or not variance.max() < SMALL:
        return None
    return variance.amax(-1).clamp_min(torch.finfo(cov.dtype).tiny)[..., None, None]
