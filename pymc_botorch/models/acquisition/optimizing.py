"""Candidates of BoTorch's optimisers from compiled acquisition functions, with less between these and SciPy."""

__all__ = ["gen_candidates_compiled"]

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from botorch.exceptions.errors import OptimizationGradientError
from botorch.exceptions.warnings import OptimizationWarning
from botorch.generation.gen import gen_candidates_scipy
from botorch.optim.utils import columnwise_clamp
from scipy.optimize import Bounds, minimize
from torch import Tensor

from pymc_botorch.models.acquisition.compiled import ScoredAcquisitionFunction

MAX_ITERATIONS = 2000  # BoTorch's
PROBLEM_SIZE = "max_optimization_problem_aggregation_size"
LIMIT_MESSAGES = ("LIMIT", "limit")
"""In SciPy's messages of a search that was told to end, which is no failure."""


def gen_candidates_compiled(
    initial_conditions: Tensor,
    acquisition_function: AcquisitionFunction,
    lower_bounds: float | Tensor | None = None,
    upper_bounds: float | Tensor | None = None,
    options: dict[str, Any] | None = None,
    fixed_features: Mapping[int, float | Tensor] | None = None,
    **others: Any,
) -> tuple[Tensor, Tensor]:
    """Generate candidates as BoTorch's ``gen_candidates_scipy`` does, from a compiled acquisition function in less time.

    SciPy's L-BFGS-B is given values and gradients as arrays, of all restarts as one problem, as BoTorch does it with SciPy from
    1.18 on (with an older one it searches from each start by itself). Whatever else is asked for (constraints, a time limit,
    another method or acquisition function) is BoTorch's own.

    Args:
        initial_conditions: ``b x q x d``, in raw units.
        acquisition_function: What is maximised.
        lower_bounds: Of each column, or of all.
        upper_bounds: Of each column, or of all.
        options: Of L-BFGS-B, such as ``maxiter``.
        fixed_features: See BoTorch.
        **others: See BoTorch.

    Returns:
        Candidates ``b x q x d`` and their values ``b``.

    Example:
        >>> import torch, pymc_botorch
        >>> from botorch.acquisition import LogExpectedImprovement
        >>> from botorch.optim import optimize_acqf
        >>> from pymc_botorch.acquisition import gen_candidates_compiled
        >>> X = torch.rand(8, 2, dtype=torch.double)
        >>> model = pymc_botorch.PyMCGP(X, X.sum(-1, keepdim=True)).fit()
        >>> acqf = pymc_botorch.compile_acqf(LogExpectedImprovement(model, best_f=1.5))
        >>> bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)
        >>> X_next, _ = optimize_acqf(
        ...     acqf, bounds, q=1, num_restarts=4, raw_samples=32, gen_candidates=gen_candidates_compiled
        ... )
        >>> X_next.shape
        torch.Size([1, 2])
    """
    options = options or {}
    fixed = {column: value for column, value in (fixed_features or {}).items() if isinstance(value, int | float)}
    others = {name: value for name, value in others.items() if value is not None and value is not False}
    is_plain = {"method", "with_grad"}.isdisjoint(options) and len(fixed) == len(fixed_features or {})
    is_plain = is_plain and initial_conditions.ndim in (2, 3)
    if not isinstance(acquisition_function, ScoredAcquisitionFunction) or not is_plain or others:
        return gen_candidates_scipy(
            initial_conditions,
            acquisition_function,
            lower_bounds,
            upper_bounds,
            options=options,
            fixed_features=fixed_features,
            **others,
        )
    clamped = columnwise_clamp(initial_conditions, lower_bounds, upper_bounds, raise_on_violation=not fixed).clone()
    for column, value in fixed.items():
        clamped[..., column] = value
    batches = clamped if clamped.ndim == 3 else clamped.unsqueeze(0)
    size = options.get(PROBLEM_SIZE, len(batches))
    of_scipy = {"maxiter": MAX_ITERATIONS} | {k: v for k, v in options.items() if k not in ("callback", PROBLEM_SIZE)}
    found = []
    for starts in batches.split(size):
        bounds = _bounds(starts, lower_bounds, upper_bounds, fixed)
        found.append(_search(starts, acquisition_function, bounds, list(fixed), options.get("callback"), of_scipy))
    candidates = torch.cat(found).view_as(clamped)
    free = columnwise_clamp(candidates, lower_bounds, upper_bounds, raise_on_violation=not fixed)
    for column, value in fixed.items():
        free[..., column] = value  # which may be outside of the bounds
    with torch.no_grad():
        return free, acquisition_function(free)


def _bounds(
    starts: Tensor, lower: float | Tensor | None, upper: float | Tensor | None, fixed: Mapping[int, float]
) -> Bounds | None:
    """Return the bounds of all numbers of a problem, those of fixed columns closed."""
    if lower is None and upper is None and not fixed:
        return None
    sides = []
    for bound, infinite in ((lower, -np.inf), (upper, np.inf)):
        full = torch.as_tensor(infinite if bound is None else bound, dtype=torch.float64).expand(starts.shape).clone()
        for column, value in fixed.items():
            full[..., column] = value
        sides.append(full.reshape(-1).numpy())
    return Bounds(*sides, keep_feasible=True)


def _search(
    starts: Tensor,
    acqf: ScoredAcquisitionFunction,
    bounds: Bounds | None,
    fixed: list[int],
    callback: Callable | None,
    options: dict[str, Any],
) -> Tensor:
    """Return the points that a search from ``b x q x d`` ones ends at, as one problem."""

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = acqf.value_and_gradient(torch.from_numpy(x).view(starts.shape).to(starts))
        gradient[..., fixed] = 0.0  # or the first step would be shorter for it
        if np.isnan(gradient).any():
            count = np.isnan(gradient).sum()
            raise OptimizationGradientError(f"{count} elements of the {x.size} element gradient array are NaN.", current_x=x)
        return -value.sum(), -gradient.reshape(-1)

    x = starts.detach().cpu().double().numpy().reshape(-1)
    result = minimize(negative, x, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    if not (result.success or any(word in result.message for word in LIMIT_MESSAGES)):
        warnings.warn(f"SciPy's L-BFGS-B failed: {result.message}", OptimizationWarning, stacklevel=3)  # BoTorch tries again
    return torch.from_numpy(result.x).view(starts.shape).to(starts)
