"""Posterior covariance as a LinearOperator, computed when it is asked for."""

__all__ = ["PosteriorCovariance"]

from functools import cached_property
from typing import Any

import torch
from linear_operator import LinearOperator, to_linear_operator
from torch import Tensor

from pymc_botorch.models.posterior.cholesky import DenseCovariance
from pymc_botorch.models.posterior.process import AbstractProcess


class PosteriorCovariance(LinearOperator):
    """The posterior covariance ``... x q x q`` at ``X``, of which only what is read is computed.

    Ax predicts thousands of points jointly and reads their variances; qLogNEI with a cached root reads the last rows. The
    matrix is built, and kept, the first time that more is needed: samples, entropies, products. Slices with the same
    points in rows and columns stay lazy.

    Args:
        X: Inputs, ``... x q x d``, as the process takes them.
        like: A tensor of the dtype and device to return.
        process: The posterior as a process, without batches of its own.
    """

    def __init__(self, X: Tensor, like: Tensor, process: AbstractProcess) -> None:
        super().__init__(X, like, process=process)
        self._X, self._like, self._process = X, like, process

    @cached_property
    def _dense(self) -> Tensor:
        return self._process.joint(self._X)[1].to(self._like)

    @cached_property
    def _variance(self) -> Tensor:
        return self._process.variance(self._X).to(self._like)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the posterior."""
        return self._like.dtype

    @property
    def device(self) -> torch.device:
        """The device of the posterior."""
        return self._like.device

    def _size(self) -> torch.Size:
        return torch.Size((*self._X.shape[:-1], self._X.shape[-2]))

    def _diagonal(self) -> Tensor:
        return self._variance

    def _cholesky(self, upper: bool = False) -> LinearOperator:
        return DenseCovariance(self._dense).cholesky(upper)

    def to_dense(self) -> Tensor:
        """Return the matrix, ``... x q x q``; computed once."""
        return self._dense

    def _matmul(self, rhs: Tensor) -> Tensor:
        return self._dense @ rhs

    def _transpose_nonbatch(self) -> "PosteriorCovariance":
        return self

    def _getitem(self, row_index: Any, col_index: Any, *batch_indices: Any) -> LinearOperator:
        q = self._X.shape[-2]
        if isinstance(row_index, slice) and isinstance(col_index, slice):
            rows, columns = range(q)[row_index], range(q)[col_index]
            batches_are_slices = all(isinstance(index, slice | int) for index in batch_indices)
            if rows == columns and batches_are_slices:
                return PosteriorCovariance(self._X[(*batch_indices, row_index, slice(None))], self._like, self._process)
            is_last_rows = rows.step == 1 and rows.stop == q and columns == range(q)
            if is_last_rows and batches_are_slices and "_dense" not in self.__dict__:
                last = self._process.rows(self._X[(*batch_indices, slice(None), slice(None))], len(rows))
                return to_linear_operator(last.to(self._like))
        return to_linear_operator(self._dense[(*batch_indices, row_index, col_index)])

    def _get_indices(self, row_index: Tensor, col_index: Tensor, *batch_indices: Tensor) -> Tensor:
        return self._dense[(*batch_indices, row_index, col_index)]

    def _expand_batch(self, batch_shape: torch.Size) -> "PosteriorCovariance":
        return PosteriorCovariance(self._X.expand(*batch_shape, *self._X.shape[-2:]), self._like, self._process)

    def _permute_batch(self, *dims: int) -> "PosteriorCovariance":
        return PosteriorCovariance(self._X.permute(*dims, len(dims), len(dims) + 1), self._like, self._process)

    def _unsqueeze_batch(self, dim: int) -> "PosteriorCovariance":
        return PosteriorCovariance(self._X.unsqueeze(dim), self._like, self._process)
