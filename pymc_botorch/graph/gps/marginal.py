"""Training data, noise and jitter of a ``pm.gp`` with a marginal likelihood, read from its PyMC model."""

__all__ = ["Kind", "Observations", "read_observations", "unsupported_gp"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pymc as pm
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Variable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.kernels import warn_of_white_noise
from pymc_botorch.graph.gps.likelihoods import find_likelihoods, read_jitter
from pymc_botorch.graph.gps.values import (
    check_columns,
    check_data,
    check_jitter,
    constant_value,
    evaluate,
    is_data,
    raw_inputs,
    raw_outcomes,
)

type Kind = Literal["exact", "sparse", "component", "shaped"]

ADVICE = {
    pm.gp.TP: "a Student-t process has no Gaussian posterior; use pm.gp.Marginal",
    pm.gp.HSGP: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.HSGPPeriodic: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.LatentKron: "its function fills a whole grid; use pm.gp.Latent with the kernel pm.gp.cov.Kron(cov_funcs) on the "
    "points of the grid, or pm.gp.MarginalKron",
    pm.gp.Latent: "its posterior at a point estimate of the hyperparameters is not Gaussian; sample the PyMC model and use "
    "FullyBayesianPyMCGP.from_fitted, or use pm.gp.Marginal, which integrates the function out",
}


@dataclass(frozen=True)
class Observations:
    """Training data, noise and jitter of a gp, as defined in the PyMC model.

    Attributes:
        gp: The gp to predict: the observed one, or an additive component of it.
        total: The gp that has the likelihood.
        X: Training inputs, ``n x d``.
        y: Training targets, ``n``.
        noise: PyMC's noise covariance function.
        jitter: Jitter on the diagonal of the training covariance (a variance).
        inducing: Inducing inputs of a sparse approximation, ``m x d``; else None.
        raw_X: The data ``n x d`` that ``X`` is computed from inside the model, where it is computed from one; else None.
        raw_y: The data ``n`` that ``y`` is computed from inside the model, NaN where they are unknown; None where it is not.
        variables: The model's shared variables of ``X`` and ``y``, where these are ``pm.Data``.
    """

    gp: pm.gp.Marginal
    total: pm.gp.Marginal
    X: np.ndarray
    y: np.ndarray
    noise: pm.gp.cov.BaseCovariance
    jitter: float
    inducing: np.ndarray | None
    raw_X: np.ndarray | None
    raw_y: np.ndarray | None
    variables: Mapping[Literal["X", "y"], SharedVariable]

    @property
    def kind(self) -> Kind:
        """Whether the posterior is that of ``gp`` itself (also given signs), a sparse one, or a component of ``total``."""
        if self.gp is not self.total:
            return "component"
        if getattr(self.gp, "signs", None) is not None:
            return "shaped"
        return "exact" if self.inducing is None else "sparse"


def read_observations(
    gp: pm.gp.gp.Base,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    *,
    inputs_transformed: bool,
) -> Observations:
    """Return the training data, noise and jitter of ``gp`` in ``pm_model``, by value.

    A ``pm.gp.MarginalKron`` is read as the ``pm.gp.Marginal`` that it equals, with a Kronecker kernel on the whole grid.

    Args:
        gp: A gp with a marginal likelihood, or an additive component of one.
        pm_model: The PyMC model of that likelihood.
        given: As in ``gp.conditional``: for an additive component ``{"gp": total}``, and ``X, y, sigma`` where they
            differ from those of the total.
        jitter: The jitter of the likelihood; None reads it from the model.
        inputs_transformed: Whether the caller has declared the transform of the inputs that the model applies.

    Returns:
        The observations; later changes of the model's data do not reach them.

    Raises:
        UnsupportedGPError: If ``gp`` has no Gaussian marginal likelihood.
        DataError: If there is no likelihood, the data are unusable, or the inputs are scaled inside the model.
    """
    if not isinstance(given, Mapping | None):
        raise DataError(f"given is a {type(given).__name__}. Pass a dict, as to gp.conditional: {{'gp': total}}.")
    given = {} if given is None else dict(given)
    total = given.pop("gp", gp)
    for candidate in (gp, total):
        _check_class(candidate)
    arguments = _likelihood_arguments(total, given)
    if isinstance(gp, pm.gp.MarginalKron):
        grid = [evaluate(X, "Xs", allow_expression=inputs_transformed) for X in arguments["X"]]
        X = np.asarray(pm.math.cartesian(*(axis.reshape(len(axis), -1) for axis in grid)))
        gp = total = pm.gp.Marginal(mean_func=gp.mean_func, cov_func=gp.cov_func)
        jitter = 0.0 if jitter is None else jitter
    else:
        X = evaluate(arguments["X"], "X", allow_expression=inputs_transformed)
    y = evaluate(arguments["y"], "y", allow_expression=True)
    check_data(X, y)
    check_columns(total.cov_func, X)
    sigma = arguments["sigma"]
    noise = sigma if isinstance(sigma, pm.gp.cov.BaseCovariance) else pm.gp.cov.WhiteNoise(sigma)
    _check_noise(noise, len(y))
    warn_of_white_noise(gp.cov_func, "Pass the noise as sigma of marginal_likelihood instead.")
    inducing = _inducing_inputs(arguments["Xu"]) if "Xu" in arguments else None
    likelihoods = find_likelihoods(pm_model, y, sparse=inducing is not None)
    if not likelihoods and not given:
        raise DataError(
            f"The PyMC model has no observed variable with this gp's data (its observed variables: "
            f"{', '.join(rv.name for rv in pm_model.observed_RVs) or 'none'}). Pass the model in which "
            "gp.marginal_likelihood(...) was called, model=...."
        )
    jitter = read_jitter(likelihoods) if jitter is None else check_jitter(jitter)
    names: tuple[Literal["X", "y"], ...] = ("X", "y")
    variables = {name: arguments[name] for name in names if isinstance(arguments[name], SharedVariable)}
    raw_X, raw_y = raw_inputs(arguments["X"], X), raw_outcomes(arguments["y"], y)
    return Observations(gp, total, X, y, noise, jitter, inducing, raw_X, raw_y, variables)


def _inducing_inputs(Xu: Any) -> np.ndarray:
    """Return inducing inputs, which may be computed: they are among the inputs as the gp sees them."""
    if isinstance(Xu, Variable) and not is_data(Xu):
        raise DataError(
            "The inducing inputs Xu are parameters of the PyMC model, or computed from them. Pass fixed ones, for example "
            "pm.gp.util.kmeans_inducing_points(m, X) of an array X, or use pm.gp.Marginal."
        )
    return evaluate(Xu, "Xu", allow_expression=True)


def _likelihood_arguments(total: pm.gp.gp.Base, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the gp's ``marginal_likelihood``, with those in ``given`` in their place."""
    attributes = {"X": "X", "y": "y", "sigma": "sigma"}
    if isinstance(total, pm.gp.MarginalKron):
        attributes["X"] = "Xs"
    if isinstance(total, pm.gp.MarginalApprox):
        attributes["Xu"] = "Xu"
    if unknown := set(given) - set(attributes):
        raise DataError(f"given has unknown entries {sorted(unknown)}. Pass 'gp', {', '.join(map(repr, attributes))} only.")
    arguments = {name: given.get(name, getattr(total, attribute, None)) for name, attribute in attributes.items()}
    if missing := [name for name, value in arguments.items() if value is None]:
        raise DataError(
            f"The gp has no likelihood (no {', '.join(missing)}). Call gp.marginal_likelihood(...) in the PyMC model first; "
            "for an additive component pass given={'gp': total}, the total being the sum that has the likelihood."
        )
    return arguments


def _check_class(gp: object) -> None:
    if not isinstance(gp, pm.gp.Marginal | pm.gp.MarginalKron):
        raise unsupported_gp(gp, "pm.gp.Marginal, MarginalApprox or MarginalKron")


def unsupported_gp(gp: object, instead: str) -> UnsupportedGPError:
    """Return the error for a gp of an unsupported class; it names what to use instead."""
    for known, advice in ADVICE.items():
        if isinstance(gp, known):
            return UnsupportedGPError(f"pm.gp.{type(gp).__name__} cannot be used here: {advice}.")
    return UnsupportedGPError(f"gp is a {type(gp).__name__}. Pass a {instead}.")


def _check_noise(noise: pm.gp.cov.BaseCovariance, n: int) -> None:
    if not isinstance(noise, pm.gp.cov.WhiteNoise) or (sigma := constant_value(noise.sigma)) is None:
        return
    if sigma.shape not in ((), (1,), (n,)):
        raise DataError(f"sigma has shape {sigma.shape}. Pass a number or a vector of {n}, one sd for each observation.")
    if not np.isfinite(sigma.astype(np.float64)).all() or (sigma < 0).any():
        raise DataError(f"sigma is {sigma}. Pass finite standard deviations that are not negative.")
