"""Posterior of the gradient of a model's function: a normal distribution, or over draws the moments of a mixture of them."""

__all__ = ["GradientPosterior", "gradient_posterior"]

from typing import NamedTuple

import numpy as np
from botorch.exceptions.errors import BotorchTensorDimensionError
from torch import Tensor

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.pointwise import mean_gradients_at
from pymc_botorch.graph.posterior.slopes import gradient_covariance_at, refuse_rough
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.gradients import GradientsMixin, jacobian_of, like, read_points, transformed
from pymc_botorch.models.posterior.mixture import MixtureProcess
from pymc_botorch.models.posterior.process import CompiledProcess


class GradientPosterior[Array: (Tensor, np.ndarray)](NamedTuple):
    """The posterior of a function's gradient at ``n`` points: its mean and covariance.

    At one point of the hyperparameters, and in each draw, it is a normal distribution; averaged over draws it is a mixture of
    these, with this mean and covariance.

    Attributes:
        mean: ``n x d``, of each draw ``S x n x d``, in units of the outcome per unit of each input.
        covariance: ``(n d) x (n d)``: point after point, the ``d`` entries of a gradient side by side. Of each draw
            ``S x (n d) x (n d)``.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP, gradient_posterior
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> slopes = gradient_posterior(PyMCGP(X, (6 * X).sin()), X[:3])
        >>> slopes.mean.shape, slopes.sd.shape, slopes.covariance.shape
        (torch.Size([3, 1]), torch.Size([3, 1]), torch.Size([3, 3]))
    """

    mean: Array
    covariance: Array

    @property
    def sd(self) -> Array:
        """Standard deviation of each entry of the gradients, in the shape of ``mean``."""
        entries = list(range(self.covariance.shape[-1]))
        return self.covariance[..., entries, entries].clip(0.0).reshape(self.mean.shape) ** 0.5


def gradient_posterior[Array: (Tensor, np.ndarray)](
    model: GradientsMixin, X: Array, *, per_draw: bool = False
) -> GradientPosterior[Array]:
    """Return the posterior of the gradient of a model's function, jointly at the rows of ``X``.

    Its mean is the gradient of the posterior mean. Its covariance says how sure the model is of a slope; it is not the
    ``variance_gradient`` of :meth:`predictive_gradients <pymc_botorch.PyMCGP.predictive_gradients>`.

    Over draws, with ``m_s, C_s`` the mean and covariance in draw ``s``, it is that of the mixture::

        mean = E[m_s],    covariance = E[C_s] + E[(m_s - mean) (m_s - mean)ᵀ]

    Args:
        model: A fitted gp.
        X: Points, ``n x d``, in raw units.
        per_draw: Whether each draw of a fully Bayesian model is returned, instead of their mixture.

    Returns:
        Mean ``n x d`` and covariance ``(n d) x (n d)`` in raw units, through both transforms (with ``per_draw``
        ``S x n x d`` and ``S x (n d) x (n d)``): tensors for a tensor, in its dtype, NumPy arrays for an array. In a column
        that a kernel takes as an index they are zero.

    Raises:
        UnsupportedError: If the functions have no derivative that can be computed (PyMC's kernels Matern12, Exponential and
            Circular; a rough kernel of your own is not recognised, and gives nonsense), the outcome transform is not linear,
            or the model was conditioned on more observations; if ``per_draw`` is asked of a model at one point.
        BotorchTensorDimensionError: If ``X`` is not ``n x d``.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
        ...     model = pymc_botorch.PyMCGP.from_fitted(gp, {})
        >>> slope = pymc_botorch.gradient_posterior(model, X)
        >>> slope.mean.shape, slope.covariance.shape, slope.sd.shape
        ((8, 1), (8, 8), (8, 1))
    """
    points = read_points(model, X)
    if points.ndim != 2:
        raise BotorchTensorDimensionError(f"X has shape {tuple(points.shape)}. Pass n x {model.num_inputs} points.")
    if per_draw and not model._is_fully_bayesian:
        raise UnsupportedModelError("per_draw is True, but the model has one point and no draws. Leave it out.")
    process = model.state.process
    if not isinstance(process, CompiledProcess | MixtureProcess):
        raise UnsupportedModelError(
            "This model was conditioned on more observations, and their covariance with gradients is not computed. Refit the "
            "gp to all data, or take predictive_gradients."
        )
    model.eval()  # type: ignore[attr-defined]  # of the model that this is mixed into
    points.requires_grad_()
    inputs = transformed(model, points)
    jacobian = jacobian_of(inputs, points)  # n x d of the gp x d
    at, scale = inputs.detach().numpy(), model.state.outcome_scale.scale
    processes = process.processes if isinstance(process, MixtureProcess) else (process,)
    means, covariances = [], []
    with botorch_errors():
        refuse_rough(model.state.fitted.graph.rough)
        for one in processes:
            mean, covariance = _of_one(one.posterior, at)
            means.append(scale * np.einsum("na,nai->ni", mean, jacobian))
            raw = np.einsum("nai,namb,mbj->nimj", jacobian, covariance, jacobian, optimize=True)
            covariances.append(scale**2 * raw.reshape(points.numel(), points.numel()))
    every = GradientPosterior(np.stack(means), np.stack(covariances))
    result = every if per_draw else _mixture(every)
    return GradientPosterior(like(X, result.mean), like(X, result.covariance))


def _of_one(posterior: ConditionedPosterior, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean ``n x d`` and covariance ``n x d x n x d`` of the gradient in the inputs and units of the gp."""
    n, d = at.shape
    (mean,) = posterior(mean_gradients_at, at)
    covariance, axes = np.empty((n, d, n, d)), np.eye(d)
    for a in range(d):
        for b in range(a + 1):
            (block,) = posterior(gradient_covariance_at, at, axes[a], axes[b])  # n x n
            covariance[:, a, :, b], covariance[:, b, :, a] = block, block.T
    return mean, covariance


def _mixture(draws: GradientPosterior[np.ndarray]) -> GradientPosterior[np.ndarray]:
    """Return mean and covariance of the mixture of draws of equal weight, whose axis ``S`` comes first."""
    mean = draws.mean.mean(0)
    off = (draws.mean - mean).reshape(len(draws.mean), -1)  # S x n d
    return GradientPosterior(mean, draws.covariance.mean(0) + off.T @ off / len(off))
