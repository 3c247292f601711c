"""Known noise variances that no computation can honour, rounded up as GPyTorch rounds them."""

__all__ = ["SMALLEST_SHARE", "rounded_up"]

import warnings

import torch
from botorch.exceptions.warnings import InputDataWarning
from torch import Tensor

from pymc_botorch.errors import PACKAGE_FOLDER

SMALLEST_SHARE = 1e-6
"""Smallest known variance, of the outcome's own: GPyTorch's ``min_fixed_noise`` for a standardised outcome in float64."""


def rounded_up(X: Tensor, Y: Tensor, Yvar: Tensor, *, zero_is_meant: bool = False) -> Tensor:
    """Return variances ``n x 1`` of at least a millionth of the outcome's variance.

    Args:
        X: Inputs, ``n x d``.
        Y: Outcomes, ``n x 1``.
        Yvar: Variances of their noise, ``n x 1``, in the squared units of ``Y``.
        zero_is_meant: Whether a variance of zero says that there is no noise, as in Ax, and is no reason to warn.

    Warns:
        InputDataWarning: If there are smaller ones.
    """
    smallest = SMALLEST_SHARE * Y.var(unbiased=False)
    small = (Yvar < smallest * (1 - 1e-9)).squeeze(-1)
    if not small.any():
        return Yvar
    same = (X[:, None] == X).all(-1) & (Y.mT != Y) & small[:, None] & small  # n x n
    contradicted = same.any(-1).nonzero().flatten().tolist()
    why = f", although observations at the same inputs differ (rows {contradicted[:10]})" if contradicted else ""
    if zero_is_meant and not contradicted and not Yvar.squeeze(-1)[small].any():
        return torch.maximum(Yvar, smallest)
    warnings.warn(
        f"train_Yvar is below {SMALLEST_SHARE:g} of the outcome's variance in {int(small.sum())} of {len(Y)} rows, the smallest "
        f"{float(Yvar.min() / Y.var(unbiased=False)):.1e} of it{why}; these were rounded up to {SMALLEST_SHARE:g}. Pass the "
        "variances of the observations (squared standard errors, in squared raw units), or leave train_Yvar out, and the noise "
        "is learned.",
        InputDataWarning,
        skip_file_prefixes=(PACKAGE_FOLDER,),
    )
    return torch.maximum(Yvar, smallest)
