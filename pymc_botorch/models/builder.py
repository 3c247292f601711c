"""Models made from data by a ``build_gp``, or from a gp fitted in PyMC."""

__all__ = ["AbstractBuiltGP", "on_new_class"]

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from botorch.models.model import Model
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from botorch.utils.datasets import SupervisedDataset
from botorch.utils.types import DEFAULT, _DefaultType
from gpytorch.models import GP

from pymc_botorch.inference.build import BuiltGP, build, build_default_gp
from pymc_botorch.inference.categories import index_columns_of
from pymc_botorch.inference.components import read_parts
from pymc_botorch.inference.names import Names
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models import paths as _paths  # noqa: F401  # registers a refusal with BoTorch
from pymc_botorch.models.categories import check_unmerged, warn_of_numbers
from pymc_botorch.models.columns_mixin import ColumnsMixin
from pymc_botorch.models.components import ComponentsMixin
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, with_notes
from pymc_botorch.models.fitting import FittingMixin
from pymc_botorch.models.given_data import GivenDataMixin
from pymc_botorch.models.leave_one_out import LeaveOneOutMixin
from pymc_botorch.models.mistakes import refuse_arguments, warn_of_a_default_model
from pymc_botorch.models.report import ReportMixin
from pymc_botorch.models.state import State, TrainingTensors, conditioned_state
from pymc_botorch.models.tensors import ArrayLike, check_order
from pymc_botorch.models.training_data import PreparedData, UnitsOfPriors, prepare
from pymc_botorch.models.training_mixin import READS_STATE
from pymc_botorch.models.transforms import check_outcomes, fitted_copy, raw_inputs, read_outcome_scale

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

SIGNS_ARE_DRAWS = (
    "The derivatives of a MonotoneGP at its sites are draws, not a point. Use FullyBayesianPyMCGP, which takes its "
    "hyperparameters at their maximum a posteriori by default."
)
LIBRARY_MODULES = ("input_transform", "likelihood", "outcome_transform")
LIBRARY_FIELDS = frozenset((*vars(GP()), "_state", "_prepared", "_build_function", "_is_building", "_is_ensemble", "_part"))
"""Attributes of a model that are not its user's, and so no part of what a builder may depend on."""


_hooks: list[Callable[[type["AbstractBuiltGP"]], None]] = []


def on_new_class(hook: Callable[[type["AbstractBuiltGP"]], None]) -> None:
    """Call ``hook`` with each subclass that is made from now on: the core imports no library that keeps a list of models."""
    _hooks.append(hook)


