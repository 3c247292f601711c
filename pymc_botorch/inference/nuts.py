"""A log density comes in, draws of a few chains of the No-U-Turn sampler go out: nutpie's where it is installed, else PyMC's."""

__all__ = ["NutsOptions", "nuts"]

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import xarray as xr
from pymc.exceptions import SamplingError
from pytensor import config as pytensor_config

from pymc_botorch.errors import FitError
from pymc_botorch.graph.likelihoods import QUICK
from pymc_botorch.inference.build import TrainingData
from pymc_botorch.inference.density import Density, join
from pymc_botorch.inference.weights import WeightedDraws

ATTEMPTS = 100
"""Points that are tried for a chain to begin at."""
JITTER = 1.0
"""Half the width of the uniform jitter about PyMC's initial point, as in PyMC."""
STATS = {"logp": "lp", "depth": "tree_depth"}
"""Names of nutpie's statistics by which ArviZ does not know them."""

_pymc_lock = RLock()  # PyMC's sampler reads data from the model that all fits of one builder share


class NutsOptions(NamedTuple):
    """How to sample.

    Attributes:
        draws: Of each chain, after tuning.
        tune: Steps before, which are not kept.
        chains: How many.
        target_accept: Of the step size's adaptation.
        progressbar: Whether to show one.
    """

    draws: int
    tune: int
    chains: int
    target_accept: float
    progressbar: bool


def nuts(
    density: Density, data: TrainingData, options: NutsOptions, begin: Sequence[np.ndarray], seed: int
) -> tuple[WeightedDraws, xr.Dataset]:
    """Return draws of the unconstrained parameters, and the sampler's statistics, ``chain x draw``.

    Args:
        density: With Jacobian.
        data: Those of the density.
        options: How to sample.
        begin: Where chains begin, unconstrained, in turn; none is a jittered initial point.
        seed: Of the sampler.

    Raises:
        FitError: If no chain finds a point of finite density, or the sampler fails.
    """
    rng = np.random.default_rng(seed)
    points = [_beginning(density, [*begin[c : c + 1]] if begin else [], rng) for c in range(options.chains)]
    sample = _by_nutpie if find_spec("nutpie") is not None else _by_pymc
    unconstrained, stats = sample(density, data, options, points, int(rng.integers(2**31)))
    flat = unconstrained.reshape(-1, unconstrained.shape[-1])
    return WeightedDraws.unweighted(flat, stats["lp"].to_numpy().ravel(), chains=options.chains), stats


def _beginning(density: Density, begin: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a point of finite density."""
    for attempt in range(ATTEMPTS):
        jittered = density.support + rng.uniform(-JITTER, JITTER, size=density.support.shape)
        point = begin[attempt] if attempt < len(begin) else jittered
        if np.isfinite(density(point)[0]):
            return point
    raise FitError(
        f"None of {ATTEMPTS} points about PyMC's initial point has a finite log density, so that no chain can begin. Look for a "
        "prior that forbids its own draws, or data far from the scale of the priors."
    )


def _by_nutpie(
    density: Density, data: TrainingData, options: NutsOptions, points: Sequence[np.ndarray], seed: int
) -> tuple[np.ndarray, xr.Dataset]:
    """Sample by nutpie, through the density that is compiled already: other data compile nothing.

    Chains follow each other: each evaluation holds Python's lock.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    D, waiting = len(density.support), list(points)
    model = from_pyfunc(
        D,
        lambda: density,
        lambda *_: lambda u: {"u": u},
        [np.dtype("float64")],
        [(D,)],
        ["u"],
        make_initial_point_fn=lambda _: waiting.pop() if waiting else points[0],
    )
    sampler = nutpie.sample(
        model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=1,
        seed=seed,
        save_warmup=False,
        progress_bar=options.progressbar,
        adaptation="low_rank",
        target_accept=options.target_accept,
        blocking=False,  # else an interrupt would be answered by the draws so far
    )
    try:
        idata = sampler.wait()
    except RuntimeError as error:
        raise FitError(f"nutpie failed: {error}") from error
    except BaseException:
        sampler.cancel()
        raise
    stats = idata["sample_stats"].dataset
    return idata["posterior"]["u"].to_numpy(), stats.rename({old: new for old, new in STATS.items() if old in stats})


def _by_pymc(
    density: Density, data: TrainingData, options: NutsOptions, points: Sequence[np.ndarray], seed: int
) -> tuple[np.ndarray, xr.Dataset]:
    """Sample by PyMC, which compiles at each call."""
    scales = density.built.scales
    begin = [density.natural(point) for point in points]
    with _pymc_lock, scales.pm_model as pm_model:
        before = {name: pm_model[name].get_value() for name in _named(data)}
        try:
            _set_data(_named(data))
            with pytensor_config.change_flags(mode=QUICK) if density.linker == "python" else nullcontext():
                idata = pm.sample(
                    options.draws,
                    tune=options.tune,
                    chains=options.chains,
                    cores=1,
                    random_seed=seed,
                    initvals=begin,
                    init="adapt_diag",
                    progressbar=options.progressbar,
                    quiet=not options.progressbar,
                    compute_convergence_checks=False,
                    nuts_sampler="pymc",
                    nuts={"target_accept": options.target_accept},
                )
        except (SamplingError, RuntimeError, ValueError) as error:
            raise FitError(f"PyMC's sampler failed: {error}") from error
        finally:
            _set_data(before)
    posterior = idata["posterior"].dataset
    if (posterior.sizes["chain"], posterior.sizes["draw"]) != (options.chains, options.draws):
        raise KeyboardInterrupt  # PyMC answers one with the draws so far
    arrays = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in scales.names}
    unconstrained = np.stack(
        [
            [
                join(scales.unconstrained({name: array[c, s] for name, array in arrays.items()}, density.values))
                for s in range(options.draws)
            ]
            for c in range(options.chains)
        ]
    )
    return unconstrained, idata["sample_stats"].dataset


def _named(data: TrainingData) -> dict[str, np.ndarray]:
    """Return data by the names that a builder's model has them under."""
    named = {"train_X": data.X, "train_Y": data.y}
    return named if data.sigma is None else {**named, "train_sd": data.sigma}


def _set_data(named: Mapping[str, Any]) -> None:
    pm.set_data(named, coords={"obs_id": np.arange(len(named["train_Y"]))})
