"""Derivatives of a gp: their covariances with it and each other, their prior means, and whether there are any.

Those that are known to be negative are multiplied by -1, so that all are positive.
"""

__all__ = [
    "Derivative",
    "Observed",
    "check_derivatives",
    "check_matrix",
    "derivative_covariance",
    "derivative_mean",
    "index_columns_of_kernel",
    "measured_slopes",
]

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import pushforward
from pytensor.graph.replace import graph_replace
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.kernels import kernels_in, rough_kernels
from pymc_botorch.graph.gps.values import check_columns, constant_value, is_data
from pymc_botorch.graph.rewrites.differentiable import differentiable_with_random

NO_SECOND = "Convexity and concavity need a second derivative that PyMC's kernels have at distance zero: use pm.gp.cov.ExpQuad."


class Derivative(NamedTuple):
    """A derivative of a function of ``d`` inputs.

    Attributes:
        column: The input.
        order: 1 for the slope, 2 for the curvature, 0 for the function itself.
        sign: 1 where it is positive, -1 where it is negative.
    """

    column: int
    order: int = 1
    sign: float = 1.0


class Observed(NamedTuple):
    """Derivatives that the function is conditioned on.

    Attributes:
        sites: Where they are, ``m x d``.
        kinds: Which, ``k``.
        values: Their values, times their sign, ``k m``: those of the first kind at all sites come first.
        variance: Variance of their noise, ``k m`` or a number.
    """

    sites: TensorVariable
    kinds: Sequence[Derivative]
    values: TensorVariable
    variance: TensorVariable


def measured_slopes(slopes: Any, cov_func: Any) -> Observed:
    """Return measured slopes as they are conditioned on.

    Args:
        slopes: Where, ``m x d``; what, ``m x k`` (or ``m`` of one column); sd of their noise, a number or in the shape of the
            values; along which ``k`` columns.
        cov_func: The gp's kernel.

    Raises:
        DataError: If shapes do not fit together, or numbers are not finite.
        UnsupportedGPError: If functions of this covariance have no such slope.
    """
    if not isinstance(slopes, tuple | list) or len(slopes) != 4:
        raise DataError(
            "slopes are no tuple of four. Pass (X_g, g, sigma_g, columns): where, what, sd of its noise, along which."
        )
    sites, values, sigma, columns = slopes
    if not np.iterable(columns):
        raise DataError(f"The columns of measured slopes are {columns!r}. Pass a list, such as [0].")
    kinds = tuple(Derivative(j) for j in columns)
    check_derivatives(cov_func, kinds)
    if not kinds:
        raise DataError("slopes name no columns. Pass (X_g, g, sigma_g, columns), with the columns along which g was measured.")
    shapes = [None if value is None else np.shape(value) for value in map(constant_value, (sites, values, sigma))]
    at, what, noise = shapes
    m = None if at is None else at[0] if at else 0
    fit = (at is None or (len(at) == 2 and at[1] == cov_func.input_dim)) and all(
        shape is None or m is None or shape in ((m, len(kinds)), *([(m,)] if len(kinds) == 1 else ())) or (i and shape == ())
        for i, shape in enumerate((what, noise))
    )
    if not fit:
        raise DataError(
            f"Measured slopes have sites {at}, values {what} and noise {noise}. Pass sites m x {cov_func.input_dim}, "
            f"values m x {len(kinds)} (one for each column), and a number or sds of the same shape."
        )
    for value in (sites, values, sigma):
        known = constant_value(value)
        if known is not None and not np.isfinite(np.asarray(known, dtype=np.float64)).all():
            raise DataError("Measured slopes, their sites or noise are not finite. Leave those out.")
    known = constant_value(sigma)
    if known is not None and (known < 0).any():
        raise DataError(f"The noise of measured slopes is negative, {np.min(known)}. Pass its standard deviation.")
    flat = [pt.as_tensor_variable(part).astype("float64") for part in (values, sigma)]
    value, noise_sd = (part.T.flatten() if part.type.ndim == 2 else part for part in flat)
    return Observed(pt.as_tensor_variable(sites).astype("float64"), kinds, value, pt.square(noise_sd))


def derivative_covariance(
    cov_func: Any, one: Sequence[Derivative], A: TensorVariable, two: Sequence[Derivative], B: TensorVariable
) -> TensorVariable:
    """Return covariances of derivatives ``one`` at the rows of ``A`` with ``two`` at those of ``B``, times their signs."""
    d = cov_func.input_dim
    left, right = (pt.matrix(name, dtype="float64", shape=(None, d)) for name in ("left", "right"))
    (base,) = differentiable_with_random([cov_func(left, right)])
    columns = [_along(base, right, kind) for kind in two]
    rows = [_concatenated([_along(column, left, kind) for column in columns], axis=1) for kind in one]
    whole = _concatenated(rows, axis=0)
    (whole,) = graph_replace([whole], {left: A.astype("float64"), right: B.astype("float64")}, strict=False)
    return whole


