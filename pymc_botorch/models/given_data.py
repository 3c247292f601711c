"""A model's gp by value for other rooms, and the model of other data."""

__all__ = ["GivenDataMixin"]

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.conditioning import with_state
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.state import State
from pymc_botorch.models.training_data import PreparedData, prepare


class GivenDataMixin:
    """What a model of a builder gives to those who change its data."""

    units: Any
    _part: str | None
    _state: State | None
    _prepared: PreparedData | None

    @property
    @abstractmethod
    def state(self) -> State:
        """What the model is conditioned on."""

    @abstractmethod
    def _check_not_given_more(self) -> None: ...

    @abstractmethod
    def _build(self) -> tuple[BuiltGP, TrainingData]: ...

    @abstractmethod
    def _conditioned(self, built: BuiltGP, data: TrainingData, draws: Mapping[str, np.ndarray], num_draws: int) -> State: ...

    def read_built(self) -> tuple[BuiltGP, TrainingData]:
        """Return what the builder makes, and the data as the gp sees them.

        Raises:
            UnsupportedError: If the model was made by ``from_fitted`` or conditioned on more observations.
            InputDataError: If the builder does not fit the data.
        """
        self._check_not_given_more()
        if self._prepared is None:
            raise UnsupportedModelError("This model was made from a gp fitted in PyMC. Pass that gp and its model=... instead.")
        with botorch_errors():
            built, data = self._build()
        return (built if self._part is None else built.of(self._part)), data

    def given_data(self, train_X: Tensor, train_Y: Tensor, train_Yvar: Tensor | None, point: Mapping[str, np.ndarray]) -> Self:
        """Return the model of other raw data, with hyperparameters ``point``; transforms that learn from data do so.

        It gives no warnings: those of this model's data have been given.
        """
        other: Any = with_state(self, self.state)  # type: ignore[type-var]  # it is a module
        outcome, inputs = (getattr(other, name, None) for name in ("outcome_transform", "input_transform"))  # copies
        with warnings.catch_warnings(), botorch_errors():
            warnings.simplefilter("ignore")
            prepared, own = prepare(train_X, train_Y, train_Yvar, outcome, inputs, self.units), self._prepared
            other._prepared = prepared if own is None else prepared._replace(columns=own.columns, outcome=own.outcome)
            other._state = None
            built, data = other._build()
            other._replace_state(other._conditioned(built, data, {name: value[None] for name, value in point.items()}, 1))
        return other.eval()
