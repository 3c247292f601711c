"""A fitted ``pm.gp`` object comes in, what it was conditioned on goes out: checked arrays, noise and jitter."""

__all__ = ["Observations", "check_data", "constant_value", "read_observations", "split_jitter"]

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import graph_inputs
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorConstant, TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError

QUICK = Mode(linker="py", optimizer="fast_compile")  # for expressions that are evaluated once

ADVICE = {
    pm.gp.TP: "a Student-t process has no Gaussian posterior; use pm.gp.Marginal",
    pm.gp.HSGP: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.HSGPPeriodic: "its function is a finite basis expansion, not a Gaussian conditional; use pm.gp.Marginal",
    pm.gp.MarginalApprox: "sparse approximations are not read yet; use pm.gp.Marginal, which is fast up to 500 points",
    pm.gp.MarginalKron: "Kronecker-structured gps are not read yet; use pm.gp.Marginal with a product of kernels",
    pm.gp.LatentKron: "a latent gp is not Gaussian given the data; use pm.gp.Marginal with a product of kernels",
    pm.gp.Latent: "a latent gp is not Gaussian given the data at one point; use pm.gp.Marginal, which integrates it out",
}


@dataclass(frozen=True)
class Observations:
    """What a gp was conditioned on, as it stands in the PyMC model.

    Attributes:
        gp: The gp whose likelihood it is (of a sum of gps, the sum).
        X: Training inputs, ``n x d``.
        y: Training targets, ``n``.
        noise: PyMC's noise covariance function.
        jitter: What was added to the diagonal of the training covariance.
    """

    gp: pm.gp.Marginal
    X: np.ndarray
    y: np.ndarray
    noise: pm.gp.cov.BaseCovariance
    jitter: float


def read_observations(
    gp: pm.gp.Marginal,
    pm_model: pm.Model,
    given: Mapping[str, Any] | None,
    jitter: float | None,
    *,
    inputs_transformed: bool,
) -> Observations:
    """Return what ``gp`` was conditioned on in ``pm_model``, by value.

    Args:
        gp: A ``pm.gp.Marginal`` with a likelihood, or an additive component of one.
        pm_model: The PyMC model of that likelihood.
        given: As in ``gp.conditional``: for an additive component ``{"gp": total}``, and ``X, y, sigma`` where they
            differ from those of the total.
        jitter: The jitter of the likelihood; None reads it from the model.
        inputs_transformed: Whether the caller has declared the transform of the inputs that the model applies.

    Returns:
        The observations; later changes of the model's data do not reach them.

    Raises:
        UnsupportedGPError: If ``gp`` is no ``pm.gp.Marginal``.
        DataError: If there is no likelihood, the data are unusable, or the inputs are scaled inside the model.
    """
    given = {} if given is None else dict(given)
    if unknown := set(given) - {"gp", "X", "y", "sigma"}:
        raise DataError(f"given has unknown entries {sorted(unknown)}. Pass 'gp', 'X', 'y' and 'sigma' only.")
    observed = given.get("gp", gp)
    for candidate in (gp, observed):
        _check_class(candidate)
    found = {name: given.get(name, getattr(observed, name, None)) for name in ("X", "y", "sigma")}
    if missing := [name for name, value in found.items() if value is None]:
        raise DataError(
            f"The gp has no likelihood (no {', '.join(missing)}). Call gp.marginal_likelihood(...) in the PyMC model first; "
            "for an additive component pass given={'gp': total}, the total being the sum that has the likelihood."
        )
    X = _evaluate(found["X"], "X", allow_expression=inputs_transformed)
    y = _evaluate(found["y"], "y", allow_expression=True)
    check_data(X, y)
    noise = found["sigma"]
    if not isinstance(noise, pm.gp.cov.BaseCovariance):
        noise = pm.gp.cov.WhiteNoise(noise)
    _check_noise(noise, len(y))
    _warn_of_white_noise(gp.cov_func)
    likelihoods = _likelihoods(pm_model, y)
    if not likelihoods and not given:
        raise DataError(
            f"The PyMC model has no observed variable with this gp's data (its observed variables: "
            f"{', '.join(rv.name for rv in pm_model.observed_RVs) or 'none'}). Pass the model in which "
            "gp.marginal_likelihood(...) was called, model=...."
        )
    return Observations(observed, X, y, noise, _read_jitter(likelihoods) if jitter is None else _check_jitter(jitter))


def constant_value(value: Any) -> np.ndarray | None:
    """Return the value of a number, an array, a constant or a shared variable; None for anything symbolic."""
    if isinstance(value, SharedVariable):
        return np.asarray(value.get_value())
    if isinstance(value, TensorConstant):
        return np.asarray(value.data)
    return None if isinstance(value, Variable) else np.asarray(value)


def split_jitter(cov: TensorVariable) -> tuple[TensorVariable, TensorVariable] | None:
    """Return ``K, jitter`` of ``K + jitter * eye``, or None when ``cov`` is no such sum."""
    node = cov.owner
    if node is None or not _is_elemwise(node.op, "add") or len(node.inputs) != 2:
        return None
    K, ridge = node.inputs
    if ridge.owner is None or not _is_elemwise(ridge.owner.op, "mul") or len(ridge.owner.inputs) != 2:
        return None
    factor, identity = ridge.owner.inputs
    if identity.owner is None or not isinstance(identity.owner.op, pt.basic.Eye):
        return None
    while factor.owner is not None and isinstance(factor.owner.op, DimShuffle):
        factor = factor.owner.inputs[0]
    return K, factor


