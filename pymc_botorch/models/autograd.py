"""A torch tensor of inputs comes in, posterior moments go out, differentiable through PyTensor's own gradient functions.

PyTensor differentiates; this module only transposes: ``backward`` is the compiled vector-Jacobian product of the moments.
Everything is computed in float64 on the CPU and handed back in the dtype and on the device of the inputs.
"""

__all__ = ["joint_moments", "marginal_moments"]

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pymc_botorch.graph.compile import Arrays, ConditionedPosterior

VARIANCE_FLOOR = 1e-20
"""Least variance returned: linear_operator takes the root of a 1 x 1 covariance with no jitter, and PyTorch's derivative
of a root is infinite at zero. The gradient is that of the variance before the floor."""


def joint_moments(posterior: ConditionedPosterior, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return the posterior mean ``... x q`` and covariance ``... x q x q`` at ``X``, ``... x q x d``.

    Gradients flow to ``X`` once (no second derivatives). Without a gradient to take, none is prepared.
    """
    *batch, q, d = X.shape
    flat = X.reshape(math.prod(batch), q, d)
    if flat.shape[0] == 0 or q == 0:
        mean = flat.sum(-1)  # empty, and in the graph of X
        cov = mean.unsqueeze(-1).expand(*mean.shape, q)
    elif torch.is_grad_enabled() and X.requires_grad:
        mean, cov = _Moments.apply(flat, posterior)
    else:
        mean, cov, _ = _evaluate(flat, posterior)
    return mean.reshape(*batch, q), cov.reshape(*batch, q, q)


def marginal_moments(posterior: ConditionedPosterior, X: Tensor) -> tuple[Tensor, Tensor]:
    """Return posterior mean and variance, each ``... x q``, at ``X``, ``... x q x d``; no ``q x q`` matrix is made."""
    mean, variance = joint_moments(posterior, X.unsqueeze(-2))
    return mean.squeeze(-1), variance.squeeze((-2, -1))


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, X: Tensor, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor]:
        mean, cov, ctx.solves = _evaluate(X, posterior)
        ctx.posterior = posterior
        ctx.save_for_backward(X)  # so that torch notices when X is changed in place before the backward pass
        ctx.set_materialize_grads(False)
        return mean, cov

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mean_bar: Tensor | None, cov_bar: Tensor | None) -> tuple[Tensor, None]:
        (X,) = ctx.saved_tensors
        b, q, _ = X.shape
        bars = (
            np.zeros(shape) if bar is None else _to_numpy(bar) for bar, shape in ((mean_bar, (b, q)), (cov_bar, (b, q, q)))
        )
        return torch.from_numpy(ctx.posterior.vjp(_to_numpy(X), *bars, ctx.solves)).to(X), None


def _evaluate(X: Tensor, posterior: ConditionedPosterior) -> tuple[Tensor, Tensor, Arrays]:
    """Return mean ``b x q`` and covariance ``b x q x q`` as tensors, and the solves that the gradient needs."""
    mean, cov, solves = posterior.moments(_to_numpy(X))
    variance = np.einsum("bii->bi", cov)  # a view of the diagonals
    np.maximum(variance, VARIANCE_FLOOR, out=variance)
    return torch.from_numpy(mean).to(X), torch.from_numpy(cov).to(X), solves


def _to_numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()
