"""Log prior densities of draws of the hyperparameters."""

__all__ = ["PriorDensities"]

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from pytensor.graph.replace import vectorize_graph

from pymc_botorch.graph.posterior.cut import batched
from pymc_botorch.inference.fit.scales import Scales


class PriorDensities:
    """Log prior densities of ``S`` points, of all parameters in one call when one is first asked for.

    Args:
        scales: Parameters of the model.
        unconstrained: The points, a ``S x ...`` array for each free random variable.
        data: A value for each of the objective's data.
    """

    def __init__(self, scales: Scales, unconstrained: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> None:
        self._scales, self._unconstrained, self._data = scales, unconstrained, data

    def of(self, name: str) -> np.ndarray:
        """Return the log density of a parameter on its constrained scale, the sum over its entries, ``S``; zero if improper."""
        return self._found[0][name]

    def left_of(self, log_density: np.ndarray, constant: float) -> np.ndarray:
        """Return a log density of the unconstrained parameters ``S`` without their prior and Jacobian, plus a constant."""
        return log_density - self._found[1] + constant

    @cached_property
    def _found(self) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
        """Log densities of each parameter, ``S``, and of all on the unconstrained scale, with the Jacobian, ``S``."""
        scales, pm_model = self._scales, self._scales.pm_model
        terms = pm_model.logp(vars=pm_model.free_RVs, jacobian=False, sum=False)
        whole = pm_model.logp(vars=pm_model.free_RVs, jacobian=True)
        many = batched([pm_model.rvs_to_values[rv] for rv in pm_model.free_RVs])
        count = len(self._unconstrained[0])
        outputs = vectorize_graph([*(term.sum() for term in terms), whole], many)
        *found, total = scales.compile(outputs, list(many.values()))(*self._unconstrained, *self._data)
        return {name: np.broadcast_to(one, count) for name, one in zip(scales.names, found, strict=True)}, total

    def __getstate__(self) -> dict[str, Any]:
        """Return what is found: functions of the PyMC model are not pickled."""
        return {"_found": self._found}
