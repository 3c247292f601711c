"""What BoTorch expects of any of our models, on top of a state."""

__all__ = ["AbstractPyMCGP"]

from collections.abc import Callable
from typing import Any, NoReturn, Self

import numpy as np
import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.model import FantasizeMixin
from botorch.models.utils import fantasize
from botorch.posteriors import GPyTorchPosterior, Posterior
from gpytorch.distributions import MultivariateNormal
from gpytorch.models import GP
from linear_operator import to_linear_operator
from torch import Tensor

from pymc_botorch.models.categories import warn_of_values_between
from pymc_botorch.models.conditioning import add_observations, with_state
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.gradients import GradientsMixin
from pymc_botorch.models.inputs import InputsMixin
from pymc_botorch.models.likelihoods import gaussian_likelihood
from pymc_botorch.models.mistakes import RefusalsMixin
from pymc_botorch.models.posterior.normal import PosteriorNormal, add_noise, normal_at
from pymc_botorch.models.posterior.process import AbstractProcess
from pymc_botorch.models.state import prior_process
from pymc_botorch.models.state_dict import StateDictMixin
from pymc_botorch.models.tensors import ArrayLike, as_column, as_tensor
from pymc_botorch.models.transforms import OutcomeScale


class AbstractPyMCGP(StateDictMixin, InputsMixin, GradientsMixin, RefusalsMixin, GPyTorchModel, GP, FantasizeMixin):
    """A BoTorch model that reads a posterior of PyMC.

    It is a ``GPyTorchModel`` by its interface only: no kernel, mean or prediction strategy of GPyTorch is used.
    """

    _num_outputs = 1
    _supports_batched_models = False

    _posterior_class: type[GPyTorchPosterior] = GPyTorchPosterior

    def _how_to_fit(self) -> str:
        return "Fit that, for example by pm.find_MAP, and call PyMCGP.from_fitted."

    @property
    def process(self) -> AbstractProcess:
        """The noise-free function given the data, in the units of the outcome."""
        return self.state.process

    @property
    def outcome_scale(self) -> OutcomeScale:
        """How the units of the outcome relate to those of the gp."""
        return self.state.outcome_scale

    @property
    def batch_shape(self) -> torch.Size:
        """``Size([])``, and the batches of its observations for a fantasy model."""
        return self.process.batch_shape

    def posterior(
        self,
        X: ArrayLike,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | Callable[..., Posterior] | None = None,
    ) -> Posterior:
        """Return the posterior at ``X``, jointly over the ``q`` points of each batch.

        Args:
            X: Inputs, ``n x d`` or ``... x q x d``, in raw units where the model has an input transform (without the columns
                that it appends): a tensor, a NumPy array or a data frame. A row with NaN gives NaN in that row only.
            output_indices: None or ``[0]``: there is one outcome.
            observation_noise: True adds the variance of the observation noise (of noise that differs between
                observations, the mean of the training ones; of a noise covariance, that covariance at ``X``; for fantasies
                the jitter too, with which they are conditioned on). A tensor
                ``... x q x 1`` is added as it is: variances on the scale of the model's outcome.
            posterior_transform: Applied last.

        Returns:
            A ``GPyTorchPosterior`` with mean and variance ``... x q x 1`` in the units of the outcome (variance in their
            square), without jitter; its gradients flow to ``X``. With a non-linear outcome transform, BoTorch's
            transformed posterior.

        Raises:
            BotorchTensorDimensionError: If ``X`` has less than two dimensions or another number of columns than the
                training inputs.
            UnsupportedError: If another outcome is asked for.
        """
        if output_indices not in (None, [0], [-1]):
            raise UnsupportedModelError(f"output_indices is {output_indices}, but there is one outcome. Pass None or [0].")
        X, inputs = self.read_inputs(X)
        state = self.state
        if inputs.requires_grad and state.index_columns:
            warn_of_values_between(self, state.index_columns, inputs)
        like = X if X.is_floating_point() else X.to(torch.float64)
        correlated = state.observation_process if observation_noise is True else None
        mvn = normal_at(inputs, correlated or state.process, like)
        if correlated is None and observation_noise is not False:
            mvn = add_noise(mvn, self._noise_at(observation_noise, mvn.mean))
        posterior = self._posterior_class(mvn)
        if state.outcome_scale.transform is not None:
            posterior = state.outcome_scale.transform.untransform_posterior(posterior, X=inputs)
        return posterior if posterior_transform is None else posterior_transform(posterior=posterior, X=inputs)

    def __call__(self, X: Tensor, *_: Any, **__: Any) -> MultivariateNormal:
        """Return the posterior (in training mode the prior) at inputs as the gp takes them, in the units of the gp."""
        if self.training:
            return self.forward(X)
        mvn = normal_at(X.to(torch.float64), self.process, like=X)
        offset, scale = self.outcome_scale.offset, self.outcome_scale.scale
        if (offset, scale) == (0.0, 1.0):
            return mvn
        return PosteriorNormal((mvn.mean - offset) / scale, mvn.lazy_covariance_matrix * scale**-2)

    def condition_on_observations(self, X: ArrayLike, Y: ArrayLike, noise: ArrayLike | None = None, **kwargs: Any) -> Self:
        """Return this model given more observations, with the same hyperparameters.

        The result equals a refit of the gp to all data with these hyperparameters, in value and gradient (to ``X``, ``Y``
        and new inputs), and factorises only a ``q x q`` matrix; what the model computes from its data stays. For
        the sparse approximations of ``pm.gp.MarginalApprox`` the approximate posterior is updated exactly.

        Args:
            X: Inputs, ``... x q x d``, in raw units.
            Y: Observations, ``... x q x 1``, in the units of the outcome; they may have more leading batches than ``X``
                (fantasies at the same points), or fewer.
            noise: Variances of ``Y``, of its shape, on the scale of the model's outcome (as BoTorch has it: after the
                outcome transform); None takes the model's.
            **kwargs: BoTorch's internal options, which change nothing here: gradients are exact in any case.

        Raises:
            UnsupportedError: If the observation noise is a covariance function, the gp is a component of a sum, or an
                option is unknown.
        """
        if unknown := set(kwargs) - {"propagate_grads"}:
            raise UnsupportedModelError(f"condition_on_observations takes no {', '.join(sorted(unknown))}. Leave it out.")
        Y, noise = as_column("Y", Y), None if noise is None else as_column("noise", noise)
        if Y.ndim < 2 or Y.shape[-1] != 1:
            raise BotorchTensorDimensionError(f"Y has shape {tuple(Y.shape)}. Pass observations ... x q x 1 of the one outcome.")
        X, inputs = self.read_inputs(X)
        targets = self.outcome_scale.to_gp(Y.to(torch.float64), inputs)
        if noise is not None and noise.shape[-1:] != (1,):
            raise BotorchTensorDimensionError(f"noise has shape {tuple(noise.shape)}. Pass variances of the shape of Y.")
        variances = None if noise is None else noise.to(torch.float64).squeeze(-1)
        raw_X = X if X.shape[-1] == self.num_inputs else None  # what is appended to the columns is raw, too
        return self._with_observations(raw_X, inputs, targets.squeeze(-1), variances)

    def get_fantasy_model(self, inputs: Tensor | list[Tensor], targets: Tensor, noise: Tensor | None = None) -> Self:
        """Return this model given more observations, as GPyTorch's method of this name.

        Args:
            inputs: ``... x q x d``, as the gp takes them (transformed).
            targets: ``... x q``, in the units of the gp.
            noise: Variances of ``targets``; None takes the model's.
        """
        X = (inputs[0] if isinstance(inputs, list | tuple) else inputs).to(torch.float64)
        return self._with_observations(None, X, targets.to(torch.float64), noise)

    def _with_observations(self, X: Tensor | None, inputs: Tensor, targets: Tensor, noise: Tensor | None) -> Self:
        """Return the model given more observations.

        Args:
            X: Raw inputs, ``... x q x d``; None undoes the input transform.
            inputs: The same as the gp takes them.
            targets: ``(more batches) x ... x q``, in the units of the gp.
            noise: Variances of these targets, in the units of the gp; None takes the model's.
        """
        self._check_not_latent()
        variances = self.noise_variance.unsqueeze(-1) if noise is None else noise
        state = add_observations(self.state, self._undo(inputs) if X is None else X, inputs, targets, variances)
        new = with_state(self, state)
        if state.noise_is_known:
            new._modules["likelihood"] = gaussian_likelihood(state.noise, known=True)
        return new

    def forward(self, X: Tensor) -> MultivariateNormal:
        """Return the prior at ``X``, in the units of the gp: PyMC's mean and covariance functions, without data.

        At the training inputs PyMC's jitter is on the diagonal: with the noise of the likelihood it is the covariance that
        PyMC factorises, on which BoTorch's leave-one-out predictions rest. In training mode ``X`` is raw and the input
        transform is applied, as in BoTorch's models.

        Raises:
            UnsupportedError: For a component of a sum and for a sparse approximation.
        """
        if self.state.fitted.kind != "exact":
            raise UnsupportedModelError(
                "This gp is a component of a sum, a sparse approximation or one with signs: its posterior is not its prior given "
                "the data. Use the sum, or pm.gp.Marginal."
            )
        inputs = (self.transform_inputs(X) if self.training else X).to(torch.float64)
        with botorch_errors():
            mean, cov = prior_process(self.state).joint(inputs)
        if inputs.shape == self.state.training.inputs.shape and torch.equal(inputs, self.state.training.inputs):
            cov = cov + self.observation_jitter * torch.eye(cov.shape[-1], dtype=cov.dtype)
        return MultivariateNormal(mean.to(X), to_linear_operator(cov.to(X)))

    def subset_output(self, idcs: list[int]) -> Self:
        """Return the model of the outcomes ``idcs``: itself, there being one."""
        if idcs not in ([0], [-1]):
            raise UnsupportedModelError(f"idcs is {idcs}, but there is one outcome. Pass [0].")
        return self

    def added_loss_terms(self) -> NoReturn:
        """Refuse to be part of a GPyTorch marginal log likelihood, which would leave PyMC's priors out."""
        raise UnsupportedModelError(
            f"A GPyTorch marginal log likelihood of this model would leave out the priors of the PyMC model. {self._how_to_fit()}"
        )

    def _noise_at(self, observation_noise: Tensor | bool, mean: Tensor) -> Tensor:
        """Return the variance to add at each point, in squared units of the outcome, in the shape of ``mean``."""
        self._check_not_latent()
        if observation_noise is True:
            noise = self.noise_variance.unsqueeze(-1) + (self.observation_jitter if fantasize.on() else 0.0)
        elif isinstance(observation_noise, Tensor | np.ndarray) and observation_noise.shape[-1:] == (1,):
            noise = as_tensor("observation_noise", observation_noise).squeeze(-1)
        else:
            raise BotorchTensorDimensionError(
                f"observation_noise is {observation_noise!r}. Pass True, False or a tensor of variances, ... x q x 1."
            )
        try:
            return (noise.to(mean) * self.outcome_scale.scale**2).expand(mean.shape)
        except RuntimeError as error:
            raise BotorchTensorDimensionError(
                f"observation_noise has shape {(*noise.shape, 1)}. Pass variances that expand to {(*mean.shape, 1)}."
            ) from error

    def _set_transformed_inputs(self) -> None:
        """Do nothing: ``train_inputs`` follows the mode by itself."""

    def _revert_to_original_inputs(self) -> None:
        """Do nothing: ``train_inputs`` follows the mode by itself."""

    def _apply(self, fn: Callable, recurse: bool = True) -> Self:
        """Return the model as it is, in float64 on the CPU: inputs and outputs are cast.

        BoTorch's analytic acquisition functions call ``model.to(X)`` at every evaluation: one float32 input would else leave
        a float32 model behind.
        """
        return self
