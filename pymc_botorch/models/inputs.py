"""New inputs of a model: as callers pass them, and as its gp takes them."""

__all__ = ["InputsMixin", "is_for_predictions"]

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.models.transforms.input import InputTransform
from torch import Tensor

from pymc_botorch.models.state import TrainingTensors
from pymc_botorch.models.tensors import ArrayLike


class InputsMixin:
    """How inputs reach the gp: converted, transformed and checked."""

    training: bool
    _modules: dict[str, Any]
    eval: Callable[[], Any]

    @property
    @abstractmethod
    def num_inputs(self) -> int:
        """Number of columns of raw training inputs."""

    @abstractmethod
    def as_raw_inputs(self, name: str, value: ArrayLike) -> Tensor:
        """Return raw inputs as a tensor."""

    @property
    @abstractmethod
    def _training(self) -> TrainingTensors:
        """The training data, known before there is a state."""

    def read_inputs(self, X: ArrayLike) -> tuple[Tensor, Tensor]:
        """Return new inputs as a tensor ``... x q x d``, and the same as the gp takes them, in float64; in evaluation mode.

        An input transform that applies to predictions only may append columns (environmental variables) or make several points
        of one (perturbations): these inputs are checked when they are transformed.

        Raises:
            InputDataError: If a data frame has other columns than the model.
            BotorchTensorDimensionError: If they have less than two dimensions, or columns that do not fit.
        """
        X = self.as_raw_inputs("X", X)
        if self.training:
            self.eval()
        inputs = X if X.dtype == torch.float64 else X.to(torch.float64)
        transform: InputTransform | None = self._modules.get("input_transform")
        if X.ndim < 2 or (X.shape[-1] != self.num_inputs and not is_for_predictions(transform)):
            raise self._wrong_shape(X, self.num_inputs)
        if transform is None:
            return X, inputs
        try:
            transformed: Tensor = transform(inputs)
        except (RuntimeError, IndexError, BotorchTensorDimensionError) as error:
            if X.shape[-1] == self.num_inputs:
                raise
            raise self._wrong_shape(X, self.num_inputs) from error
        if (columns := self._training.inputs.shape[-1]) != transformed.shape[-1]:
            raise self._wrong_shape(X, max(X.shape[-1] - transformed.shape[-1] + columns, 0))
        return X, transformed

    def _wrong_shape(self, X: Tensor, columns: int) -> BotorchTensorDimensionError:
        return BotorchTensorDimensionError(
            f"X has shape {tuple(X.shape)}. Pass n x {columns} or ... x q x {columns} inputs, as the "
            + ("model was fitted to." if columns == self.num_inputs else "input_transform makes those that the gp takes.")
        )


def is_for_predictions(transform: InputTransform | None) -> bool:
    """Return whether some of a transform is applied to new inputs and not to training inputs."""
    parts = () if transform is None else transform.modules()
    return any(part.transform_on_eval and not part.transform_on_train for part in parts if isinstance(part, InputTransform))
