"""A fitted gp comes in, its hyperparameters as a state go out, and the way back: ``AbstractStatefulGP``."""

__all__ = ["AbstractStatefulGP"]

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.module import _IncompatibleKeys

from pymc_botorch.errors import DataError
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.fitted_gp import AbstractFittedGP
from pymc_botorch.models.state import pack, unchanged_on_error, unpack
from pymc_botorch.models.units import read_units

INPUTS = "training inputs"
"""The entry of a latent gp's state for them (a name with a space, to differ from those of variables)."""


class AbstractStatefulGP(AbstractFittedGP):
    """A fitted gp whose hyperparameters are its state: training data are none, as in BoTorch."""

    def get_extra_state(self) -> Tensor:
        """Return the hyperparameters as one tensor of bytes: training data are no part of a model's state.

        Of a latent gp they include draws of the function; the raw inputs where these are go with them, to be compared.
        """
        places = {INPUTS: self._train_X.numpy()} if self._is_latent else {}
        return pack({**self._hyperparameters, **places})

    def _with_state(self, fitted: FittedGP, state: Tensor) -> FittedGP:
        parameters = unpack(state)
        X, places = self._train_X.numpy(), parameters.pop(INPUTS, np.empty(0))
        if self._is_latent and not (X.shape == places.shape and np.allclose(X, places, rtol=1e-9, atol=1e-12)):
            raise DataError(
                "The state has no draws of the function at the training inputs of this model. Pass the state of a model of the "
                "same gp, sampled with the same inputs."
            )
        others = set(self._hyperparameters) - set(fitted.point)
        fitted = fitted.with_point({name: value for name, value in parameters.items() if name not in others})
        self._all_parameters, self.fit_result = parameters, None
        return fitted

    def set_extra_state(self, state: Tensor) -> None:
        """Condition the model on the hyperparameters in ``state``."""
        self._check_not_a_fantasy()
        with botorch_errors():
            self._condition(self._with_state(self._fitted, state), self._train_X)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, keep_transforms: bool = True, assign: bool = False
    ) -> Any:
        """Load hyperparameters, and the state of the transforms.

        Args:
            state_dict: As ``state_dict()`` of a model of the same PyMC structure returns it, fitted to any number of data.
            strict: Whether all keys must match.
            keep_transforms: Whether the present data are transformed anew by the loaded transforms, as in BoTorch; otherwise
                they stay as the gp saw them.
            assign: As in PyTorch.

        Raises:
            RuntimeError: If keys are missing or unexpected, and ``strict`` (as PyTorch's).
            InputDataError: If the hyperparameters have other names or shapes than this model's. Nothing is changed then.
            UnsupportedError: If this is a fantasy model.
        """
        self._check_not_a_fantasy()
        expected, given = set(self.state_dict()), set(state_dict)
        if strict and expected != given:
            raise RuntimeError(
                f"The state dict misses {sorted(expected - given)} and has unexpected {sorted(given - expected)}. Pass that of "
                "a model of the same PyMC structure and transforms, or strict=False."
            )
        with unchanged_on_error(self):
            self._load(state_dict, keep_transforms, assign)
        return _IncompatibleKeys(sorted(expected - given), sorted(given - expected))

    def _load(self, state_dict: Mapping[str, Any], keep_transforms: bool, assign: bool) -> None:
        """Load what is in ``state_dict``; training data are taken back to raw units first, by the present transforms."""
        transform, old_units, fitted = getattr(self, "outcome_transform", None), self.outcome_units, self._fitted
        targets = self._train_targets.unsqueeze(-1)
        raw_Y = targets if self._is_latent or transform is None else transform.untransform(targets, X=self._train_inputs)[0]
        own = {key: value for key, value in state_dict.items() if key.startswith(("input_transform.", "outcome_transform."))}
        with botorch_errors():
            if "_extra_state" in state_dict:
                fitted = self._with_state(fitted, state_dict["_extra_state"])
            torch.nn.Module.load_state_dict(self, own, strict=False, assign=assign)
            self.outcome_units = read_units(transform)
            if keep_transforms:
                self.eval()
                X = self.transform_inputs(self._train_X)
                y = raw_Y if self._is_latent or transform is None else transform(raw_Y, X=X)[0]
                factor = old_units.scale / self.outcome_units.scale
                fitted = fitted.with_noise_scaled(factor)
                self._train_sd = None if self._train_sd is None else factor * self._train_sd
                fitted = fitted.with_data(X.numpy(), fitted.y if self._is_latent else y.squeeze(-1).numpy())
            self._condition(fitted, self._train_X)
