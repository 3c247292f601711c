"""What newcomers write that would be ignored, or fail in words of PyTorch: named, with what to write instead."""

__all__ = ["RefusalsMixin", "refuse_arguments", "warn_of_a_default_model"]

import difflib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn, Self
from weakref import WeakSet

import torch

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.errors import UnsupportedModelError

PARTS = {
    "covar_module": "a kernel of pm.gp.cov, as the gp's cov_func",
    "mean_module": "a mean of pm.gp.mean, as the gp's mean_func",
    "likelihood": "the noise, as the sigma of marginal_likelihood (known variances are train_Yvar)",
}
"""Arguments of BoTorch's models that are parts of a GPyTorch model, and what a builder has in their place."""

_looked_at: WeakSet[type] = WeakSet()


def refuse_arguments(name: str, unknown: Mapping[str, Any]) -> None:
    """Raise a ``TypeError`` if a constructor was given arguments that it does not have."""
    for argument in unknown:
        if argument in PARTS:
            raise TypeError(
                f"{name} takes no {argument}: it has no part of GPyTorch. Write a build_gp, with {PARTS[argument]}; or use "
                "BoTorch's SingleTaskGP."
            )
        close = difflib.get_close_matches(argument, ["train_Yvar", "outcome_transform", "input_transform", "build_gp"], n=1)
        hint = f"Did you mean {close[0]}?" if close else "Pass what your build_gp needs as attributes of a subclass."
        raise TypeError(f"{name} takes no argument {argument!r}. {hint}")


def warn_of_a_default_model(cls: type, base: type) -> None:
    """Warn, once for each class, if it seems to mean a method for ``build_gp``, which it does not define.

    Args:
        cls: A class that has the default model.
        base: The class that defines it: methods of ``cls`` that ``base`` does not have are looked at.
    """
    if cls in _looked_at:
        return
    _looked_at.add(cls)
    for name, method in inspect.getmembers(cls, inspect.isroutine):
        if hasattr(base, name) or name.startswith("__") or method.__module__.startswith("pymc_botorch."):
            continue
        plain = name.lower().replace("_", "")
        is_close = plain in ("build", "model", "gp") or difflib.get_close_matches(plain, ["buildgp", "buildmodel"], cutoff=0.7)
        if is_close or _takes_data(method):
            warnings.warn(
                f"{cls.__name__} has a method {name}, but no build_gp, so that its model is BoTorch's default. Call the method "
                "build_gp, or pass build_gp=... to the constructor.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
            return


class RefusalsMixin:
    """What other models have and ours do not."""

    @property
    def pyro_model(self) -> NoReturn:
        """Refuse BoTorch's ``fit_fully_bayesian_model_nuts``, which reads it to sample models of NumPyro."""
        raise UnsupportedModelError(
            "The model has no pyro_model: fit_fully_bayesian_model_nuts samples BoTorch's own models by NumPyro. Call .fit() "
            "instead, of a FullyBayesianPyMCGP for draws."
        )

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return the model as it is; a warning says so where a device is named that it is not moved to."""
        _warn_of_a_device(*args, **kwargs)
        return super().to(*args, **kwargs)  # type: ignore[misc]  # of the module that this is mixed into

    def cuda(self, device: Any = None) -> Self:
        """Return the model as it is, with a warning."""
        return self.to("cuda" if device is None else device)


def _warn_of_a_device(*args: Any, **kwargs: Any) -> None:
    """Warn if the arguments of ``torch.nn.Module.to`` name a device other than the CPU."""
    for value in (*args, *kwargs.values()):
        named = value.device if isinstance(value, torch.Tensor) else value
        if isinstance(named, str | torch.device | int) and torch.device(named).type != "cpu":
            warnings.warn(
                f"The model stays on the CPU: PyTensor's functions are compiled for it, not for {named!s}. Leave the model "
                "where it is; posterior(X) takes tensors on any device and returns its results there.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )


def _takes_data(method: Any) -> bool:
    """Return whether the arguments of a method are those of a builder."""
    try:
        names = list(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return False
    return [name.lower() for name in names if name not in ("self", "cls")][:2] == ["x", "y"]
