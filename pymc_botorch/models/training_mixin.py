"""Training data of a model: what BoTorch reads of them, and models given others."""

__all__ = ["READS_STATE", "TrainingDataMixin"]

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.models.transforms.input import InputTransform
from gpytorch.likelihoods import Likelihood
from torch import Tensor

from pymc_botorch.inference.fit.map import FitResult
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.lengthscales import effective_lengthscales
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.likelihoods import NOT_GAUSSIAN, LatentLikelihood, Lengthscales, gaussian_likelihood
from pymc_botorch.models.state import State, TrainingTensors, reconditioned
from pymc_botorch.models.tensors import ArrayLike, as_tensor
from pymc_botorch.models.transforms import undo

READS_STATE = (
    "build_gp reads {} of its model, which changes with the data while the graph is built once. Use its arguments and attributes "
    "of your own."
)


class TrainingDataMixin:
    """What a model is conditioned on, as BoTorch names its parts."""

    units: Any = "scaled"
    training: bool
    _modules: dict[str, Any]

    _state: State | None = None
    _is_building: bool = False

    @property
    def state(self) -> State:
        """What the model is conditioned on; before a fit, PyMC's initial point and the data, found when first asked for."""
        if self._is_building:
            raise InvalidDataError(READS_STATE.format("the state"))
        if self._state is None:
            with botorch_errors():
                self._replace_state(self._initial_state())
        return self._state  # type: ignore[return-value]  # set above

    @abstractmethod
    def _initial_state(self) -> State:
        """Return the state before a fit."""

    @abstractmethod
    def as_raw_inputs(self, name: str, value: ArrayLike) -> Tensor:
        """Return raw inputs as a tensor."""

    @property
    @abstractmethod
    def _training(self) -> TrainingTensors:
        """The training data, known before there is a state."""

    def _replace_state(self, state: State) -> None:
        self._modules["likelihood"] = (
            LatentLikelihood() if state.fitted.is_latent else gaussian_likelihood(state.noise, known=state.noise_is_known)
        )
        self._state = state

    @property
    def likelihood(self) -> Likelihood:
        """GPyTorch's likelihood with the noise variances of the gp, in its units."""
        _ = self.state  # which sets it
        return self._modules["likelihood"]

    @property
    def fit_result(self) -> FitResult | SamplingResult | None:
        """What the last fit did; None before it, after a state was loaded, and for models made from a fitted gp."""
        return None if self._state is None else self._state.result

    @property
    def num_inputs(self) -> int:
        """Number of columns of raw inputs."""
        return self._training.raw_X.shape[-1]

    @property
    def noise_variance(self) -> Tensor:
        """Variance of a new observation, in squared units of the gp: the mean over the training observations.

        Raises:
            UnsupportedError: For a latent gp, whose outcomes are not the function plus noise.
        """
        self._check_not_latent()
        return self.state.noise.mean(-1) if self.state.noise_is_known else self.state.noise

    @property
    def observation_jitter(self) -> float:
        """What a refit would add to the noise variance of an observation, in squared units of the gp."""
        return self.state.jitter

    @property
    def covar_module(self) -> Lengthscales:
        """The effective lengthscales, where Ax looks for them to rank inputs; there is no GPyTorch kernel.

        Inputs in natural units have theirs relative to the range of the data, or they could not be compared.
        """
        with botorch_errors():
            of_draws = torch.from_numpy(effective_lengthscales(self.state.fitted))
        lengthscales = of_draws if self.state.is_ensemble else of_draws[0]
        if self.units == "natural":
            inputs = self.state.training.inputs
            span = inputs.amax(0) - inputs.amin(0)
            lengthscales = lengthscales / torch.where(span > 0, span, torch.ones_like(span))
        return Lengthscales(lengthscales)

    @property
    def train_inputs(self) -> tuple[Tensor, ...]:
        """Training inputs ``n x d``: as the gp sees them in evaluation mode, raw in training mode, as BoTorch keeps them.

        Fantasy models have ``... x (n + q) x d``. Setting them conditions the model anew.
        """
        return ((self._training.raw_X if self.training else self._training.inputs).to(self._training.dtype),)

    @train_inputs.setter
    def train_inputs(self, inputs: tuple[Tensor, ...]) -> None:
        self.set_train_data(inputs, strict=False)

    @property
    def train_targets(self) -> Tensor:
        """Training targets ``n``, in the units of the gp. Setting them conditions the model anew.

        Of a latent gp they are the function at the training inputs in each draw, ``S x n``, on which each draw is conditioned;
        the outcomes are known to the likelihood of the PyMC model only.
        """
        return self._training.targets.to(self._training.dtype)

    @train_targets.setter
    def train_targets(self, targets: Tensor) -> None:
        self.set_train_data(targets=targets, strict=False)

    @property
    def _has_transformed_inputs(self) -> bool:
        return not self.training and getattr(self, "input_transform", None) is not None

    @property
    def _original_train_inputs(self) -> Tensor:
        return self._training.raw_X.to(self._training.dtype)

    def set_train_data(
        self, inputs: ArrayLike | tuple[Tensor, ...] | None = None, targets: ArrayLike | None = None, strict: bool = True
    ) -> None:
        """Condition the model on other data, with the same hyperparameters; what it computes from its data follows them.

        Args:
            inputs: ``n x d``, in the space of ``train_inputs``; None keeps them.
            targets: ``n``, in the units of the gp; None keeps them.
            strict: Whether the shapes must be those of the present data.

        Raises:
            InputDataError: If the data are not finite, or of shapes that do not fit.
            ModelFittingError: If their covariance cannot be factorised. Nothing is changed in either case.
            UnsupportedError: If this is a fantasy model; of a latent gp, for any data but the present ones.
        """
        given = inputs[0] if isinstance(inputs, tuple | list) else inputs
        X = self.train_inputs[0] if given is None else self.as_raw_inputs("inputs", given)
        y = self.train_targets if targets is None else as_tensor("targets", targets)
        for name, new, old in (("inputs", X, self.train_inputs[0]), ("targets", y, self.train_targets)):
            if strict and new.shape != old.shape:
                raise InvalidDataError(
                    f"{name} have shape {tuple(new.shape)} instead of {tuple(old.shape)}. Pass strict=False to change it."
                )
        self._check_not_given_more()
        X, y = (tensor.detach().to("cpu", torch.float64).clone() for tensor in (X, y))
        if self.state.fitted.is_latent and not (torch.equal(X, self.train_inputs[0]) and torch.equal(y, self.train_targets)):
            raise UnsupportedModelError(
                "The draws hold the function at the inputs that they were sampled with, and cannot have other data. Sample the "
                "PyMC model with these, and call FullyBayesianPyMCGP.from_fitted."
            )
        columns = self.train_inputs[0].shape[-1]
        if X.ndim != 2 or X.shape[-1] != columns:
            raise BotorchTensorDimensionError(
                f"inputs have shape {tuple(X.shape)}. Pass n x {columns} inputs, as the model's train_inputs are."
            )
        training = self.state.training
        if torch.equal(X, self.train_inputs[0].to(torch.float64)):  # a transform that rounds cannot be undone
            model_X, raw_X = training.inputs, training.raw_X
        elif self.training:
            model_X, raw_X = self._transformed(X), X
        else:
            model_X, raw_X = X, self._undo(X)
        with botorch_errors():
            data = TrainingData(model_X.numpy(), y.numpy(), self.state.fitted.training_data.sigma)
            self._replace_state(self._with_data(data, raw_X))

    def _with_data(self, data: TrainingData, raw_X: Tensor) -> State:
        """Return the state given other data, with the same hyperparameters."""
        state = self.state
        moved = replace(state, training=state.training._replace(raw_X=raw_X))
        conditioned = reconditioned(moved, self._moved(state.fitted.with_data(data)), state.parameters)
        kept: dict[str, Any] = {"result": state.result, "sample": state.sample, "idata": state.idata}
        return replace(conditioned, **kept, is_initial=state.is_initial)

    def _moved(self, fitted: FittedGP) -> FittedGP:
        """Return the gp given other data, with whatever its draws know of the data drawn anew."""
        return fitted

    def _transformed(self, raw_X: Tensor) -> Tensor:
        """Return training inputs as the gp takes them, by the transform as it was fitted."""
        transform: InputTransform | None = getattr(self, "input_transform", None)
        return raw_X if transform is None else transform.preprocess_transform(raw_X)

    def _undo(self, inputs: Tensor) -> Tensor:
        """Return raw inputs from those that the gp takes."""
        transform = getattr(self, "input_transform", None)
        return inputs if transform is None else undo(transform, inputs)

    def _check_not_latent(self) -> None:
        if self.state.fitted.is_latent:
            raise UnsupportedModelError(NOT_GAUSSIAN)

    def _check_not_given_more(self) -> None:
        if self._state is not None and self._state.is_given_more:
            raise UnsupportedModelError(
                "This model was conditioned on more observations; its data and hyperparameters are fixed. Change the model "
                "that it came from, and condition that."
            )
