"""The default fit's seconds on the default model, and its effective draws a second against BoTorch's NUTS on the SAAS model."""

import time
from collections.abc import Iterator

import numpy as np
from draws_fits import FITS, fit_theirs, short, sizes_of_ours, timed_fit
from ordinary_data import FUNCTIONS, DataSet, from_function
from rows import Row, quartiles
from saas import PARAMETERS, ours

from pymc_botorch import FullyBayesianPyMCGP, config

SECONDS = {30: 1.0, 100: 4.0}  # n: most with Numba
TIMES_WITH_NUMPY = 3.0
EFFICIENCY = {30: 3.0, 100: None}  # n: floor
ON = ("branin2", "hartmann3", "hartmann6")


def default_seconds() -> Iterator[Row]:
    """Time default fits of the default model after one that does not count, on three functions and three seeds each."""
    for linker, times in (("numba", 1.0), ("numpy", TIMES_WITH_NUMPY)):
        for n, bar in SECONDS.items():
            with config.change_flags(linker=linker):
                found = [fit for name in ON for fit in _warm_fits(from_function(name, *FUNCTIONS[name], n, 0.1))]
            methods = ", ".join(sorted({method for _, method in found}))
            work = f"default fit of the default model, n = {n}, warm, {linker} ({methods})"
            yield quartiles(work, [seconds for seconds, _ in found], times * bar, "seconds")


def default_efficiency() -> Iterator[Row]:
    """Time effective draws of default fits against BoTorch's NUTS, in turn, the better of JIT-compiled and not."""
    for n, floor in EFFICIENCY.items():
        rates: dict[str, list[float]] = {name: [] for name in PARAMETERS}
        fit_theirs(n, 0, jit=False)
        ours(n).fit(seed=0, progressbar=False)
        for seed in range(1, FITS + 1):
            tried = [fit_theirs(n, seed, jit=jit) for jit in (False, True)]
            seconds, fitted = timed_fit(n, "auto", None, seed)
            sizes = sizes_of_default(fitted)
            for name in PARAMETERS:
                best = max(of_theirs[name] / their_seconds for their_seconds, of_theirs in tried)
                rates[name].append(sizes[name] / seconds / best)
            print(f"  n = {n}: {fitted.fit_result.method} in {seconds:.2f} s, effective draws {short(sizes)}")
        for name, values in rates.items():
            yield quartiles(f"default fit, effective draws of {name} a second, n = {n}, warm", values, floor)


def sizes_of_default(fitted: FullyBayesianPyMCGP) -> dict[str, float]:
    """Effective draws for each parameter: of chains by their autocorrelation, of weighted draws ``1 / sum of w²``, one for all.

    Particles of tempered SMC are neither: their size is the one that the fit itself states.
    """
    result = fitted.fit_result
    if result.method == "nuts":
        return sizes_of_ours(fitted)
    size = result.ess
    if result.method != "smc" and "weights" in fitted.idata.children:
        size = 1 / np.square(np.exp(fitted.idata["weights"]["log_weight"].to_numpy())).sum()
    return dict.fromkeys(PARAMETERS, float(size))


def _warm_fits(data: DataSet) -> list[tuple[float, str]]:
    """Seconds and methods of fits with different seeds, without the first."""
    found = []
    for seed in range(FITS + 1):
        began = time.perf_counter()
        fitted = FullyBayesianPyMCGP(data.X, data.Y).fit(seed=seed, progressbar=False)
        found.append((time.perf_counter() - began, fitted.fit_result.method))
    return found[1:]
