"""Claims: values within 1e-7 and gradients within 1e-5 of SingleTaskGP's, or of finite differences where BoTorch's gradients
are wrong; qKnowledgeGradient (n = 100, 16 fantasies) at least 12 times, qLogNEI with 300 unpruned points at least twice as fast.

Run by ``make bench``. Writes docs/acquisitions.md: each acquisition function of BoTorch on our model and on a SingleTaskGP with
the same kernel, mean, hyperparameters and noise; deviations at n = 12 observations, times at n = 100; one thread.
"""

import pathlib
import platform
import sys
import warnings
from functools import partial

import torch
from acquisition_cases import CASES, Case, build, finite_differences, inputs, value_and_gradient
from botorch import acquisition as acqf
from botorch.models import ModelListGP
from botorch.models.model import Model
from botorch.sampling import SobolQMCNormalSampler
from threadpoolctl import threadpool_limits
from timing import compare
from zoo import marginal, single_task_gp

from pymc_botorch import PyMCGP, config

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "acquisitions.md"
INTRODUCTION = """# Acquisition functions

Every acquisition function of BoTorch 0.18.1 that a model of another library can serve, on a `PyMCGP` and on a `SingleTaskGP` with
the same kernel, mean, hyperparameters and noise, with the same base samples. This page is written by
`benchmarks/acquisitions.py` (`make bench`).

The PyMC models have no jitter here, so that all noise is `sigma²` on both sides. With a jitter, the `SingleTaskGP` to compare with
has the noise variance `sigma² + jitter`, and entropy searches, which read the noise of a new observation, differ by the jitter.

*value*: largest deviation of the values (relative where they are larger than one). *gradient*: largest deviation of the
gradient, relative to its largest entry (12 observations, 10 t-batches). *mixed*: the value with one outcome of ours and one of SingleTaskGP. *faster*: time of
value and gradient on SingleTaskGP divided by ours (100 observations, 10 t-batches, median of interleaved pairs, {machine}).

The multi-objective predictive entropy search iterates: with 100 observations its value on SingleTaskGP moves by 7e-3 when the
outputscale changes by 1e-13 of itself, so that nothing can be compared there.

Where BoTorch's gradients are wrong with its default settings (fantasy variances are detached: `gpytorch.settings.
detach_test_caches`), both are compared with finite differences: *ours (theirs)*.

| acquisition function | q | value | mixed | gradient | against finite differences | faster |
|---|---|---|---|---|---|---|
"""
CLOSING = """
## What is not served, and why

| | why |
|---|---|
| `NoisyExpectedImprovement`, `LogNoisyExpectedImprovement` | BoTorch asks for a `SingleTaskGP` by class; `qLogNoisyExpectedImprovement` is the one to use |
| Matheron paths (`PathwiseThompsonSampling`, `get_optimal_samples`, `MatheronPathModel`) | they sample a GPyTorch kernel's features; refused by name until they come. `MaxPosteriorSampling` works |
| `AnalyticExpectedUtilityOfBestOption` | it reads the data points of a preference model |
| `qJointEntropySearch(condition_noiseless=True)` | it runs; SingleTaskGP's conditional mean is wrong there (gpytorch issue 2669), so there is nothing to compare with |
| GPyTorch marginal likelihoods, `fit_gpytorch_mll_scipy` | they would leave out the priors of the PyMC model; refused |
"""


type Triple = tuple[Model, Model, Model]


def models(n: int) -> dict[int, Triple]:
    """Ours, theirs, and for two outcomes one of each, by number of outcomes; without jitter, so that all noise is sigma²."""
    first, second = marginal(n=n, jitter=0.0), marginal("ExpQuad", n=n, seed=2, jitter=0.0)
    ours = [PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model) for case in (first, second)]
    theirs = [single_task_gp(first, jitter=0.0), single_task_gp(second, "ExpQuad", jitter=0.0)]
    return {
        1: (ours[0], theirs[0], ours[0]),
        2: (ModelListGP(*ours), ModelListGP(*theirs), ModelListGP(ours[0], theirs[1])),
    }