class AbstractBuiltGP(ReportMixin, ColumnsMixin, AbstractPyMCGP, FittingMixin, GivenDataMixin, ComponentsMixin, LeaveOneOutMixin):
    """A model that knows how its gp is built; until it is fitted, it is conditioned at PyMC's initial point."""

    units: UnitsOfPriors = "scaled"
    """What the priors of ``build_gp`` are written for: ``"scaled"`` for inputs in the unit cube and a standardised outcome,
    ``"natural"`` for the units of the data."""

    _prepared: PreparedData | None = None
    """The data that the constructor was given; None of a model that was made from a gp fitted in PyMC."""
    _build_function: Callable[..., Any] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for hook in _hooks:
            hook(cls)

    def __init__(
        self,
        train_X: ArrayLike,
        train_Y: ArrayLike,
        train_Yvar: ArrayLike | None = None,
        outcome_transform: OutcomeTransform | _DefaultType | None = DEFAULT,
        input_transform: InputTransform | None = None,
        *,
        build_gp: Callable[..., Any] | None = None,
        **unknown: Any,
    ) -> None:
        refuse_arguments(type(self).__name__, unknown)
        if not (build_gp is None or callable(build_gp)):
            raise InvalidDataError(f"build_gp is a {type(build_gp).__name__}. Pass a function of X and y that returns a gp.")
        Model.__init__(self)
        self._build_function = build_gp
        prepared = self._prepared = prepare(
            train_X, train_Y, train_Yvar, outcome_transform, input_transform, self.units, indices=not self._uses_default_model
        )
        self._check_columns(prepared.data.X.shape[-1])
        if self.columns is not None and len(self.columns) == self.num_inputs:
            check_order("train_X", train_X, self.columns)
        self._set_transforms(prepared.input_transform, prepared.outcome_transform)
        if self._uses_default_model:
            warn_of_a_default_model(type(self), AbstractBuiltGP)

    @classmethod
    def _from_gp(
        cls,
        read: Callable[..., Any],
        gp: Any,
        given: Any,
        input_transform: InputTransform | None,
        outcome_transform: OutcomeTransform | None,
        names: Names,
    ) -> Self:
        """Return the model of a gp that ``read`` reads, with copies of the transforms that were applied to its data."""
        fitted, observation, parameters, parts = read_parts(read, gp, given)
        if fitted.graph.signs is not None and not cls._is_fully_bayesian:
            raise UnsupportedModelError(SIGNS_ARE_DRAWS)
        raw_X = raw_inputs(input_transform, fitted.X, fitted.raw_X)
        read_outcome_scale(outcome_transform)  # checks it
        check_outcomes(outcome_transform, fitted.X, fitted.y, fitted.raw_y)
        self = cls.__new__(cls)
        Model.__init__(self)
        self._set_transforms(*(transform and fitted_copy(transform) for transform in (input_transform, outcome_transform)))
        training = TrainingTensors(raw_X, torch.from_numpy(fitted.X), torch.from_numpy(fitted.y))
        outcome_scale = read_outcome_scale(getattr(self, "outcome_transform", None))
        ensemble = self._is_fully_bayesian
        state = conditioned_state(fitted, observation, training, outcome_scale, parameters=parameters, ensemble=ensemble)
        self._replace_state(replace(state, parts=parts, names=names))
        check_unmerged(self.state.index_columns, training.inputs, raw_X)
        return self.eval()

    def _set_transforms(self, input_transform: InputTransform | None, outcome_transform: OutcomeTransform | None) -> None:
        if input_transform is not None:
            self.input_transform = input_transform
        if outcome_transform is not None:
            self.outcome_transform = outcome_transform

    @classmethod
    def construct_inputs(
        cls, training_data: SupervisedDataset, categorical_features: list[int] | None = None, **options: Any
    ) -> dict[str, Any]:
        """Return the constructor's arguments for a data set, as BoTorch's method of this name.

        Args:
            training_data: Inputs, outcomes and, where known, variances.
            categorical_features: Columns of inputs that hold an index of a category; passed on if the constructor of a subclass
                takes them.
            **options: Further arguments of a subclass's constructor.
        """
        if categorical_features is not None and "categorical_features" in inspect.signature(cls).parameters:
            options["categorical_features"] = categorical_features
        return {**super().construct_inputs(training_data), **options}

    def build_gp(self, X: "TensorVariable", y: "TensorVariable", *sigma: Any, **named: Any) -> Any:  # for mypy: any arguments
        """Build the PyMC model; subclasses write their own.

        Args:
            X: Inputs as the gp sees them, ``n x d``.
            y: Outcomes as the gp sees them, ``n``.
            *sigma: Known sd of each observation, ``n``, where the model was given ``train_Yvar``.
            **named: The same by its name.

        Returns:
            A ``pm.gp.Marginal`` or ``MarginalApprox`` whose ``marginal_likelihood`` was called. For a sum of gps, that and its
            components by name, ``(total, {"trend": trend, "field": field})``, or for the model of one, ``(gp, {"gp": total})``.
        """
        return build_default_gp(X, y, *sigma, **named)

    @property
    def _training(self) -> TrainingTensors:
        if self._is_building:
            raise InvalidDataError(READS_STATE.format("training data"))
        return self.state.training if self._prepared is None or self._state is not None else self._prepared.training

    def _how_to_fit(self) -> str:
        return super()._how_to_fit() if self._prepared is None else "Call model.fit(), or fit_gpytorch_mll, which does the same."

    @property
    def _uses_default_model(self) -> bool:
        return self._build_function is None and getattr(self.build_gp, "__func__", None) is AbstractBuiltGP.build_gp

    @property
    def _owner_of_priors(self) -> str | None:
        """Name of what wrote the priors, for warnings of a fit; None if it is not the user."""
        if self._uses_default_model:
            return None
        return type(self).__name__ if self._build_function is None else getattr(self._build_function, "__name__", "build_gp")

    def _build(self) -> tuple[BuiltGP, TrainingData]:
        """Return what the builder makes, checked against the data, and these."""
        built, data = self._run_builder()
        columns = index_columns_of(built, data)
        check_unmerged(columns, torch.from_numpy(data.X), self._training.raw_X)
        if self._prepared is not None:
            doubtful, self._prepared = self._prepared.doubtful, self._prepared._replace(doubtful=())
            warn_of_numbers([j for j in doubtful if j not in columns], torch.from_numpy(data.X))
        return built, data

    def _run_builder(self, run: Callable[..., Any] = build) -> tuple[Any, TrainingData]:
        """Return what ``run`` makes of the builder, the data and the attributes that the builder may read, and the data."""
        if self._prepared is None:
            raise UnsupportedModelError(
                "This model was made from a gp fitted in PyMC, so it cannot be fitted here. Fit the gp in PyMC and call "
                "from_fitted again, or construct the model from data."
            )
        data = self._prepared.data if self._state is None else self._state.fitted.training_data
        if self._build_function is not None:
            return run(self._build_function, data), data
        if self._uses_default_model:
            return run(build_default_gp, data), data
        attributes = {name: value for name, value in vars(self).items() if name not in LIBRARY_FIELDS}
        for registered in (self._modules, self._parameters, self._buffers):
            attributes |= {name: value for name, value in registered.items() if name not in LIBRARY_MODULES}
        hidden = {name: self._modules.pop(name) for name in LIBRARY_MODULES if name in self._modules}
        self._is_building = True
        try:
            return run(self.build_gp, data, attributes), data
        except AttributeError as error:
            if (name := next((name for name in LIBRARY_MODULES if f"'{name}'" in str(error)), None)) is not None:
                raise InvalidDataError(READS_STATE.format(name)) from error
            raise
        finally:
            self._is_building = False
            self._modules.update(hidden)

    def _conditioned(self, built: BuiltGP, data: TrainingData, draws: Mapping[str, np.ndarray], num_draws: int) -> State:
        """Return the state of what was built with these draws ``S x ...`` of all hyperparameters."""
        built = built if self._part is None else built.of(self._part)
        scale, ensemble = read_outcome_scale(getattr(self, "outcome_transform", None)), self._is_fully_bayesian
        if built.function.graph.signs is not None and not ensemble:
            raise UnsupportedModelError(SIGNS_ARE_DRAWS)
        given = built.given(data, draws, num_draws)
        state = conditioned_state(*given, self._training, scale, parameters=draws, ensemble=ensemble)
        return replace(state, parts=built.parts, names=built.names)

    def _initial_state(self) -> State:
        try:
            built, data = self._build()
            values = built.objective_values(data)
            point = built.scales.constrained(built.scales.support_point(values), values)
            state = self._conditioned(built, data, {name: value[None] for name, value in point.items()}, 1)
            return replace(state, is_initial=True)
        except AttributeError as error:  # of the user's; torch would take it for a missing attribute of the model
            raise with_notes(error, RuntimeError(f"build_gp failed: {error}")) from error
