"""Candidates of BoTorch's optimisers from compiled acquisition functions, with less between these and SciPy."""

__all__ = ["gen_candidates_compiled"]

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from botorch.exceptions.errors import OptimizationGradientError
from botorch.exceptions.warnings import OptimizationWarning
from botorch.generation.gen import gen_candidates_scipy
from botorch.optim.parameter_constraints import make_scipy_bounds
from botorch.optim.utils import columnwise_clamp
from scipy.optimize import minimize
from torch import Tensor

from pymc_botorch.models.acquisition.compiled import ScoredAcquisitionFunction

MAX_ITERATIONS = 2000  # BoTorch's
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

    SciPy's L-BFGS-B is given values and gradients as arrays, of all restarts as one problem, as BoTorch does it. Whatever else is
    asked for (constraints, fixed features, a time limit, another method or acquisition function) is BoTorch's own.

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
    is_plain = {"method", "with_grad", "max_optimization_problem_aggregation_size"}.isdisjoint(options)
    asked = fixed_features or any(value is not None and value is not False for value in others.values())
    if not isinstance(acquisition_function, ScoredAcquisitionFunction) or not is_plain or asked:
        return gen_candidates_scipy(
            initial_conditions,
            acquisition_function,
            lower_bounds,
            upper_bounds,
            options=options,
            fixed_features=fixed_features,
            **others,
        )
    clamped = columnwise_clamp(initial_conditions, lower_bounds, upper_bounds, raise_on_violation=True)
    batches = clamped if clamped.ndim == 3 else clamped.unsqueeze(0)

    def negative(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = acquisition_function.value_and_gradient(torch.from_numpy(x).view(batches.shape).to(batches))
        if np.isnan(gradient).any():
            count = np.isnan(gradient).sum()
            raise OptimizationGradientError(f"{count} elements of the {x.size} element gradient array are NaN.", current_x=x)
        return -value.sum(), -gradient.reshape(-1)

    result = minimize(
        negative,
        batches.detach().cpu().double().numpy().reshape(-1),
        jac=True,
        method="L-BFGS-B",
        bounds=make_scipy_bounds(batches, lower_bounds, upper_bounds),
        callback=options.get("callback"),
        options={"maxiter": MAX_ITERATIONS} | {name: value for name, value in options.items() if name != "callback"},
    )
    if not (result.success or any(word in result.message for word in LIMIT_MESSAGES)):
        warnings.warn(f"SciPy's L-BFGS-B failed: {result.message}", OptimizationWarning, stacklevel=2)  # BoTorch tries again
    found = torch.from_numpy(result.x).view_as(clamped).to(initial_conditions)
    candidates = columnwise_clamp(found, lower_bounds, upper_bounds, raise_on_violation=True)
    with torch.no_grad():
        return candidates, acquisition_function(candidates)
