"""Raw data of a model and what its gp sees of them, with derivatives through BoTorch's transforms."""

__all__ = ["RawData"]

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from botorch.models.transforms.input import AffineInputTransform, ChainedInputTransform, InputTransform
from botorch.models.transforms.outcome import OutcomeTransform, Standardize
from torch import Tensor

from pymc_botorch.inference.sensitivity.derivatives import ByData
from pymc_botorch.inference.sensitivity.kinks import check_kinks
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.known_variances import SMALLEST_SHARE
from pymc_botorch.models.posterior.arrays import to_numpy


class RawData:
    """Raw data of a fitted model, and the way from them to what its gp sees.

    Transforms that learned from data learn anew, as in a refit: a standardisation moves with the outcomes, bounds that were read
    off the inputs with these.

    Attributes:
        X: Raw inputs, ``n x d``.
        Y: Raw outcomes, ``n x 1``.
        Yvar: Known variances of their noise, ``n x 1``; None where there are none.
        num_inputs: ``d``.
    """

    def __init__(self, model: Any) -> None:
        self._input: InputTransform | None = copy.deepcopy(getattr(model, "input_transform", None))
        self._outcome: OutcomeTransform | None = copy.deepcopy(getattr(model, "outcome_transform", None))
        data = model.state.fitted.training_data
        self.X = model.state.training.raw_X.detach().clone()
        targets = torch.from_numpy(data.y.copy()).unsqueeze(-1)
        variances = None if data.sigma is None else torch.from_numpy(np.square(data.sigma)).unsqueeze(-1)
        self.Y, self.Yvar = targets, variances
        if self._outcome is not None:
            with torch.no_grad():
                self.Y, self.Yvar = self._outcome.eval().untransform(targets, variances, X=model.state.training.inputs)
        self.num_inputs = self.X.shape[-1]

    @property
    def is_affine(self) -> bool:
        """Whether the outcome of the user is that of the gp, shifted and scaled."""
        return self._outcome is None or type(self._outcome) is Standardize

    @property
    def values(self) -> ByData:
        """The raw data by the names that derivatives have: ``"X"``, ``"y"``, ``"sigma"``."""
        known = {} if self.Yvar is None else {"sigma": to_numpy(self.Yvar.sqrt().squeeze(-1)).copy()}
        return {"X": to_numpy(self.X).copy(), "y": to_numpy(self.Y.squeeze(-1)).copy(), **known}

    def check(self, wrt: Sequence[str], rough: Sequence[str]) -> None:
        """Refuse names that are none of the data, and inputs where there are no derivatives.

        Args:
            wrt: Names of data.
            rough: Names of kernels with a kink at distance zero.

        Raises:
            InputDataError: If there are such.
        """
        if unknown := [name for name in wrt if name not in self.values]:
            raise InvalidDataError(f"wrt has {', '.join(map(repr, unknown))}. Pass some of {', '.join(map(repr, self.values))}.")
        if "X" in wrt:
            with botorch_errors():
                check_kinks(rough, self.values["X"])

    @property
    def units(self) -> tuple[float, float]:
        """Offset and scale of predictions.

        Raises:
            UnsupportedModelError: If the outcome is transformed by other than these.
        """
        if not self.is_affine:
            raise UnsupportedModelError(
                f"Predictions through {type(self._outcome).__name__} have no derivatives here: it is no offset and scale. "
                "Transform the outcomes before they enter the model, and take predictions on that scale."
            )
        seen = self._seen(self.X, self.Y, self.Yvar)
        return float(seen.get("offset", 0.0)), float(seen.get("scale", 1.0))

    def inputs(self, X_new: np.ndarray) -> np.ndarray:
        """Return new inputs ``q x d`` as the gp sees them."""
        with torch.no_grad():
            return to_numpy(self._seen(self.X, self.Y, self.Yvar, torch.from_numpy(X_new))["X_new"]).copy()

    def pull(self, bars: ByData, X_new: np.ndarray | None = None) -> ByData:
        """Return gradients in raw data, given those in what the gp sees of them.

        Args:
            bars: Gradients in ``"X"``, ``"y"``, ``"sigma"`` and, of predictions, in ``"X_new"``, ``"offset"`` and ``"scale"``.
            X_new: The raw points of the prediction, ``q x d``, which stay where they are.

        Returns:
            Gradients in ``"X"`` (``n x d``), ``"y"`` (``n``) and, where there are any, ``"sigma"`` (``n``) and ``"X_new"``
            (``q x d``).
        """
        leaves = {"X": self.X, "y": self.Y.squeeze(-1)}
        if self.Yvar is not None:
            leaves["sigma"] = self.Yvar.sqrt().squeeze(-1)
        if X_new is not None:
            leaves["X_new"] = torch.from_numpy(X_new)
        leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
        Yvar = leaves["sigma"].square().unsqueeze(-1) if "sigma" in leaves else None
        with torch.enable_grad():
            seen = self._seen(leaves["X"], leaves["y"].unsqueeze(-1), Yvar, leaves.get("X_new"))
            terms = [(torch.from_numpy(np.asarray(bars[name])) * part).sum() for name, part in seen.items() if name in bars]
            gradients = torch.autograd.grad(torch.stack(terms).sum(), list(leaves.values()), allow_unused=True)
        return {
            name: np.zeros(leaf.shape) if gradient is None else to_numpy(gradient)
            for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
        }

    def _seen(self, X: Tensor, Y: Tensor, Yvar: Tensor | None, X_new: Tensor | None = None) -> dict[str, Tensor]:
        """Return what the gp sees of raw data and new inputs, transforms having learned anew."""
        transform, outcome = copy.deepcopy(self._input), copy.deepcopy(self._outcome)
        inputs = X if transform is None else transform.train()(X)
        seen = {"X": inputs}
        if outcome is not None:
            Y, Yvar = outcome.train()(Y, Yvar, X=inputs)
            if type(outcome) is Standardize:
                seen |= {"offset": outcome.means.squeeze(), "scale": outcome.stdvs.squeeze()}
        seen["y"] = Y.squeeze(-1)
        if Yvar is not None:
            seen["sigma"] = torch.maximum(Yvar, SMALLEST_SHARE * Y.var(unbiased=False)).sqrt().squeeze(-1)
        if X_new is not None:
            seen["X_new"] = X_new if transform is None else _of_new(transform, X_new)
        return seen


def _of_new(transform: InputTransform, X: Tensor) -> Tensor:
    """Return new inputs as a transform in training mode makes them, without learning from them."""
    if isinstance(transform, ChainedInputTransform):
        for part in transform.values():
            X = _of_new(part, X)
        return X
    if not transform.transform_on_eval:
        return X
    if isinstance(transform, AffineInputTransform):  # whose bounds have no gradient in evaluation mode
        vars(transform)["_update_coefficients"] = lambda X: None
    return transform.transform(X)