def row(name: str, case: Case, small: Triple, large: Triple) -> str:
    """One line of the table: deviations on the small models, times on the large ones; stops where a claim does not hold."""
    ours, theirs, mixed = small
    X = inputs(case, batches=10)
    functions = [build(case, model) for model in (ours, theirs, mixed)]
    (value, gradient), (expected, expected_gradient), (mixed_value, _) = (value_and_gradient(f, X) for f in functions)
    size = expected.abs().clamp_min(1)
    value_off, mixed_off = ((v - expected).abs().div(size).max().item() for v in (value, mixed_value))
    largest = expected_gradient.abs().max().clamp_min(1e-12)  # some are flat where nothing improves
    gradient_off = ((gradient - expected_gradient).abs().max() / largest).item()
    judged = ""
    if case.finite_differences:
        few = X[:2]
        slope = finite_differences(functions[0], few)
        off = [((value_and_gradient(f, few)[1] - slope).abs().max() / slope.abs().max()).item() for f in functions[:2]]
        judged = f"{off[0]:.0e} ({off[1]:.0e})"
        check(off[0] <= 1e-6, name, "finite differences", off[0])
    elif case.gradient is not None:
        check(gradient_off <= case.gradient, name, "gradient", gradient_off)
    check(max(value_off, mixed_off) <= case.value, name, "value", max(value_off, mixed_off))
    ratio = compare(*(partial(value_and_gradient, build(case, model), X) for model in large[:2]), repeats=5).ratio
    mixed_text = f"{mixed_off:.0e}" if case.outcomes == 2 else ""
    gradient_text = "" if case.finite_differences else f"{gradient_off:.0e}"
    return f"| {name} | {case.q} | {value_off:.0e} | {mixed_text} | {gradient_text} | {judged} | {ratio:.1f} |"


def check(holds: bool, name: str, what: str, number: float) -> None:
    """Stop with the number where a claim does not hold."""
    if not holds:
        sys.exit(f"{name}: {what} is off by {number:.1e}")


def floors() -> list[str]:
    """The two speed claims, with their floors."""
    lines = ["", "## Speed", "", "| work | faster (quartiles) | floor |", "|---|---|---|"]
    ours, theirs, _ = models(100)[1]
    X = torch.rand(4, 17, 2, dtype=torch.double)
    functions = [
        acqf.qKnowledgeGradient(m, num_fantasies=16, sampler=SobolQMCNormalSampler(torch.Size([16]), seed=1))
        for m in (ours, theirs)
    ]
    work = [("qKnowledgeGradient, n = 100, 16 fantasies, 4 t-batches", functions, X, 12.0)]
    ours, theirs, _ = models(300)[1]
    baseline = ours.train_inputs[0]
    for q in (1, 4):
        functions = [
            acqf.qLogNoisyExpectedImprovement(
                m, baseline, SobolQMCNormalSampler(torch.Size([128]), seed=1), prune_baseline=False, cache_root=True
            )
            for m in (ours, theirs)
        ]
        name = f"qLogNoisyExpectedImprovement, 300 unpruned points, q = {q}, 10 t-batches"
        work.append((name, functions, torch.rand(10, q, 2, dtype=torch.double), 2.0))
    for name, pair, X, floor in work:
        result = compare(*(partial(value_and_gradient, f, X) for f in pair))
        lines.append(f"| {name} | {result.ratio:.1f} ({result.low:.1f} to {result.high:.1f}) | {floor:g} |")
        print(lines[-1], flush=True)
        if result.ratio < floor:
            sys.exit(f"{name}: {result.ratio:.1f} times, below the floor of {floor:g}")
    return lines


def main() -> None:
    """Write the page."""
    warnings.filterwarnings("ignore")  # BoTorch's advice on legacy functions, jitter of near-singular samples
    torch.set_num_threads(1)
    with config.change_flags(linker="numba"), threadpool_limits(limits=1):
        small, large = models(12), models(100)
        lines = []
        for name, case in CASES.items():
            lines.append(row(name, case, small[case.outcomes], large[case.outcomes]))
            print(lines[-1], flush=True)
        lines += floors()
    machine = f"{platform.machine()}, one thread"
    PAGE.write_text(INTRODUCTION.format(machine=machine) + "\n".join(lines) + "\n" + CLOSING)


if __name__ == "__main__":
    main()
