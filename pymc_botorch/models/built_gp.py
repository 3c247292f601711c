"""Data and a builder come in, a gp that can be fitted goes out: ``AbstractBuiltGP``."""

__all__ = ["AbstractBuiltGP", "on_new_class"]

import inspect
import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from botorch.models.model import Model
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from botorch.utils.datasets import SupervisedDataset
from botorch.utils.types import DEFAULT, _DefaultType
from torch import Tensor

from pymc_botorch.inference.build import BuiltGP, TrainingData, build, build_default_gp
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.weights import WeightedDraws
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.fitted_gp import FOLLOWING
from pymc_botorch.models.stateful_gp import AbstractStatefulGP
from pymc_botorch.models.training_data import UnitsOfPriors, prepare

if TYPE_CHECKING:
    from pytensor.tensor.variable import TensorVariable

LIBRARY_MODULES = ("input_transform", "likelihood", "outcome_transform")
OF_A_FIT = ("_all_parameters", "_idata", "_record", "fit_result")


_hooks: list[Callable[[type["AbstractBuiltGP"]], None]] = []


def on_new_class(hook: Callable[[type["AbstractBuiltGP"]], None]) -> None:
    """Call ``hook`` with each subclass that is made from now on: the core imports no library that keeps a list of models."""
    _hooks.append(hook)


class AbstractBuiltGP(AbstractStatefulGP):
    """A gp made from data by a builder, and conditioned at its initial point until it is fitted."""

    units: UnitsOfPriors = "scaled"
    """What the priors of ``build_gp`` are written for: ``"scaled"`` for inputs in the unit cube and a standardised outcome,
    ``"natural"`` for the units of the data."""

    _build_function: Callable[..., Any] | None = None
    _own_attributes: frozenset[str] | None = None  # None: there is no builder

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for hook in _hooks:
            hook(cls)

    def __init__(
        self,
        train_X: Tensor,
        train_Y: Tensor,
        train_Yvar: Tensor | None = None,
        outcome_transform: OutcomeTransform | _DefaultType | None = DEFAULT,
        input_transform: InputTransform | None = None,
        *,
        build_gp: Callable[..., Any] | None = None,
    ) -> None:
        if not (build_gp is None or callable(build_gp)):
            raise InvalidDataError(f"build_gp is a {type(build_gp).__name__}. Pass a function of X and y that returns a gp.")
        prepared = prepare(train_X, train_Y, train_Yvar, outcome_transform, input_transform, self.units)
        users = frozenset(vars(self))
        Model.__init__(self)
        self._set_transforms(prepared.input_transform, prepared.outcome_transform)
        self._dtype = train_X.dtype if train_X.is_floating_point() else torch.float64
        self._build_function = build_gp
        self._train_X, self._train_sd = prepared.raw_X, prepared.data.sigma
        self._train_inputs, self._train_targets = map(torch.from_numpy, prepared.data[:2])
        self._own_attributes = frozenset(vars(self)) - users | {*FOLLOWING, *OF_A_FIT, "_own_attributes"}

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

    def build_gp(self, X: "TensorVariable", y: "TensorVariable", sigma: "TensorVariable | None" = None) -> Any:
        """Build the PyMC model; subclasses write their own.

        Args:
            X: Inputs as the gp sees them, ``n x d``.
            y: Outcomes as the gp sees them, ``n``.
            sigma: Known sd of each observation, ``n``, where the model was given ``train_Yvar``.

        Returns:
            A ``pm.gp.Marginal`` or ``MarginalApprox`` whose ``marginal_likelihood`` was called, or ``(gp, {"gp": total})``.
        """
        return build_default_gp(X, y, sigma)

    @abstractmethod
    def fit(self) -> Self:
        """Set the hyperparameters."""

    @abstractmethod
    def _as_warm_start(self, names: Sequence[str]) -> WeightedDraws | Mapping[str, Any]:
        """Return what a later fit of the hyperparameters ``names`` can begin with."""

    @classmethod
    @abstractmethod
    def check_fit_options(cls, **options: Any) -> None:
        """Refuse options of :meth:`fit` that it would refuse, without data."""

    def custom_fit(self, mll: Any = None, **ignored: Any) -> Any:
        """Fit as :meth:`fit` does: what ``fit_gpytorch_mll`` calls; a warning names options that it cannot use.

        The priors of the PyMC model are part of the objective; the marginal likelihood that is passed only names the model.
        """
        if given := sorted(name for name, value in ignored.items() if value):
            warnings.warn(
                f"The model is fitted by its own fit(), which does not use {', '.join(given)}. Call model.fit(...) instead.",
                UserWarning,
                stacklevel=3,
            )
        if self._own_attributes is None:
            self.added_loss_terms()
        self.fit()
        if mll is None:
            return None
        mll.likelihood = self.likelihood  # as fitted
        return mll.eval()

    @property
    def _uses_default_model(self) -> bool:
        return self._build_function is None and getattr(self.build_gp, "__func__", None) is AbstractBuiltGP.build_gp

    def _build(self) -> tuple[BuiltGP, TrainingData]:
        """Return what the builder makes, and the present data."""
        data = TrainingData(self._train_inputs.numpy(), self._train_targets.numpy(), self._train_sd)
        if self._build_function is not None:
            return build(self._build_function, data), data
        if self._uses_default_model:
            return build(build_default_gp, data), data
        library = (*(self._own_attributes or ()), "build_gp")
        attributes = {name: value for name, value in vars(self).items() if name not in library}
        for registered in (self._modules, self._parameters, self._buffers):
            attributes |= {name: value for name, value in registered.items() if name not in LIBRARY_MODULES}
        self.__dict__["_building"] = True
        try:
            return build(self.build_gp, data, attributes), data
        finally:
            del self.__dict__["_building"]

    def _condition_at(self, built: BuiltGP, data: TrainingData, point: Mapping[str, Any]) -> None:
        fitted, noisy = self._at(built, data, point)
        before = vars(self).get("_noisy")
        self._noisy = noisy
        try:
            self._condition(fitted, self._train_X)
        except BaseException:  # an interrupt, too
            self._noisy = before
            raise

    def _at(self, built: BuiltGP, data: TrainingData, point: Mapping[str, np.ndarray]) -> tuple[FittedGP, FittedGP | None]:
        """Return the gp with these data and hyperparameters, and its observations where their noise is a covariance."""
        return built.at(data, point)

    def _unfitted(self) -> FittedGP:
        built, data = self._build()
        values = built.objective_values(data)
        point = self._initial(built.scales.natural(built.scales.support_point(values), values))
        fitted, self._noisy = self._at(built, data, point)
        self._all_parameters = point
        return fitted

    def _initial(self, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return PyMC's initial point as the model holds hyperparameters."""
        return point

    def _check_can_be_fitted(self) -> None:
        if self._own_attributes is None:
            raise UnsupportedModelError(
                "This model was made from a gp fitted in PyMC, so it cannot be fitted here. Fit the gp in PyMC and call "
                "from_fitted again, or construct the model from data."
            )
        if "process" in vars(self):
            self._check_not_a_fantasy()
