"""What products of matrices, factorisations and triangular solves become: BLAS and LAPACK."""

__all__ = ["all_solved", "factors"]

from typing import Any

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.linalg.solvers.psd import CholeskySolve
from pytensor.tensor.linalg.solvers.triangular import SolveTriangular
from pytensor.tensor.math import Dot
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from pymc_botorch.graph.compiling.ops import (
    FactorPullback,
    InverseFromFactor,
    Product,
    positive_definite_inverse,
    pulled_back_through_factor,
)
from pymc_botorch.graph.numpy_source.writer import Fresh, Writer, numpy_source

SMALL = 16
"""Rows of a triangular system up to which a stack of them is solved row by row."""


@numpy_source.register(Dot)
@numpy_source.register(Product)
def _dot(op: Any, node: Apply, write: Writer) -> str:
    (left, right), (out,) = node.inputs, node.outputs
    if left.type.ndim == right.type.ndim == 2:
        write.lengths.join((out, 0), (left, 0))
        write.lengths.join((out, 1), (right, 1))
    return Fresh(f"{write.reference(np.dot)}({', '.join(map(write.name, node.inputs))})")


@numpy_source.register(SolveTriangular)
def _solve_triangular(op: SolveTriangular, node: Apply, write: Writer) -> str | None:
    if {v.type.dtype for v in node.inputs} != {"float64"}:
        write.perform(node)
        return None
    for i in range(node.inputs[1].type.ndim):
        write.lengths.join((node.outputs[0], i), (node.inputs[1], i))
    A, b = map(write.name, node.inputs)
    return f"{write.reference(_solved)}({A}, {b}, {op.lower}, {op.unit_diagonal})"


def _solved(A: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool) -> np.ndarray:
    if A.shape != (len(b), len(b)):
        raise ValueError(f"shapes of a {A.shape} and b {b.shape} are incompatible")
    if b.size == 0:
        return np.empty_like(b)
    if A.flags.f_contiguous:
        x, info = dtrtrs(A, b, lower=lower, unitdiag=unit_diagonal)
    else:
        x, info = dtrtrs(A.T, b, lower=not lower, trans=1, unitdiag=unit_diagonal)
    if info != 0:
        x[...] = np.nan
    return x


@numpy_source.register(Cholesky)
def _cholesky(op: Cholesky, node: Apply, write: Writer) -> str | None:
    if node.inputs[0].type.dtype != "float64":
        write.perform(node)
        return None
    return f"{write.reference(_factor)}({write.name(node.inputs[0])}, {op.lower})"


def _factor(A: np.ndarray, lower: bool) -> np.ndarray:
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"Input array is expected to be square but has the shape: {A.shape}.")
    if A.size == 0:
        return np.empty_like(A)
    L, info = dpotrf(A.T, lower=not lower, clean=True)  # Fortran order, as LAPACK has it
    if info != 0:
        L[...] = np.nan
    return L.T


def factors(A: np.ndarray, lower: bool) -> np.ndarray:
    """Return the Cholesky factors of a stack of matrices ``... x m x m``; NaN for those that have none."""
    try:
        return np.linalg.cholesky(A, upper=not lower)
    except np.linalg.LinAlgError:
        if A.shape[-1] != A.shape[-2]:
            raise ValueError(f"Input array is expected to be square but has the shape: {A.shape[-2:]}.") from None
        return np.stack([_factor(one, lower) for one in A.reshape(-1, *A.shape[-2:])]).reshape(A.shape)


def all_solved(A: np.ndarray, b: np.ndarray, lower: bool, unit_diagonal: bool, b_ndim: int) -> np.ndarray:
    """Return the solutions of stacks of triangular systems, row by row for all at once where they are small."""
    batches = np.broadcast_shapes(A.shape[:-2], b.shape[: b.ndim - b_ndim])
    m = A.shape[-1]
    A = np.broadcast_to(A, (*batches, *A.shape[-2:]))
    b = np.broadcast_to(b, (*batches, *b.shape[b.ndim - b_ndim :]))
    if m > SMALL or A.shape[-2] != m or b.shape[-b_ndim] != m:
        flat = zip(A.reshape(-1, *A.shape[-2:]), b.reshape(-1, *b.shape[b.ndim - b_ndim :]), strict=True)
        solutions = [_solved(one, right, lower, unit_diagonal) for one, right in flat]
        return np.stack(solutions).reshape(b.shape) if solutions else np.empty(b.shape)
    right = b if b_ndim == 2 else b[..., None]
    x = np.empty(right.shape)
    for i in range(m) if lower else reversed(range(m)):
        known = slice(0, i) if lower else slice(i + 1, m)
        x[..., i, :] = right[..., i, :] - np.einsum("...j,...jk->...k", A[..., i, known], x[..., known, :])
        if not unit_diagonal:
            x[..., i, :] /= A[..., i, i, None]
    if not unit_diagonal:
        x[(np.einsum("...ii->...i", A) == 0).any(-1)] = np.nan  # as LAPACK has it
    return x if b_ndim == 2 else x[..., 0]


@numpy_source.register(CholeskySolve)
def _cholesky_solve(op: CholeskySolve, node: Apply, write: Writer) -> str | None:
    if {v.type.dtype for v in node.inputs} != {"float64"}:
        write.perform(node)
        return None
    L, b = map(write.name, node.inputs)
    return f"{write.reference(_solved_from_factor)}({L}, {b}, {op.lower})"


def _solved_from_factor(L: np.ndarray, b: np.ndarray, lower: bool) -> np.ndarray:
    if L.shape != (len(b), len(b)):
        raise ValueError(f"incompatible dimensions ({L.shape} and {b.shape})")
    if b.size == 0:
        return np.empty_like(b)
    x, info = dpotrs(L, b, lower=lower) if L.flags.f_contiguous else dpotrs(L.T, b, lower=not lower)
    if info != 0:
        x[...] = np.nan
    return x


@numpy_source.register(InverseFromFactor)
def _inverse(op: InverseFromFactor, node: Apply, write: Writer) -> str:
    return f"{write.reference(positive_definite_inverse)}({write.name(node.inputs[0])})"


@numpy_source.register(FactorPullback)
def _factor_pullback(op: FactorPullback, node: Apply, write: Writer) -> str:
    return Fresh(f"{write.reference(pulled_back_through_factor)}({', '.join(map(write.name, node.inputs))})")
