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


def axes_of(ax: Any, count: int = 1, which: str = "") -> np.ndarray:
    """Return the axes that a caller passed as an array of so many.

    Args:
        ax: Axes, or an array or a list of them.
        count: How many there have to be.
        which: What they are for, where there are several.

    Raises:
        TypeError: If they are no axes.
        ValueError: If there is another number of them.
    """
    axes = np.ravel(np.asarray(ax, dtype=object))
    if (other := next((one for one in axes if not hasattr(one, "get_xlabel")), None)) is not None:
        how = "its axes, figure.subplots()" if hasattr(other, "subplots") else "axes of matplotlib, plt.subplots()[1]"
        raise TypeError(f"ax is {other!r}. Pass {how}, or None.")
    if len(axes) != count:
        raise ValueError(f"ax has {len(axes)} axes. Pass {count}{which and f', {which}'}, or None.")
    return axes
