"""Training tensors and transforms as users pass them, checked as BoTorch checks them, and as a gp sees them."""

__all__ = ["PreparedData", "prepare"]

import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from botorch import settings
from botorch.exceptions.errors import BotorchTensorDimensionError
from botorch.exceptions.warnings import InputDataWarning
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.transforms.input import InputStandardize, InputTransform, Normalize
from botorch.models.transforms.outcome import OutcomeTransform, Standardize
from botorch.models.utils import check_standardization
from botorch.utils.types import DEFAULT, _DefaultType
from torch import Tensor

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.categories import looks_like_index
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.known_variances import rounded_up
from pymc_botorch.models.state import TrainingTensors
from pymc_botorch.models.tensors import ArrayLike, as_column, as_tensor, names_of
from pymc_botorch.models.transforms import check_fixed

type UnitsOfPriors = Literal["scaled", "natural"]

SMALL_SD = 1e-6
"""Sd of a standardised outcome below which it was taken for a constant."""
SCALING = Normalize, InputStandardize, Standardize
"""Transforms that take the units away."""


class PreparedData(NamedTuple):
    """What a gp is fitted to, and where it came from.

    Attributes:
        data: As the gp sees them: NumPy, float64.
        training: The same as BoTorch reads them, and raw inputs.
        input_transform: Fitted to the data; None where there is none.
        outcome_transform: Fitted to the data; None where there is none.
        doubtful: Columns outside the unit cube that may be indices of categories, which the gp will show when it is built.
        columns: Names of the inputs, where these were a data frame, else None.
        outcome: Name of the outcome, where this was a data frame or a series with a name, else None.
    """

    data: TrainingData
    training: TrainingTensors
    input_transform: InputTransform | None
    outcome_transform: OutcomeTransform | None
    doubtful: tuple[int, ...] = ()
    columns: tuple[str, ...] | None = None
    outcome: str | None = None


def prepare(
    train_X: ArrayLike,
    train_Y: ArrayLike,
    train_Yvar: ArrayLike | None,
    outcome_transform: OutcomeTransform | _DefaultType | None,
    input_transform: InputTransform | None,
    units: UnitsOfPriors,
    *,
    indices: bool = True,
) -> PreparedData:
    """Apply the transforms, in training mode, and check what comes out.

    Args:
        train_X: Inputs, ``n x d``.
        train_Y: Outcomes, ``n x 1``.
        train_Yvar: Variances of their noise, ``n x 1``; None where they are to be learned.
        outcome_transform: BoTorch's ``DEFAULT`` is ``Standardize(m=1)`` for scaled units, none for natural ones.
        input_transform: None is none.
        units: What the priors are written for.
        indices: Whether the gp may use columns as indices.

    Raises:
        BotorchTensorDimensionError: If the tensors do not fit together.
        InputDataError: If they are not finite, or a variance is negative.
        UnsupportedError: For several outcomes, or batches of data sets.
    """
    passed = [part for part in (train_X, train_Y, train_Yvar) if part is not None]
    columns, outcome = names_of(train_X), names_of(train_Y)
    train_X, train_Y = as_tensor("train_X", train_X), as_column("train_Y", train_Y)
    train_Yvar = None if train_Yvar is None else as_column("train_Yvar", train_Yvar)
    if not all(isinstance(part, Tensor) and part.is_floating_point() for part in passed):
        train_X, train_Y = train_X.to(torch.float64), train_Y.to(torch.float64)
        train_Yvar = None if train_Yvar is None else train_Yvar.to(torch.float64)
    if train_X.ndim == 1:
        raise BotorchTensorDimensionError(
            f"train_X has shape {tuple(train_X.shape)}. Pass inputs n x d: of one input X[:, None], or a data frame df[['dose']]."
        )
    _check_tensors(train_X, train_Y, train_Yvar)
    if units not in ("scaled", "natural"):
        raise InvalidDataError(f"The class says units = {units!r}. Say 'scaled' or 'natural'.")
    if outcome_transform == DEFAULT:
        outcome_transform = _standardize(train_Y) if units == "scaled" else None
    for name, given, expected in (
        ("input_transform", input_transform, InputTransform),
        ("outcome_transform", outcome_transform, OutcomeTransform),
    ):
        if not isinstance(given, expected | None):
            raise InvalidDataError(f"{name} is a {type(given).__name__}. Pass a BoTorch {expected.__name__}.")
        check_fixed(name, given)
    raw_X, Y = train_X.detach().to("cpu", torch.float64), train_Y.detach().to("cpu", torch.float64)
    Yvar = None if train_Yvar is None else train_Yvar.detach().to("cpu", torch.float64)
    with torch.no_grad():
        X = raw_X
        if input_transform is not None:
            X = input_transform.to(raw_X).train()(raw_X)
        if outcome_transform is not None:
            Y, Yvar = outcome_transform.to(raw_X).train()(Y, Yvar, X=X)
    if X.shape[0] != Y.shape[0]:
        raise UnsupportedModelError(
            f"The input_transform makes {X.shape[0]} points of {Y.shape[0]}. Apply it to new inputs only, with "
            "transform_on_train=False."
        )
    for name, tensor in (("inputs", X), ("outcomes", Y), ("variances", Yvar)):
        if tensor is not None and not tensor.isfinite().all():
            raise InvalidDataError(f"The {name} are not finite after their transform. Choose one that suits the data.")
    doubtful: list[int] = []
    if units == "scaled" and settings.validate_input_scaling.on():
        if input_transform is None:
            doubtful = _check_scale(X, looks_like_index(X) if indices else [])
        if outcome_transform is None:
            check_standardization(Y)
    if isinstance(outcome_transform, Standardize) and len(Y) > 1 and 0 < float(Y.std()) < SMALL_SD:
        warnings.warn(
            f"The sd of the outcome is {float(Y.std()):.3g}, which Standardize takes for a constant. Pass "
            "Standardize(m=1, min_stdv=0.0), or outcomes in other units.",
            InputDataWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )
    if units == "natural":
        _warn_of_scaling(input_transform, outcome_transform)
    Yvar = None if Yvar is None else rounded_up(X, Y, Yvar)
    sd = None if Yvar is None else Yvar.sqrt().squeeze(-1).numpy().copy()
    data = TrainingData(X.numpy().copy(), Y.squeeze(-1).numpy().copy(), sd)
    dtype = train_X.dtype if train_X.is_floating_point() else torch.float64
    training = TrainingTensors(raw_X.clone(), torch.from_numpy(data.X), torch.from_numpy(data.y), dtype)
    named = outcome[0] if outcome else None
    return PreparedData(data, training, input_transform, outcome_transform, tuple(doubtful), columns, named)


