"""Kernels with a kink at distance zero, whose functions have no derivative where points coincide."""

__all__ = ["check_kinks", "check_new_inputs"]

from collections.abc import Sequence

import numpy as np

from pymc_botorch.errors import DataError


def check_kinks(rough: Sequence[str], X: np.ndarray) -> None:
    """Refuse derivatives in inputs ``n x d`` where a kernel has a kink at distance zero, and two of them are there.

    Raises:
        DataError: If it is so.
    """
    if rough and len(np.unique(X, axis=0)) < len(X):
        raise DataError(
            f"{', '.join(rough)} has a kink at distance zero, and rows of X are equal: there is no derivative in X. Ask for that "
            "in y only, or use Matern32, Matern52 or ExpQuad."
        )


def check_new_inputs(rough: Sequence[str], X: np.ndarray, new_inputs: Sequence[np.ndarray]) -> None:
    """Refuse derivatives in inputs ``n x d`` where a kernel has a kink, and new inputs that stay where they are equal one.

    Raises:
        DataError: If it is so.
    """
    if not rough or not new_inputs:
        return
    equal = (X[:, None, :] == np.concatenate(new_inputs)[None, :, :]).all(2)  # n x q
    if equal.any():
        raise DataError(
            f"{', '.join(rough)} has a kink at distance zero, and new inputs that stay where they are equal row "
            f"{np.argwhere(equal)[0, 0]} of X: there is no derivative in it. Ask for that in y only, let new inputs move, or use "
            "Matern32, Matern52 or ExpQuad."
        )
