"""Posterior draws by the No-U-Turn sampler: nutpie's where it is installed, otherwise PyMC's."""

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

from pymc_botorch.errors import FitError, OutOfTime
from pymc_botorch.graph.compiling.functions import QUICK
from pymc_botorch.inference.fit.budget import Budget
from pymc_botorch.inference.fit.density import Density, flatten
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.inference.training_data import TrainingData

MAX_START_ATTEMPTS = 100
"""Number of points that are tried as the start of a chain."""
JITTER_HALF_WIDTH = 1.0
"""Half the width of the uniform jitter around PyMC's initial point, as in PyMC."""
ARVIZ_STAT_NAMES = {"logp": "lp", "depth": "tree_depth"}
"""ArviZ's names of nutpie's sample statistics, where they differ."""

_pymc_lock = RLock()  # PyMC's sampler reads the data of the model that all fits of one builder share


class NutsOptions(NamedTuple):
    """Options of the sampler.

    Attributes:
        draws: Number of draws per chain after tuning.
        tune: Number of tuning steps per chain, which are not kept.
        chains: Number of chains.
        target_accept: Acceptance probability that the step size is adapted to.
        progressbar: Whether to show a progress bar.
    """

    draws: int
    tune: int
    chains: int
    target_accept: float
    progressbar: bool


def nuts(
    density: Density, data: TrainingData, options: NutsOptions, starts: Sequence[np.ndarray], seed: int, budget: Budget
) -> tuple[WeightedDraws, xr.Dataset]:
    """Return draws of the unconstrained parameters, and the sampler's statistics, ``chain x draw``.

    Args:
        density: Log posterior density with Jacobian.
        data: Training data of the density.
        options: Options of the sampler.
        starts: Unconstrained starts of the chains, in turn; chains beyond them start from PyMC's initial point, jittered.
        seed: Random seed.
        budget: The time there is.

    Raises:
        FitError: If a chain finds no start of finite density, or the sampler fails.
        OutOfTime: If it does not end within the budget.
    """
    rng = np.random.default_rng(seed)
    points = [_finite_start(density, starts[c : c + 1], rng) for c in range(options.chains)]
    sample = _sample_with_nutpie if find_spec("nutpie") is not None else _sample_with_pymc
    unconstrained, stats = sample(density, data, options, points, int(rng.integers(2**31)), budget)
    stacked = unconstrained.reshape(-1, unconstrained.shape[-1])
    return WeightedDraws.unweighted(stacked, stats["lp"].to_numpy().ravel(), chains=options.chains), stats


def _finite_start(density: Density, starts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return the first point of finite density, of ``starts`` and then of jittered initial points."""
    for attempt in range(MAX_START_ATTEMPTS):
        jittered = density.support + rng.uniform(-JITTER_HALF_WIDTH, JITTER_HALF_WIDTH, size=density.support.shape)
        point = starts[attempt] if attempt < len(starts) else jittered
        if np.isfinite(density(point)[0]):
            return point
    raise FitError(
        f"None of {MAX_START_ATTEMPTS} points around PyMC's initial point has a finite log density, so no chain can start. Look "
        "for priors or potentials that contradict each other, or for data far from the scale of the priors."
    )


def _sample_with_nutpie(
    density: Density, data: TrainingData, options: NutsOptions, points: Sequence[np.ndarray], seed: int, budget: Budget
) -> tuple[np.ndarray, xr.Dataset]:
    """Sample with nutpie, from the density that is compiled already: new data compile nothing.

    The chains run one after another, because each evaluation holds Python's lock.
    """
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    D, unused = len(density.support), list(points)
    nutpie_model = from_pyfunc(
        D,
        lambda: density,
        lambda *_: lambda u: {"u": u},
        [np.dtype("float64")],
        [(D,)],
        ["u"],
        make_initial_point_fn=lambda _: unused.pop() if unused else points[0],
    )
    sampler = nutpie.sample(
        nutpie_model,
        draws=options.draws,
        tune=options.tune,
        chains=options.chains,
        cores=1,
        seed=seed,
        save_warmup=False,
        progress_bar=options.progressbar,
        adaptation="low_rank",
        target_accept=options.target_accept,
        blocking=False,  # otherwise an interrupt would return the draws so far
    )
    try:
        idata = sampler.wait(timeout=budget.remaining if np.isfinite(budget.seconds) else None)
    except TimeoutError as error:
        sampler.cancel()
        raise OutOfTime(f"NUTS did not end within the budget of {budget.seconds:.3g} s.") from error
    except RuntimeError as error:
        raise FitError(f"nutpie failed: {error}") from error
    except BaseException:
        sampler.cancel()
        raise
    stats = idata["sample_stats"].dataset
    return idata["posterior"]["u"].to_numpy(), stats.rename({old: new for old, new in ARVIZ_STAT_NAMES.items() if old in stats})


def _sample_with_pymc(
    density: Density, data: TrainingData, options: NutsOptions, points: Sequence[np.ndarray], seed: int, budget: Budget
) -> tuple[np.ndarray, xr.Dataset]:
    """Sample with PyMC, which compiles at each call."""
    scales = density.built.scales

    def check_time(**_: Any) -> None:
        budget.check()

    initial_points = [density.constrained(point) for point in points]
    with _pymc_lock, scales.pm_model as pm_model:
        before = {name: pm_model[name].get_value() for name in _data_by_name(data)}
        try:
            _set_data(_data_by_name(data))
            with pytensor_config.change_flags(mode=QUICK) if density.linker == "numpy" else nullcontext():
                idata = pm.sample(
                    options.draws,
                    tune=options.tune,
                    chains=options.chains,
                    cores=1,
                    random_seed=seed,
                    initvals=initial_points,
                    init="adapt_diag",
                    progressbar=options.progressbar,
                    quiet=not options.progressbar,
                    compute_convergence_checks=False,
                    nuts_sampler="pymc",
                    callback=check_time,
                    nuts={"target_accept": options.target_accept},
                )
        except OutOfTime:
            raise
        except (SamplingError, RuntimeError, ValueError) as error:
            raise FitError(f"PyMC's sampler failed: {error}") from error
        finally:
            _set_data(before)
    posterior = idata["posterior"].dataset
    if (posterior.sizes["chain"], posterior.sizes["draw"]) != (options.chains, options.draws):
        raise KeyboardInterrupt  # PyMC returns the draws so far when it is interrupted
    arrays = {name: posterior[name].transpose("chain", "draw", ...).to_numpy() for name in scales.names}
    unconstrained = np.stack(
        [
            [
                flatten(scales.unconstrained({name: array[c, s] for name, array in arrays.items()}, density.values))
                for s in range(options.draws)
            ]
            for c in range(options.chains)
        ]
    )
    return unconstrained, idata["sample_stats"].dataset


def _data_by_name(data: TrainingData) -> dict[str, np.ndarray]:
    """Return training data by their names in the PyMC model."""
    values = {"train_X": data.X, "train_Y": data.y}
    return values if data.sigma is None else {**values, "train_sd": data.sigma}


def _set_data(values: Mapping[str, Any]) -> None:
    pm.set_data(values, coords={"obs_id": np.arange(len(values["train_Y"]))})
