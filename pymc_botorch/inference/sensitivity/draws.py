"""Posterior draws in a model's unconstrained parameters, with their weights."""

__all__ = ["PosteriorDraws", "read_draws", "read_weights"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_botorch.errors import DataError
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.sensitivity.derivatives import Derivatives

MIN_PER_CHAIN = 4
"""Number of draws of a chain below which ArviZ has no effective sample size."""


@dataclass(frozen=True, eq=False)
class PosteriorDraws:
    """Draws from a posterior.

    Attributes:
        unconstrained: Draws of the unconstrained parameters, ``S x D``, one chain after another.
        weights: Their weights, which sum to one, ``S``; None where all are equal.
        chains: Number of chains, of equal length.
        sizes: Length of each dimension of the draws (chain, draw), by name.
        efficiency: Of weighted draws, relative efficiency before they were weighted: one where they are independent.
    """

    unconstrained: np.ndarray
    weights: np.ndarray | None
    chains: int
    sizes: Mapping[str, int]
    efficiency: float = 1.0

    def label(self, s: int) -> str:
        """Return where a draw stands, for a message."""
        place = np.unravel_index(s, tuple(self.sizes.values()))
        return ", ".join(f"{name} {index}" for name, index in zip(self.sizes, place, strict=True))


def read_draws(derivatives: Derivatives, idata: Any, weights: Any) -> PosteriorDraws:
    """Return the draws in ArviZ data, or in a dataset of posterior draws, checked against the model.

    Raises:
        DataError: If there are too few draws, or a parameter is missing, not finite, outside its support or of another shape; if
            weights do not fit the draws.
    """
    stacked = stack_draws(idata)
    if stacked is None or not stacked.sizes:
        raise DataError(
            f"idata is a {type(idata).__name__} without a posterior of draws. Pass what pm.sample() returns, or its posterior as "
            "a dataset with the dimensions chain and draw."
        )
    chains = stacked.sizes.get("chain", 1)
    if stacked.count < MIN_PER_CHAIN * chains or not chains:
        raise DataError(f"The posterior has {dict(stacked.sizes)} draws. Pass at least {MIN_PER_CHAIN} of each chain.")
    if missing := [name for name in derivatives.names if name not in stacked.arrays]:
        raise DataError(
            f"The posterior has no draws of {', '.join(missing)} (it has {', '.join(stacked.arrays) or 'nothing'}). Pass what "
            "pm.sample() returned for this model."
        )
    for name, shape in derivatives.shapes.items():
        if (found := stacked.arrays[name].shape[1:]) != shape:
            raise DataError(f"Draws of {name} have shape {found}. Pass those of this model, of shape {shape}.")
    arrays = {name: np.asarray(stacked.arrays[name], dtype=np.float64) for name in derivatives.names}
    U = derivatives.unconstrained_draws(arrays)
    draws = PosteriorDraws(U, _weights_of(weights, stacked.count, stacked.sizes), chains, stacked.sizes)
    for name, array in arrays.items():
        mine = [i for i, owner in enumerate(derivatives.owners) if owner == name]
        bad = ~(np.isfinite(array.reshape(len(array), -1)).all(1) & np.isfinite(U[:, mine]).all(1))
        if bad.any():
            s = int(np.flatnonzero(bad)[0])
            raise DataError(
                f"{name} is {array[s]} at {draws.label(s)}, not finite or outside the support of its prior. Leave this draw out."
            )
    return draws


def _weights_of(weights: Any, count: int, sizes: Mapping[str, int]) -> np.ndarray | None:
    """Return weights for draws in ArviZ data, ``S``, or in the shape of these."""
    if np.ndim(weights) > 1 and np.shape(weights) != tuple(sizes.values()):
        raise DataError(f"weights have shape {np.shape(weights)}. Pass {count}, one chain after another, or {dict(sizes)}.")
    w = read_weights(weights, count)
    if w is not None and np.square(w).sum() * MIN_PER_CHAIN > 1:
        raise DataError(
            f"By their weights the draws are worth {1 / np.square(w).sum():.1f}, too few for an error. Pass draws of which many "
            "have weight."
        )
    return w


def read_weights(weights: Any, count: int) -> np.ndarray | None:
    """Return weights that sum to one, ``S``; None for None.

    Raises:
        DataError: If they are not as many as draws, or not finite, or negative, or all zero.
    """
    if weights is None:
        return None
    try:
        found = np.array(weights, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise DataError(f"weights are not numeric ({error}). Pass one number for each draw.") from error
    if len(found) != count:
        raise DataError(f"There are {len(found)} weights and {count} draws. Pass one for each, one chain after another.")
    if not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise DataError(
            "weights have NaN, infinite or negative entries, or sum to zero. Pass importance weights, not their logs."
        )
    return found / found.sum()
