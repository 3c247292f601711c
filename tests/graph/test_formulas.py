"""Formulas of acquisition functions are those of BoTorch, into the tails, on both tiers."""

from collections.abc import Callable, Sequence

import numpy as np
import pytensor.tensor as pt
import pytest
import torch
from botorch.acquisition.analytic import _ei_helper, _log_ei_helper
from botorch.utils.probability.utils import log_ndtr, ndtr
from botorch.utils.safe_math import fatmax, log_fatmoid, log_fatplus, log_softplus, smooth_amax
from pytensor.tensor.variable import TensorVariable
from torch import Tensor

from pymc_botorch.graph.acquisition import constraints, formulas
from pymc_botorch.graph.compiling.functions import compile_function

TAIL = -np.logspace(-3, np.log10(450), 150)  # to where the score is -1e5
U = np.concatenate([TAIL, np.logspace(-3, np.log10(5), 50), [-1.0, -1 - 1e-9, -1 + 1e-9, 0.0]])
LINKERS = ["numpy", pytest.param("numba", marks=pytest.mark.numba)]


def compare(linker: str, x: np.ndarray, pairs: Sequence[tuple[Callable[..., TensorVariable], Callable[..., Tensor]]]) -> None:
    """Compare formulas of an array, and their gradients, with those of torch; they are compiled as one function."""
    symbol = pt.tensor("x", dtype="float64", shape=(None,) * x.ndim)
    values = [formula(symbol) for formula, _ in pairs]
    gradients = [pt.grad(value.sum(), symbol) for value in values]
    results = compile_function([symbol], [*values, *gradients], linker)(x)
    for i, (_, reference) in enumerate(pairs):
        tensor = torch.tensor(x, requires_grad=True)
        expected = reference(tensor)
        (slope,) = torch.autograd.grad(expected.sum(), tensor)
        np.testing.assert_allclose(results[i], expected.detach().numpy(), rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(results[len(pairs) + i], slope.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("linker", LINKERS)
def test_analytic_formulas_are_botorchs_into_the_tail(linker: str) -> None:
    """At standardised improvements down to -450, where the logarithm is -1e5."""
    pairs = [
        (formulas.log_expected_improvement, _log_ei_helper),
        (formulas.expected_improvement, _ei_helper),
        (formulas.log_probability_of_improvement, log_ndtr),
        (formulas.probability_of_improvement, ndtr),
    ]
    compare(linker, U, [(lambda u, formula=formula: formula(u, pt.ones_like(u), 0.0), torch_) for formula, torch_ in pairs])
    assert _log_ei_helper(torch.tensor(U)).min() < -1e5


@pytest.mark.parametrize("linker", LINKERS)
def test_log_expected_improvement_has_a_slope_everywhere(linker: str) -> None:
    """Also 1e8 standard deviations away, in mean and in standard deviation."""
    mean, sd = pt.dvectors("mean", "sd")
    symbol = formulas.log_expected_improvement(mean, sd, 0.0)
    far = -np.logspace(0, 8, 60)
    value, by_mean, by_sd = compile_function([mean, sd], [symbol, *pt.grad(symbol.sum(), [mean, sd])], linker)(
        far, np.full(60, 0.5)
    )
    assert np.isfinite(value).all()
    assert (np.diff(value) < 0).all()
    np.testing.assert_allclose(by_mean[far < -1e3], -4 * far[far < -1e3], rtol=1e-5)  # the slope of -u²/2
    assert (by_sd > 0).all()


@pytest.mark.parametrize("linker", LINKERS)
def test_smooth_improvements_and_maxima_are_botorchs(linker: str) -> None:
    samples = np.concatenate([np.linspace(-1, 1, 60), [-1e3, -50.0, 50.0, 1e-9]]).reshape(4, 16)
    pairs: list[tuple[Callable, Callable]] = [(formulas.log_mean_exp, lambda s: s.logsumexp(-1) - np.log(16))]
    for tau in (1e-6, 0.1):
        pairs += [
            (lambda s, t=tau: formulas.log_improvement(s, 0.0, t, fat=True), lambda s, t=tau: log_fatplus(s, tau=t)),
            (lambda s, t=tau: formulas.log_improvement(s, 0.0, t, fat=False), lambda s, t=tau: log_softplus(s, tau=t)),
            (lambda s, t=tau: formulas.fat_maximum(s, t), lambda s, t=tau: fatmax(s, dim=-2, tau=t)),
            (lambda s, t=tau: formulas.smooth_maximum(s, t), lambda s, t=tau: smooth_amax(s, dim=-2, tau=t)),
        ]
    compare(linker, samples, pairs)


@pytest.mark.parametrize("linker", LINKERS)
def test_smooth_steps_are_botorchs_far_on_both_sides(linker: str) -> None:
    far = np.concatenate([-np.logspace(-9, 8, 60), [0.0], np.logspace(-9, 8, 60)])
    compare(linker, far, [(constraints.log_fatmoid, log_fatmoid)])
