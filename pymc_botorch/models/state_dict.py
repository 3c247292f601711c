"""Hyperparameters of a model as its ``state_dict``, and the way back.

A state dict holds them as one tensor of bytes, which BoTorch's rollback context and ``torch.load`` with its safe default both
take; a dict or NumPy arrays they do not. Training data are no part of it, as in BoTorch.
"""

__all__ = ["StateDictMixin", "pack", "unpack"]

import copy
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.module import _IncompatibleKeys

from pymc_botorch.errors import DataError
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.known_noise import with_noise_scaled
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.state import State, reconditioned
from pymc_botorch.models.training_mixin import TrainingDataMixin
from pymc_botorch.models.transforms import read_outcome_scale

INPUTS = "training inputs"
"""The entry of a latent gp's state for them (a name with a space, to differ from those of variables)."""
SITES, OUTCOMES = "sites of signs", "training outcomes"
"""Entries of a gp with signs, whose draws of derivatives are those given the data."""
TRANSFORMS = ("input_transform", "outcome_transform")


class StateDictMixin(TrainingDataMixin):
    """Hyperparameters as the extra state of a torch module."""

    def get_extra_state(self) -> Tensor:
        """Return the hyperparameters as one tensor of bytes.

        Of a latent gp they include draws of the function; the raw inputs where these are go with them, to be compared. A point
        is stored without the dimension of draws.
        """
        state = self.state
        held = {name: values if state.is_ensemble else values[0] for name, values in state.parameters.items()}
        if state.fitted.is_latent or state.fitted.graph.signs is not None:
            held |= {INPUTS: state.training.raw_X.numpy()}
        if state.fitted.graph.signs is not None:
            held |= {SITES: state.fitted.data["sites"], OUTCOMES: _outcomes(state)}
        return pack(held)

    def set_extra_state(self, state: Tensor) -> None:
        """Condition the model on the hyperparameters in ``state``."""
        self._check_not_given_more()
        with botorch_errors():
            self._replace_state(reconditioned(self.state, *self._read(state)))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, keep_transforms: bool = True, assign: bool = False
    ) -> Any:
        """Load hyperparameters, and the state of the transforms; what the model computes from its data is computed anew.

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
        self._check_not_given_more()
        expected, given = set(self.state_dict()), set(state_dict)  # type: ignore[attr-defined]  # of the module
        if strict and expected != given:
            raise RuntimeError(
                f"The state dict misses {sorted(expected - given)} and has unexpected {sorted(given - expected)}. Pass that of "
                "a model of the same PyMC structure and transforms, or strict=False."
            )
        with _transforms_restored_on_error(self), botorch_errors():
            self._replace_state(self._loaded(state_dict, keep_transforms, assign))
        return _IncompatibleKeys(sorted(expected - given), sorted(given - expected))

    def _loaded(self, state_dict: Mapping[str, Any], keep_transforms: bool, assign: bool) -> State:
        """Return the state with what is in ``state_dict``; training data are taken back to raw units by the old transforms."""
        state = self.state
        transform, is_latent, training = getattr(self, "outcome_transform", None), state.fitted.is_latent, state.training
        raw_Y = training.targets.unsqueeze(-1)
        if transform is not None and not is_latent:
            raw_Y = transform.untransform(raw_Y, X=training.inputs)[0]
        own = {key: value for key, value in state_dict.items() if key.partition(".")[0] in TRANSFORMS}
        fitted, parameters = state.fitted, state.parameters
        if has_parameters := "_extra_state" in state_dict:
            fitted, parameters = self._read(state_dict["_extra_state"])
        torch.nn.Module.load_state_dict(self, own, strict=False, assign=assign)  # type: ignore[arg-type]  # it is a module
        outcome_scale = read_outcome_scale(transform)
        if keep_transforms:
            self.eval()  # type: ignore[attr-defined]
            X = self._transformed(training.raw_X)
            y = raw_Y if is_latent or transform is None else transform(raw_Y, X=X)[0]
            factor = state.outcome_scale.scale / outcome_scale.scale
            fitted = with_noise_scaled(fitted, factor)
            parts = {name: (with_noise_scaled(state.part(name), factor), noisy) for name, (_, noisy) in state.parts.items()}
            state = replace(state, parts=parts)
            targets = fitted.y if is_latent else y.squeeze(-1).numpy()
            fitted = fitted.with_data(fitted.training_data._replace(X=X.numpy(), y=targets))
        loaded = reconditioned(replace(state, outcome_scale=outcome_scale), fitted, parameters)
        kept: dict[str, Any] = {"result": state.result, "sample": state.sample, "idata": state.idata}
        return loaded if has_parameters else replace(loaded, **kept, is_initial=state.is_initial)

    def _read(self, packed: Tensor) -> tuple[FittedGP, dict[str, np.ndarray]]:
        """Return the gp with the hyperparameters of a model's extra state, and all of these.

        Derivatives with signs that were drawn given other data are drawn given those of this model.
        """
        fitted, parameters, is_of_other_data = _read(self.state, packed)
        if is_of_other_data:
            fitted = self._moved(fitted)
            parameters = {**parameters, **fitted.draws}
        return fitted, parameters


def _outcomes(state: State) -> np.ndarray:
    """Return the outcomes of a model in raw units, or with a transform that is not linear in those of its gp."""
    return state.outcome_scale.offset + state.outcome_scale.scale * state.training.targets.numpy()


def _read(state: State, packed: Tensor) -> tuple[FittedGP, dict[str, np.ndarray], bool]:
    """Return the gp with the hyperparameters of an extra state, these, and whether draws of derivatives are of other data."""
    arrays = unpack(packed)
    fitted, X, places = state.fitted, state.training.raw_X.numpy(), arrays.pop(INPUTS, np.empty(0))
    sites, outcomes = arrays.pop(SITES, None), arrays.pop(OUTCOMES, np.empty(0))
    if state.fitted.is_latent and not _equal(X, places):
        raise DataError(
            "The state has no draws of the function at the training inputs of this model. Pass the state of a model of the "
            "same gp, sampled with the same inputs."
        )
    parameters = {name: values if state.is_ensemble else values[None] for name, values in arrays.items()}
    others = set(state.parameters) - set(state.fitted.draws)
    draws = {name: values for name, values in parameters.items() if name not in others}
    if (signs := fitted.graph.signs) is None:
        return fitted.with_draws(draws), parameters, False
    if is_of_other_data := sites is None or not (_equal(X, places) and _equal(_outcomes(state), outcomes)):
        draws[signs.name] = np.zeros((len(next(iter(draws.values()))), fitted.num_signs))
    else:
        is_own = fitted.has_own_sites or not np.array_equal(sites, fitted.data["sites"])
        fitted = replace(fitted, data={**fitted.data, "sites": sites}, has_own_sites=is_own)
        fitted = replace(fitted, draws={**fitted.draws, signs.name: np.zeros((fitted.num_draws, fitted.num_signs))})
    return fitted.with_draws(draws), parameters, is_of_other_data


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-9, atol=1e-12)


def pack(arrays: Mapping[str, np.ndarray]) -> Tensor:
    """Return the arrays as a ``uint8`` tensor (NumPy's npz format)."""
    buffer = io.BytesIO()
    named: dict[str, Any] = {f"_{name}": array for name, array in arrays.items()}  # a parameter may be called "file"
    np.savez(buffer, allow_pickle=False, **named)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack(state: Tensor) -> dict[str, np.ndarray]:
    """Return the arrays that :func:`pack` was given."""
    with np.load(io.BytesIO(state.cpu().numpy().tobytes()), allow_pickle=False) as arrays:
        return {name.removeprefix("_"): array for name, array in arrays.items()}


@contextmanager
def _transforms_restored_on_error(module: Any) -> Iterator[None]:
    """Give the transforms of a module back what they had learned if the block fails."""
    states = {name: copy.deepcopy(module._modules[name].state_dict()) for name in TRANSFORMS if name in module._modules}
    was_training = module.training
    try:
        yield
    except BaseException:  # an interrupt, too
        for name, state in states.items():
            module._modules[name].load_state_dict(state)
        module.train(was_training)
        raise
