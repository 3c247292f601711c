"""A ``pm.gp`` object comes in, its posterior at symbolic inputs goes out, with all data and parameters as inputs.

The conditional is PyMC's own (``gp.conditional`` in a scratch model), so that every kernel and mean of PyMC is read as
it is. Only the jitter that PyMC adds to the predictive covariance is taken off again: the one on the training
covariance belongs to the fit, the other would make the variance of a point depend on how it is asked for.
"""

__all__ = ["PosteriorGraph", "leaves_to_lift", "lift", "read_posterior", "rough_kernels", "without_broadcast"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.distribution import SymbolicRandomVariable
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.random.op import RandomVariable
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.likelihoods import constant_value, split_jitter
from pymc_botorch.graph.observations import Observations, kernels_in

ROUGH = (pm.gp.cov.Matern12, pm.gp.cov.Exponential, pm.gp.cov.Circular)
"""Kernels with a kink at distance zero: functions of the first two have no derivative anywhere; those of ``Circular`` have one,
but PyMC writes its distance with an absolute value, which PyTensor cannot differentiate twice there."""


@dataclass(frozen=True)
class PosteriorGraph:
    """The posterior of a latent function at new inputs, as expressions of symbolic data and parameters.

    Attributes:
        X: New inputs, ``q x d`` with static ``d``.
        mean: Posterior mean, ``q``.
        cov: Posterior covariance, ``q x q``, of the noise-free function (or of new observations, where it was read
            with their noise), without jitter.
        noise: Variance of the observations: a scalar, or ``n`` where it differs between them.
        data: Symbolic data by name: ``X`` (``n x d``), ``y`` (``n``), ``jitter``, and what else was lifted.
        parameters: Symbolic free random variables of the PyMC model, by name, on their natural scale.
        per_observation: Names of the data that have an entry for each observation.
        rough: Names of the function's kernels that have a kink at distance zero: it has no derivative then.
        latent: Of a latent gp, the parameter that is the function at ``X`` (``n``), in place of ``y``; else None.
    """

    X: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    noise: TensorVariable
    data: Mapping[str, Variable]
    parameters: Mapping[str, Variable]
    per_observation: frozenset[str]
    rough: tuple[str, ...] = ()
    latent: str | None = None

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: expressions are never changed."""
        return self

    @property
    def inputs(self) -> list[Variable]:
        """Data, then parameters: what the compiled functions are conditioned on, in this order."""
        return [*self.data.values(), *self.parameters.values()]

    @property
    def symbols(self) -> list[Variable]:
        """All that the expressions are of."""
        return [self.X, *self.inputs]

    @property
    def outputs(self) -> list[Variable]:
        """The expressions."""
        return [self.mean, self.cov, self.noise]


def read_posterior(
    observations: Observations, pm_model: pm.Model, *, pred_noise: bool = False
) -> tuple[PosteriorGraph, dict[str, np.ndarray], dict[str, Variable]]:
    """Return the posterior graph of a gp, the values of its symbolic data, and where in the PyMC model they came from.

    Training data, known noise, shared variables and non-scalar constants of the graph become inputs; nothing of the
    user's model is changed.

    Args:
        observations: The gp and what it is conditioned on.
        pm_model: The model that holds the gp's parameters.
        pred_noise: Whether ``cov`` is that of new observations, noise included.

    Returns:
        The graph, an array for each entry of its ``data``, and the shared variable or constant of the PyMC model for each
        that has one.

    Raises:
        DataError: If the gp depends on random variables that are not free variables of ``pm_model``.
        UnsupportedGPError: If the conditional is not a multivariate normal.
    """
    d = observations.X.shape[1]
    _X = pt.matrix("X_new", dtype="float64", shape=(None, d))  # q x d
    data: dict[str, Variable] = {
        "X": pt.matrix("X", dtype="float64", shape=(None, d)),
        "y": pt.vector("y", dtype="float64"),
        "jitter": pt.scalar("jitter", dtype="float64"),
    }
    values = {"X": observations.X, "y": observations.y, "jitter": np.asarray(observations.jitter)}
    sources: dict[str, Variable] = {}
    noise_func = observations.noise
    if isinstance(noise_func, pm.gp.cov.WhiteNoise) and (known := constant_value(noise_func.sigma)) is not None:
        sd = np.asarray(known, dtype=np.float64)
        if isinstance(noise_func.sigma, Variable):
            sources["sigma"] = noise_func.sigma
        values["sigma"] = sd.reshape(()) if sd.size == 1 else sd
        data["sigma"] = pt.tensor("sigma", shape=(None,) * values["sigma"].ndim, dtype="float64")
        noise_func = pm.gp.cov.WhiteNoise(data["sigma"])

    given = {"gp": observations.total, "X": data["X"], "y": data["y"], "sigma": noise_func}
    if observations.inducing is not None:
        data["Xu"], values["Xu"] = pt.matrix("Xu", dtype="float64", shape=(None, d)), observations.inducing
        given |= {"Xu": data["Xu"], "sigma": noise_func.sigma}
    gp = observations.gp
    with pm.Model(model=None):  # a scratch model: not a child of the one in context
        f = gp.conditional("f", _X, pred_noise=pred_noise, given=given, jitter=data["jitter"])
    if not isinstance(f.owner.op, MvNormalRV):
        raise UnsupportedGPError(
            f"The conditional of {type(gp).__name__} is {f.owner.op}, not a multivariate normal. Use pm.gp.Marginal."
        )
    mean, cov = f.owner.op.dist_params(f.owner)[:2]
    mean = without_broadcast(mean)
    if not pred_noise:
        cov = _without_jitter(cov, data["jitter"])
    noise = _noise_variance(noise_func, data["X"])

    per_observation = {"X", "y"} | ({"sigma"} if values.get("sigma", np.zeros(())).ndim else set())
    graph = PosteriorGraph(_X, mean, cov, noise, data, {}, frozenset(per_observation), rough_kernels(gp.cov_func))
    return lift(graph, values, sources, pm_model)


def lift(
    graph: PosteriorGraph, values: Mapping[str, np.ndarray], sources: Mapping[str, Variable], pm_model: pm.Model
) -> tuple[PosteriorGraph, dict[str, np.ndarray], dict[str, Variable]]:
    """Return a graph in which the free variables of ``pm_model``, shared variables and constant arrays are inputs, too.

    Args:
        graph: With the data and parameters that are inputs already.
        values: An array for each entry of ``graph.data``.
        sources: Where in the PyMC model they came from, for those that have a shared variable or constant there.
        pm_model: The model that holds the gp's parameters.

    Returns:
        The graph, its values and sources; see :func:`read_posterior`.

    Raises:
        DataError: If the gp depends on random variables that are not free variables of ``pm_model``.
    """
    outputs: Sequence[Variable] = graph.outputs
    data, values, sources, per_observation = dict(graph.data), dict(values), dict(sources), set(graph.per_observation)
    needed = set(ancestors(outputs, blockers=pm_model.free_RVs))
    parameters = {rv.name: rv.type(rv.name) for rv in pm_model.free_RVs if rv in needed}
    outputs = graph_replace(outputs, {pm_model[name]: variable for name, variable in parameters.items()}, strict=False)
    _check_no_randomness(outputs, pm_model)
    for leaf in leaves_to_lift(outputs):
        name = f"lifted_{len(data)}"
        if outputs[2].type.ndim and leaf in set(ancestors([outputs[2]])) and leaf.type.ndim == 1:
            per_observation.add(name)  # known noise, scaled by a parameter
        values[name] = leaf.get_value() if isinstance(leaf, SharedVariable) else leaf.data
        sources[name] = leaf
        shape = tuple(1 if length == 1 else None for length in leaf.type.shape)
        data[name] = pt.tensor(name, dtype=leaf.type.dtype, shape=shape)
        outputs = graph_replace(outputs, {leaf: data[name]}, strict=False)
    mean, cov, noise = outputs
    parameters = {**graph.parameters, **parameters}
    lifted = replace(
        graph, mean=mean, cov=cov, noise=noise, data=data, parameters=parameters, per_observation=frozenset(per_observation)
    )
    return lifted, values, sources


def rough_kernels(cov_func: object) -> tuple[str, ...]:
    """Return the names of the kernels inside ``cov_func`` whose functions have no derivative."""
    return tuple(sorted({type(part).__name__ for part in kernels_in(cov_func) if isinstance(part, ROUGH)}))


def _without_jitter(cov: TensorVariable, jitter: TensorVariable) -> TensorVariable:
    """Return ``cov`` without the ``jitter * eye`` that PyMC's ``stabilize`` added last."""
    stabilised = split_jitter(cov)
    if stabilised is None or stabilised[1] is not jitter:
        raise UnsupportedGPError(
            "The covariance of this gp's conditional does not end in PyMC's jitter. Use pm.gp.Marginal of PyMC 6."
        )
    return stabilised[0]


def without_broadcast(mean: TensorVariable) -> TensorVariable:
    """Return the mean itself: ``MvNormal.dist`` wraps it in ``Second(cov[:, -1], mean)``, which computes ``cov``."""
    node = mean.owner
    is_second = node is not None and isinstance(node.op, Elemwise) and type(node.op.scalar_op).__name__ == "Second"
    return node.inputs[1] if is_second else mean


def _noise_variance(noise_func: pm.gp.cov.BaseCovariance, X: TensorVariable) -> TensorVariable:
    """Return the variance of the training observations: a scalar where all share it, else ``n``."""
    if isinstance(noise_func, pm.gp.cov.WhiteNoise):
        sigma = pt.as_tensor_variable(noise_func.sigma)
        if sigma.type.broadcastable == (True,) * sigma.type.ndim:
            return pt.square(sigma).squeeze()
    return noise_func(X, diag=True)


def leaves_to_lift(outputs: Sequence[Variable]) -> list[Variable]:
    """Return shared variables and non-scalar floating-point constants: values that a refit may change."""
    return [
        leaf
        for leaf in graph_inputs(outputs)
        if isinstance(leaf, SharedVariable)
        or (isinstance(leaf, TensorConstant) and leaf.data.size > 1 and leaf.data.dtype.kind == "f")
    ]


def _check_no_randomness(outputs: Sequence[Variable], pm_model: pm.Model) -> None:
    """Refuse a graph that still draws random numbers once the model's free variables are inputs."""
    strangers = [
        v.name or str(v)
        for v in ancestors(outputs)
        if v.owner and isinstance(v.owner.op, RandomVariable | SymbolicRandomVariable)
    ]
    if strangers:
        known = ", ".join(rv.name for rv in pm_model.free_RVs) or "none"
        raise DataError(
            f"The gp depends on the random variables {', '.join(sorted(set(strangers)))}, which are not free variables of "
            f"the given PyMC model (its free variables: {known}). Pass the model in which the gp was defined, model=...."
        )
