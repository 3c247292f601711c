"""Axes of matplotlib, which is an extra: it is imported when a figure is drawn."""

__all__ = ["axes_of", "new_axes"]

from typing import Any

import numpy as np

INSTALL = 'Figures need matplotlib. Install it by pip install "pymc_botorch[plot]".'


def new_axes(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> np.ndarray:
    """Return the axes of a new figure, ``rows x columns``.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(INSTALL) from error
    return plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, **options)[1]


def axes_of(ax: Any, count: int, what: str) -> np.ndarray:
    """Return the axes that a caller passed as an array of so many.

    Raises:
        ValueError: If there is another number of them.
    """
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != count:
        raise ValueError(f"ax has {len(axes)} axes. Pass {count}, one for each {what}, or None.")
    return axes
