"""A posterior and its inputs come in, their covariance as a LinearOperator goes out, computed when it is asked for."""

__all__ = ["PosteriorCovariance"]

from functools import cached_property
from typing import Any

import torch
from linear_operator import LinearOperator, to_linear_operator
from torch import Tensor

from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.models.autograd import joint_moments


class PosteriorCovariance(LinearOperator):
    """The posterior covariance ``... x q x q`` at ``X``, whose diagonal is known and whose entries are not yet.

    Ax predicts thousands of points jointly and reads only their variances; the matrix is built (and kept) the first time
    that more is needed: samples, entropies, products. Slices with the same points in rows and columns stay lazy.

    Args:
        X: Inputs, ``... x q x d``, as the posterior takes them.
        variance: The diagonal, ``... x q``.
        posterior: The posterior.
    """

    def __init__(self, X: Tensor, variance: Tensor, posterior: ConditionedPosterior) -> None:
        super().__init__(X, variance, posterior=posterior)
        self._X, self._variance, self._posterior = X, variance, posterior

    @cached_property
    def _dense(self) -> Tensor:
        return joint_moments(self._posterior, self._X)[1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the posterior."""
        return self._variance.dtype

    @property
    def device(self) -> torch.device:
        """The device of the posterior."""
        return self._variance.device

    def _size(self) -> torch.Size:
        return torch.Size((*self._variance.shape, self._variance.shape[-1]))

    def _diagonal(self) -> Tensor:
        return self._variance

    def to_dense(self) -> Tensor:
        """Return the matrix, ``... x q x q``; computed once."""
        return self._dense

    def _matmul(self, rhs: Tensor) -> Tensor:
        return self._dense @ rhs

    def _transpose_nonbatch(self) -> "PosteriorCovariance":
        return self

    def _getitem(self, row_index: Any, col_index: Any, *batch_indices: Any) -> LinearOperator:
        same_points = isinstance(row_index, slice) and row_index == col_index
        if same_points and all(isinstance(index, slice | int) for index in batch_indices):
            points = (*batch_indices, row_index)
            return PosteriorCovariance(self._X[(*points, slice(None))], self._variance[points], self._posterior)
        return to_linear_operator(self._dense[(*batch_indices, row_index, col_index)])

    def _get_indices(self, row_index: Tensor, col_index: Tensor, *batch_indices: Tensor) -> Tensor:
        return self._dense[(*batch_indices, row_index, col_index)]

    def _expand_batch(self, batch_shape: torch.Size) -> "PosteriorCovariance":
        q, d = self._X.shape[-2:]
        return PosteriorCovariance(
            self._X.expand(*batch_shape, q, d), self._variance.expand(*batch_shape, q), self._posterior
        )

    def _permute_batch(self, *dims: int) -> "PosteriorCovariance":
        last = len(dims)
        return PosteriorCovariance(
            self._X.permute(*dims, last, last + 1), self._variance.permute(*dims, last), self._posterior
        )

    def _unsqueeze_batch(self, dim: int) -> "PosteriorCovariance":
        return PosteriorCovariance(self._X.unsqueeze(dim), self._variance.unsqueeze(dim), self._posterior)
