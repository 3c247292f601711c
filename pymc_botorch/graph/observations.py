"""A fitted ``pm.gp`` object comes in, what it was conditioned on goes out: checked arrays, noise and jitter."""

__all__ = ["Kind", "Observations", "kernels_in", "read_observations", "refused", "warn_of_white_noise"]

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pymc as pm

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.likelihoods import constant_value, find_likelihoods, read_jitter
from pymc_botorch.graph.training import check_columns, check_data, check_jitter, evaluate, source_of

type Kind = Literal["exact", "sparse", "component"]

ADVICE = {
    pm.gp.TP: "a Student-t process has no Gaussian posterior; use pm.gp.Marginal",
    pm.gp.HSGP: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.HSGPPeriodic: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.LatentKron: "its function is given on a whole grid; use pm.gp.Latent with the kernel pm.gp.cov.Kron(cov_funcs) on the "
    "points of the grid, or pm.gp.MarginalKron",
    pm.gp.Latent: "a latent gp is not Gaussian given the data at one point; sample the PyMC model and use "
    "FullyBayesianPyMCGP.from_fitted, or use pm.gp.Marginal, which integrates the function out",
}


@dataclass(frozen=True)
class Observations:
    """What a gp was conditioned on, as it stands in the PyMC model.

    Attributes:
        gp: The gp to predict: the observed one, or an additive component of it.
        total: The gp whose likelihood it is.
        X: Training inputs, ``n x d``.
        y: Training targets, ``n``.
        noise: PyMC's noise covariance function.
        jitter: What was added to the diagonal of the training covariance.
        inducing: Inducing inputs of a sparse approximation, ``m x d``; else None.
        raw_X: The data ``n x d`` that ``X`` is computed from inside the model, where it is computed from one; else None.
    """

    gp: pm.gp.Marginal
    total: pm.gp.Marginal
    X: np.ndarray
    y: np.ndarray
    noise: pm.gp.cov.BaseCovariance
    jitter: float
    inducing: np.ndarray | None
    raw_X: np.ndarray | None

    @property
    def kind(self) -> Kind:
        """How the posterior of ``gp`` follows from its prior: exactly, approximately or as a part of ``total``."""
        if self.gp is not self.total:
            return "component"
        return "exact" if self.inducing is None else "sparse"


def read_observations(
    gp: pm.gp.gp.Base,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    *,
    inputs_transformed: bool,
) -> Observations:
    """Return what ``gp`` was conditioned on in ``pm_model``, by value.

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
    found = _found(total, given)
    if isinstance(gp, pm.gp.MarginalKron):
        grid = [evaluate(X, "Xs", allow_expression=inputs_transformed) for X in found["X"]]
        X = np.asarray(pm.math.cartesian(*(axis.reshape(len(axis), -1) for axis in grid)))
        gp = total = pm.gp.Marginal(mean_func=gp.mean_func, cov_func=gp.cov_func)
        jitter = 0.0 if jitter is None else jitter
    else:
        X = evaluate(found["X"], "X", allow_expression=inputs_transformed)
    y = evaluate(found["y"], "y", allow_expression=True)
    check_data(X, y)
    check_columns(total.cov_func, X)
    sigma = found["sigma"]
    noise = sigma if isinstance(sigma, pm.gp.cov.BaseCovariance) else pm.gp.cov.WhiteNoise(sigma)
    _check_noise(noise, len(y))
    warn_of_white_noise(gp.cov_func, "Pass the noise as sigma of marginal_likelihood instead.")
    inducing = evaluate(found["Xu"], "Xu", allow_expression=inputs_transformed) if "Xu" in found else None
    likelihoods = find_likelihoods(pm_model, y, sparse=inducing is not None)
    if not likelihoods and not given:
        raise DataError(
            f"The PyMC model has no observed variable with this gp's data (its observed variables: "
            f"{', '.join(rv.name for rv in pm_model.observed_RVs) or 'none'}). Pass the model in which "
            "gp.marginal_likelihood(...) was called, model=...."
        )
    jitter = read_jitter(likelihoods) if jitter is None else check_jitter(jitter)
    return Observations(gp, total, X, y, noise, jitter, inducing, source_of(found["X"], X))


def _found(total: pm.gp.gp.Base, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the gp remembers of its likelihood, replaced by what is given."""
    attributes = {"X": "X", "y": "y", "sigma": "sigma"}
    if isinstance(total, pm.gp.MarginalKron):
        attributes["X"] = "Xs"
    if isinstance(total, pm.gp.MarginalApprox):
        attributes["Xu"] = "Xu"
    if unknown := set(given) - set(attributes):
        raise DataError(f"given has unknown entries {sorted(unknown)}. Pass 'gp', {', '.join(map(repr, attributes))} only.")
    found = {name: given.get(name, getattr(total, attribute, None)) for name, attribute in attributes.items()}
    if missing := [name for name, value in found.items() if value is None]:
        raise DataError(
            f"The gp has no likelihood (no {', '.join(missing)}). Call gp.marginal_likelihood(...) in the PyMC model first; "
            "for an additive component pass given={'gp': total}, the total being the sum that has the likelihood."
        )
    return found


def _check_class(gp: object) -> None:
    if not isinstance(gp, pm.gp.Marginal | pm.gp.MarginalKron):
        raise refused(gp, "pm.gp.Marginal, MarginalApprox or MarginalKron")


def refused(gp: object, instead: str) -> UnsupportedGPError:
    """Return why this gp cannot be used, by its class."""
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


def warn_of_white_noise(cov_func: Any, advice: str) -> None:
    """Warn where a part of ``cov_func`` is noise."""
    if any(isinstance(part, pm.gp.cov.WhiteNoise) for part in kernels_in(cov_func)):
        warnings.warn(
            "WhiteNoise in cov_func counts as part of the function: it raises the variance of every new point, and with "
            f"it expected improvement. {advice}",
            UserWarning,
            stacklevel=5,
        )


def kernels_in(cov_func: Any) -> Iterator[Any]:
    """Yield ``cov_func`` and all covariance functions that it holds: sums, products, powers, scaled and warped ones do."""
    parts = [cov_func]
    while parts:
        part = parts.pop()
        yield part
        for held in getattr(part, "__dict__", {}).values():
            held = held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else [held]
            parts.extend(inner for inner in held if isinstance(inner, pm.gp.cov.BaseCovariance))
