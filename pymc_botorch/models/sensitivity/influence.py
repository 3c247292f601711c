"""How a recommendation, the maximum of an acquisition function, moves with each observation.

At the maximum ``x`` of ``a(x; h)`` the gradient ``g = da/dx`` stays zero while the data ``h`` move, and with them hyperparameters
and incumbent, so that, by the implicit function theorem::

    dx/dh = -H⁻¹ dg/dh,    H = dg/dx

``g`` is exact; its derivatives are differences of sixth order along the tangent of a refit, so that any acquisition function that
can be made again from a model will do.
"""

__all__ = ["influence_of_data"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from torch import Tensor

from pymc_botorch.inference.sensitivity.derivatives import ByData
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.candidate import STENCIL, Candidate, gradient_of, polish, value_of
from pymc_botorch.models.sensitivity.moved import MovedModels
from pymc_botorch.models.sensitivity.rebuilding import Rebuilder
from pymc_botorch.models.sensitivity.recommendation import RecommendationInfluence

STEP_OF_INPUTS = 5e-4
"""Step of the differences in a training input, of its range."""
STEP_OF_OUTCOMES = 5e-3
"""The same in an outcome, of the sd of the function at the candidate, and in a known sd, of itself."""

NEAR = 1e-6
"""Distance, in ranges of an input, by which a candidate may be outside its bounds, from rounding."""

LONGER = 10.0
"""What steps are multiplied by where a function is an average over samples, which has kinks: shorter ones see few of them."""


def influence_of_data(
    model: PyMCGP,
    acqf: AcquisitionFunction | Callable[[Any], AcquisitionFunction],
    candidate: Tensor,
    wrt: Sequence[str],
    bounds: Tensor | None,
    fixed_features: Mapping[int, float] | None,
) -> RecommendationInfluence:
    """Return how a recommendation moves with the data; see :func:`pymc_botorch.recommendation_influence`."""
    if not isinstance(model, PyMCGP):
        raise UnsupportedModelError(
            f"model is a {type(model).__name__}. Pass a PyMCGP, whose hyperparameters are a point: fit one to the same data."
        )
    moved = MovedModels(model, wrt)
    d = moved.raw.num_inputs
    start = _batch(model.as_raw_inputs("candidate", candidate), d)
    limits = None if bounds is None else _bounds(model.as_raw_inputs("bounds", bounds), start)
    indices = np.isin(np.arange(d), list(model.state.index_columns))
    held = indices | np.isin(np.arange(d), _fixed(fixed_features, start))
    spans = _spans(moved.values["X"], limits)
    make = Rebuilder(acqf, model)
    here = moved.at({})
    longer = LONGER if make.is_sampled(here) else 1.0
    _check_repeatable(make, here, start)
    best = polish(make(here), start, spans, limits, held, longer=longer)
    sd = float(here.posterior(torch.from_numpy(best.X)).variance.detach().amin().sqrt())
    steps = {"X": STEP_OF_INPUTS * spans * ~indices, "y": np.array(STEP_OF_OUTCOMES * sd)}
    steps |= {"sigma": STEP_OF_OUTCOMES * moved.values["sigma"]} if "sigma" in moved.values else {}
    gradient = {}
    for name in wrt:
        step = np.broadcast_to(longer * steps[name], moved.values[name].shape)
        slopes = _slopes(lambda change: gradient_of(make(moved.at(change)), best.X) * spans, name, step)
        gradient[name] = _movement(best, slopes.reshape(best.X.size, -1), spans).reshape(*best.X.shape, *step.shape)
    ranges = np.broadcast_to(spans, best.X.shape)[best.free]
    condition = float(np.linalg.cond(best.curvature)) if best.free.any() else 1.0
    return RecommendationInfluence(
        best.X,
        best.value,
        gradient,
        best.free,
        best.curvature / np.outer(ranges, ranges),
        condition,
        make.incumbent,
        make.row,
        moved.fixed_parameters,
        moved.values,
    )


def _slopes(gradient: Callable[[ByData], np.ndarray], name: str, steps: np.ndarray) -> np.ndarray:
    """Return derivatives of a gradient ``q x d`` in each entry of some data, ``q x d x ...``; zero where the step is zero."""
    columns = []
    for index, step in np.ndenumerate(steps):
        unit = np.zeros(steps.shape)
        unit[index] = step
        column = [weight * gradient({name: at * unit}) / step for at, weight in STENCIL] if step else [np.zeros(1)]
        columns.append(np.sum(column, axis=0))
    shape = np.broadcast_shapes(*(column.shape for column in columns))
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)


