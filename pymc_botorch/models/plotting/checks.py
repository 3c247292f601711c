"""What figures are given, checked before anything is computed: models, numbers, points."""

__all__ = ["check_model", "numbers_of", "points_of"]

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError
from pymc_botorch.models.tensors import ArrayLike


def check_model(model: Any, kind: type, others: str = "") -> None:
    """Raise a ``TypeError``, with what to pass, unless a model is of this kind.

    Args:
        model: What was passed.
        kind: The class, or mixin, of models that a figure takes.
        others: What else it takes, in words.
    """
    if isinstance(model, kind):
        return
    if isinstance(model, type):
        raise TypeError(f"model is the class {model.__name__}. Pass a model, such as {model.__name__}(train_X, train_Y).fit().")
    hint = "one of its models" if hasattr(model, "models") else f"a PyMCGP or a FullyBayesianPyMCGP{others}"
    raise TypeError(f"model is a {type(model).__name__}. Pass {hint}.")


def numbers_of(model: Any, name: str, value: ArrayLike) -> Tensor:
    """Return raw inputs as a tensor in float64, from a list too; columns of a data frame by their names.

    Raises:
        InputDataError: If they are not numbers, or columns have other names than the model's.
    """
    if isinstance(value, list | tuple):
        try:
            value = np.array(value, dtype=np.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidDataError(f"{name} is not numeric, or has rows of different lengths ({error}). Pass numbers.") from error
    tensor: Tensor = model.as_raw_inputs(name, value)
    return tensor.detach().to("cpu", torch.float64)


def points_of(model: Any, name: str, value: ArrayLike | None) -> Tensor | None:
    """Return points ``q x d``, of which one may be ``d``.

    Raises:
        InputDataError: If they are not, or not finite.
    """
    if value is None:
        return None
    points, d = numbers_of(model, name, value), model.num_inputs
    points = points.unsqueeze(0) if points.shape == (d,) else points
    if points.ndim != 2 or points.shape[1] != d or not len(points):
        raise InvalidDataError(f"{name} has shape {tuple(points.shape)}. Pass q x {d} points, one or more, or None.")
    if not points.isfinite().all():
        raise InvalidDataError(f"{name} has values that are not finite. Pass finite ones.")
    return points
