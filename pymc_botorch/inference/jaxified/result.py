"""Functions of one model for JAX, with present arguments."""

__all__ = ["JaxFunctions"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

type Tree = Mapping[str, Any]
"""Arrays by name."""


@dataclass(frozen=True)
class JaxFunctions:
    """Pure functions of one model for JAX, with PyTensor's derivatives; :func:`pymc_botorch.to_jax` returns them.

    Attributes:
        parameters: Unconstrained parameters by the name of their random variable; of an ensemble with draws as first axis.
        data: The present data by name, as the gp sees them.
        constrain: ``parameters, data ->`` the parameters on their constrained scale, by name.
        logp: ``parameters, data ->`` log posterior density, up to a constant; None if it was not asked for, as the next.
        mean: ``parameters, data, X ->`` posterior mean of the noise-free function at new inputs ``q x d``: ``q``.
        covariance: ``parameters, data, X ->`` its covariance ``q x q``, without jitter.

    Example:
        >>> import jax, torch
        >>> jax.config.update("jax_enable_x64", True)
        >>> from pymc_botorch import PyMCGP, to_jax
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> functions = to_jax(PyMCGP(X, (6 * X).sin()), ["mean"])
        >>> functions.mean(functions.parameters, functions.data, X.numpy()).shape
        (8,)
    """

    parameters: "dict[str, jax.Array]"
    data: "dict[str, jax.Array]"
    constrain: "Callable[[Tree, Tree], dict[str, jax.Array]]"
    logp: "Callable[[Tree, Tree], jax.Array] | None" = None
    mean: "Callable[[Tree, Tree, Any], jax.Array] | None" = None
    covariance: "Callable[[Tree, Tree, Any], jax.Array] | None" = None
