"""Posterior of a ``pm.gp.Latent`` given its function at the training inputs.

Any likelihood that depends on the function only through its values ``f`` at the training inputs tells nothing more of the
function elsewhere than ``f`` does. Given a draw of ``f`` and of the hyperparameters, the function is Gaussian, and PyMC's
``gp.conditional`` is its distribution. ``f`` is a parameter of the graph like any other, so one structure serves all draws.
"""

__all__ = ["LatentFunction", "is_latent", "read_latent", "read_latent_posterior"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.kernels import rough_kernels, warn_of_white_noise
from pymc_botorch.graph.gps.likelihoods import read_jitter, split_jitter
from pymc_botorch.graph.gps.marginal import Kind, unsupported_gp
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph, lift, without_broadcast
from pymc_botorch.graph.gps.values import check_columns, check_inputs, check_jitter, evaluate, raw_inputs
from pymc_botorch.graph.traversal import core_op


@dataclass(frozen=True)
class LatentFunction:
    """A latent function, as defined in the PyMC model.

    Attributes:
        gp: The gp to predict: that of the function, or an additive component of it.
        total: The gp of the function.
        name: Name of the function in the model and in its draws.
        X: Training inputs, ``n x d``, at which each draw has a value of the function.
        jitter: Jitter on the diagonal of its prior covariance (a variance).
        raw_X: The data ``n x d`` that ``X`` is computed from inside the model, where it is computed from one; else None.
    """

    gp: pm.gp.Latent
    total: pm.gp.Latent
    name: str
    X: np.ndarray
    jitter: float
    raw_X: np.ndarray | None

    @property
    def kind(self) -> Kind:
        """``"exact"`` where the posterior is the prior of ``gp`` given ``f``, ``"component"`` for a part of ``total``."""
        return "exact" if self.gp is self.total else "component"


def is_latent(gp: object) -> bool:
    """Return whether ``gp`` is a latent gp whose conditional given ``f`` is Gaussian."""
    return isinstance(gp, pm.gp.Latent) and not isinstance(gp, pm.gp.TP)


def read_latent(
    gp: pm.gp.Latent, pm_model: pm.Model, given: Mapping[str, Any] | None, jitter: float | None, *, inputs_transformed: bool
) -> LatentFunction:
    """Return the latent function of ``gp`` in ``pm_model``, its inputs by value.

    Args:
        gp: A gp whose ``prior`` was called, or an additive component of one.
        pm_model: The PyMC model of that prior.
        given: As in ``gp.conditional``: for an additive component ``{"gp": total}``, and ``X, f`` where they differ from those
            of the total.
        jitter: The jitter of the prior; None reads it from the model.
        inputs_transformed: Whether the caller has declared the transform of the inputs that the model applies.

    Raises:
        UnsupportedGPError: If the gp has several outputs, or the total is of another class.
        DataError: If there is no prior, the inputs are unusable, or the function is no variable of the model.
    """
    if not isinstance(given, Mapping | None):
        raise DataError(f"given is a {type(given).__name__}. Pass a dict, as to gp.conditional: {{'gp': total}}.")
    given = {} if given is None else dict(given)
    total = given.pop("gp", gp)
    if not is_latent(total):
        raise unsupported_gp(total, "pm.gp.Latent as given['gp']")
    if unknown := set(given) - {"X", "f"}:
        raise DataError(f"given has unknown entries {sorted(unknown)}. Pass 'gp', 'X', 'f' only.")
    arguments = {name: given.get(name, getattr(total, name, None)) for name in ("X", "f")}
    if missing := [name for name, value in arguments.items() if value is None]:
        raise DataError(
            f"The gp has no prior (no {', '.join(missing)}). Call gp.prior(...) in the PyMC model first; for an additive "
            "component pass given={'gp': total}, the total being the sum that has the prior."
        )
    f = arguments["f"]
    name = str(getattr(f, "name", None))
    if pm_model.named_vars.get(name) is not f:
        raise DataError(
            f"The gp's function {name!r} is no variable of the PyMC model. Pass the model in which gp.prior(...) was called, "
            "model=...."
        )
    if f.type.ndim != 1:
        raise UnsupportedGPError(
            f"{name} has {f.type.ndim} dimensions: a function of several outputs. Use a pm.gp.Latent for each, and join the "
            "models in a botorch ModelListGP."
        )
    X = evaluate(arguments["X"], "X", allow_expression=inputs_transformed)
    check_inputs(X)
    if len(X) == 0:
        raise DataError("The gp's X has no rows. Call gp.prior(...) with at least one.")
    check_columns(total.cov_func, X)
    warn_of_white_noise(gp.cov_func, "Write it into the likelihood of the PyMC model instead.")
    jitter = read_jitter(_prior_covariances(f, pm_model)) if jitter is None else check_jitter(jitter)
    return LatentFunction(gp, total, name, X, jitter, raw_inputs(arguments["X"], X))


def _prior_covariances(f: TensorVariable, pm_model: pm.Model) -> list[TensorVariable]:
    """Return the covariance of ``f`` where that is a random variable, else the jittered matrices factorised for it."""
    if isinstance(f.owner.op, MvNormalRV):
        return [f.owner.op.dist_params(f.owner)[1]]
    nodes = (variable.owner for variable in ancestors([f], blockers=pm_model.free_RVs) if variable.owner is not None)
    factorised = [node.inputs[0] for node in nodes if isinstance(core_op(node), Cholesky)]
    return [matrix for matrix in factorised if split_jitter(matrix) is not None]


def read_latent_posterior(
    function: LatentFunction, pm_model: pm.Model
) -> tuple[PosteriorGraph, dict[str, np.ndarray], dict[str, Variable]]:
    """Return the posterior of the function given ``f``, as :func:`pymc_botorch.graph.gps.posterior_graph.read_posterior` does.

    It has no noise, and PyMC adds no jitter to this predictive covariance.
    """
    d = function.X.shape[1]
    _X = pt.matrix("X_new", dtype="float64", shape=(None, d))  # q x d
    data: dict[str, Variable] = {
        "X": pt.matrix("X", dtype="float64", shape=(None, d)),
        "jitter": pt.scalar("jitter", dtype="float64"),
    }
    values = {"X": function.X, "jitter": np.asarray(function.jitter)}
    _f = pt.vector(function.name, dtype="float64")  # n
    with pm.Model(model=None):  # a scratch model: not a child of the one in context
        new = function.gp.conditional("f", _X, given={"gp": function.total, "X": data["X"], "f": _f}, jitter=data["jitter"])
    if not isinstance(new.owner.op, MvNormalRV):
        raise UnsupportedGPError(
            f"The conditional of {type(function.gp).__name__} is {new.owner.op}, not a multivariate normal. Use pm.gp.Latent."
        )
    mean, cov = new.owner.op.dist_params(new.owner)[:2]
    graph = PosteriorGraph(
        X=_X,
        mean=without_broadcast(mean),
        cov=cov,
        noise=pt.zeros(()),
        given_noise=pt.scalar("noise", dtype="float64"),
        data=data,
        parameters={function.name: _f},
        rough=rough_kernels(function.gp.cov_func),
        latent=function.name,
    )
    return lift(graph, values, {}, pm_model)
