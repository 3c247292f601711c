"""Posterior of a ``pm.gp`` at symbolic inputs, with all data and parameters as inputs.

The conditional is PyMC's own (``gp.conditional`` in a scratch model), so every kernel and mean function of PyMC works as
it is. Only the jitter that PyMC adds to the predictive covariance is removed again: the jitter on the training covariance
belongs to the fit, the other would make a point's variance differ between ``gp.predict``'s full and diagonal covariances.
"""

__all__ = ["PosteriorGraph", "leaves_to_lift", "lift", "read_posterior", "without_broadcast"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors, graph_inputs
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.graph.gps.kernels import GivenNoise, rough_kernels
from pymc_botorch.graph.gps.likelihoods import split_jitter
from pymc_botorch.graph.gps.marginal import Observations
from pymc_botorch.graph.gps.shaped import MonotoneGP
from pymc_botorch.graph.gps.signs import Signs
from pymc_botorch.graph.gps.sites import checked_sites, default_sites
from pymc_botorch.graph.gps.values import check_no_randomness, constant_value
from pymc_botorch.graph.rewrites.matching import elemwise_inputs


@dataclass(frozen=True)
class PosteriorGraph(Graph):
    """The posterior of a latent function at new inputs, as expressions of symbolic data and parameters.

    The noise of the training observations enters mean and covariance as a separate symbol, so that the prior, which has no
    observations, is the same function whatever the noise depends on.

    Attributes:
        X: New inputs, ``q x d`` with static ``d``.
        mean: Posterior mean, ``q``.
        cov: Posterior covariance, ``q x q``, of the noise-free function (or of new observations, where it was read
            with their noise), without jitter.
        noise: Noise of the training observations, given data and parameters: one sd, ``n`` sds or a covariance ``n x n``.
        given_noise: The symbol that stands for the value of ``noise`` in ``mean`` and ``cov``.
        data: Symbolic data by name: ``X`` (``n x d``), ``y`` (``n``), ``jitter``, and other values of the model.
        parameters: Symbolic free random variables of the PyMC model, by name, on their constrained scale.
        rough: Names of kernels with a kink at distance zero; if there are any, the function cannot be differentiated.
        latent: Of a latent gp, name of the parameter that is the function at ``X`` (``n``), in place of ``y``; else None.
        signs: Derivatives with a sign, given data, noise and parameters, where the gp has any.
    """

    X: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    noise: TensorVariable
    given_noise: TensorVariable
    data: Mapping[str, Variable]
    parameters: Mapping[str, Variable]
    rough: tuple[str, ...] = ()
    latent: str | None = None
    signs: Signs | None = None

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: expressions are never changed."""
        return self

    @property
    def inputs(self) -> list[Variable]:
        """Data, then parameters: what the posterior is conditioned on."""
        return [*self.data.values(), *self.parameters.values()]

    @property
    def symbols(self) -> list[Variable]:
        """All inputs of the expressions."""
        return [self.X, *self.inputs, self.given_noise]

    @property
    def outputs(self) -> list[Variable]:
        """The expressions."""
        of_signs = () if self.signs is None else (self.signs.mean, self.signs.cov, self.signs.scale)
        return [self.mean, self.cov, self.noise, *of_signs]


def read_posterior(
    observations: Observations, pm_model: pm.Model, *, pred_noise: bool = False
) -> tuple[PosteriorGraph, dict[str, np.ndarray], dict[str, Variable]]:
    """Return the posterior graph of a gp, the values of its symbolic data, and the variables that these stand for.

    Training data, known noise, shared variables and non-scalar constants of the graph become inputs; nothing of the
    user's model is changed.

    Args:
        observations: The gp, its training data, noise and jitter.
        pm_model: The model that holds the gp's parameters.
        pred_noise: Whether ``cov`` is that of new observations, noise included.

    Returns:
        The graph, an array for each entry of its ``data``, and the shared variable or constant of the PyMC model that an
        entry stands for, where there is one.

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
    noise = _noise(noise_func, data["X"])
    given_noise = pt.tensor("noise", dtype="float64", shape=(None,) * noise.type.ndim)

    given = {"gp": observations.total, "X": data["X"], "y": data["y"], "sigma": GivenNoise(given_noise)}
    if pred_noise:
        given["sigma"] = noise_func
    if observations.inducing is not None:
        data["Xu"], values["Xu"] = pt.matrix("Xu", dtype="float64", shape=(None, d)), observations.inducing
        given |= {"Xu": data["Xu"], "sigma": given_noise}
    gp = observations.gp
    if isinstance(gp, MonotoneGP) and gp.signs is not None:
        gp = gp.with_signs_as_inputs()
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
    graph = PosteriorGraph(_X, mean, cov, noise, given_noise, data, {}, rough_kernels(gp.cov_func))
    if isinstance(gp, MonotoneGP) and gp.signs is not None:
        graph, values = _with_signs(graph, gp, values, GivenNoise(given_noise))
    return lift(graph, values, sources, pm_model)


def _with_signs(
    graph: PosteriorGraph, gp: MonotoneGP, values: Mapping[str, np.ndarray], noise: GivenNoise
) -> tuple[PosteriorGraph, dict[str, np.ndarray]]:
    """Return a graph with the gp's derivatives that have signs as a parameter, and their sites among the data."""
    X, y, jitter = (graph.data[name] for name in ("X", "y", "jitter"))
    signs = gp.signs_given(X, y, noise, jitter)
    sites = default_sites(values["X"], signs.indices) if gp.at is None else checked_sites(gp.at, X.type.shape[1])
    data, parameters = {**graph.data, "sites": signs.sites}, {signs.name: signs.values}
    return replace(graph, data=data, parameters=parameters, signs=signs), {**values, "sites": sites}


def _noise(noise_func: pm.gp.cov.BaseCovariance, X: TensorVariable) -> TensorVariable:
    """Return the noise of the training observations: one sd where all share it, else ``n`` sds, or a covariance ``n x n``."""
    if not isinstance(noise_func, pm.gp.cov.WhiteNoise):
        return noise_func(X)
    sigma = pt.as_tensor_variable(noise_func.sigma).astype("float64")
    return sigma.squeeze() if sigma.type.ndim and all(sigma.type.broadcastable) else sigma


def lift(
    graph: PosteriorGraph, values: Mapping[str, np.ndarray], sources: Mapping[str, Variable], pm_model: pm.Model
) -> tuple[PosteriorGraph, dict[str, np.ndarray], dict[str, Variable]]:
    """Return a graph in which the free variables of ``pm_model``, shared variables and constant arrays are inputs, too.

    Args:
        graph: A posterior graph with some data and parameters as inputs already.
        values: An array for each entry of ``graph.data``.
        sources: The shared variable or constant of the PyMC model that an entry stands for, where there is one.
        pm_model: The model that holds the gp's parameters.

    Returns:
        The graph, its values and sources; see :func:`read_posterior`.

    Raises:
        DataError: If the gp depends on random variables that are not free variables of ``pm_model``.
    """
    outputs: Sequence[Variable] = graph.outputs
    data, values, sources = dict(graph.data), dict(values), dict(sources)
    needed = set(ancestors(outputs, blockers=pm_model.free_RVs))
    parameters = {rv.name: rv.type(rv.name) for rv in pm_model.free_RVs if rv in needed}
    outputs = graph_replace(outputs, {pm_model[name]: variable for name, variable in parameters.items()}, strict=False)
    check_no_randomness(outputs, pm_model)
    lifted_leaves: dict[Variable, Variable] = {}
    for leaf in leaves_to_lift(outputs):
        name = f"lifted_{len(data)}"
        values[name] = leaf.get_value() if isinstance(leaf, SharedVariable) else leaf.data
        sources[name] = leaf
        shape = tuple(1 if length == 1 else None for length in leaf.type.shape)
        data[name] = pt.tensor(name, dtype=leaf.type.dtype, shape=shape)
        lifted_leaves[leaf] = data[name]
    outputs = graph_replace(outputs, lifted_leaves, strict=False) if lifted_leaves else outputs
    mean, cov, noise, *of_signs = outputs
    parameters = {**graph.parameters, **parameters}
    signs = graph.signs and graph.signs._replace(mean=of_signs[0], cov=of_signs[1], scale=of_signs[2])
    lifted = replace(graph, mean=mean, cov=cov, noise=noise, data=data, parameters=parameters, signs=signs)
    return lifted, values, sources


def _without_jitter(cov: TensorVariable, jitter: TensorVariable) -> TensorVariable:
    """Return ``cov`` without the ``jitter * eye`` that PyMC's ``stabilize`` added last."""
    stabilised = split_jitter(cov)
    if stabilised is None or stabilised[1] is not jitter:
        raise UnsupportedGPError(
            "The covariance of this gp's conditional does not end in PyMC's jitter. Use pm.gp.Marginal of PyMC 6."
        )
    return stabilised[0]


def without_broadcast(mean: TensorVariable) -> TensorVariable:
    """Return the unwrapped mean: ``MvNormal.dist`` wraps it in ``Second(cov[:, -1], mean)``, which computes ``cov``."""
    parts = elemwise_inputs(mean, "second")
    return mean if parts is None else parts[1]


def leaves_to_lift(outputs: Sequence[Variable]) -> list[Variable]:
    """Return shared variables and non-scalar floating-point constants: values that a refit may change."""
    return [
        leaf
        for leaf in graph_inputs(outputs)
        if isinstance(leaf, SharedVariable)
        or (isinstance(leaf, TensorConstant) and leaf.data.size > 1 and leaf.data.dtype.kind == "f")
    ]
