"""How a model is fitted: by its own method, or through BoTorch's ``fit_gpytorch_mll``."""

__all__ = ["FittingMixin"]

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.models.training_data import PreparedData


class FittingMixin:
    """The methods of a fit."""

    _prepared: PreparedData | None

    @abstractmethod
    def fit(self) -> Self:
        """Set the hyperparameters."""

    @classmethod
    @abstractmethod
    def check_fit_options(cls, **options: Any) -> None:
        """Refuse options of :meth:`fit` that it would refuse, without data."""

    @abstractmethod
    def _as_warm_start(self, names: Sequence[str]) -> WeightedDraws | Mapping[str, Any]:
        """Return what a later fit of the hyperparameters ``names`` can begin with."""

    def custom_fit(self, mll: Any = None, **ignored: Any) -> Any:
        """Fit as :meth:`fit` does: what ``fit_gpytorch_mll`` calls; a warning names options that it cannot use.

        The priors of the PyMC model are part of the objective; the marginal likelihood that is passed only names the model.
        """
        if given := sorted(name for name, value in ignored.items() if value):
            warnings.warn(
                f"The model is fitted by its own fit(), which does not use {', '.join(given)}. Call model.fit(...) instead.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
        if self._prepared is None:
            self.added_loss_terms()  # type: ignore[attr-defined]  # of the model that this is mixed into
        self.fit()
        if mll is None:
            return None
        mll.likelihood = self.likelihood  # type: ignore[attr-defined]  # as fitted
        return mll.eval()
