"""What is refused of a ``build_gp``: its arguments, and training data that it did not pass on."""

__all__ = ["FOLLOW_DATA", "check_arguments", "check_inducing", "check_training_data"]

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.values import constant_value
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.training_data import Role, TrainingData

FOLLOW_DATA = (
    "Pass known sds as their squares, train_Yvar, and take them as third argument, build_gp(X, y, sigma); look multipliers up by "
    'a column of X, pt.as_tensor(multipliers)[X[:, j].astype("int64")].'
)


def check_arguments(builder: Callable, data: TrainingData) -> None:
    """Raise unless a builder takes these data."""
    try:
        inspect.signature(builder).bind(*("X", "y", "sigma")[: 2 if data.sigma is None else 3])
    except TypeError as error:
        wanted = (
            "build_gp(X, y)" if data.sigma is None else "build_gp(X, y, sigma), where sigma is the known sd (train_Yvar's root)"
        )
        raise DataError(f"build_gp cannot be called with these data ({error}). Write it as {wanted}.") from error


def check_training_data(gp: Any, given: Any, arguments: Mapping[Role, Variable]) -> None:
    """Raise unless the gp's data are the builder's arguments themselves, which refits and predictions replace."""
    total = given.get("gp", gp) if isinstance(given, Mapping) else gp
    if not isinstance(total, pm.gp.gp.Base):
        raise DataError(
            f"build_gp returned a {type(total).__name__}. Return the gp; of a sum "
            "(total, {'trend': trend, 'field': field}), or (gp, {'gp': total}) for a component."
        )
    if isinstance(total, pm.gp.MarginalKron):
        raise UnsupportedGPError("pm.gp.MarginalKron takes a grid, which cannot grow. Use PyMCGP.from_fitted, or pm.gp.Marginal.")
    for name in ("X", "y"):
        used = getattr(total, name, None)
        if isinstance(used, Variable) and used is not arguments[name]:
            advice = "input_transform=..." if name == "X" else "outcome_transform=..."
            raise DataError(
                f"The {name} of the gp's likelihood is not the {name} that build_gp was given, but made from it or from "
                f"elsewhere. Pass {name} itself to marginal_likelihood, and transform it by {advice}."
            )
    sigma = getattr(total, "sigma", None)
    sigma = sigma.sigma if isinstance(sigma, pm.gp.cov.WhiteNoise) else sigma
    known = None if sigma is arguments.get("sigma") else constant_value(sigma)
    if known is not None and known.size > 1:
        raise DataError(
            f"build_gp takes an array of shape {known.shape} for the noise of whatever data it is given. {FOLLOW_DATA}"
        )


def check_inducing(fitted: FittedGP, gp: Any, X: SharedVariable) -> None:
    """Raise if inducing inputs follow the data."""
    if "Xu" in fitted.data and isinstance(gp.Xu, Variable) and X in set(ancestors([gp.Xu])):
        raise DataError("The inducing inputs are taken from X, which changes with the data. Pass fixed inducing inputs.")
