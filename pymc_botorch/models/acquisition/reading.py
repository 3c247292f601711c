"""What compiled acquisition functions read from a model of ours and from BoTorch's objects."""

__all__ = ["Scalarized", "check_models", "models_of", "number", "read_model"]

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from botorch.acquisition.objective import PosteriorTransform, ScalarizedPosteriorTransform
from botorch.models import ModelListGP
from botorch.models.model import Model
from torch import Tensor

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.models.acquisition.linear import Linear
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import UnsupportedModelError
from pymc_botorch.models.inputs import is_for_predictions
from pymc_botorch.models.posterior.mixture import MixtureProcess
from pymc_botorch.models.posterior.process import CompiledProcess


class Scalarized(NamedTuple):
    """``offset + weight * outcome``, of which an acquisition function is one."""

    offset: float = 0.0
    weight: float = 1.0

    def times(self, sign: float) -> Self:
        """Return the same with another sign."""
        return self._replace(offset=sign * self.offset, weight=sign * self.weight)

    def then(self, linear: Linear) -> Self:
        """Return what a linear function of it is of the outcome."""
        constant, (weight,) = linear
        return self._replace(offset=float(constant + weight * self.offset), weight=float(weight * self.weight))

    def units(self, posterior: ConditionedPosterior, smallest_variance: float) -> list[np.ndarray]:
        """Return offset and scale from the units of the gp, and the smallest variance."""
        offset, scale = self.offset + self.weight * posterior.offset, self.weight * posterior.scale
        floor = max(self.weight**2 * posterior.variance_floor, smallest_variance)
        return [np.array(offset), np.array(scale), np.array(floor)]


def models_of(model: Model) -> Sequence[Model]:
    """Return the models of a ``ModelListGP``, of any other itself."""
    return list(model.models) if type(model) is ModelListGP else [model]


def check_models(model: Model) -> None:
    """Check a model, or those of a list.

    Raises:
        UnsupportedError: If one is none of ours as the compiled functions take it, or they have different numbers of draws.
    """
    numbers = [len(read_model(one, None)[0]) for one in models_of(model)]
    if len(set(numbers)) > 1:
        raise UnsupportedModelError(f"The models in its list have different numbers of draws ({', '.join(map(str, numbers))}).")


def read_model(model: Model, posterior_transform: PosteriorTransform | None) -> tuple[Sequence[ConditionedPosterior], Scalarized]:
    """Return the posteriors of a model, one for each draw, and what of its outcome an acquisition function is of.

    Raises:
        UnsupportedError: If it is no model of ours, or its posterior is not that of the compiled functions.
    """
    if not isinstance(model, AbstractPyMCGP):
        raise UnsupportedModelError(f"Its model is a {type(model).__name__}, and not a PyMCGP or FullyBayesianPyMCGP.")
    if getattr(getattr(model, "input_transform", None), "is_one_to_many", False):
        raise UnsupportedModelError("The input transform of its model makes several points of one.")
    if is_for_predictions(getattr(model, "input_transform", None)):
        raise UnsupportedModelError("A part of its model's input transform is for predictions only (transform_on_train=False).")
    state = model.state
    if state.outcome_scale.transform is not None:
        kind = type(state.outcome_scale.transform).__name__
        raise UnsupportedModelError(f"Its model has the outcome transform {kind}, under which the posterior is not normal.")
    if posterior_transform is None:
        scalarized = Scalarized()
    elif type(posterior_transform) is ScalarizedPosteriorTransform:
        scalarized = Scalarized(float(posterior_transform.offset), number("a weight", posterior_transform.weights))
    else:
        raise UnsupportedModelError(f"Its posterior_transform is a {type(posterior_transform).__name__}.")
    process = state.process
    if isinstance(process, CompiledProcess):
        return (process.posterior,), scalarized
    if isinstance(process, MixtureProcess):
        return tuple(one.posterior for one in process.processes), scalarized
    raise UnsupportedModelError("Its model was given observations after its fit, as fantasies are: fit a model to all of them.")


def number(name: str, value: Any) -> float:
    """Return a number that an acquisition function was told.

    Raises:
        UnsupportedError: If it is a tensor of several numbers.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise UnsupportedModelError(f"{name} has shape {tuple(value.shape)}, and not one number.")
    return float(value)
