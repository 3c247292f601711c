"""The exported functions of one model: its expressions, each with a signature that is checked."""

__all__ = ["exported_functions"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.inference.jaxified.arguments import Signature
from pymc_botorch.inference.jaxified.exported import ExportedGraph
from pymc_botorch.inference.jaxified.levels import Levels
from pymc_botorch.inference.jaxified.linear import differentiable
from pymc_botorch.inference.jaxified.result import JaxFunctions, Tree


def exported_functions(
    graph: ExportedGraph, draws: Mapping[str, np.ndarray], outputs: Sequence[str], *, ensemble: bool
) -> JaxFunctions:
    """Return the functions of a model.

    Args:
        graph: The expressions.
        draws: Unconstrained parameters, ``S x ...``; a point is one draw.
        outputs: Names of the functions that are wanted, of ``"logp"``, ``"mean"`` and ``"covariance"``.
        ensemble: Whether the present parameters keep the axis of draws.
    """
    signature = Signature(graph, {name: np.shape(value)[1:] for name, value in draws.items()})
    parameters = {name: jnp.asarray(value if ensemble else value[0]) for name, value in draws.items()}
    data = {name: jnp.asarray(value) for name, value in graph.values.items()}
    makers: dict[str, Callable[[], Any]] = {
        "logp": lambda: _density(signature),
        "mean": lambda: _moment(signature, graph.mean),
        "covariance": lambda: _moment(signature, graph.covariance),
    }
    return JaxFunctions(parameters, data, _constraint(signature), **{name: makers[name]() for name in outputs})


def _density(signature: Signature) -> Callable[[Tree, Tree], jax.Array]:
    function = differentiable(Levels(signature.floats, signature.others, [signature.graph.log_density]))

    def logp(parameters: Tree, data: Tree) -> jax.Array:
        """Return the log posterior density, up to a constant."""
        return function(*signature.read(parameters, data))[0]

    return logp


def _constraint(signature: Signature) -> Callable[[Tree, Tree], dict[str, jax.Array]]:
    constrained = signature.graph.constrained
    function = differentiable(Levels(signature.floats, signature.others, list(constrained.values())))

    def constrain(parameters: Tree, data: Tree) -> dict[str, jax.Array]:
        """Return the parameters on their constrained scale, by name."""
        return dict(zip(constrained, function(*signature.read(parameters, data)), strict=True))

    return constrain


def _moment(signature: Signature, expression: TensorVariable) -> Callable[[Tree, Tree, Any], jax.Array]:
    function = differentiable(Levels([*signature.floats, signature.graph.X_new], signature.others, [expression]))

    def moment(parameters: Tree, data: Tree, X: Any) -> jax.Array:
        """Return a moment of the noise-free function at new inputs, ``q x d``."""
        floats, others = signature.read(parameters, data)
        return function((*floats, signature.read_X(X)), others)[0]

    return moment
