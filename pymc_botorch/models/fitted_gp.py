"""A fitted gp, its data and hyperparameters come in, what BoTorch reads and sets of them goes out: ``AbstractFittedGP``."""

__all__ = ["AbstractFittedGP"]

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from botorch.models.model import Model
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from gpytorch.distributions import MultivariateNormal
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from linear_operator import to_linear_operator
from torch import Tensor

from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.map import FitResult
from pymc_botorch.inference.sampling import SamplingResult
from pymc_botorch.models.conditioning import append_observations, check_observations, twin_of
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.lengthscales import Lengthscales, effective_lengthscales
from pymc_botorch.models.likelihoods import NOT_GAUSSIAN, LatentLikelihood, gaussian_likelihood
from pymc_botorch.models.process import AbstractProcess, CompiledProcess, ConditionedProcess
from pymc_botorch.models.units import fitted_copy, raw_inputs, read_units, undo

FOLLOWING = ("_fitted", "_noise", "_noisy", "_observation_process", "likelihood", "process")
"""What follows from data and hyperparameters."""


class AbstractFittedGP(AbstractPyMCGP):
    """A fitted gp: data that can be set, a prior, and models given more observations."""

    _fitted: FittedGP
    _noisy: FittedGP | None
    _observation_process: AbstractProcess | None
    _dtype = torch.float64
    _train_sd: np.ndarray | None = None
    _all_parameters: Mapping[str, np.ndarray] | None = None

    fit_result: FitResult | SamplingResult | None = None
    """What the last fit did; None before it, after a state was loaded, and for models made from a fitted gp."""

    @classmethod
    def _snapshot(
        cls,
        fitted: FittedGP,
        noisy: FittedGP | None,
        input_transform: InputTransform | None,
        outcome_transform: OutcomeTransform | None,
    ) -> Self:
        """Return the model of a gp fitted in PyMC, with copies of the transforms that were applied to its data."""
        raw_X = raw_inputs(input_transform, fitted.X, fitted.raw_X)
        self = cls.__new__(cls)
        Model.__init__(self)
        read_units(outcome_transform)  # checks it
        self._set_transforms(*(transform and fitted_copy(transform) for transform in (input_transform, outcome_transform)))
        self._noisy = noisy
        self._condition(fitted, raw_X)
        return self.eval()

    def _set_transforms(self, input_transform: InputTransform | None, outcome_transform: OutcomeTransform | None) -> None:
        if input_transform is not None:
            self.input_transform = input_transform
        if outcome_transform is not None:
            self.outcome_transform = outcome_transform
        self.outcome_units = read_units(outcome_transform)

    @abstractmethod
    def _unfitted(self) -> FittedGP:
        """Return the gp at the values that its hyperparameters have before a fit, and set ``_noisy``."""

    def __getattr__(self, name: str) -> Any:
        """Compute what follows from the data when it is first asked for: constructors compile nothing."""
        if "_building" in self.__dict__ and name in (*FOLLOWING, "input_transform", "outcome_transform"):
            raise InvalidDataError(
                f"build_gp reads {name} of its model, which changes with the data while the graph is built once. Use its "
                "arguments and attributes of your own."
            )
        if name in FOLLOWING and "_train_X" in self.__dict__ and "process" not in self.__dict__:
            with botorch_errors():
                try:
                    self._condition(self._unfitted(), self._train_X)
                except AttributeError as error:  # of the user's; as it is, it would be said to be ours
                    raise RuntimeError(f"build_gp failed: {error}") from error
            return getattr(self, name)
        return super().__getattr__(name)

    def _condition(self, fitted: FittedGP, raw_X: Tensor) -> None:
        """Set everything that follows from data and hyperparameters."""
        process, noise = self._process_of(fitted)
        if self._noisy is not None:
            self._noisy = self._noisy.with_data(fitted.X, fitted.y).with_point(fitted.point)
        self._fitted, self._train_X, self._train_inputs = fitted, raw_X, torch.from_numpy(fitted.X)
        self._train_targets = torch.from_numpy(fitted.y)
        self._noise = noise
        self._observation_process = None
        self.process = process
        known = noise.ndim > len(process.batch_shape)
        self.likelihood = LatentLikelihood() if self._is_latent else gaussian_likelihood(noise, known=known)

    def _process_of(self, fitted: FittedGP) -> tuple[AbstractProcess, Tensor]:
        """Return the posterior in the units of the outcome, and the noise variance of the gp's: ``()`` or ``n``."""
        conditioned = replace(fitted.condition(), offset=self.outcome_units.offset, scale=self.outcome_units.scale)
        return CompiledProcess(conditioned), torch.from_numpy(conditioned.noise)

    def _prior_of(self, fitted: FittedGP) -> AbstractProcess:
        return CompiledProcess(fitted.prior())

    @property
    def num_inputs(self) -> int:
        """Number of columns of raw inputs."""
        return self._train_X.shape[-1]

    @property
    def observation_process(self) -> AbstractProcess | None:
        """New observations given the data, where their noise is a covariance; compiled when first asked for."""
        if self._observation_process is None and self._noisy is not None:
            self._observation_process = self._process_of(self._noisy)[0]
        return self._observation_process

    @property
    def noise_variance(self) -> Tensor:
        """Variance of a new observation, in squared units of the gp: the mean over the training observations.

        Raises:
            UnsupportedError: For a latent gp, whose outcomes are not the function plus noise.
        """
        self._check_not_latent()
        return self._noise.mean(-1) if self._noise_is_known else self._noise

    @property
    def _noise_is_known(self) -> bool:
        return isinstance(self.likelihood, FixedNoiseGaussianLikelihood)

    @property
    def observation_jitter(self) -> float:
        """PyMC's jitter on the training covariance; a sparse approximation has it on its inducing points only."""
        return 0.0 if self._fitted.kind == "sparse" else float(self._fitted.data["jitter"])

    @property
    def train_inputs(self) -> tuple[Tensor, ...]:
        """Training inputs ``n x d``: as the gp sees them in evaluation mode, raw in training mode, as BoTorch keeps them.

        Fantasy models have ``... x (n + q) x d``. Setting them conditions the model anew.
        """
        return ((self._train_X if self.training else self._train_inputs).to(self._dtype),)

    @train_inputs.setter
    def train_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        self.set_train_data(inputs, strict=False)

    @property
    def train_targets(self) -> Tensor:
        """Training targets ``n``, in the units of the gp. Setting them conditions the model anew.

        Of a latent gp they are the function at the training inputs in each draw, ``S x n``, on which each draw is conditioned;
        the outcomes are known to the likelihood of the PyMC model only.
        """
        return self._train_targets.to(self._dtype)

    @train_targets.setter
    def train_targets(self, targets: Tensor) -> None:
        self.set_train_data(targets=targets, strict=False)

    @property
    def _has_transformed_inputs(self) -> bool:
        return not self.training and getattr(self, "input_transform", None) is not None

    @property
    def _original_train_inputs(self) -> Tensor:
        return self._train_X.to(self._dtype)

    def set_train_data(
        self, inputs: Tensor | tuple[Tensor, ...] | None = None, targets: Tensor | None = None, strict: bool = True
    ) -> None:
        """Condition the model on other data, with the same hyperparameters.

        Args:
            inputs: ``n x d``, in the space of ``train_inputs``; None keeps them.
            targets: ``n``, in the units of the gp; None keeps them.
            strict: Whether the shapes must be those of the present data.

        Raises:
            InputDataError: If the data are not finite, or of shapes that do not fit.
            ModelFittingError: If their covariance cannot be factorised. Nothing is changed in either case.
            UnsupportedError: If this is a fantasy model; of a latent gp, for any data but the present ones.
        """
        X = self.train_inputs[0] if inputs is None else inputs if isinstance(inputs, Tensor) else inputs[0]
        y = self.train_targets if targets is None else targets
        for name, new, old in (("inputs", X, self.train_inputs[0]), ("targets", y, self.train_targets)):
            if strict and new.shape != old.shape:
                raise InvalidDataError(
                    f"{name} have shape {tuple(new.shape)} instead of {tuple(old.shape)}. Pass strict=False to change it."
                )
        self._check_not_a_fantasy()
        X, y = (tensor.detach().to("cpu", torch.float64).clone() for tensor in (X, y))
        if self._is_latent and not (torch.equal(X, self.train_inputs[0]) and torch.equal(y, self.train_targets)):
            raise UnsupportedModelError(
                "The draws hold the function at the inputs that they were sampled with, and cannot have other data. Sample the "
                "PyMC model with these, and call FullyBayesianPyMCGP.from_fitted."
            )
        self._check_inputs(X)
        model_X = self.transform_inputs(X) if self.training else X
        raw_X = X if self.training else self._undo(X)
        with botorch_errors():
            self._condition(self._fitted.with_data(model_X.numpy(), y.numpy()), raw_X)

    def _given(self, X: Tensor | None, inputs: Tensor, targets: Tensor, noise: Tensor | None) -> Self:
        """Return the model given more observations; see :meth:`condition_on_observations`."""
        self._check_not_latent()
        if self._noisy is not None:
            raise UnsupportedModelError(
                "The observation noise is a covariance function, so new observations depend on the training ones beyond the "
                "function. Refit with all data, or use independent noise (a number, a random variable or a vector)."
            )
        if self._fitted.kind == "component":
            raise UnsupportedModelError(
                "This gp is a component of a sum, and observations are of the sum. Condition the model of the sum."
            )
        variances = self.noise_variance.unsqueeze(-1) if noise is None else noise
        check_observations(inputs, targets, variances)
        batch = torch.broadcast_shapes(variances.shape[:-1], targets.shape[:-1])
        variances, scale = variances.expand(*batch, targets.shape[-1]), self.outcome_units.scale
        new = twin_of(self)
        outcomes = self.outcome_units.offset + scale * targets
        new.process = ConditionedProcess(self.process, inputs, outcomes, scale**2 * (variances + self.observation_jitter))
        batch = new.process.batch_shape
        X = self._undo(inputs) if X is None else X
        new._train_X = append_observations(self._train_X, X.detach().to(torch.float64), 2, batch)
        new._train_inputs = append_observations(self._train_inputs, inputs.detach(), 2, batch)
        new._train_targets = append_observations(self._train_targets, targets.detach(), 1, batch)
        if self._noise_is_known:
            new._noise = append_observations(self._noise, variances.detach(), 1, batch)
            new.likelihood = gaussian_likelihood(new._noise, known=True)
        return new

    def _undo(self, inputs: Tensor) -> Tensor:
        """Return raw inputs from those that the gp takes."""
        transform = getattr(self, "input_transform", None)
        return inputs if transform is None else undo(transform, inputs)

    def forward(self, X: Tensor) -> MultivariateNormal:
        """Return the prior at ``X``, in the units of the gp: PyMC's mean and covariance functions, without data.

        At the training inputs PyMC's jitter is on the diagonal: with the noise of the likelihood it is the covariance that
        PyMC factorises, on which BoTorch's leave-one-out predictions rest. In training mode ``X`` is raw and the input
        transform is applied, as in BoTorch's models.

        Raises:
            UnsupportedError: For a component of a sum and for a sparse approximation.
        """
        if self._fitted.kind != "exact":
            raise UnsupportedModelError(
                "This gp is a component of a sum or a sparse approximation: its posterior is not its prior given the data. "
                "Use the sum, or pm.gp.Marginal."
            )
        inputs = self.transform_inputs(X) if self.training else X
        mean, cov = self._prior_of(self._fitted).joint(inputs.to(torch.float64))
        if inputs.shape == self._train_inputs.shape and torch.equal(inputs.to(torch.float64), self._train_inputs):
            cov = cov + self.observation_jitter * torch.eye(cov.shape[-1], dtype=cov.dtype)
        return MultivariateNormal(mean.to(X), to_linear_operator(cov.to(X)))

    @property
    def covar_module(self) -> Lengthscales:
        """The effective lengthscales, where Ax looks for them to rank inputs; there is no GPyTorch kernel.

        Inputs in natural units have theirs relative to the range of the data, or they could not be compared.
        """
        lengthscales = effective_lengthscales(self)
        if getattr(self, "units", "scaled") == "natural":
            span = self._train_inputs.amax(0) - self._train_inputs.amin(0)
            lengthscales = lengthscales / torch.where(span > 0, span, torch.ones_like(span))
        return Lengthscales(lengthscales)

    @property
    def _hyperparameters(self) -> Mapping[str, np.ndarray]:
        """Those of the gp, and what its priors depend on where that is known."""
        return {**(self._all_parameters or {}), **self._fitted.point}

    @property
    def _is_latent(self) -> bool:
        return self._fitted.graph.latent is not None

    def _noise_at(self, observation_noise: Tensor | bool, mean: Tensor) -> Tensor:
        self._check_not_latent()
        return super()._noise_at(observation_noise, mean)

    def _check_not_latent(self) -> None:
        if self._is_latent:
            raise UnsupportedModelError(NOT_GAUSSIAN)

    def _check_not_a_fantasy(self) -> None:
        if isinstance(self.process, ConditionedProcess):
            raise UnsupportedModelError(
                "This model was conditioned on more observations; its data and hyperparameters are fixed. Change the model "
                "that it came from, and condition that."
            )
