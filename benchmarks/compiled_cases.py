"""Compiled acquisition functions and BoTorch's own on the same hyperparameters: what is timed and compared, with its bars."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import saas
import torch
from botorch.acquisition import (
    AcquisitionFunction,
    LogExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
)
from botorch.models import SingleTaskGP
from botorch.models.model import Model
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from speed import data, fit_ours, fit_theirs, set_hyperparameters
from timing import Comparison, compare
from torch import Tensor

from pymc_botorch import PyMCGP, compile_acqf
from pymc_botorch.acquisition import gen_candidates_compiled

type Make = Callable[[Model], AcquisitionFunction]

D = 6
TIERS = {"numba": "Numba", "numpy": "first use"}
ANALYTIC = {  # n, b: bar under Numba, at first use
    (100, 1): (30.0, 8.0),
    (100, 20): (15.0, 6.0),
    (100, 512): (5.0, 2.5),
    (500, 1): (8.0, None),
    (500, 20): (6.0, None),
    (500, 512): (3.0, None),
}
MONTE_CARLO = {50: (6.0, None), 100: (6.0, None), 500: (2.0, None)}  # n: bars
Q = (1, 2, 4)
SAMPLES, BATCHES = 128, 20
DRAWS = (10.0, None)
OPTIMIZER = {50: (8.0, 4.0), 100: (8.0, 4.0), 500: (3.0, 1.5)}  # n: bars
RESTARTS, RAW_SAMPLES = 20, 512
ROUND = (12.0, None)
SAME_ANALYTIC, SAME_MONTE_CARLO = 1e-8, 1e-6  # relative
SAME_OPTIMUM = 1e-3
TAIL = (0.0, 1.0, 10.0, 100.0, 450.0)  # incumbents, in standard deviations above the best: scores down to -1e5


class Effort(NamedTuple):
    """How long is measured: pairs, least seconds of each, and seeds of the optimiser."""

    repeats: int
    seconds: float
    seeds: int


class Row(NamedTuple):
    """One line: ratio with its floor, and deviation with its limit."""

    work: str
    tier: str
    result: Comparison | None
    floor: float | None
    deviation: float | None
    limit: float | None

    @property
    def misses(self) -> list[str]:
        """What of it is on the wrong side of its bar."""
        name, found = f"{self.work} ({TIERS[self.tier]})", []
        if self.result is not None and self.floor is not None and not self.result.ratio >= self.floor:
            found.append(f"{name}: {self.result.ratio:.1f} times, not {self.floor:g}")
        if self.deviation is not None and self.limit is not None and not self.deviation <= self.limit:
            found.append(f"{name}: off by {self.deviation:.1e}, not {self.limit:g}")
        return found


def measured(tier: str, sizes: list[int], effort: Effort) -> Iterator[Row]:
    """Compare all for the sizes ``n``, compiled as ``tier`` says, which the settings have already."""
    for n in sizes:
        ours, theirs = models(n)
        best = data(n, D)[1].max()
        if n == sizes[0]:
            yield Row("LogEI in the tail", tier, None, None, in_the_tail(ours, best), SAME_ANALYTIC)
        log_ei = partial(LogExpectedImprovement, best_f=best)
        for b in [b for m, b in ANALYTIC if m == n]:
            floor = bar(ANALYTIC[n, b], tier)
            yield gradients(f"LogEI, n = {n}, b = {b}", tier, log_ei, (ours, theirs), (b, 1), effort, floor, SAME_ANALYTIC)
        for name, make in monte_carlo(n, best).items():
            for q in Q:
                work = f"{name}, n = {n}, q = {q}, b = {BATCHES}"
                floor = bar(MONTE_CARLO[n], tier)
                yield gradients(work, tier, make, (ours, theirs), (BATCHES, q), effort, floor, SAME_MONTE_CARLO)
        make, kept = pruned(n, (ours, theirs))
        for q in Q:
            work = f"qLogNEI pruned to {kept} of {n} points, q = {q}, b = {BATCHES}"
            floor = bar(MONTE_CARLO[n], tier)
            yield gradients(work, tier, make, (ours, theirs), (BATCHES, q), effort, floor, SAME_MONTE_CARLO)
        if n == 50:
            for starts, floor in ((1, bar(ROUND, tier)), (3, None)):
                work = f"whole round, n = {n}, MAP from {starts} start{'s' * (starts > 1)}"
                yield Row(work, tier, rounds(n, starts, effort.seeds), floor, None, None)
        if n == 100:
            ensemble = saas.ours(n).fit("laplace", seed=0)
            pair = (ensemble, saas.with_draws_of(ensemble))
            make = partial(LogExpectedImprovement, best_f=0.5)
            work = f"LogEI, 16 draws, n = {n}, b = {BATCHES}"
            yield gradients(work, tier, make, pair, (BATCHES, 1), effort, bar(DRAWS, tier), SAME_ANALYTIC)
        acqfs = (compile_acqf(log_ei(ours)), log_ei(theirs))
        for work, generate, floor in (
            ("optimize_acqf(LogEI)", gen_candidates_compiled, bar(OPTIMIZER[n], tier)),
            ("optimize_acqf(LogEI), BoTorch's gen_candidates", None, None),
        ):
            result, worse = optimizations(*acqfs, generate, effort.seeds)
            yield Row(f"{work}, n = {n}", tier, result, floor, worse, SAME_OPTIMUM)


def bar(bars: tuple[float, float | None], tier: str) -> float | None:
    """Return the bar of a tier."""
    return dict(zip(TIERS, bars, strict=True))[tier]


def models(n: int) -> tuple[PyMCGP, SingleTaskGP]:
    """Both sides with the hyperparameters of ours."""
    ours = fit_ours(*data(n, D))
    return ours, set_hyperparameters(SingleTaskGP(*data(n, D)), ours).eval()


def monte_carlo(n: int, best: Tensor) -> dict[str, Make]:
    """Return what makes either function, its base samples fixed by a seed."""
    X = data(n, D)[0]
    return {
        "qLogEI": lambda model: qLogExpectedImprovement(model, best, sampler()),
        "qLogNEI": lambda model: qLogNoisyExpectedImprovement(model, X, sampler(), prune_baseline=False),
    }


def pruned(n: int, pair: tuple[Model, Model]) -> tuple[Make, int]:
    """Return what makes qLogNEI with a pruned baseline, as Ax does, and how many points that is."""

    def make(model: Model) -> qLogNoisyExpectedImprovement:
        torch.manual_seed(0)
        return qLogNoisyExpectedImprovement(model, data(n, D)[0], sampler(), prune_baseline=True)

    ours, theirs = (make(model).X_baseline for model in pair)
    if not torch.equal(ours, theirs):
        raise RuntimeError(f"The baselines were pruned to {len(ours)} and {len(theirs)} points, which are not the same.")
    return make, len(ours)


def sampler() -> SobolQMCNormalSampler:
    """A sampler whose base samples are the same on both sides."""
    return SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=1)


def gradients(
    work: str,
    tier: str,
    make: Make,
    pair: tuple[Model, Model],
    shape: tuple[int, int],
    effort: Effort,
    floor: float | None,
    limit: float,
) -> Row:
    """Time value and gradient at batches of points, and compare them with those of the function that ours was made from."""
    ours, theirs = pair
    original = make(ours)
    compiled, other = compile_acqf(original), make(theirs)
    X = torch.rand(*shape, D, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    off = deviation(compiled, original, X)
    functions = (partial(value_and_gradient, acqf, X) for acqf in (compiled, other))
    result = compare(*functions, repeats=effort.repeats, seconds=effort.seconds)
    return Row(work, tier, result, floor, off, limit)


def value_and_gradient(acqf: AcquisitionFunction, X: Tensor) -> tuple[Tensor, Tensor]:
    """Values of all batches, and their gradients."""
    value = acqf(X)
    return value.detach(), torch.autograd.grad(value.sum(), X)[0]


def deviation(compiled: AcquisitionFunction, original: AcquisitionFunction, X: Tensor) -> float:
    """Largest relative difference of values, and of gradients relative to their largest entry."""
    (value, gradient), (expected, slope) = (value_and_gradient(acqf, X) for acqf in (compiled, original))
    return max((value / expected - 1).abs().max().item(), ((gradient - slope).abs().max() / slope.abs().max()).item())


def in_the_tail(model: PyMCGP, best: Tensor) -> float:
    """Largest deviation of LogEI with incumbents that are ever less likely to be improved on."""
    X = torch.rand(BATCHES, 1, D, dtype=torch.double, generator=torch.Generator().manual_seed(0)).requires_grad_()
    sd = model.posterior(X.detach()).variance.sqrt().median()
    originals = [LogExpectedImprovement(model, best + k * sd) for k in TAIL]
    return max(deviation(compile_acqf(original), original, X) for original in originals)


class Seeded:
    """A function of a seed, called with the next one each time; ``values`` are what it returned."""

    def __init__(self, function: Callable[[], float]) -> None:
        self.function, self.values = function, list[float]()

    def __call__(self) -> None:
        """Call the function with the next seed."""
        torch.manual_seed(len(self.values))
        self.values.append(self.function())


def optimizations(
    ours: AcquisitionFunction, theirs: AcquisitionFunction, generate: Callable | None, seeds: int
) -> tuple[Comparison, float]:
    """Time the optimiser from the same seeds; return by how much the value that ours reaches is lower at most, too."""
    sides = [Seeded(partial(maximum, ours, generate)), Seeded(partial(maximum, theirs))]
    result = compare(*sides, repeats=seeds, seconds=0.0)
    return result, max(b - a for a, b in zip(*(side.values for side in sides), strict=True))


def maximum(acqf: AcquisitionFunction, generate: Callable | None = None) -> float:
    """The largest value that the optimiser finds in the unit cube."""
    bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, D)
    return optimize_acqf(acqf, bounds, 1, RESTARTS, RAW_SAMPLES, gen_candidates=generate)[1].item()


def rounds(n: int, starts: int, seeds: int) -> Comparison:
    """Time a MAP refit of a new instance, which is from one start on BoTorch's side, and the next point."""
    X, Y = data(n, D)

    def ours() -> float:
        acqf = compile_acqf(LogExpectedImprovement(PyMCGP(X, Y).fit(num_starts=starts), Y.max()))
        return maximum(acqf, gen_candidates_compiled)

    def theirs() -> float:
        return maximum(LogExpectedImprovement(fit_theirs(X, Y), Y.max()))

    return compare(Seeded(ours), Seeded(theirs), repeats=seeds, seconds=0.0)