def _movement(best: Candidate, slopes: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Return derivatives of the candidate, ``(q d) x ...``, given those of the gradient; zero where it is not free."""
    free, moved = best.free.ravel(), np.zeros_like(slopes)
    moved[free] = np.linalg.solve(-best.curvature, slopes[free]) * np.tile(spans, len(best.X))[free, None]
    return moved


def _batch(candidate: Tensor, d: int) -> np.ndarray:
    """Return a candidate as an array ``q x d``."""
    X = candidate.detach().to("cpu", torch.float64)
    X = X.squeeze(0) if X.ndim == 3 and len(X) == 1 else X
    if X.ndim == 1 and len(X) == d:
        X = X.unsqueeze(0)
    if X.ndim != 2 or X.shape[1] != d or not len(X) or not X.isfinite().all():
        raise InvalidDataError(f"candidate has shape {tuple(X.shape)}. Pass the q x {d} batch that optimize_acqf returned.")
    return X.numpy().copy()


def _bounds(bounds: Tensor, X: np.ndarray) -> np.ndarray:
    """Return bounds of the search, ``2 x d``, of which a candidate ``q x d`` has to be within."""
    limits, d = bounds.detach().to("cpu", torch.float64).numpy(), X.shape[1]
    if limits.shape != (2, d):
        raise InvalidDataError(f"bounds have shape {limits.shape}. Pass lower and upper bounds, 2 x {d}, as to optimize_acqf.")
    if not np.isfinite(limits).all() or not (limits[0] < limits[1]).all():
        raise InvalidDataError("bounds are not finite, or a lower one is not below the upper. Pass those of optimize_acqf.")
    outside = ((limits[0] - NEAR * (limits[1] - limits[0]) > X) | (limits[1] + NEAR * (limits[1] - limits[0]) < X)).any(0)
    if outside.any():
        raise InvalidDataError(f"Input {outside.argmax()} of the candidate is outside bounds. Pass those of its search.")
    return limits


def _fixed(fixed_features: Any, X: np.ndarray) -> list[int]:
    """Return which inputs of a candidate ``q x d`` are held, at the values that were given."""
    if not isinstance(fixed_features, Mapping | None):
        raise InvalidDataError(f"fixed_features is a {type(fixed_features).__name__}. Pass a dict of values by input.")
    for j, value in (fixed_features or {}).items():
        if j not in range(X.shape[1]):
            raise InvalidDataError(f"fixed_features has input {j!r}. Pass inputs from 0 to {X.shape[1] - 1}.")
        if not np.allclose(X[:, j], value, rtol=1e-6):
            raise InvalidDataError(
                f"fixed_features has {value} for input {j}, at which the candidate has {X[:, j]}. Pass those of its search."
            )
    return list(fixed_features or ())


def _spans(X: np.ndarray, limits: np.ndarray | None) -> np.ndarray:
    """Return the range of each input: of the bounds, else of the data."""
    spans = X.max(0) - X.min(0) if limits is None else limits[1] - limits[0]
    return np.where(spans > 0, spans, 1.0)


def _check_repeatable(make: Rebuilder, model: PyMCGP, X: np.ndarray) -> None:
    one, two = (value_of(make(model), X) for _ in range(2))
    if one != two:
        raise InvalidDataError(
            f"acqf takes other samples each time that it is made: its values at the candidate are {one:g} and {two:g}. Give it a "
            "sampler with a seed, such as SobolQMCNormalSampler(torch.Size([512]), seed=0)."
        )
