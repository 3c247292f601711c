"""A PyMC model and the data of a gp come in, the likelihood that joins them goes out, and the jitter it was built with."""

__all__ = ["QUICK", "computes", "constant_value", "find_likelihoods", "is_data", "read_jitter", "split_jitter"]

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.multivariate import KroneckerNormalRV
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.op import Op
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.traversal import core_op, nodes_between

MOVES = (
    DimShuffle,
    Reshape,
    SpecifyShape,
    Subtensor,
    AdvancedSubtensor,
    pt.basic.Join,
    pt.basic.Split,
    pt.basic.MakeVector,
    pt.basic.TensorFromScalar,
    pt.basic.ScalarFromTensor,
)

QUICK = Mode(linker="py", optimizer="fast_compile")  # for expressions that are evaluated once


def find_likelihoods(pm_model: pm.Model, y: np.ndarray, *, sparse: bool) -> list[TensorVariable]:
    """Return the covariances of the model's Gaussian likelihoods whose data are ``y``.

    Of an approximate marginal likelihood (``sparse``), which PyMC adds as a potential and whose data cannot be told, it is the
    one of the inducing points.
    """
    found: list[TensorVariable] = []
    if sparse:
        for potential in pm_model.potentials:
            if potential.name.startswith("marginalapprox_loglik_"):
                factorised = [node.inputs[0] for node in nodes_between([potential]) if isinstance(core_op(node), Cholesky)]
                found.extend(matrix for matrix in factorised if split_jitter(matrix) is not None)
        return found
    for rv in pm_model.observed_RVs:
        value = pm_model.rvs_to_values[rv]
        if isinstance(rv.owner.op, MvNormalRV | KroneckerNormalRV) and is_data(value):
            observed = np.asarray(value.eval(mode=QUICK))
            if observed.shape == y.shape and np.allclose(observed, y, rtol=1e-6, atol=0):  # y may be float32 here or there
                found.append(rv.owner.op.dist_params(rv.owner)[1])
    return found


def read_jitter(covariances: list[TensorVariable]) -> float:
    """Return the jitter with which a likelihood was built.

    Raises:
        DataError: If there is none, or more than one.
    """
    jitters: set[float] = set()
    for cov in covariances:
        stabilised = split_jitter(cov)
        value = None if stabilised is None else constant_value(stabilised[1])
        jitters.add(np.nan if value is None else float(value))
    if len(jitters) != 1 or np.nan in jitters:
        raise DataError(
            "The jitter of the gp's covariance cannot be read from the PyMC model. Pass jitter=..., the value given to "
            f"marginal_likelihood or prior (PyMC's default is {pm.gp.util.JITTER_DEFAULT:g})."
        )
    return jitters.pop()


def split_jitter(cov: TensorVariable) -> tuple[TensorVariable, TensorVariable] | None:
    """Return ``K, jitter`` of ``K + jitter * eye``, or None when ``cov`` is no such sum."""
    node = cov.owner
    if node is None or not _is_elemwise(node.op, "add") or len(node.inputs) != 2:
        return None
    K, ridge = node.inputs
    if ridge.owner is None or not _is_elemwise(ridge.owner.op, "mul") or len(ridge.owner.inputs) != 2:
        return None
    factor, identity = ridge.owner.inputs
    if identity.owner is None or not isinstance(identity.owner.op, pt.basic.Eye):
        return None
    while factor.owner is not None and isinstance(factor.owner.op, DimShuffle):
        factor = factor.owner.inputs[0]
    return K, factor


def constant_value(value: Any) -> np.ndarray | None:
    """Return the value of a number, an array, a constant or a shared variable; None for anything symbolic."""
    if isinstance(value, SharedVariable):
        return np.asarray(value.get_value())
    if isinstance(value, TensorConstant):
        return np.asarray(value.data)
    return None if isinstance(value, Variable) else np.asarray(value)


def computes(value: Variable) -> bool:
    """Say whether an expression changes numbers, rather than only picking, joining or reshaping data."""

    def _is_index(variable: Variable) -> bool:
        return variable.type.dtype.startswith("int") and variable.type.ndim < 2

    def moves(op: Op) -> bool:
        if isinstance(op, Elemwise):
            return type(op.scalar_op).__name__.startswith(("Cast", "Second", "Identity"))
        return isinstance(op, MOVES)

    nodes = nodes_between([value])
    return not all(moves(node.op) or _is_index(node.outputs[0]) for node in nodes)


def is_data(value: Variable) -> bool:
    """Say whether an expression depends on constants and shared data only, not on random numbers."""
    leaves = graph_inputs([value])
    return all(isinstance(v, SharedVariable | Constant) and not isinstance(v.type, RandomType) for v in leaves)


def _is_elemwise(op: object, name: str) -> bool:
    return isinstance(op, Elemwise) and op.scalar_op.name == name
