"""Gaussian processes given data, as torch functions of new inputs: as compiled, or given more observations."""

__all__ = ["AbstractProcess", "CompiledProcess", "ConditionedProcess"]

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.models.posterior.autograd import joint_moments, mean_and_rows, point_variances
from pymc_botorch.models.posterior.cholesky import relative_cholesky
from pymc_botorch.models.posterior.functions import is_transformed


class AbstractProcess(ABC):
    """Mean and covariance of a Gaussian process at new inputs ``X``, ``... x q x d``, differentiable in ``X``."""

    batch_shape: torch.Size

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: it is never changed."""
        return self

    @abstractmethod
    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean ``... x q`` and covariance ``... x q x q``."""

    @property
    def variance_floor(self) -> Tensor:
        """Smallest variance, broadcastable to those at ``q`` points, ``... x q``."""
        return torch.zeros((), dtype=torch.float64)

    def mean(self, X: Tensor) -> Tensor:
        """Return the mean ``... x q``."""
        return self.joint(X.unsqueeze(-2))[0].squeeze(-1)

    def variance(self, X: Tensor) -> Tensor:
        """Return the variance ``... x q``; no ``q x q`` matrix is made."""
        return self.joint(X.unsqueeze(-2))[1].squeeze((-2, -1))

    def rows(self, X: Tensor, k: int) -> Tensor:
        """Return the last ``k`` rows of the covariance, ``... x k x q``."""
        return self.joint(X)[1][..., X.shape[-2] - k :, :]

    def without_batches(self, X: Tensor) -> "tuple[AbstractProcess, Tensor] | None":
        """Return a process with no batches of its own and the inputs at which it equals this one at ``X``; None: there is none.

        A covariance that waits to be asked for is sliced and permuted by its inputs, so they must say all.
        """
        return None if self.batch_shape else (self, X)


@dataclass(frozen=True)
class CompiledProcess(AbstractProcess):
    """The posterior that a compiled structure gives for data and parameters."""

    posterior: ConditionedPosterior
    batch_shape = torch.Size()

    @property
    def variance_floor(self) -> Tensor:
        """That of the posterior, ``()``."""
        return torch.tensor(self.posterior.variance_floor, dtype=torch.float64)

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance from one call of the compiled moments."""
        return joint_moments(self.posterior, X)

    def mean(self, X: Tensor) -> Tensor:
        """Return the mean; it costs no triangular solve."""
        return mean_and_rows(self.posterior, X, 0)[0]

    def variance(self, X: Tensor) -> Tensor:
        """Return the variance of each point alone."""
        return point_variances(self.posterior, X)

    def rows(self, X: Tensor, k: int) -> Tensor:
        """Return rows at the cost of ``k`` columns."""
        return mean_and_rows(self.posterior, X, k)[1]


@dataclass(frozen=True)
class ConditionedProcess(AbstractProcess):
    """A process given more observations: ``Y`` at ``X_f``, with noise of variance ``noise``.

    With ``m, C`` the mean and covariance of ``base``, ``f`` the observed points and ``*`` the new ones, and
    ``S = C_ff + noise``::

        mean = m_* + C_*f S⁻¹ (Y - m_f)
        cov  = C_** - C_*f S⁻¹ C_f*

    which equals conditioning on all data at once (a Schur complement), in value and in every gradient: to the new points, to
    ``X_f`` and to ``Y``. Only the ``q_f x q_f`` matrix ``S`` is factorised.

    Attributes:
        base: The process before.
        X_f: Observed inputs, ``... x q_f x d``.
        Y: Observations, ``(more batches) x ... x q_f``.
        noise: Their noise variances, broadcastable to ``Y``; PyMC's jitter included.
    """

    base: AbstractProcess
    X_f: Tensor
    Y: Tensor
    noise: Tensor

    @property
    def batch_shape(self) -> torch.Size:  # type: ignore[override]  # derived here, constant elsewhere
        """The batches of the observations, beyond those of the new inputs."""
        return torch.broadcast_shapes(self.Y.shape[:-1], self.X_f.shape[:-2], self.base.batch_shape)

    @property
    def variance_floor(self) -> Tensor:
        """That of the base process."""
        return self.base.variance_floor

    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and covariance given base data and observations."""
        q_f = self.X_f.shape[-2]
        batch = torch.broadcast_shapes(X.shape[:-2], self.X_f.shape[:-2])
        both = torch.cat([self.X_f.expand(*batch, *self.X_f.shape[-2:]), X.expand(*batch, *X.shape[-2:])], dim=-2)
        mean, cov = self.base.joint(both)  # m, C at observed and new points
        S = cov[..., :q_f, :q_f] + torch.diag_embed(self.noise.expand(*self.noise.shape[:-1], q_f))
        root = torch.linalg.cholesky(S) if is_transformed() else relative_cholesky(S)  # the latter looks whether it worked
        half = torch.linalg.solve_triangular(root, cov[..., :q_f, q_f:].expand(*S.shape[:-2], -1, -1), upper=False)
        innovation = (self.Y - mean[..., :q_f]).unsqueeze(-1)
        white = torch.linalg.solve_triangular(
            root.expand(*innovation.shape[:-2], q_f, q_f), innovation, upper=False
        )  # ... x q_f x 1
        new_mean = mean[..., q_f:] + (half.mT @ white).squeeze(-1)
        new_cov = cov[..., q_f:, q_f:] - half.mT @ half
        below = (self.variance_floor - new_cov.detach().diagonal(dim1=-2, dim2=-1)).clamp_min(0.0)
        new_cov = new_cov + torch.diag_embed(below)
        return new_mean, new_cov.expand(*new_mean.shape, new_mean.shape[-1])
