"""What BoTorch expects of any of our models, on top of a conditioned posterior: ``AbstractPyMCGP``."""

__all__ = ["AbstractPyMCGP"]

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self

import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.transforms.outcome import Standardize
from botorch.posteriors import GPyTorchPosterior, Posterior
from gpytorch.distributions import MultivariateNormal
from gpytorch.models import GP
from linear_operator import to_linear_operator
from linear_operator.operators import DiagLinearOperator
from torch import Tensor

from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.models.autograd import joint_moments, marginal_moments
from pymc_botorch.models.covariance import PosteriorCovariance
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

JOINT_UP_TO = 32
"""Points for which mean and covariance come from one call; for more, the covariance waits until it is asked for."""


class AbstractPyMCGP(GPyTorchModel, GP):
    """A BoTorch model that reads a posterior of PyMC.

    It is a ``GPyTorchModel`` by its interface only: no kernel, mean or prediction strategy of GPyTorch is used. Subclasses
    say what they are conditioned on.
    """

    _num_outputs = 1

    @property
    @abstractmethod
    def conditioned(self) -> ConditionedPosterior:
        """The posterior of the noise-free function, in the units of the outcome."""

    @property
    @abstractmethod
    def observed(self) -> ConditionedPosterior | None:
        """The posterior of new observations where their noise is correlated; None where a variance says it all."""

    @property
    @abstractmethod
    def noise_variance(self) -> Tensor:
        """Variance of a new observation about the function, in the units of the outcome: a scalar."""

    @property
    def batch_shape(self) -> torch.Size:
        """``Size([])``: one Gaussian process, for any batch of inputs."""
        return torch.Size()

    def posterior(
        self,
        X: Tensor,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | Callable[..., Posterior] | None = None,
    ) -> Posterior:
        """Return the posterior at ``X``, jointly over the ``q`` points of each batch.

        Args:
            X: Inputs, ``n x d`` or ``... x q x d``, in raw units where the model has an input transform. A row with NaN
                gives NaN in that row only.
            output_indices: None or ``[0]``: there is one outcome.
            observation_noise: True adds the variance of the observation noise (of noise that differs between
                observations, the mean of the training ones; of a noise covariance, that covariance at ``X``). A tensor
                ``... x q x 1`` is added as it is: variances on the scale of the model's outcome.
            posterior_transform: Applied last.

        Returns:
            A ``GPyTorchPosterior`` with mean and variance ``... x q x 1`` in the units of the outcome (variance in their
            square), without jitter; its gradients flow to ``X``. With a non-linear outcome transform, BoTorch's
            transformed posterior.

        Raises:
            BotorchTensorDimensionError: If ``X`` has less than two dimensions or another number of columns than the
                training inputs.
        """
        self._check_inputs(X)
        if output_indices not in (None, [0], [-1]):
            raise UnsupportedModelError(f"output_indices is {output_indices}, but there is one outcome. Pass None or [0].")
        self.eval()
        inputs = self.transform_inputs(X if X.dtype == torch.float64 else X.to(torch.float64))
        correlated = self.observed if observation_noise is True else None
        mvn = self._moments(inputs, correlated or self.conditioned, like=X)
        if correlated is None and observation_noise is not False:
            mvn = _add_noise(mvn, self._noise_at(observation_noise, mvn))
        posterior = GPyTorchPosterior(mvn)
        transform = getattr(self, "outcome_transform", None)
        if transform is not None and affine(transform) is None:
            posterior = transform.untransform_posterior(posterior, X=inputs)
        return posterior if posterior_transform is None else posterior_transform(posterior=posterior, X=inputs)

    def _moments(self, X: Tensor, posterior: ConditionedPosterior, like: Tensor) -> MultivariateNormal:
        """Return the multivariate normal at ``X`` in the dtype of ``like``, its covariance lazy for many points."""
        if X.shape[-2] <= JOINT_UP_TO:
            mean, cov = joint_moments(posterior, X)
            return MultivariateNormal(mean.to(like), to_linear_operator(cov.to(like)))
        mean, variance = marginal_moments(posterior, X)
        return MultivariateNormal(mean.to(like), PosteriorCovariance(X, variance.to(like), posterior))

    def _noise_at(self, observation_noise: Tensor | bool, mvn: MultivariateNormal) -> Tensor:
        """Return the variance to add at each point, in the units of the outcome."""
        if observation_noise is True:
            return self.noise_variance.to(mvn.mean).expand(mvn.mean.shape)
        if not isinstance(observation_noise, Tensor) or observation_noise.shape[-1:] != (1,):
            raise BotorchTensorDimensionError(
                f"observation_noise is {observation_noise!r}. Pass True, False or a tensor of variances, ... x q x 1."
            )
        return (observation_noise.squeeze(-1).to(mvn.mean) * self.conditioned.scale**2).expand(mvn.mean.shape)

    def _check_inputs(self, X: Tensor) -> None:
        if X.ndim < 2 or X.shape[-1] != self.num_inputs:
            raise BotorchTensorDimensionError(
                f"X has shape {tuple(X.shape)}. Pass n x {self.num_inputs} or ... x q x {self.num_inputs} inputs, as the "
                "model was fitted to."
            )

    @property
    @abstractmethod
    def num_inputs(self) -> int:
        """Number of columns of raw inputs."""

    def _set_transformed_inputs(self) -> None:
        """Do nothing: ``train_inputs`` follows the mode by itself."""

    def _revert_to_original_inputs(self) -> None:
        """Do nothing: ``train_inputs`` follows the mode by itself."""

    def _apply(self, fn: Callable, recurse: bool = True) -> Self:
        """Return the model as it is: its numbers stay in float64 on the CPU, inputs and outputs are cast.

        BoTorch's analytic acquisition functions call ``model.to(X)`` at every evaluation, which would leave a float32
        model behind after the first float32 input.
        """
        return self


def affine(outcome_transform: Any) -> tuple[float, float] | None:
    """Return offset and scale of a fitted one-outcome ``Standardize``; None for any other transform."""
    if type(outcome_transform) is not Standardize or outcome_transform.means.numel() != 1:
        return None
    if not outcome_transform._is_trained:
        raise InvalidDataError(
            "The Standardize given as outcome_transform has no mean and sd yet. Pass it as it was applied to the targets, "
            "that is after outcome_transform(train_Y)."
        )
    return float(outcome_transform.means), float(outcome_transform.stdvs)


def _add_noise(mvn: MultivariateNormal, noise: Tensor) -> MultivariateNormal:
    """Return the distribution with independent noise of these variances added, its covariance as lazy as before."""
    cov = mvn.lazy_covariance_matrix
    noisy = cov + DiagLinearOperator(noise)
    if not isinstance(cov, PosteriorCovariance):
        noisy = to_linear_operator(noisy.to_dense())
    return MultivariateNormal(mvn.mean, noisy)
