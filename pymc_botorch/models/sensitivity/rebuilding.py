"""An acquisition function of one model as a function of the model: the same one of another, with the incumbent moved along."""

__all__ = ["Incumbent", "Rebuilder"]

import copy
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.analytic import (
    ExpectedImprovement,
    LogExpectedImprovement,
    LogProbabilityOfImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
)
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.acquisition.monte_carlo import (
    qExpectedImprovement,
    qProbabilityOfImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
from torch import Tensor

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.raw_data import RawData

type Incumbent = Literal["observation", "mean", "fixed", "function", "none"]
"""What ``best_f`` is: the best outcome, the best mean at the training inputs, a number, what a function makes, or nothing."""

KNOWN = (
    ExpectedImprovement,
    LogExpectedImprovement,
    LogProbabilityOfImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qProbabilityOfImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
"""Classes that keep nothing of a model but the model and the incumbent."""


class Rebuilder:
    """Makes an acquisition function for models near the one that it was made for.

    Attributes:
        incumbent: What ``best_f`` is, and so how it moves.
        row: Row of the training data that the incumbent is, or None.
    """

    def __init__(self, acqf: AcquisitionFunction | Callable[[Any], AcquisitionFunction], model: PyMCGP) -> None:
        self.incumbent: Incumbent
        self.row: int | None = None
        if not isinstance(acqf, AcquisitionFunction):
            if not callable(acqf):
                raise InvalidDataError(
                    f"acqf is a {type(acqf).__name__}. Pass an acquisition function of BoTorch, or a function that makes it "
                    "from a model."
                )
            self._make, self.incumbent = acqf, "function"
            if not isinstance(made := acqf(model), AcquisitionFunction):
                raise InvalidDataError(
                    f"acqf returns a {type(made).__name__}. Pass a function of a model that returns one of BoTorch's."
                )
            return
        acqf = getattr(acqf, "original", acqf)  # of a compiled one
        if type(acqf) not in KNOWN:
            raise UnsupportedModelError(
                f"{type(acqf).__name__} computes more from its model than the model tells. Pass a function that makes it from a "
                "model instead: lambda model: qLogNoisyExpectedImprovement(model, X_baseline, sampler=sampler)."
            )
        if acqf.model is not model:
            raise InvalidDataError("acqf is that of another model. Make it from the model that is passed.")
        self._acqf, self._model, self._make = acqf, model, self._copied
        self._read_incumbent()

    def __call__(self, model: PyMCGP) -> AcquisitionFunction:
        """Return the acquisition function of a model."""
        return self._make(model)

    def is_sampled(self, model: PyMCGP) -> bool:
        """Return whether the acquisition function is an average over samples."""
        return getattr(self(model), "sampler", None) is not None

    def _copied(self, model: PyMCGP) -> AcquisitionFunction:
        copied = copy.deepcopy(self._acqf, {id(self._model): model})
        if self.row is not None:
            best = self._candidates(self.incumbent, model)[self.row]
            copied.best_f = best.reshape(self._acqf.best_f.shape).to(self._acqf.best_f)
        return copied

    def _read_incumbent(self) -> None:
        best = getattr(self._acqf, "best_f", None)
        self.incumbent = "none" if best is None else "fixed"
        if best is None or best.numel() != 1:
            return
        sign = 1.0 if getattr(self._acqf, "maximize", True) else -1.0
        kinds: tuple[Incumbent, Incumbent] = ("observation", "mean")
        for kind in kinds:
            values = self._candidates(kind, self._model)
            row = int((sign * values).argmax())
            if torch.isclose(values[row], best.reshape(()).to(values), rtol=1e-6, atol=1e-9 * float(values.abs().max())):
                self.incumbent, self.row = kind, row
                if int((values == values[row]).sum()) > 1:
                    warnings.warn(
                        f"Several observations are the incumbent. The derivatives are those of row {row} alone: right where "
                        "it rises, and wrong where it falls.",
                        UserWarning,
                        skip_file_prefixes=(PACKAGE_FOLDER,),
                    )
                return

    def _candidates(self, kind: Incumbent, model: PyMCGP) -> Tensor:
        """Return what may be the incumbent, ``n``: objectives of the outcomes, or of the mean at the training inputs."""
        X = model.state.training.raw_X
        return self._objective(RawData(model).Y if kind == "observation" else model.posterior(X).mean.detach(), X)

    def _objective(self, Y: Tensor, X: Tensor) -> Tensor:
        transform, objective = (getattr(self._acqf, name, None) for name in ("posterior_transform", "objective"))
        if transform is not None:
            return transform.evaluate(Y, X).reshape(-1)
        return (Y if objective is None else objective(Y, X=X)).reshape(-1)
