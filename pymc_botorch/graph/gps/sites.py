"""Sites at which derivatives have signs."""

__all__ = ["checked_sites", "default_sites", "snapped"]

from collections.abc import Sequence
from typing import Any

import numpy as np

from pymc_botorch.errors import DataError
from pymc_botorch.graph.gps.values import constant_value


def default_sites(X: np.ndarray, indices: Sequence[int] = ()) -> np.ndarray:
    """Return sites over the range of inputs ``n x d``: 30 of one, 7 x 7 of two, of more ten for each, spread evenly.

    Of columns within the unit interval that cover half of it, as scaled inputs do, the range is all of it. Columns that are
    ``indices`` of categories have those that are in ``X``; no site is there twice.
    """
    d, low, high = X.shape[1], X.min(0), X.max(0)
    is_unit = (low >= 0) & (high <= 1) & (high - low >= 0.5)
    low, high = np.where(is_unit, 0.0, low), np.where(is_unit, 1.0, high)
    if d <= 2:
        axes = [np.linspace(0, 1, 30 if d == 1 else 7)] * d
        unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    else:  # points of a rank-one lattice, which fill a cube evenly
        root = 2.0
        for _ in range(30):
            root = (1 + root) ** (1 / (d + 1))
        unit = (0.5 + np.arange(10 * d)[:, None] / root ** np.arange(1, d + 1)) % 1
    return snapped(low + (high - low) * unit, X, indices)


def checked_sites(at: Any, d: int) -> np.ndarray:
    """Return the sites ``at`` as an array ``m x d``, or raise a ``DataError``."""
    value = constant_value(at)
    sites = None if value is None else np.asarray(value, dtype=np.float64)
    if sites is None or sites.ndim != 2 or sites.shape[1] != d or not len(sites) or not np.isfinite(sites).all():
        what = "computed" if sites is None else f"{sites.shape}" + ("" if np.isfinite(sites).all() else " and not finite")
        raise DataError(f"at is {what}. Pass sites as a finite array or pm.Data, m x {d}.")
    return sites


def snapped(points: np.ndarray, X: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """Return points ``m x d`` with some columns, which are indices, moved to the nearest value in ``X``; none is there twice."""
    points = points.copy()
    for j in columns:
        levels = np.unique(X[:, j])
        points[:, j] = levels[np.abs(points[:, j, None] - levels).argmin(1)]
    return points[np.sort(np.unique(points, axis=0, return_index=True)[1])]
