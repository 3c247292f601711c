"""A state given more observations, checked and laid beside the old ones."""

__all__ = ["add_observations", "with_state"]

import copy
from dataclasses import replace
from typing import Any

import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.posterior.process import ConditionedProcess
from pymc_botorch.models.state import State, TrainingTensors


def add_observations(state: State, X: Tensor, inputs: Tensor, targets: Tensor, variances: Tensor) -> State:
    """Return the state given more observations, with the same hyperparameters.

    Args:
        state: That before.
        X: Raw inputs, ``... x q x d``.
        inputs: The same as the gp takes them.
        targets: ``(more batches) x ... x q``, in the units of the gp.
        variances: Variances of their noise, in the squared units of the gp: ``... x q`` or ``... x 1``.

    Raises:
        BotorchTensorDimensionError: If points or batches do not fit.
        InputDataError: If observations are not finite, or a variance is negative.
        UnsupportedError: If the posterior given more observations does not follow from this one.
    """
    if state.observation is not None:
        raise UnsupportedModelError(
            "The observation noise is a covariance function, so new observations depend on the training ones beyond the "
            "function. Refit with all data, or use independent noise (a number, a random variable or a vector)."
        )
    if state.fitted.kind == "shaped":
        raise UnsupportedModelError(
            "The draws of this model carry derivatives of the function, whose weights new observations would change. Refit with "
            "all data; of acquisition functions, take those that need no fantasies."
        )
    if state.fitted.kind == "component":
        raise UnsupportedModelError(
            "This gp is a component of a sum, and observations are of the sum. Condition the model of the sum."
        )
    _check_observations(inputs, targets, variances)
    batch = torch.broadcast_shapes(variances.shape[:-1], targets.shape[:-1])
    variances, scale = variances.expand(*batch, targets.shape[-1]), state.outcome_scale.scale
    outcomes = state.outcome_scale.offset + scale * targets
    process = ConditionedProcess(state.process, inputs, outcomes, scale**2 * (variances + state.jitter))
    batch, old = process.batch_shape, state.training
    training = TrainingTensors(
        _append(old.raw_X, X.detach().to(torch.float64), 2, batch),
        _append(old.inputs, inputs.detach(), 2, batch),
        _append(old.targets, targets.detach(), 1, batch),
        old.dtype,
    )
    noise = _append(state.noise, variances.detach(), 1, batch) if state.noise_is_known else state.noise
    return replace(state, process=process, training=training, noise=noise)


def with_state[Model: torch.nn.Module](model: Model, state: State) -> Model:
    """Return a copy of a model with another state; all but the transforms is shared."""
    copied: Any = model.__new__(type(model))
    copied.__dict__.update(model.__dict__)
    for name in ("_parameters", "_buffers", "_modules"):
        copied.__dict__[name] = dict(model.__dict__[name])
    for name in ("input_transform", "outcome_transform"):
        if name in copied._modules:  # their mode is switched with the model's
            copied._modules[name] = copy.deepcopy(copied._modules[name])
    if state.outcome_scale.transform is not None:
        state = replace(state, outcome_scale=state.outcome_scale._replace(transform=copied.outcome_transform))
    copied._state = state
    return copied


def _check_observations(inputs: Tensor, targets: Tensor, variances: Tensor) -> None:
    """Refuse targets ``... x q`` or noise ``... x q`` or ``... x 1`` that do not fit the inputs ``... x q x d``."""
    q = inputs.shape[-2]
    if targets.shape[-1] != q or variances.shape[-1] not in (1, q):
        raise BotorchTensorDimensionError(
            f"There are {q} inputs, {targets.shape[-1]} observations and {variances.shape[-1]} noise variances. Pass one "
            "observation for each input (of a one-to-many input transform, for each that it makes)."
        )
    try:
        torch.broadcast_shapes(inputs.shape[:-2], targets.shape[:-1], variances.shape[:-1])
    except RuntimeError as error:
        raise BotorchTensorDimensionError(
            f"The batches {tuple(inputs.shape[:-2])} of the inputs, {tuple(targets.shape[:-1])} of the observations and "
            f"{tuple(variances.shape[:-1])} of their noise do not broadcast. Pass batches that do."
        ) from error
    if not targets.isfinite().all() or not variances.isfinite().all() or (variances < 0).any():
        raise InvalidDataError(
            "Observations are not finite, or a noise variance is negative or not finite. Leave these observations out."
        )


def _append(old: Tensor, new: Tensor, event_dims: int, batch: torch.Size) -> Tensor:
    """Return old and new observations after one another, each expanded to the same batches."""
    parts = [part.expand(*batch, *part.shape[part.ndim - event_dims :]) for part in (old, new)]
    return torch.cat(parts, dim=-event_dims)
