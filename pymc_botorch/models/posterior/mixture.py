"""Gaussian processes side by side, one for each draw, as one process with the draws as a batch dimension."""

__all__ = ["MixtureProcess"]

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.posteriors.fully_bayesian import MCMC_DIM
from torch import Tensor

from pymc_botorch.models.posterior.autograd import joint_moments_of_draws
from pymc_botorch.models.posterior.process import AbstractProcess, CompiledProcess


@dataclass(frozen=True)
class MixtureProcess(AbstractProcess):
    """``S`` Gaussian processes side by side, at inputs ``... x S x q x d`` or the same for all, ``... x 1 x q x d``.

    Their mean is ``... x S x q``, their covariance ``... x S x q x q``: draws are at BoTorch's ``MCMC_DIM = -3`` of inputs. No
    covariance joins two draws; what the mixture's own moments are is left to ``GaussianMixturePosterior``.

    Attributes:
        processes: One for each draw; all call the same compiled functions.
    """

    processes: tuple[CompiledProcess, ...]

    @property
    def batch_shape(self) -> torch.Size:  # type: ignore[override]  # derived here, constant elsewhere
        """``Size([S])``."""
        return torch.Size([len(self.processes)])

    @property
    def variance_floor(self) -> Tensor:
        """Those of the draws, ``S x 1``."""
        return torch.stack([process.variance_floor for process in self.processes]).unsqueeze(-1)

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance of each draw."""
        X = self._with_draws(X)
        if X.shape[MCMC_DIM] == 1:
            return joint_moments_of_draws([process.posterior for process in self.processes], X.squeeze(MCMC_DIM))
        moments = [process.joint(x) for process, x in zip(self.processes, X.unbind(MCMC_DIM), strict=True)]
        means, covs = zip(*moments, strict=True)
        return torch.stack(means, dim=-2), torch.stack(covs, dim=-3)

    def mean(self, X: Tensor) -> Tensor:
        """Return the mean of each draw; it costs no triangular solve."""
        X = self._with_draws(X)
        inputs = [X.squeeze(MCMC_DIM)] * len(self.processes) if X.shape[MCMC_DIM] == 1 else X.unbind(MCMC_DIM)
        return torch.stack([process.mean(x) for process, x in zip(self.processes, inputs, strict=True)], dim=-2)

    def variance(self, X: Tensor) -> Tensor:
        """Return the variance of each draw, ``... x S x q``."""
        process, points = self.without_batches(X)
        return process.variance(points)

    def without_batches(self, X: Tensor) -> tuple[AbstractProcess, Tensor]:
        """Return a process of inputs ``... x S x q x (d + 1)``, whose last column says the draw."""
        S = len(self.processes)
        X = self._with_draws(X)
        X = X.expand(*X.shape[:MCMC_DIM], S, *X.shape[-2:])
        draw = torch.arange(S, dtype=X.dtype, device=X.device).reshape(S, 1, 1).expand(*X.shape[:-1], 1)
        return _DrawByColumn(self.processes), torch.cat([X, draw], dim=-1)

    def _with_draws(self, X: Tensor) -> Tensor:
        """Return inputs whose dimension of draws is there, and fits."""
        X = X.unsqueeze(0) if X.ndim == 2 else X
        if X.shape[MCMC_DIM] not in (1, len(self.processes)):
            raise BotorchTensorDimensionError(
                f"Inputs of shape {tuple(X.shape)} have {X.shape[MCMC_DIM]} sets of points for {len(self.processes)} draws. Pass "
                "one for each draw, or one for all."
            )
        return X


@dataclass(frozen=True)
class _DrawByColumn(AbstractProcess):
    """The same processes, each batch of inputs ``... x q x (d + 1)`` taken by the one that its last column names.

    A covariance that is computed later can so be sliced, permuted and expanded like any other.
    """

    processes: tuple[CompiledProcess, ...]
    batch_shape = torch.Size()

    @property
    def variance_floor(self) -> Tensor:
        """The smallest of those of the draws, ``()``."""
        return torch.stack([process.variance_floor for process in self.processes]).min()

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean ``... x q`` and covariance ``... x q x q``."""
        *batch, q, _ = X.shape
        mean, cov = self._by_draw(lambda process, X: process.joint(X), X)
        return mean.reshape(*batch, q), cov.reshape(*batch, q, q)

    def variance(self, X: Tensor) -> Tensor:
        """Return the variance ``... x q``."""
        (variance,) = self._by_draw(lambda process, X: (process.variance(X),), X)
        return variance.reshape(X.shape[:-1])

    def rows(self, X: Tensor, k: int) -> Tensor:
        """Return the last ``k`` rows of the covariance, ``... x k x q``."""
        *batch, q, _ = X.shape
        (rows,) = self._by_draw(lambda process, X: (process.rows(X, k),), X)
        return rows.reshape(*batch, k, q)

    def _by_draw(self, read: Callable[[CompiledProcess, Tensor], tuple[Tensor, ...]], X: Tensor) -> Iterator[Tensor]:
        """Yield what each batch's own process says, with the batches flattened; each process is asked once."""
        flat = X.reshape(math.prod(X.shape[:-2]), *X.shape[-2:])
        draw = flat[:, 0, -1].detach().long()
        answers = [read(process, flat[draw == s, :, :-1]) for s, process in enumerate(self.processes)]
        in_order = draw.argsort(stable=True).argsort()
        return (torch.cat(parts)[in_order] for parts in zip(*answers, strict=True))
