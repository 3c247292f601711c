"""What the data do to the answer: how estimates, predictions and recommendations move with each observation."""

__all__ = ["map_sensitivity"]

from collections.abc import Mapping, Sequence
from typing import Any

import pymc as pm

from pymc_botorch.inference.sensitivity.derivatives import read_derivatives
from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity, map_sensitivity_at
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.of_map import map_sensitivity_of_model


def map_sensitivity(
    gp: Any, point: Mapping[str, Any] | None = None, wrt: Sequence[str] = ("X", "y"), *, model: pm.Model | None = None
) -> MapSensitivity:
    """."""
    if isinstance(gp, PyMCGP):
        return map_sensitivity_of_model(gp, wrt)
    derivatives = read_derivatives(gp, wrt, model=model)
    return map_sensitivity_at(derivatives, point, wrt)
