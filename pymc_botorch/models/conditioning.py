"""New observations come in, checked and laid beside the old ones; a copy of the model to hold them goes out."""

__all__ = ["append_observations", "check_observations", "twin_of"]

import copy
from typing import TYPE_CHECKING

import torch
from botorch.exceptions.errors import BotorchTensorDimensionError
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError

if TYPE_CHECKING:
    from pymc_botorch.models.contract import AbstractPyMCGP


def check_observations(inputs: Tensor, targets: Tensor, variances: Tensor) -> None:
    """Refuse targets or noise that do not fit the inputs.

    Args:
        inputs: ``... x q x d``.
        targets: ``... x q``.
        variances: ``... x q`` or ``... x 1``.

    Raises:
        BotorchTensorDimensionError: If their points or batches do not fit.
        InputDataError: If they are not finite, or a variance is negative.
    """
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


def append_observations(old: Tensor, new: Tensor, event_dims: int, batch: torch.Size) -> Tensor:
    """Return old and new observations after one another, each expanded to the same batches."""
    parts = [part.expand(*batch, *part.shape[part.ndim - event_dims :]) for part in (old, new)]
    return torch.cat(parts, dim=-event_dims)


def twin_of[Model: AbstractPyMCGP](model: Model) -> Model:
    """Return a copy whose attributes can be replaced; all but the transforms is shared."""
    twin = model.__new__(type(model))
    twin.__dict__.update(model.__dict__)
    for name in ("_parameters", "_buffers", "_modules"):
        twin.__dict__[name] = dict(model.__dict__[name])
    for name in ("input_transform", "outcome_transform"):
        if name in twin._modules:  # their mode is switched with the model's
            twin._modules[name] = copy.deepcopy(twin._modules[name])
    if twin.outcome_units.transform is not None:
        twin.outcome_units = twin.outcome_units._replace(transform=twin.outcome_transform)
    return twin
