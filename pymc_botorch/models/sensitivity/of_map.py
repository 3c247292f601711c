"""How the MAP estimate of a model made from data, and its predictions, move with the raw data."""

__all__ = ["map_sensitivity_of_model"]

from collections.abc import Sequence

from pymc_botorch.inference.sensitivity.derivatives import read_derivatives_of_built
from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity, map_sensitivity_at
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.raw_data import RawData


def map_sensitivity_of_model(model: PyMCGP, wrt: Sequence[str]) -> MapSensitivity:
    """Return the derivatives of a fitted model's hyperparameters and predictions in its raw data.

    Raises:
        UnsupportedError: If the model was made by ``from_fitted`` or conditioned on more observations.
        InputDataError: If it is not fitted, or there are no data of a name in ``wrt``.
    """
    built, data = model.read_built()
    raw = RawData(model)
    raw.check(wrt, built.function.graph.rough)
    with botorch_errors():
        derivatives = read_derivatives_of_built(built, data, list(raw.values))
        return map_sensitivity_at(derivatives, model.point, wrt, raw)
