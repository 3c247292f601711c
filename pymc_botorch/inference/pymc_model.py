"""The PyMC model that a builder writes, given data."""

__all__ = ["BuilderModel", "pymc_model", "run_builder"]

from collections.abc import Callable, Mapping
from typing import Any

import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable

from pymc_botorch.inference.advice import advice_on_symbols
from pymc_botorch.inference.builder_checks import check_arguments, check_training_data
from pymc_botorch.inference.training_data import Role, TrainingData


class BuilderModel(pm.Model):
    """A ``pm.Model`` and the gp in it.

    Attributes:
        gp: What the builder returned; of two values the first.
        given: The second: components of the sum ``gp`` by name, or ``{"gp": total}`` where ``gp`` is a component; else None.
    """

    gp: Any = None
    given: Mapping[str, Any] | None = None


def pymc_model(builder: Callable[..., Any], data: TrainingData, attributes: Any = None) -> BuilderModel:
    """Return the model that a builder writes, for its user.

    Args:
        builder: ``build_gp(X, y)``, with known noise ``build_gp(X, y, sigma)``.
        data: Training data.
        attributes: Ignored: the builder is run.

    Raises:
        DataError: If the builder cannot take these data, or what it returns does not fit them.
        UnsupportedGPError: If the gp takes a grid.
    """
    check_arguments(builder, data)
    return run_builder(builder, data)[0]


def run_builder(builder: Callable[..., Any], data: TrainingData) -> tuple[BuilderModel, dict[Role, SharedVariable]]:
    """Return the model that a builder writes, and its data by the names of their roles.

    Raises:
        DataError: If the builder returns no gp, or one of other data.
        UnsupportedGPError: If the gp takes a grid.
    """
    n, d = data.X.shape
    with BuilderModel(model=None, coords={"feature": range(d), "obs_id": range(n)}) as pm_model:
        arguments: dict[Role, SharedVariable] = {
            "X": pm.Data("train_X", data.X, shape=(None, d), dims=("obs_id", "feature")),
            "y": pm.Data("train_Y", data.y, shape=(None,), dims="obs_id"),
        }
        if data.sigma is not None:
            arguments["sigma"] = pm.Data("train_sd", data.sigma, shape=(None,), dims="obs_id")
        with advice_on_symbols():
            returned = builder(*arguments.values())
    pm_model.gp, pm_model.given = returned if isinstance(returned, tuple) else (returned, None)
    check_training_data(pm_model.gp, pm_model.given, arguments)
    return pm_model, arguments
