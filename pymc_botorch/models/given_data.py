"""A model's gp by value for other rooms, its PyMC model, and the model of other data."""

__all__ = ["GivenDataMixin"]

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor

from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.pymc_model import BuilderModel, pymc_model
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
    def _run_builder(self, run: Callable[..., Any] = ...) -> tuple[Any, TrainingData]: ...

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

    def to_pymc(self) -> BuilderModel:
        """Return the PyMC model that ``build_gp`` writes, given the training data: for prior draws, graphs, samplers of your own.

        It is a ``pm.Model`` with two attributes more: ``gp``, which ``build_gp`` returned, and ``given``, what it returned beside
        it (the components of a sum by name), or None. Its data are the ``pm.Data`` ``train_X``, ``train_Y`` and, with known
        noise, ``train_sd``, as the gp sees them: transformed inputs and outcomes. So draws and predictions of PyMC are in the
        units that the priors are written for: of scaled units those of a standardised outcome, of natural ones those of the data.

        PyMC draws nothing from an improper prior (``Flat``, as that of the mean of the default model): it then has no prior
        predictive, and no graph.

        Each call runs ``build_gp`` anew. The model is yours: it knows nothing of a fit, and changing it changes nothing here.
        A gp that was sampled in it comes back by ``from_fitted(pm_model.gp, idata, model=pm_model, given=pm_model.given)``, with
        the model's ``input_transform=`` and ``outcome_transform=``, if it has them.

        Raises:
            UnsupportedError: If the model was made by ``from_fitted`` or conditioned on more observations.
            InputDataError: If the builder does not fit the data.

        Example:
            >>> import pymc as pm, torch
            >>> from pymc_botorch import PyMCGP
            >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
            >>> pm_model = PyMCGP(X, (6 * X).sin()).to_pymc()
            >>> [variable.name for variable in pm_model.free_RVs], type(pm_model.gp).__name__
            (['lengthscale', 'mean', 'noise'], 'Marginal')
        """
        self._check_not_given_more()
        if self._prepared is None:
            raise UnsupportedModelError("This model was made from a gp fitted in PyMC. Use the pm.Model of that gp.")
        with botorch_errors():
            return self._run_builder(pymc_model)[0]

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
