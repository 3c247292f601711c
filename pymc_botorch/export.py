"""Density and predictions of a PyMC gp as functions of JAX."""

__all__ = ["JaxFunctions", "to_jax"]

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np
import pymc as pm

from pymc_botorch.errors import UnsupportedGPError
from pymc_botorch.graph.compiling.functions import making_graphs
from pymc_botorch.inference.fit.scales import Scales
from pymc_botorch.inference.jaxified.exported import export
from pymc_botorch.inference.jaxified.result import JaxFunctions
from pymc_botorch.inference.sensitivity.reading import read_built_gp, read_gp
from pymc_botorch.models.builder import AbstractBuiltGP

type Output = Literal["logp", "mean", "covariance"]

OUTPUTS = ("logp", "mean", "covariance")


def to_jax(
    gp: pm.gp.Marginal | AbstractBuiltGP,
    outputs: Sequence[Output] = ("logp", "mean", "covariance"),
    *,
    model: pm.Model | None = None,
    jacobian: bool = False,
) -> JaxFunctions:
    """Return log density, posterior mean and covariance of a gp as pure functions for JAX, with PyTensor's derivatives.

    All take ``parameters`` and ``data``, dicts of arrays by name: unconstrained parameters (what optimisers and samplers want:
    ``constrain`` has them on their own scale), and all data of the model, of which none is frozen. There may be any number of new
    inputs, and of observations where they are ``pm.Data`` or those of a ``build_gp``.

    Under ``jax.jit``, ``jax.vmap``, ``jax.grad``, ``jax.jvp``, ``jax.hessian`` and in what is built on them, first and second
    derivatives in parameters, data and new inputs are those that PyTensor takes of exact expressions.
    (Where JAX differentiates PyMC's own expressions with the inputs as arguments, it may be wrong without a word, by hundreds, of
    numbers like ten: seen for kernels of one input, and sums of these.) Third derivatives are refused.

    Differentiating through an optimum needs second derivatives only: ``-H⁻¹ d(gradient)/d(data)``, as in the example, or by
    ``jax.lax.custom_root``. Of several parameters begin Newton's method at those of a fitted model, near which it converges.

    Equal arrays of a PyMC model are one datum: make those that are to differ ``pm.Data``.

    Data are as the gp sees them: the inputs ``"X"``, ``n x d``, and the outcomes ``"y"``, ``n``, whether they are ``pm.Data`` or
    arrays, and known sds as ``"sigma"``; other data by the names of ``pm.Data``; further arrays of the model by names like
    ``"data_3"``. Of a BoTorch model they are transformed inputs and standardised outcomes, and so are new inputs, means and
    covariances.

    Args:
        gp: A ``pm.gp.Marginal`` or ``MarginalApprox`` whose ``marginal_likelihood`` was called in ``model``; or a model made from
            data, a :class:`pymc_botorch.PyMCGP` or :class:`pymc_botorch.FullyBayesianPyMCGP`.
        outputs: Which functions to return.
        model: The PyMC model of a gp; None takes the one in context.
        jacobian: Whether the density is that of the unconstrained parameters, which samplers draw from; otherwise it is that of
            the constrained ones, whose mode is the maximum a posteriori of ``pm.find_MAP``.

    Returns:
        The functions; ``parameters`` are the model's own, of a gp PyMC's initial point, of an ensemble ``S`` draws of each (for
        ``jax.vmap``).

    Raises:
        ImportError: If JAX is missing.
        RuntimeError: If JAX computes in float32.
        UnsupportedGPError: If ``gp`` is of another class. (A ``TypeError``.)
        DataError: If gp and model do not fit together. (A ``ValueError``; the functions raise it for arguments with a name, shape
            or type that are not the model's.)
        UnsupportedError: If a model was made from a gp fitted in PyMC, or conditioned on more observations.

    Example:
        >>> import jax, numpy as np, pymc as pm, pymc_botorch
        >>> jax.config.update("jax_enable_x64", True)
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     ell = pm.LogNormal("ell", -1, 0.5)
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=ell))
        ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma=0.1)
        ...     exported = pymc_botorch.to_jax(gp)
        >>> parameters, data = exported.parameters, exported.data
        >>> gradient = jax.jit(jax.grad(exported.logp))
        >>> curvature, mixed = jax.jit(jax.jacobian(gradient)), jax.jit(jax.jacobian(gradient, argnums=1))
        >>> for _ in range(10):  # Newton's method; any optimiser will do
        ...     step = gradient(parameters, data)["ell"] / curvature(parameters, data)["ell"]["ell"]
        ...     parameters = {"ell": parameters["ell"] - step}
        >>> H = curvature(parameters, data)["ell"]["ell"]
        >>> slopes = -mixed(parameters, data)["ell"]["y"] / H  # of log(ell) at its maximum, in each outcome
        >>> slopes.shape
        (8,)
    """
    if not isinstance(outputs, list | tuple) or not set(outputs) <= set(OUTPUTS):
        raise ValueError(f"outputs is {outputs!r}. Pass some of {', '.join(map(repr, OUTPUTS))}, in a tuple.")
    exported_functions = _import()
    draws: Mapping[str, np.ndarray] | None = None
    with making_graphs():
        if isinstance(gp, AbstractBuiltGP):
            built, training_data = gp.read_built()
            draws = gp.state.parameters
            pm_model, graph, inputs = read_built_gp(built, training_data, ())
        elif isinstance(gp, pm.gp.MarginalKron):
            raise UnsupportedGPError(
                "A MarginalKron has an array of inputs for each factor, and predictions are of another, their grid. Pass the "
                "pm.gp.Marginal that it equals."
            )
        else:
            pm_model, graph, inputs = read_gp(gp, (), model=model)
        exported = export(pm_model, graph, inputs, jacobian=jacobian)
        scales = Scales(pm_model, graph, inputs.leaves, [])
    values = [np.array(inputs.values[name], symbol.type.dtype) for name, symbol in graph.data.items()]
    if draws is None:
        points = [scales.support_point(values)]
    else:
        count = len(next(iter(draws.values())))
        points = [scales.unconstrained({name: draws[name][s] for name in scales.names}, values) for s in range(count)]
    unconstrained = {name: np.stack(parts) for name, parts in zip(scales.names, zip(*points, strict=True), strict=True)}
    ensemble = isinstance(gp, AbstractBuiltGP) and gp.state.is_ensemble
    functions: JaxFunctions = exported_functions(exported, unconstrained, outputs, ensemble=ensemble)
    return functions


def _import() -> Any:
    """Return what makes functions of JAX, which is imported here, unless JAX is missing or in single precision."""
    try:
        import jax
    except ImportError as error:
        raise ImportError('to_jax needs JAX. Install it by: pip install "pymc_botorch[jax]"') from error
    if not jax.config.jax_enable_x64:
        raise RuntimeError('JAX computes in float32. Call jax.config.update("jax_enable_x64", True) before to_jax.')
    found = import_module("pymc_botorch.inference.jaxified.functions").exported_functions
    jax.config.update("jax_enable_x64", True)  # PyTensor's import turns it off where its floatX is float32
    return found
