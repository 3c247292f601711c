"""Columns that a gp uses as indices of categories: which values they should have, and what spoils them."""

__all__ = ["allow_values_between", "check_unmerged", "looks_like_index", "warn_of_numbers", "warn_of_values_between"]

import warnings
from collections.abc import Collection, Sequence
from weakref import WeakSet

import torch
from botorch.exceptions.warnings import InputDataWarning, OptimizationWarning
from torch import Tensor

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.errors import InvalidDataError

_warned: WeakSet[torch.nn.Module] = WeakSet()


def looks_like_index(X: Tensor) -> list[int]:
    """Return the columns of ``n x d`` whole numbers that count from 0 or 1, as categories do and doses hardly."""
    found = []
    for j, column in enumerate(X.unbind(-1)):
        levels = len(column.unique())
        if bool((column == column.trunc()).all()) and column.min() >= 0 and 1 <= column.max() <= 2 * levels:
            found.append(j)
    return found


def check_unmerged(columns: Collection[int], inputs: Tensor, raw_X: Tensor) -> None:
    """Refuse a transform that makes fractions of indices, which the gp would cut off.

    Args:
        columns: Columns that the gp uses as indices.
        inputs: Training inputs as the gp sees them, ``n x d``.
        raw_X: The same before their transform.

    Raises:
        InvalidDataError: If indices that were whole numbers are none.
    """
    for j in sorted(columns):
        if not _between(inputs[:, j]).any() or (raw_X.shape == inputs.shape and _between(raw_X[:, j]).any()):
            continue
        rest = [k for k in range(inputs.shape[-1]) if k != j]
        raise InvalidDataError(
            f"The gp uses column {j} of its inputs as an index, but the input_transform makes {_shown(inputs[:, j])} of its "
            f"values, which would be cut off, so that categories are merged. Leave the column out of the transform, for example "
            f"by Normalize(d={inputs.shape[-1]}, indices={rest})."
        )


def warn_of_numbers(columns: Sequence[int], X: Tensor) -> None:
    """Warn that columns that looked like indices are none, and beyond [0, 1]."""
    if columns:
        warnings.warn(
            f"Columns {list(columns)} of train_X are outside [0, 1], for which the priors are written: they have whole numbers "
            f"({_shown(X[:, columns[0]])}), but the gp does not use them as indices. Pass input_transform=Normalize(...) with "
            'the bounds of your search space, or say units = "natural" in a subclass whose priors are in the units of the data.',
            InputDataWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def allow_values_between(model: torch.nn.Module) -> None:
    """Have a model not warn of values between categories, for an optimiser that begins there and rounds what it finds."""
    _warned.add(model)


def warn_of_values_between(model: torch.nn.Module, columns: Collection[int], inputs: Tensor) -> None:
    """Warn, once for each model, if inputs that are optimised over lie between two indices."""
    for j in sorted(columns) if model not in _warned else ():
        column = inputs.detach()[..., j]
        if (between := _between(column)).any():
            _warned.add(model)
            value = float(column[between][0])
            warnings.warn(
                f"The posterior is asked for gradients at {value:.3g} in column {j}, which the gp uses as an index: it is cut "
                f"off to {int(value)}, and no gradient leads to another category. Use optimize_acqf_mixed with a "
                f"fixed_features_list of the categories, [{{{j}: 0.0}}, {{{j}: 1.0}}, ...].",
                OptimizationWarning,  # others are kept back by optimize_acqf
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
            return


def _between(column: Tensor) -> Tensor:
    """Return where values are no whole numbers; those that miss one by rounding count if they would be cut off below it."""
    return (column - column.trunc()).abs() > 1e-9


def _shown(column: Tensor) -> str:
    return ", ".join(f"{value:.3g}" for value in column.unique()[:4].tolist())
