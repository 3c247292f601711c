"""What a fit begins with, as users pass it: an earlier fit, or a point."""

__all__ = ["check_warm_start", "read_warm_start"]

from collections.abc import Mapping, Sequence
from typing import Any

from pymc_botorch.errors import DataError
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.models.builder import AbstractBuiltGP


def check_warm_start(warm_start: Any, models: str, kind: type | tuple[type, ...] = ()) -> None:
    """Raise a ``DataError`` unless it is None, values by name or of a ``kind`` of ``models``, as far as is known without data."""
    if warm_start is None or isinstance(warm_start, kind):
        return
    if not isinstance(warm_start, Mapping) or hasattr(warm_start, "data_vars"):  # ArviZ data are mappings, too
        raise DataError(f"The warm start is a {type(warm_start).__name__}. Pass {models}, or a dict of values by name.")


def read_warm_start(
    warm_start: AbstractBuiltGP | Mapping[str, Any] | None, names: Sequence[str]
) -> WeightedDraws | Mapping[str, Any] | None:
    """Return what a fit of the hyperparameters ``names`` can begin with.

    Raises:
        DataError: If it is an ensemble of another model. (A point is checked where its density is taken.)
    """
    return warm_start._as_warm_start(names) if isinstance(warm_start, AbstractBuiltGP) else warm_start
