"""Gaussian likelihoods of a gp's data in a PyMC model, and the jitter of their covariance."""

__all__ = ["find_likelihoods", "read_jitter", "split_jitter"]

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.multivariate import KroneckerNormalRV
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.functions import QUICK
from pymc_botorch.graph.gps.values import constant_value, is_data
from pymc_botorch.graph.rewrites.matching import elemwise_inputs
from pymc_botorch.graph.traversal import core_op, nodes_between


def find_likelihoods(pm_model: pm.Model, y: np.ndarray, *, sparse: bool) -> list[TensorVariable]:
    """Return the covariances of the model's Gaussian likelihoods of ``y``.

    An approximate marginal likelihood (``sparse``) is a potential, whose data cannot be read: of these, all covariances of
    inducing points are returned.
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
    """Return the jitter on the diagonal of the covariances.

    Raises:
        DataError: If it cannot be read, or is not the same in all of them.
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
    """Return ``K, jitter`` of ``K + jitter * eye``, or None if ``cov`` is no such sum."""
    terms = elemwise_inputs(cov, "add")
    if terms is None or len(terms) != 2 or (factors := elemwise_inputs(terms[1], "mul")) is None or len(factors) != 2:
        return None
    factor, identity = factors
    if identity.owner is None or not isinstance(identity.owner.op, pt.basic.Eye):
        return None
    while factor.owner is not None and isinstance(factor.owner.op, DimShuffle):
        factor = factor.owner.inputs[0]
    return terms[0], factor
