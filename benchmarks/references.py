"""Reference runs of the default model's hyperposterior: two independent runs of tempered SMC for each data set, pooled.

Independent of the package's samplers, and the SMC of its density, which must agree with that of :mod:`default_gp`; the sampler is that of
:mod:`tempering`. What two runs disagree in is kept with the reference: where it is more than 0.02 of the function's sd, the
reference is called uncertain. Runs of 20,000 particles (10,000 from 50 observations up) that disagree in more than 0.03 are made
again with three times as many. From seven inputs up, where SMC of this size was seen to be off by 0.16 sd in all runs alike, they
are 8 chains of 20,000 draws by NUTS, with R-hat below 1.01, of up to 50 observations (more take an hour).

``python benchmarks/references.py FOLDER`` makes those of all sixty data sets; ``--only N`` the first N.
"""

import argparse
import pathlib
import tempfile
import time
import warnings
from typing import NamedTuple

import numpy as np
from default_gp import DefaultGP, Moments, mixture
from ordinary_data import DataSet, ordinary_data
from tempering import smc
from threadpoolctl import threadpool_limits

from pymc_botorch import FullyBayesianPyMCGP, config

FOLDER = pathlib.Path(tempfile.gettempdir()) / "pymc_botorch_references"
FOR_FUNCTION = 10_000
LONG_CHAINS_FROM, LONG_CHAINS_TO, MAX_R_HAT = 7, 50, 1.01  # inputs, observations
MAX_DISAGREEMENT, LARGER_FROM = 0.02, 0.03
RUNS = 2


class Reference(NamedTuple):
    """Summaries of pooled runs, and how far these are from each other.

    Attributes:
        mean: Means of the unconstrained hyperparameters, ``D``.
        sd: Their sds, ``D``.
        function: Mean and sd of the function at the new points, ``m``.
        log_evidence: Log evidence of each run, up to a constant that all data of one shape share.
        disagreement: Root mean square over the new points between the two runs' mean and sd of the function, the larger, in sds.
        disagreement_of_parameters: The largest between the runs' means of hyperparameters, in sds.
    """

    mean: np.ndarray
    sd: np.ndarray
    function: Moments
    log_evidence: np.ndarray
    disagreement: float
    disagreement_of_parameters: float

    @property
    def is_uncertain(self) -> bool:
        """Whether the runs disagree more than a reference may."""
        return self.disagreement > MAX_DISAGREEMENT


def reference(data: DataSet, folder: pathlib.Path = FOLDER) -> Reference:
    """Return the reference of a data set, from the folder where it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{data.name}.npz"
    gp = DefaultGP(data.X.numpy(), data.Y[:, 0].numpy())
    if path.exists() and np.array_equal((kept := np.load(path))["Y"], gp.y):
        return _pooled(kept["parameters"], kept["function"], kept["log_evidence"])
    found = _pooled(*(made := _runs(gp, data, larger=1)))
    if found.disagreement > LARGER_FROM:
        found = _pooled(*(made := _runs(gp, data, larger=3)))
    if gp.X.shape[1] >= LONG_CHAINS_FROM and gp.n <= LONG_CHAINS_TO and (chains := _long_chains(gp, data)) is not None:
        found = _pooled(*(made := chains))
    parameters, function, log_evidence = made
    np.savez(path, Y=gp.y, parameters=parameters, function=function, log_evidence=log_evidence)
    return found


def _runs(gp: DefaultGP, data: DataSet, *, larger: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means and sds of independent runs, of parameters and of the function, and their log evidences."""
    runs = [smc(gp, np.random.default_rng([7, larger, run]), larger=larger) for run in range(RUNS)]
    parameters, functions = [], []
    for particles, _ in runs:
        parameters.append(np.stack([particles.mean(0), particles.std(0)]))
        spaced = particles[:: max(1, len(particles) // FOR_FUNCTION)]
        functions.append(np.stack(gp.mixture(spaced, np.ones(len(spaced)), data.X_new.numpy())))
    log_evidence = np.array([log_evidence for _, log_evidence in runs])
    return np.array(parameters), np.array(functions), log_evidence


def _long_chains(gp: DefaultGP, data: DataSet) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the same of two times four chains of NUTS; None where they have not mixed."""
    with warnings.catch_warnings(), config.change_flags(linker="numba"):
        warnings.simplefilter("ignore")
        model = FullyBayesianPyMCGP(data.X, data.Y).fit("nuts", draws=20_000, tune=2_000, chains=8, seed=7, progressbar=False)
    if not model.fit_result.r_hat < MAX_R_HAT:
        return None
    posterior = model.idata["posterior"]
    lengthscale, mean, noise = (posterior[name].to_numpy() for name in ("lengthscale", "mean", "noise"))
    parameters, functions = [], []
    for half in (slice(0, 4), slice(4, 8)):
        flat = (part[half].reshape(-1, *part.shape[2:]) for part in (lengthscale, mean, noise))
        U = gp.unconstrained(*flat)
        parameters.append(np.stack([U.mean(0), U.std(0)]))
        spaced = U[:: max(1, len(U) // FOR_FUNCTION)]
        functions.append(np.stack(gp.mixture(spaced, np.ones(len(spaced)), data.X_new.numpy())))
    return np.array(parameters), np.array(functions), np.full(2, np.nan)


def errors(found: Moments, true: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of mean and sd at each point, in true sds."""
    return np.abs(found.mean - true.mean) / true.sd, np.abs(found.sd - true.sd) / true.sd


def root_mean_square(values: np.ndarray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def _pooled(parameters: np.ndarray, functions: np.ndarray, log_evidence: np.ndarray) -> Reference:
    """Return the reference of runs' means and sds, ``runs x 2 x D`` and ``runs x 2 x m``."""
    hyper, function = (mixture(Moments(part[:, 0], part[:, 1]), np.ones(len(part))) for part in (parameters, functions))
    first, second = (Moments(*run) for run in functions[:2])
    apart = errors(first, Moments(second.mean, function.sd))[0], np.abs(first.sd - second.sd) / function.sd
    of_parameters = np.abs(parameters[0, 0] - parameters[1, 0]) / hyper.sd
    worst = max(root_mean_square(apart[0]), root_mean_square(apart[1]))
    return Reference(hyper.mean, hyper.sd, function, log_evidence, worst, float(of_parameters.max()))


def main() -> None:
    """Make the references that are missing, one after another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path, nargs="?", default=FOLDER)
    parser.add_argument("--only", type=int, help="the first so many data sets")
    options = parser.parse_args()
    with threadpool_limits(1):
        for data in ordinary_data()[: options.only]:
            began = time.perf_counter()
            made = reference(data, options.folder)
            print(
                f"{data.name:<26} {time.perf_counter() - began:6.1f} s   runs apart: function {made.disagreement:.3f} sd, "
                f"hyperparameters {made.disagreement_of_parameters:.3f} sd, log evidence {np.ptp(made.log_evidence):.2f}"
                f"{'   uncertain' if made.is_uncertain else ''}",
                flush=True,
            )


if __name__ == "__main__":
    main()
