"""How many compilations acquisition functions take: each function once, and none for other numbers."""

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import Mock, patch

import torch
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement, qLogNoisyExpectedImprovement
from botorch.sampling import SobolQMCNormalSampler
from compiled_cases import SAMPLES, D, value_and_gradient
from speed import data, fit_ours

from pymc_botorch import PyMCGP, cache_clear, cache_info, compile_acqf
from pymc_botorch.graph import acquisition
from pymc_botorch.graph.compiling import compiled_graph


class Counts(NamedTuple):
    """Compilations: structures and functions at first, more of these for other numbers, and functions compiled again."""

    structures: int
    functions: int
    later: int
    repeated: int


def compilations(sizes: list[int]) -> Counts:
    """Count what acquisition functions compile, of an empty cache in this process, for other data, incumbents, b, q and samples.

    Functions of the posterior that BoTorch's own constructors ask for, such as the moments of many points, are not theirs.
    """
    cache_clear()
    with patch.object(compiled_graph, "compile_build", wraps=compiled_graph.compile_build) as compiled:
        for q in (1, 2):  # single points and batches are functions of their own
            evaluate_all(fit_ours(*data(20, D)), 1.0, 3, q, SAMPLES)
        structures, functions = cache_info().compilations, len(of_acquisition(compiled))
        for n in sizes:
            for best, b, q, samples in ((0.0, 1, 1, 64), (2.0, 20, 2, 32), (-5.0, 7, 4, 256)):
                evaluate_all(fit_ours(*data(n, D)), best, b, q, samples)
        found = of_acquisition(compiled)
    later = len(found) - functions + cache_info().compilations - structures
    return Counts(structures, functions, later, len(found) - len(set(found)))


def of_acquisition(compiled: Mock) -> list[tuple[int, Callable]]:
    """Return structure and build of each function of an acquisition function that was compiled."""
    calls = [call.args[:2] for call in compiled.call_args_list]
    return [(id(subject), build) for subject, build in calls if build.__module__.startswith(acquisition.__name__)]


def evaluate_all(model: PyMCGP, best: float, b: int, q: int, samples: int) -> None:
    """Evaluate each kind of acquisition function, with its gradient and without."""
    draw = SobolQMCNormalSampler(torch.Size([samples]), seed=1)
    functions = [qLogExpectedImprovement(model, best, draw)]
    functions.append(qLogNoisyExpectedImprovement(model, model.train_inputs[0], draw, prune_baseline=False))
    if q == 1:
        functions.append(LogExpectedImprovement(model, best))
    X = torch.rand(b, q, D, dtype=torch.double)
    for acqf in map(compile_acqf, functions):
        value_and_gradient(acqf, X.clone().requires_grad_())
        with torch.no_grad():
            acqf(X)
