"""Gradients of a model's predictions."""

__all__ = ["GradientsMixin", "jacobian_of", "like", "read_points", "transformed"]

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from torch import Tensor

from pymc_botorch.graph.posterior.pointwise import gradients_at
from pymc_botorch.inference.predictive_gradients import PredictiveGradients, mixture, with_sd
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.posterior.mixture import MixtureProcess
from pymc_botorch.models.state import State
from pymc_botorch.models.tensors import ArrayLike

SEVERAL_POINTS = (
    "The input transform makes several points of one, so that a point has no gradient of its own. Use a model without it."
)


class GradientsMixin:
    """Gradients of a model's predictions, for any process that is differentiable in its inputs."""

    _is_fully_bayesian: bool

    @property
    @abstractmethod
    def state(self) -> State:
        """What the model is conditioned on."""

    @property
    @abstractmethod
    def num_inputs(self) -> int:
        """Number of columns of raw inputs."""

    @abstractmethod
    def as_raw_inputs(self, name: str, value: ArrayLike) -> Tensor:
        """Return raw inputs as a tensor."""

    def predictive_gradients(self, X: ArrayLike) -> PredictiveGradients:
        """Return mean, variance and standard deviation at points, and their gradients in ``X``.

        They are those of the noise-free function, in raw units through both transforms. The gradient of the variance is not
        the variance of the gradient: :func:`pymc_botorch.gradient_posterior` has that.

        Args:
            X: Points, ``... x d``, in raw units. The batches of a fantasy model's observations come first in the
                result; draws are averaged.

        Returns:
            ``mean, variance, sd`` (``...``) and ``mean_gradient, variance_gradient, sd_gradient`` (``... x d``): tensors
            for a tensor, in its dtype and detached from it, NumPy arrays for an array.

        Raises:
            BotorchTensorDimensionError: If ``X`` has another number of columns than the training inputs.
            UnsupportedError: If the outcome transform is not linear, or the input transform makes several points of one.

        Example:
            >>> import numpy as np, pymc as pm, pymc_botorch
            >>> X = np.linspace(0, 1, 8)[:, None]
            >>> with pm.Model():
            ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
            ...     y_ = gp.marginal_likelihood("y", X, X[:, 0] ** 2, sigma=0.1)
            ...     model = pymc_botorch.PyMCGP.from_fitted(gp, {})
            >>> model.predictive_gradients(X).mean_gradient.shape
            (8, 1)
        """
        points = read_points(self, X)
        self.eval()  # type: ignore[attr-defined]  # of the model that this is mixed into
        *lead, d = points.shape
        draws, state = self._is_fully_bayesian, self.state
        with torch.inference_mode(False), torch.enable_grad():
            flat = points.clone().reshape(-1, d)  # N x d
            batch = state.process.batch_shape
            values = (_slopes if state.is_given_more else _exact_slopes)(self, flat)
        shaped = [value.reshape((*batch, *lead, *value.shape[len(batch) + 1 :])) for value in values]
        if draws:  # to the front
            shaped = [np.moveaxis(value, len(batch) - 1, 0) for value in shaped]
        result = with_sd(*shaped, floor=state.process.variance_floor.min().item())
        result = mixture(result) if draws else result
        return PredictiveGradients(*(like(X, part) for part in result))


def _exact_slopes(model: Any, points: Tensor) -> list[np.ndarray]:
    """Return mean, variance and their gradients at ``N x d`` points, with distances that differentiate right.

    Of draws, all come first: ``S x N``, ``S x N x d``.
    """
    points.requires_grad_()
    inputs = transformed(model, points)
    jacobian = jacobian_of(inputs, points)  # N x d of the gp x d
    at = inputs.detach().numpy()
    process = model.state.process
    processes = process.processes if isinstance(process, MixtureProcess) else (process,)
    some = at if len(at) else np.zeros((1, at.shape[1]))  # a batched operation of PyTensor refuses none
    with botorch_errors():
        of_draws = [[part[: len(at)] for part in one.posterior(gradients_at, some)] for one in processes]
    mean, variance, *slopes = map(np.stack, zip(*of_draws, strict=True)) if model._is_fully_bayesian else of_draws[0]
    offset, scale = model.state.outcome_scale.offset, model.state.outcome_scale.scale
    mean_gradient, variance_gradient = (np.einsum("...na,nai->...ni", slope, jacobian) for slope in slopes)
    return [offset + scale * mean, scale**2 * variance, scale * mean_gradient, scale**2 * variance_gradient]


