"""A number about predictions in the units of a user, of a gp that sees others."""

__all__ = ["NewInputs", "quantity_in_units"]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytensor.tensor as pt

from pymc_botorch.errors import DataError
from pymc_botorch.graph.posterior.symbolic import SymbolicPosterior
from pymc_botorch.inference.sensitivity.quantity import AskedAt, PosteriorAt, Quantity


@dataclass
class NewInputs:
    """The new inputs that a user's function has asked for, as it gave them and as the gp sees them.

    Attributes:
        transform: Function from the first to the second, ``q x d``.
        num_inputs: Number of columns of the first.
        pairs: First and second of each.
    """

    transform: Callable[[np.ndarray], np.ndarray]
    num_inputs: int
    pairs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def seen(self, X_new: Any) -> np.ndarray:
        """Return new inputs as the gp sees them.

        Raises:
            DataError: If they are not finite numbers, ``q x d``.
        """
        try:
            raw = np.array(X_new, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"X_new is a {type(X_new).__name__}. Pass an array, q x {self.num_inputs}.") from error
        if raw.ndim != 2 or raw.shape[1] != self.num_inputs or not np.isfinite(raw).all():
            raise DataError(f"X_new has shape {raw.shape}. Pass an array of finite numbers, q x {self.num_inputs}.")
        self.pairs.append((raw, self.transform(raw)))
        return self.pairs[-1][1]

    def raw(self, seen: np.ndarray) -> np.ndarray | None:
        """Return what a user gave for new inputs that the gp sees, or None."""
        return next((raw for raw, other in self.pairs if np.array_equal(other, seen)), None)


def quantity_in_units(f: Any, asked_at: AskedAt, new_inputs: NewInputs, offset: float, scale: float) -> Quantity:
    """Return a number about predictions ``offset + scale * (those of the gp)`` at the user's new inputs.

    The units move with the data, too, and are symbols ``"offset"`` and ``"scale"`` of the quantity.
    """
    units = {name: pt.scalar(name, dtype="float64") for name in ("offset", "scale")}

    def own(posterior_at: PosteriorAt) -> Any:
        def at(X_new: Any = None) -> SymbolicPosterior:
            mean, covariance = posterior_at(None if X_new is None else new_inputs.seen(X_new))
            return SymbolicPosterior(units["offset"] + units["scale"] * mean, pt.square(units["scale"]) * covariance)

        return f(at)

    return Quantity(own, asked_at, units, {"offset": np.array(offset), "scale": np.array(scale)})
