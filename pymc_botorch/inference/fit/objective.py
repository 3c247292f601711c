"""Log posterior density of a PyMC model with a gp's likelihood, and its gradient, compiled once per structure.

It is a function of PyMC's unconstrained parameters. An input weights the log Jacobian of their transforms: with 0 it is the
density of the parameters on their constrained scale, whose mode ``pm.find_MAP`` and BoTorch call the maximum a posteriori; with 1
that of the unconstrained parameters, which samplers draw from. One structure serves both. For a Gaussian marginal likelihood
with mean ``mu`` and covariance ``K``, and ``alpha = K⁻¹ (y - mu)``::

    log p(y)     = -½ (y - mu)ᵀ alpha - ½ log det K - ½ n log 2π
    d log p / dK = ½ (alpha alphaᵀ - K⁻¹)        d log p / dmu = alpha

so one Cholesky factor and its inverse serve value and gradient; PyTensor differentiates ``mu`` and ``K`` only. Any other
likelihood or potential is PyMC's own ``logp``. The value alone, of many points in one call, takes a triangular solve of a vector
instead of the inverse.
"""

__all__ = [
    "ObjectiveGraph",
    "check_parameters",
    "densities",
    "density_and_gradient",
    "density_terms",
    "gaussian_log_likelihood",
    "itself",
    "read_objective",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.linalg import cholesky
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.ops import inverse_from_factor
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.graph.gps.posterior_graph import leaves_to_lift, without_broadcast
from pymc_botorch.graph.gps.values import is_data
from pymc_botorch.graph.posterior.cut import batched
from pymc_botorch.graph.rewrites.cost import fold_batches
from pymc_botorch.graph.rewrites.differentiable import once_differentiable, without_zero_steps
from pymc_botorch.graph.rewrites.plain import without_checks, write_out_diagonals


@dataclass(frozen=True)
class ObjectiveGraph(Graph):
    """The log posterior density and its gradient, as expressions of symbolic data and unconstrained parameters.

    Attributes:
        parameters: Unconstrained parameters, by the name of their random variable.
        data: Symbolic data by name.
        jacobian: A scalar, the weight of the log Jacobian of the transforms: 0 or 1.
        log_density: A scalar, the natural logarithm.
        gradient: Its derivative with respect to each of ``parameters``.
        value: The log density again, by what is quicker where no gradient is wanted.
    """

    parameters: Mapping[str, Variable]
    data: Mapping[str, Variable]
    jacobian: TensorVariable
    log_density: TensorVariable
    gradient: Sequence[TensorVariable]
    value: TensorVariable

    @property
    def symbols(self) -> list[Variable]:
        """Parameters, data, and the weight of the Jacobian."""
        return [*self.parameters.values(), *self.data.values(), self.jacobian]

    @property
    def outputs(self) -> list[Variable]:
        """The density, then its gradient."""
        return [self.log_density, *self.gradient]


def itself[G: Graph](graph: G) -> G:
    """Return the graph itself, the argument of an objective's builds."""
    return graph


def density_and_gradient(graph: ObjectiveGraph) -> tuple[Sequence[Variable], Sequence[Variable]]:
    """Build ``*parameters, *data, jacobian -> log density, *gradient``."""
    return graph.symbols, graph.outputs


def densities(graph: ObjectiveGraph) -> tuple[Sequence[Variable], Sequence[Variable]]:
    """Build ``*parameters, *data, jacobian -> log densities``, of ``S`` points at once: parameters are ``S x ...``."""
    many = batched(list(graph.parameters.values()))
    (values,) = write_out_diagonals(fold_batches(vectorize_graph(without_checks([graph.value]), many)))
    return [*many.values(), *graph.data.values(), graph.jacobian], [values]


def read_objective(pm_model: pm.Model) -> tuple[ObjectiveGraph, dict[str, Variable]]:
    """Return the objective of a model, and the shared variable or constant that each of its data stands for.

    Raises:
        DataError: If the model has discrete parameters, or none.
    """
    check_parameters(pm_model)
    values = {rv.name: pm_model.rvs_to_values[rv] for rv in pm_model.free_RVs}
    jacobian = pt.scalar("jacobian", dtype="float64")
    rest, likelihoods = density_terms(pm_model, jacobian)
    (log_density,) = once_differentiable([rest])  # with the exact distances of the posterior
    gradient, value = _gradient(log_density, list(values.values())), log_density
    for y, *moments in likelihoods:
        mu, cov = once_differentiable(moments)
        log_likelihood, bars = _marginal_likelihood(y, mu, cov)
        log_density = log_density + log_likelihood
        value = value + gaussian_log_likelihood(y, mu, cov)
        gradient = [a + b for a, b in zip(gradient, _gradient(None, list(values.values()), bars), strict=True)]
    outputs: Sequence[Variable] = without_zero_steps([log_density, *gradient, value])
    data: dict[str, Variable] = {}
    sources: dict[str, Variable] = {}
    for leaf in leaves_to_lift(outputs):
        name = f"data_{len(data)}"
        lengths = leaf.type.shape if isinstance(leaf, SharedVariable) else (None,) * leaf.type.ndim
        shape = tuple(1 if one == 1 else length for one, length in zip(leaf.type.shape, lengths, strict=True))
        data[name] = pt.tensor(name, dtype=leaf.type.dtype, shape=shape)
        sources[name] = leaf
    outputs = graph_replace(outputs, {sources[name]: variable for name, variable in data.items()}, strict=False)
    return ObjectiveGraph(values, data, jacobian, outputs[0], outputs[1:-1], outputs[-1]), sources


def check_parameters(pm_model: pm.Model) -> None:
    """Raise a ``DataError`` if a model has discrete parameters, or none."""
    if not pm_model.free_RVs:
        raise DataError("The PyMC model has no parameters. Give it priors, or use from_fitted(gp, {}).")
    if discrete := [rv.name for rv in pm_model.discrete_value_vars]:
        raise DataError(f"The parameters {', '.join(discrete)} are discrete, so there is no gradient. Marginalise them out.")


def density_terms(
    pm_model: pm.Model, jacobian: TensorVariable
) -> tuple[TensorVariable, list[tuple[TensorVariable, TensorVariable, TensorVariable]]]:
    """Return the terms of the log posterior density, as expressions of the model's value variables and data.

    They are those of the Gaussian marginal likelihoods, ``y, mu, cov`` of each, and the sum of all others.
    """
    gaussian = [rv for rv in pm_model.observed_RVs if _is_marginal_likelihood(rv, pm_model)]
    others = [rv for rv in (*pm_model.free_RVs, *pm_model.observed_RVs, *pm_model.potentials) if rv not in gaussian]
    rest = pm_model.logp(vars=others, jacobian=False) + jacobian * _log_jacobian(pm_model)
    likelihoods = []
    for rv in gaussian:
        mu, cov = rv.owner.op.dist_params(rv.owner)[:2]
        mu, cov = pm_model.replace_rvs_by_values([without_broadcast(mu), cov])
        likelihoods.append((pm_model.rvs_to_values[rv], mu, cov))
    return rest, likelihoods


def _log_jacobian(pm_model: pm.Model) -> TensorVariable:
    """Return the sum of the log Jacobian determinants of all parameters' transforms."""
    total = pt.constant(0.0, dtype="float64")
    for rv in pm_model.free_RVs:
        if (transform := pm_model.rvs_to_transforms[rv]) is not None:
            total = total + pt.sum(transform.log_jac_det(pm_model.rvs_to_values[rv], *rv.owner.inputs))
    (total,) = pm_model.replace_rvs_by_values([total])
    return total


def _is_marginal_likelihood(rv: TensorVariable, pm_model: pm.Model) -> bool:
    value = pm_model.rvs_to_values[rv]
    return isinstance(rv.owner.op, MvNormalRV) and value.type.ndim == 1 and value.type.dtype == "float64" and is_data(value)


def _marginal_likelihood(
    y: TensorVariable, mu: TensorVariable, cov: TensorVariable
) -> tuple[TensorVariable, dict[TensorVariable, TensorVariable]]:
    """Return ``log p(y)`` and its derivatives with respect to mean and covariance."""
    mu = pt.zeros_like(y) + mu  # n, also where one number is the mean of all
    L = cholesky(cov, lower=True)  # n x n
    K_inv = inverse_from_factor(L)  # n x n
    delta = y - mu
    alpha = K_inv @ delta  # n
    log_det = 2 * pt.sum(pt.log(pt.diagonal(L)))
    log_likelihood = -0.5 * pt.sum(delta * alpha) - 0.5 * log_det - 0.5 * y.shape[0] * np.log(2 * np.pi)
    return log_likelihood, {cov: 0.5 * (pt.outer(alpha, alpha) - K_inv), mu: alpha}


def gaussian_log_likelihood(y: TensorVariable, mu: TensorVariable, cov: TensorVariable) -> TensorVariable:
    """Return ``log p(y)``, without what its derivatives need."""
    L = cholesky(cov, lower=True)  # n x n
    half = pt.linalg.solve_triangular(L, y - mu, lower=True, b_ndim=1)  # n
    return -0.5 * pt.sum(pt.square(half)) - pt.sum(pt.log(pt.diagonal(L))) - 0.5 * y.shape[0] * np.log(2 * np.pi)


def _gradient(
    cost: TensorVariable | None, wrt: list[Variable], known: Mapping[Variable, Variable] | None = None
) -> list[TensorVariable]:
    return pt.grad(cost, wrt, known_grads=known, disconnected_inputs="ignore", return_disconnected="zero")