def _slopes(model: Any, points: Tensor) -> list[np.ndarray]:
    """Return the same for a model given more observations, each with its batches ``B`` first: ``B x N``, ``B x N x d``."""
    batch = model.state.process.batch_shape
    own = points.reshape(len(points), *(1,) * len(batch), 1, points.shape[-1])
    own = own.expand(len(points), *batch, 1, points.shape[-1]).clone().requires_grad_()  # N x B x 1 x d
    mean, cov = model.state.process.joint(transformed(model, own))
    outputs = [mean.squeeze(-1), cov.squeeze((-2, -1))]  # N x B
    slopes = [torch.autograd.grad(out.sum(), own, retain_graph=True)[0].squeeze(-2) for out in outputs]
    return [value.detach().movedim(0, len(batch)).numpy() for value in (*outputs, *slopes)]


def read_points(model: GradientsMixin, X: ArrayLike) -> Tensor:
    """Return a copy of ``X`` in float64, checked, for a model whose gradients can be had."""
    if (transform := model.state.outcome_scale.transform) is not None:
        raise UnsupportedModelError(
            f"The outcome transform {type(transform).__name__} is not linear, or not the same everywhere, so that gradients do "
            "not follow from those of the gp. Use Standardize, or take gradients of posterior(X) by torch."
        )
    of_inputs: Any = getattr(model, "input_transform", None)
    if of_inputs is not None and of_inputs.is_one_to_many and of_inputs.transform_on_eval:
        raise UnsupportedModelError(SEVERAL_POINTS)
    d = model.num_inputs
    points = model.as_raw_inputs("X", X).detach().cpu()
    if points.ndim < 1 or points.shape[-1] != d:
        raise BotorchTensorDimensionError(
            f"X has shape {tuple(points.shape)}. Pass ... x {d} points, as the model was fitted to."
        )
    if not points.isfinite().all():
        raise InvalidDataError("X has NaN or infinite values, where nothing has a gradient. Leave these points out.")
    return points.to(torch.float64).clone()


def transformed(model: GradientsMixin, points: Tensor) -> Tensor:
    """Return points as the gp takes them, differentiable."""
    inputs: Tensor = model.transform_inputs(points)  # type: ignore[attr-defined]  # of the model that this is mixed into
    if inputs.shape[:-1] != points.shape[:-1]:
        raise UnsupportedModelError(SEVERAL_POINTS)
    return inputs


def jacobian_of(inputs: Tensor, points: Tensor) -> np.ndarray:
    """Return ``∂inputs/∂points`` of each row, ``n x d of inputs x d of points``."""
    if inputs is points:
        return np.broadcast_to(np.eye(points.shape[-1]), (*points.shape, points.shape[-1]))
    rows = [
        torch.autograd.grad(column.sum(), points, retain_graph=True, materialize_grads=True, allow_unused=True)[0]
        if column.requires_grad
        else torch.zeros_like(points)
        for column in inputs.unbind(-1)
    ]
    return torch.stack(rows, dim=-2).numpy()


def like(X: ArrayLike, values: np.ndarray) -> Any:
    """Return values as a tensor of the dtype and device of ``X`` where that is one."""
    if isinstance(X, Tensor):
        return torch.from_numpy(np.array(values)).to(X if X.is_floating_point() else torch.float64)
    return values