def _is_elemwise(op: object, name: str) -> bool:
    return isinstance(op, Elemwise) and op.scalar_op.name == name


def _check_class(gp: object) -> None:
    for known, advice in ADVICE.items():
        if isinstance(gp, known):
            raise UnsupportedGPError(f"pm.gp.{type(gp).__name__} cannot be used here: {advice}.")
    if not isinstance(gp, pm.gp.Marginal):
        raise UnsupportedGPError(f"gp is a {type(gp).__name__}. Pass a pm.gp.Marginal that has a marginal_likelihood.")


def _evaluate(value: Any, name: str, *, allow_expression: bool) -> np.ndarray:
    """Return a copy of training data as a float array, whatever they are in the model."""
    if isinstance(value, Variable) and value.owner is not None:
        if not _is_data(value):
            raise DataError(
                f"The gp's {name} depends on random variables of the model. Pass plain data to marginal_likelihood; for "
                "inputs that parameters warp use pm.gp.cov.WarpedInput."
            )
        if not allow_expression:
            raise DataError(
                f"The gp's {name} is computed inside the PyMC model (scaled or transformed), so that raw inputs would "
                "silently be misread. Pass input_transform=..., for example a fitted botorch Normalize, that does the same "
                "to raw inputs; or transform the data before they enter the model."
            )
        array = value.eval(mode=QUICK)
    else:
        array = constant_value(value)
    if np.ma.isMaskedArray(value):
        array = value.filled(np.nan)
    try:
        return np.array(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"The gp's {name} is not numeric ({error}). Pass floating-point data.") from error


def _is_data(value: Variable) -> bool:
    """Say whether an expression depends on constants and shared data only, not on random numbers."""
    leaves = graph_inputs([value])
    return all(isinstance(v, SharedVariable | Constant) and not isinstance(v.type, RandomType) for v in leaves)


def check_data(X: np.ndarray, y: np.ndarray) -> None:
    if X.ndim != 2:
        raise DataError(f"The gp's X has shape {X.shape}. Pass an n x d matrix to marginal_likelihood.")
    if y.ndim != 1:
        raise DataError(f"The gp's y has shape {y.shape}. Pass a vector of n targets; several outcomes need a gp each.")
    if len(X) != len(y) or len(y) == 0:
        raise DataError(f"The gp has {len(X)} inputs and {len(y)} targets. Pass the same number of both, at least one.")
    for name, array in (("X", X), ("y", y)):
        if not np.isfinite(array).all():
            where = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
            raise DataError(f"The gp's {name} has NaN or infinite values in rows {where[:10].tolist()}. Leave these out.")


def _check_noise(noise: pm.gp.cov.BaseCovariance, n: int) -> None:
    if not isinstance(noise, pm.gp.cov.WhiteNoise) or (sigma := constant_value(noise.sigma)) is None:
        return
    if sigma.shape not in ((), (1,), (n,)):
        raise DataError(f"sigma has shape {sigma.shape}. Pass a number or a vector of {n}, one sd for each observation.")
    if not np.isfinite(sigma.astype(np.float64)).all() or (sigma < 0).any():
        raise DataError(f"sigma is {sigma}. Pass finite standard deviations that are not negative.")


def _warn_of_white_noise(cov_func: Any) -> None:
    parts = [cov_func]
    while parts:
        part = parts.pop()
        parts.extend(getattr(part, "_factor_list", ()))
        if isinstance(part, pm.gp.cov.WhiteNoise):
            warnings.warn(
                "WhiteNoise in cov_func counts as part of the function: it raises the variance of every new point, and with "
                "it expected improvement. Pass the noise as sigma of marginal_likelihood instead.",
                UserWarning,
                stacklevel=5,
            )
            return


def _likelihoods(pm_model: pm.Model, y: np.ndarray) -> list[TensorVariable]:
    """Return the observed multivariate normals of the model whose data are ``y``."""
    found = []
    for rv in pm_model.observed_RVs:
        value = pm_model.rvs_to_values[rv]
        if isinstance(rv.owner.op, MvNormalRV) and _is_data(value):
            observed = np.asarray(value.eval(mode=QUICK))
            if observed.shape == y.shape and np.array_equal(observed.astype(np.float64), y):
                found.append(rv)
    return found


def _read_jitter(likelihoods: list[TensorVariable]) -> float:
    """Return the jitter with which the likelihood was built."""
    jitters: set[float] = set()
    for rv in likelihoods:
        stabilised = split_jitter(rv.owner.op.dist_params(rv.owner)[1])
        value = None if stabilised is None else constant_value(stabilised[1])
        jitters.add(np.nan if value is None else float(value))
    if len(jitters) != 1 or np.nan in jitters:
        raise DataError(
            "The jitter of the gp's likelihood cannot be read from the PyMC model. Pass jitter=..., the value given to "
            f"marginal_likelihood (PyMC's default is {pm.gp.util.JITTER_DEFAULT:g})."
        )
    return jitters.pop()


def _check_jitter(jitter: float) -> float:
    if not (np.ndim(jitter) == 0 and np.isfinite(jitter) and jitter >= 0):
        raise DataError(f"jitter is {jitter!r}. Pass a finite number that is not negative.")
    return float(jitter)