def _check_tensors(X: Tensor, Y: Tensor, Yvar: Tensor | None) -> None:
    if Y.ndim > 1 and Y.shape[-1] > 1:
        raise UnsupportedModelError(
            f"train_Y has {Y.shape[-1]} columns, but a model has one outcome. Fit a gp for each and join the models in "
            "botorch.models.ModelListGP."
        )
    if X.ndim > 2:
        raise UnsupportedModelError(f"train_X has shape {tuple(X.shape)}. Pass one data set, n x d, to each model.")
    GPyTorchModel._validate_tensor_args(X=X, Y=Y, Yvar=Yvar)
    if len({len(tensor) for tensor in (X, Y, Yvar) if tensor is not None}) > 1:
        raise InvalidDataError(
            f"train_X has {len(X)} rows, train_Y {len(Y)}" + ("" if Yvar is None else f", train_Yvar {len(Yvar)}") + ". Pass as "
            "many of each."
        )
    if 0 in X.shape:
        raise InvalidDataError(f"train_X has shape {tuple(X.shape)}. Pass at least one observation and one input.")
    for name, tensor in (("train_X", X), ("train_Y", Y), ("train_Yvar", Yvar)):
        if tensor is None:
            continue
        bad = ~tensor.isfinite()
        if bad.any():
            rows = bad.any(-1).nonzero().flatten().tolist()
            raise InvalidDataError(f"{name} is not finite in rows {rows[:10]}. Leave these observations out.")
    if Yvar is not None and (Yvar < 0).any():
        raise InvalidDataError("train_Yvar has negative entries. Pass variances, which are squares of sds.")


def _standardize(Y: Tensor) -> Standardize:
    """Return BoTorch's default transform, for outcomes of any scale: its least sd is absolute."""
    scale = float(Y.abs().max()) if Y.numel() else 1.0
    return Standardize(m=1, min_stdv=max(min(1e-8, 1e-12 * scale), 1e-300))


def _warn_of_scaling(*transforms: InputTransform | OutcomeTransform | None) -> None:
    """Warn of transforms that take the units away that priors in natural units are written for."""
    parts = [part for transform in transforms if transform is not None for part in transform.modules()]
    if scaling := sorted({type(part).__name__ for part in parts if isinstance(part, SCALING)}):
        warnings.warn(
            f'The class says units = "natural", that its priors are in the units of the data, but {" and ".join(scaling)} gives '
            f'them others. Leave {"it" if len(scaling) == 1 else "them"} out, or say units = "scaled" if the priors are for the '
            "unit cube and a standardised outcome.",
            InputDataWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _check_scale(X: Tensor, maybe_indices: Sequence[int]) -> list[int]:
    """Warn where priors for the unit cube meet other inputs; return the columns outside it that may be indices."""
    outside = ((X < -1e-6) | (X > 1 + 1e-6)).any(0).nonzero().flatten().tolist()
    doubtful = [j for j in outside if j in maybe_indices]
    numbers = [j for j in range(X.shape[-1]) if j not in doubtful]
    if outside := [j for j in outside if j not in doubtful]:
        bounds = torch.stack([X.amin(0), X.amax(0)])[:, numbers].tolist()
        indices = f", indices={numbers}" if doubtful else ""
        left_out = f" Columns {doubtful} are left out, which may be indices of categories." if doubtful else ""
        warnings.warn(
            f"Columns {outside} of train_X are outside [0, 1], for which the priors are written. Pass "
            f"input_transform=Normalize(d={X.shape[-1]}{indices}, bounds=torch.tensor(...)) with the bounds of your search space "
            f'(the data lie within {bounds}), or say units = "natural" in a subclass whose priors are in the units of the '
            f"data.{left_out}",
            InputDataWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )
    return doubtful
