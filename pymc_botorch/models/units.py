"""The user's transforms come in, what they mean for a posterior goes out: raw training inputs, offset and scale."""

__all__ = ["Units", "read_units", "undo"]

from typing import Any, NamedTuple, TypeGuard

from botorch.models.transforms.input import ChainedInputTransform, InputTransform
from botorch.models.transforms.outcome import OutcomeTransform, Standardize
from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError


class Units(NamedTuple):
    """The map from the outcome of the gp to that of the user: ``offset + scale * f``, then ``transform`` undone.

    An affine outcome transform is folded into the compiled posterior, which keeps covariances lazy; any other is left to
    BoTorch.
    """

    offset: float = 0.0
    scale: float = 1.0
    transform: OutcomeTransform | None = None

    def to_gp(self, Y: Tensor, X: Tensor) -> Tensor:
        """Return outcomes ``... x q x 1`` in the units of the gp."""
        return (Y - self.offset) / self.scale if self.transform is None else self.transform(Y, X=X)[0]


def read_units(outcome_transform: OutcomeTransform | None) -> Units:
    """Return the units of a fitted outcome transform.

    Raises:
        InvalidDataError: If it is a ``Standardize`` that has seen no data.
    """
    if not _is_affine(outcome_transform):
        return Units(transform=outcome_transform)
    if not outcome_transform._is_trained:
        raise InvalidDataError(
            "The Standardize given as outcome_transform has no mean and sd yet. Pass it as it was applied to the targets, "
            "that is after outcome_transform(train_Y)."
        )
    return Units(float(outcome_transform.means), float(outcome_transform.stdvs))


def _is_affine(outcome_transform: Any) -> TypeGuard[Standardize]:
    return type(outcome_transform) is Standardize and outcome_transform.means.numel() == 1


def undo(input_transform: InputTransform | None, X: Tensor) -> Tensor:
    """Return raw training inputs from those that the gp saw.

    Raises:
        UnsupportedModelError: If the transform has no inverse.
    """
    if input_transform is None or not input_transform.transform_on_train:
        return X
    if isinstance(input_transform, ChainedInputTransform):
        for part in reversed(input_transform.values()):
            X = undo(part, X)
        return X
    try:
        return input_transform.untransform(X)
    except NotImplementedError as error:
        raise UnsupportedModelError(
            f"{type(input_transform).__name__} cannot be undone, so the raw training inputs are unknown. Pass an "
            "input_transform that has an inverse, such as Normalize."
        ) from error
