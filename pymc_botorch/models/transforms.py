"""Transforms of users, and what they mean for a posterior: raw training inputs, offset and scale."""

__all__ = ["OutcomeScale", "check_fixed", "check_outcomes", "fitted_copy", "raw_inputs", "read_outcome_scale", "undo"]

import copy
from typing import NamedTuple

import numpy as np
import torch
from botorch.models.transforms.input import AffineInputTransform, ChainedInputTransform, InputTransform
from botorch.models.transforms.outcome import OutcomeTransform, Standardize, StratifiedStandardize
from torch import Tensor
from torch.nn import ModuleDict

from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError


class OutcomeScale(NamedTuple):
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


def read_outcome_scale(outcome_transform: OutcomeTransform | None) -> OutcomeScale:
    """Return the scale of a fitted outcome transform.

    Raises:
        InvalidDataError: If it is no outcome transform of one outcome, or has not been fitted.
    """
    if not isinstance(outcome_transform, OutcomeTransform | None):
        raise InvalidDataError(f"outcome_transform is a {type(outcome_transform).__name__}. Pass a BoTorch outcome transform.")
    for part in () if outcome_transform is None else outcome_transform.modules():
        if not isinstance(part, Standardize):
            continue
        kind, strata = type(part).__name__, part.means.shape[-2] if isinstance(part, StratifiedStandardize) else 1
        if part.means.numel() != strata:
            raise InvalidDataError(
                f"The {kind} given as outcome_transform has several outcomes. Pass that of one, such as Standardize(m=1)."
            )
        if not part._is_trained:
            raise InvalidDataError(
                f"The {kind} given as outcome_transform has no mean and sd yet. Pass it as it was applied to the targets, that "
                "is after outcome_transform(train_Y)."
            )
    if outcome_transform is not None and type(outcome_transform) is Standardize:
        return OutcomeScale(float(outcome_transform.means), float(outcome_transform.stdvs))
    return OutcomeScale(transform=outcome_transform)


def check_fixed(name: str, transform: InputTransform | OutcomeTransform | None) -> None:
    """Refuse a transform that would have to be learned: a fit sees data that are transformed already.

    Args:
        name: Which transform it is.
        transform: The transform, or None.

    Raises:
        UnsupportedModelError: If a parameter of it requires a gradient.
    """
    for part in () if transform is None else transform.modules():
        if not isinstance(part, InputTransform | OutcomeTransform) or isinstance(part, ModuleDict):
            continue  # a chain is its parts
        if learned := [own for own, parameter in part.named_parameters() if parameter.requires_grad]:
            advice = " (for warped inputs pm.gp.cov.WarpedInput)" if name == "input_transform" else ""
            raise UnsupportedModelError(
                f"The {type(part).__name__} given as {name} has parameters to be learned ({', '.join(learned)}), but a fit "
                f"learns only those of the PyMC model. Write it into build_gp{advice} with priors for its parameters, or fix "
                f"them by {name}.requires_grad_(False)."
            )


def fitted_copy[Transform: (InputTransform, OutcomeTransform)](transform: Transform) -> Transform:
    """Return a copy that the caller cannot change and that does not learn again."""
    copied = copy.deepcopy(transform).eval()
    for part in copied.modules():
        if hasattr(part, "learn_coefficients"):
            part.learn_coefficients = False
    return copied


def check_outcomes(outcome_transform: OutcomeTransform | None, X: np.ndarray, y: np.ndarray, source: np.ndarray | None) -> None:
    """Refuse an outcome that is scaled inside the PyMC model unless the transform does the same.

    Args:
        outcome_transform: What was applied to raw outcomes; fitted.
        X: Inputs as the gp saw them, ``n x d``.
        y: Outcomes as the gp saw them, ``n``.
        source: The data that they were computed from inside the PyMC model, NaN where unknown; None where they were not.

    Raises:
        InvalidDataError: If there is no transform, or another one.
    """
    if source is None:
        return
    if outcome_transform is None:
        raise InvalidDataError(
            "The gp's y is computed inside the PyMC model (scaled or transformed), so that predictions would not be in the units "
            "of its data. Pass outcome_transform=..., for example a fitted botorch Standardize, that does the same to raw "
            "outcomes; or transform the data before they enter the model."
        )
    if np.isnan(source).any():
        return
    with torch.no_grad():
        raw_Y = torch.from_numpy(source).unsqueeze(-1)
        applied = fitted_copy(outcome_transform).double()(raw_Y, X=torch.from_numpy(X))[0].squeeze(-1).numpy()
    if not np.allclose(applied, y, rtol=1e-6, atol=1e-8 * np.abs(y).max()):
        raise InvalidDataError(
            "The outcome_transform does not do what the PyMC model does to its outcomes (for the first observation, "
            f"{source[0]:g}, it gives {applied[0]:g} instead of {y[0]:g}). Pass the same transform."
        )


def raw_inputs(input_transform: InputTransform | None, X: np.ndarray, source: np.ndarray | None) -> Tensor:
    """Return raw training inputs from those that the gp saw.

    Args:
        input_transform: What was applied to raw inputs; checked to be fitted.
        X: Inputs as the gp saw them, ``n x d``.
        source: The data that they were computed from inside the PyMC model, where known: the transform must do the same.

    Raises:
        InvalidDataError: If the transform has not been fitted, or does not do what the PyMC model does.
        UnsupportedModelError: If the transform has no inverse, or is to be learned.
    """
    if input_transform is None:
        return torch.from_numpy(X)
    if not isinstance(input_transform, InputTransform):
        raise InvalidDataError(f"input_transform is a {type(input_transform).__name__}. Pass a BoTorch input transform.")
    check_fixed("input_transform", input_transform)
    for part in input_transform.modules():
        learns = isinstance(part, AffineInputTransform) and part.learn_coefficients
        if learns and bool((part._coefficient == 1).all() and (part._offset == 0).all()):
            raise InvalidDataError(
                f"The {type(part).__name__} given as input_transform has not learned its bounds. Pass it as it was applied to "
                "the inputs, that is after input_transform(train_X), or with bounds."
            )
    if source is None:
        return undo(input_transform, torch.from_numpy(X))
    raw = torch.from_numpy(source)
    with torch.no_grad():
        applied = fitted_copy(input_transform).preprocess_transform(raw)
    if applied.shape != X.shape or not np.allclose(applied.numpy(), X, rtol=1e-6, atol=1e-8):
        raise InvalidDataError(
            "The input_transform does not do what the PyMC model does to its inputs (for the first row "
            f"{applied[0].tolist()} instead of {X[0].tolist()}). Pass the same transform."
        )
    return raw


def undo(input_transform: InputTransform, X: Tensor) -> Tensor:
    """Return raw inputs from transformed ones.

    Raises:
        UnsupportedModelError: If the transform has no inverse.
    """
    if not input_transform.transform_on_train:
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