def _along(value: TensorVariable, X: TensorVariable, kind: Derivative) -> TensorVariable:
    """Return a derivative along a column of ``X``, times its sign."""
    for _ in range(kind.order):
        direction = pt.ones_like(X) * np.eye(X.type.shape[1], dtype=np.int8)[kind.column]  # integers are no data of the model
        value = pushforward(value, X, direction, disconnected_outputs="ignore")
    return value if kind.sign == 1 else -value


def _concatenated(parts: Sequence[TensorVariable], axis: int) -> TensorVariable:
    return parts[0] if len(parts) == 1 else pt.concatenate(parts, axis=axis)


def derivative_mean(mean_func: Any, kinds: Sequence[Derivative], sites: TensorVariable) -> TensorVariable:
    """Return derivatives of the mean at sites, times their signs: those of the first kind come first."""
    X = pt.matrix("X_mean", dtype="float64", shape=(None, sites.type.shape[1]))
    parts = []
    for kind in kinds:
        value = mean_func(X) + pt.zeros(X.shape[0])
        for _ in range(kind.order):
            slope = pt.grad(pt.sum(value), X, disconnected_inputs="ignore", return_disconnected="zero")
            value = slope[:, kind.column]
        parts.append(kind.sign * value)
    (mean,) = graph_replace([_concatenated(parts, axis=0)], {X: sites}, strict=False)
    return mean


def check_matrix(cov_func: Any, X: Any) -> None:
    """Raise a ``DataError`` unless the kernel takes the columns of ``X``, as far as these are known."""
    known = constant_value(X)
    columns = X.type.shape[-1] if known is None else np.shape(known)[-1] if np.ndim(known) == 2 else None
    if known is None and (not is_data(X) or X.type.ndim != 2):
        raise DataError("The gp's X is computed from random variables, or no matrix. Pass data, n x d.")
    if known is not None and np.ndim(known) != 2:
        raise DataError(f"The gp's X has shape {np.shape(known)}. Pass data, n x d.")
    if columns is not None:
        check_columns(cov_func, np.empty((0, columns)))


def check_derivatives(cov_func: Any, kinds: Sequence[Derivative]) -> None:
    """Raise unless functions of this covariance have these derivatives.

    Raises:
        DataError: If a column is no column of the inputs.
        UnsupportedGPError: If the kernel is not differentiable, or does not read a column.
    """
    if not kinds:
        return
    d = getattr(cov_func, "input_dim", None)
    if d is None:
        raise UnsupportedGPError("The covariance function reads no columns of X: its functions have no slopes. Use ExpQuad.")
    wrong = [k.column for k in kinds if not _is_whole(k.column) or not 0 <= k.column < d]
    if wrong:
        raise DataError(f"Derivatives are along columns {wrong} of {d}. Pass whole numbers from 0 to input_dim - 1 of cov_func.")
    if rough := rough_kernels(cov_func):
        raise UnsupportedGPError(f"Functions with the covariance {' and '.join(rough)} have no slope. Use Matern52 or ExpQuad.")
    if any(isinstance(part, pm.gp.cov.Kron) for part in kernels_in(cov_func)):
        raise UnsupportedGPError("A Kron kernel is that of a grid, whose points have no slopes. Multiply the kernels instead.")
    if unread := sorted({k.column for k in kinds} - _columns_read(cov_func)):
        raise UnsupportedGPError(
            f"The covariance function does not change smoothly with the columns {unread}, so that slopes along them are zero. "
            "Name columns that its kernels read (active_dims) and do not take as an index."
        )
    if any(kind.order == 2 for kind in kinds):
        stationary = [part for part in kernels_in(cov_func) if isinstance(part, pm.gp.cov.Stationary)]
        if not stationary or any(type(part) is not pm.gp.cov.ExpQuad for part in stationary):
            raise UnsupportedGPError(NO_SECOND)


def index_columns_of_kernel(cov_func: Any) -> tuple[int, ...]:
    """Return the columns that a ``Coregion`` kernel takes as indices of categories."""
    found = (part.active_dims for part in kernels_in(cov_func) if isinstance(part, pm.gp.cov.Coregion))
    return tuple(sorted({int(j) for dims in found for j in dims}))


def _columns_read(cov_func: Any) -> set[int]:
    """Return the columns with which a kernel changes smoothly; what stands inside of a warped kernel counts from these."""
    if isinstance(cov_func, pm.gp.cov.Constant | pm.gp.cov.WhiteNoise | pm.gp.cov.Coregion):
        return set()
    if isinstance(cov_func, pm.gp.cov.Exponentiated):
        return _columns_read(cov_func.kernel)
    if not isinstance(cov_func, pm.gp.cov.Add | pm.gp.cov.Prod):
        return {int(j) for j in cov_func.active_dims}
    return set().union(*(_columns_read(part) for part in cov_func._factor_list if isinstance(part, pm.gp.cov.BaseCovariance)))


def _is_whole(j: Any) -> bool:
    return isinstance(j, Integral) and not isinstance(j, bool)
