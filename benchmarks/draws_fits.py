"""Fits by draws against BoTorch's NUTS, on its SAAS model: warm, in a fresh process, and effective draws a second."""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator

import numpy as np
import numpyro.infer
import torch
from arviz_stats.base import array_stats
from botorch.fit import fit_fully_bayesian_model_nuts
from rows import Row, quartiles
from saas import PARAMETERS, ours, theirs
from threadpoolctl import threadpool_limits

from pymc_botorch import FullyBayesianPyMCGP, config

FITS = 3
WARM_AUTO = 10.0
RATE = {30: 2.0, 100: None}  # n: floor
NEW = 4  # observations since the warm start


def fits() -> Iterator[Row]:
    """Time refits after a first one that does not count, in turn."""
    for n, floor in RATE.items():
        before = ours(n - NEW).fit("nuts", seed=0, progressbar=False)
        rates: dict[str, list[float]] = {name: [] for name in PARAMETERS}
        ratios: dict[bool, list[float]] = {False: [], True: []}
        fit_theirs(n, 0, jit=False)
        ours(n).fit("auto", before, seed=0, progressbar=False)
        for seed in range(1, FITS + 1):
            seconds, sizes = {}, {}
            for jit in ratios:
                seconds[jit], sizes[jit] = fit_theirs(n, seed, jit=jit)
            seconds["auto"], fitted = timed_fit(n, "auto", before, seed)
            assert fitted.fit_result.method == "reweighted", fitted.fit_result
            seconds["nuts"], fitted = timed_fit(n, "nuts", None, seed)
            found = sizes_of_ours(fitted)
            for jit in ratios:
                ratios[jit].append(seconds[jit] / seconds["auto"])
            for name in PARAMETERS:
                best = max(sizes[jit][name] / seconds[jit] for jit in ratios)
                rates[name].append(found[name] / seconds["nuts"] / best)
            print(f"  n = {n}: seconds {short(seconds)}; effective draws, ours {short(found)}, BoTorch's {short(sizes[False])}")
        for jit, values in ratios.items():
            yield quartiles(
                f"new weights for {NEW} new observations, n = {n}, against BoTorch's NUTS, jit_compile={jit}", values, WARM_AUTO
            )
        for name, values in rates.items():
            yield quartiles(f"NUTS, effective draws of {name} a second, n = {n}, warm", values, floor)


def first_fits() -> Iterator[Row]:
    """Time the first fit in a fresh process, with an empty compile cache; imports are not counted."""
    for n, floor in RATE.items():
        pairs = [[json.loads(_child(side, n, seed)) for side in ("ours", "theirs")] for seed in range(1, FITS + 1)]
        for of_ours, of_theirs in pairs:
            print(f"  n = {n}: seconds of the first fit, ours {of_ours['seconds']:.1f}, BoTorch's {of_theirs['seconds']:.1f}")
        for name in PARAMETERS:
            rates = [[side["sizes"][name] / side["seconds"] for side in pair] for pair in pairs]
            ratios = [of_ours / of_theirs for of_ours, of_theirs in rates]
            yield quartiles(f"NUTS, effective draws of {name} a second, n = {n}, first fit", ratios, floor)


def _child(side: str, n: int, seed: int) -> str:
    with tempfile.TemporaryDirectory() as empty:
        environment = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={empty}"}
        command = [sys.executable, __file__, side, str(n), str(seed)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def first_fit(side: str, n: int, seed: int) -> None:
    """Fit once and print what it took; the process is fresh."""
    torch.set_num_threads(1)
    with config.change_flags(linker="numba"), threadpool_limits(1):
        if side == "ours":
            seconds, fitted = timed_fit(n, "nuts", None, seed)
            sizes = sizes_of_ours(fitted)
        else:
            seconds, sizes = fit_theirs(n, seed, jit=False)
    print(json.dumps({"seconds": seconds, "sizes": sizes}))


def timed_fit(n: int, method: str, warm_start: FullyBayesianPyMCGP | None, seed: int) -> tuple[float, FullyBayesianPyMCGP]:
    """Seconds, and the fitted model."""
    began = time.perf_counter()
    fitted = ours(n).fit(method, warm_start, seed=seed, progressbar=False)
    return time.perf_counter() - began, fitted


def fit_theirs(n: int, seed: int, *, jit: bool) -> tuple[float, dict[str, float]]:
    """Seconds, and the effective draws of all 256, which BoTorch thins to 16."""
    model, kept = theirs(n), {}
    get_samples = numpyro.infer.MCMC.get_samples

    def keep(self: numpyro.infer.MCMC) -> dict:
        samples = get_samples(self)
        kept.update({name: np.asarray(value, dtype=np.float64) for name, value in samples.items()})
        return samples

    numpyro.infer.MCMC.get_samples = keep
    try:
        began = time.perf_counter()
        fit_fully_bayesian_model_nuts(model, disable_progbar=True, jit_compile=jit, seed=seed)
        seconds = time.perf_counter() - began
    finally:
        numpyro.infer.MCMC.get_samples = get_samples
    return seconds, {name: _size(kept[name][None]) for name in PARAMETERS}


def sizes_of_ours(fitted: FullyBayesianPyMCGP) -> dict[str, float]:
    """Effective draws of a fit by NUTS, for each parameter."""
    return {name: _size(fitted.idata["posterior"][name].to_numpy()) for name in PARAMETERS}


def _size(draws: np.ndarray) -> float:
    """Return the least effective size of draws ``chain x draw x ...``, of their logarithms where they are scales."""
    flat = draws.reshape(*draws.shape[:2], -1)
    flat = np.log(flat) if (flat > 0).all() else flat
    entries = [flat[..., i] for i in range(flat.shape[-1])]
    sizes = [array_stats.ess(x, method="bulk") for x in entries]
    return float(min(*sizes, *(array_stats.ess(x, method="tail", prob=(0.1, 0.9)) for x in entries)))


def short(values: dict) -> str:
    """Return numbers with their names, to three digits."""
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # BoTorch's and JAX's; ours are in fit_result
    first_fit(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
