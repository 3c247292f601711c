"""Reference runs of the default model's hyperposterior: two independent waste-free tempered SMC runs of 40,000 or 80,000
particles.

Independent of the package's samplers and of its density, which must agree with that of :mod:`default_gp`. The particles go from a
normal about the prior with 1.5 times its sd, by the geometric path; the next temperature leaves an effective size of one half;
500 or 2000 of them are resampled and each makes a chain of 40, all states of which are the next particles (Dau & Chopin 2022,
https://arxiv.org/abs/2011.02328). Moves are steps with the population's covariance and differences of two of its members in some
of the coordinates, which jump between modes. The last particles are every tenth state of longer chains. What two runs disagree in
is kept with the reference: where it is more than 0.02 of the function's sd, the reference is called uncertain.

``python benchmarks/references.py FOLDER`` makes those of all sixty data sets; ``--only N`` the first N.
"""

import argparse
import pathlib
import tempfile
import time
from typing import NamedTuple

import numpy as np
from default_gp import DefaultGP, Moments, mixture
from ordinary_data import DataSet, ordinary_data
from scipy.special import logsumexp
from threadpoolctl import threadpool_limits

FOLDER = pathlib.Path(tempfile.gettempdir()) / "pymc_botorch_references"
LENGTH = 40
EFFORT = {50: (2000, 10), 100: (1000, 10)}  # most observations: number of chains, steps between the last particles
FOR_FUNCTION = 10_000
MAX_DISAGREEMENT = 0.02
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
    runs = [smc(gp, np.random.default_rng([7, run])) for run in range(RUNS)]
    parameters, functions = [], []
    for particles, _ in runs:
        parameters.append(np.stack([particles.mean(0), particles.std(0)]))
        spaced = particles[:: max(1, len(particles) // FOR_FUNCTION)]
        functions.append(np.stack(gp.mixture(spaced, np.ones(len(spaced)), data.X_new.numpy())))
    log_evidence = np.array([log_evidence for _, log_evidence in runs])
    np.savez(path, Y=gp.y, parameters=parameters, function=functions, log_evidence=log_evidence)
    return _pooled(np.array(parameters), np.array(functions), log_evidence)


def errors(found: Moments, true: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of mean and sd at each point, in true sds."""
    return np.abs(found.mean - true.mean) / true.sd, np.abs(found.sd - true.sd) / true.sd


def root_mean_square(values: np.ndarray) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def smc(gp: DefaultGP, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return particles ``N x D`` of the posterior, chain after chain, and the log evidence."""
    ancestors, last_thin = next(effort for most, effort in EFFORT.items() if gp.n <= most)
    location, sd = gp.prior_location, 1.5 * gp.prior_sd
    particles = location + sd * rng.normal(size=(ancestors * LENGTH, len(sd)))

    def log_base(U: np.ndarray) -> np.ndarray:
        return -0.5 * np.square((U - location) / sd).sum(-1) - np.log(sd * np.sqrt(2 * np.pi)).sum()

    base, target, temperature, log_evidence = log_base(particles), gp.log_density(particles), 0.0, 0.0
    while temperature < 1:
        ratio = target - base
        step = _next_step(ratio, 1 - temperature)
        temperature = 1.0 if step >= 1 - temperature else temperature + step
        log_weights = step * ratio
        log_evidence += logsumexp(log_weights) - np.log(len(ratio))
        chosen = _systematic(log_weights, len(ratio), rng)
        archive = particles[chosen]
        first = rng.permutation(chosen)[:ancestors]
        state = particles[first], base[first], target[first]
        kept = [state]
        thin = last_thin if temperature == 1 else 1
        for move in range(1, (LENGTH - 1) * thin + 1):
            state = _moved(state, archive, temperature, gp, log_base, rng)
            if move % thin == 0:
                kept.append(state)
        particles, base, target = (np.stack(parts, 1).reshape(-1, *parts[0].shape[1:]) for parts in zip(*kept, strict=True))
    return particles, float(log_evidence)


def _moved(
    state: tuple, archive: np.ndarray, temperature: float, gp: DefaultGP, log_base: object, rng: np.random.Generator
) -> tuple:
    """Return one Metropolis step of all chains."""
    U, base, target = state
    d = U.shape[1]
    if rng.random() < 0.4:
        factor = np.linalg.cholesky(np.cov(archive.T) + 1e-12 * np.eye(d))
        scale = 2.38 / np.sqrt(d) * np.exp(rng.normal(scale=0.7, size=(len(U), 1)))
        step = scale * rng.normal(size=U.shape) @ factor.T
    else:
        one, other = archive[rng.integers(len(archive), size=(2, len(U)))]
        moving = rng.random(U.shape) < rng.choice([0.3, 0.6, 1.0], size=(len(U), 1))
        moving[np.arange(len(U)), rng.integers(d, size=len(U))] = True
        gamma = np.where(rng.random(len(U)) < 0.2, 1.0, 2.38 / np.sqrt(2 * moving.sum(-1)))
        step = moving * (gamma[:, None] * (one - other) + 1e-4 * rng.normal(size=U.shape))
    proposed = U + step
    proposed[:, :-2] = np.where(np.abs(proposed[:, :-2]) < 30, proposed[:, :-2], U[:, :-2])  # exp stays finite: no mass there
    new_base, new_target = log_base(proposed), gp.log_density(proposed)
    ratio = (1 - temperature) * (new_base - base) + temperature * (new_target - target)
    accepted = np.log(rng.random(len(U))) < ratio
    return (
        np.where(accepted[:, None], proposed, U),
        np.where(accepted, new_base, base),
        np.where(accepted, new_target, target),
    )


def _next_step(ratio: np.ndarray, most: float) -> float:
    """Return the increase of the temperature at which the effective size is one half, or ``most``."""

    def share(step: float) -> float:
        return np.exp(2 * logsumexp(step * ratio) - logsumexp(2 * step * ratio)) / len(ratio)

    if share(most) >= 0.5:
        return most
    low, high = 0.0, most
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) >= 0.5 else (low, middle)
    return low


def _systematic(log_weights: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(np.exp(log_weights - logsumexp(log_weights)))
    return np.minimum(np.searchsorted(edges, (rng.random() + np.arange(count)) / count), len(log_weights) - 1)


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
