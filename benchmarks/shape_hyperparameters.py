"""A study in NumPy, without bars: at which hyperparameters should a gp that rises stand?

With the priors of the default model, ``P(rise | ...)`` the probability that all 15 slopes are positive, and ``y`` standardised
outcomes, four maxima are compared, of the log prior and

- ``without signs``: ``log p(y | θ)``, the library's;
- ``joint``: ``log p(y | θ) + log P(rise | y, θ)``, the prior of ``θ`` and function conditioned on the event that it rises;
- ``normalised``: that less ``log P(rise | θ)``, where the prior of ``θ`` is that of functions that rise.

Probabilities are by separation of variables (Genz 1992), means of truncated normals by BoTorch's elliptical slice sampler. Prints mean
errors over the data sets of each case of :mod:`shape_cases`, with those of the plain gp. Run by hand: a minute for each case.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from botorch.utils.probability.lin_ess import LinearEllipticalSliceSampler
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri
from scipy.stats import qmc
from shape_cases import CASES, GRID, NUM_SITES, TRUTHS, observe

SITES, NU, JITTER = np.linspace(0, 1, NUM_SITES), 0.01, 1e-6
UNIFORM = qmc.Sobol(NUM_SITES, seed=0).random(1024)
STARTS = ([-1.0, 0.0, -3.0], [-1.0, 0.0, -1.5], [-2.0, 0.0, -4.0])  # log lengthscale, mean, log variance of the noise
WEIGHTS = {"without signs": (0, 0), "joint": (1, 0), "normalised": (1, 1)}


def log_probability(mean: np.ndarray, cov: np.ndarray) -> float:
    """Return the log probability that a normal vector is positive."""
    L = np.linalg.cholesky(cov)
    normal, total = np.zeros((len(UNIFORM), len(mean))), np.zeros(len(UNIFORM))
    for i in range(len(mean)):
        probability = np.maximum(ndtr((mean[i] + normal[:, :i] @ L[i, :i]) / L[i, i]), 1e-300)
        total += np.log(probability)
        normal[:, i] = -ndtri(np.clip(UNIFORM[:, i] * probability, 1e-300, 1 - 1e-16))
    return float(np.logaddexp.reduce(total) - np.log(len(total)))


class Gp:
    """A gp of variance one given data, at a log lengthscale, a mean and the log variance of the noise."""

    def __init__(self, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
        self.theta, self.scale, self.mean, self.x = theta, np.exp(theta[0]), theta[1], x
        self.factor = cho_factor(self.cov(x, x) + (np.exp(theta[2]) + JITTER) * np.eye(len(x)), lower=True)
        self.residual = y - self.mean
        self.weights = cho_solve(self.factor, self.residual)

    def cov(self, a: np.ndarray, b: np.ndarray, slopes: int = 0) -> np.ndarray:
        """Return covariances; of ``b`` (1) or both (2) slopes instead of values, in prior sds."""
        r = (a[:, None] - b) / self.scale
        return np.exp(-0.5 * r * r) * (1.0, r, 1 - r * r)[slopes]

    def log_density(self) -> float:
        """Return log likelihood plus log prior."""
        L = self.factor[0]
        likelihood = -0.5 * self.residual @ self.weights - np.log(np.diag(L)).sum()
        a, c = (self.theta[0] - np.sqrt(2)) / np.sqrt(3), self.theta[2] + 4
        return float(likelihood - 0.5 * a * a - self.theta[0] - 0.5 * c * c - self.theta[2])

    def slopes(self, *, given_y: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of slopes at sites, with the width of the probit."""
        prior = self.cov(SITES, SITES, 2) + (NU**2 + JITTER) * np.eye(NUM_SITES)
        if not given_y:
            return np.zeros(NUM_SITES), prior
        cross = self.cov(self.x, SITES, 1)
        return cross.T @ self.weights, prior - cross.T @ cho_solve(self.factor, cross)

    def plain(self, points: np.ndarray) -> np.ndarray:
        """Return the mean without signs."""
        return self.mean + self.cov(self.x, points).T @ self.weights

    def rising(self, points: np.ndarray, seed: int, chains: int = 256) -> np.ndarray:
        """Return the mean with signs."""
        mean, cov = self.slopes()
        start = np.maximum(mean, 0) + 0.1 * np.sqrt(np.diag(cov))
        while True:
            torch.manual_seed(seed)
            try:
                sampler = LinearEllipticalSliceSampler(
                    inequality_constraints=(-torch.eye(NUM_SITES).double(), torch.zeros(NUM_SITES, 1).double()),
                    interior_point=torch.from_numpy(start)[:, None],
                    mean=torch.from_numpy(mean)[:, None],
                    covariance_matrix=torch.from_numpy(cov),
                    burnin=200,
                    num_chains=chains,
                )
                break
            except IndexError:  # NaN where rounding puts a chain outside its constraints
                seed += 1000
        drawn = sampler.draw(1).numpy().reshape(chains, NUM_SITES).mean(0)
        cross = self.cov(points, SITES, 1) - self.cov(self.x, points).T @ cho_solve(self.factor, self.cov(self.x, SITES, 1))
        return self.plain(points) + cross @ np.linalg.solve(cov, drawn - mean)


def fit(x: np.ndarray, y: np.ndarray, given_y: int, prior: int) -> Gp:
    """Return the gp at the best of the maxima from three starts."""

    def loss(theta: np.ndarray) -> float:
        try:
            gp = Gp(theta, x, y)
            value = gp.log_density()
            value += log_probability(*gp.slopes()) if given_y else 0.0
            return -value + (log_probability(*gp.slopes(given_y=False)) if prior else 0.0)
        except np.linalg.LinAlgError:
            return 1e10

    options = {"maxiter": 300, "xatol": 0.01, "fatol": 0.01}
    found = [minimize(loss, start, method="Nelder-Mead", options=options) for start in STARTS]
    return Gp(min(found, key=lambda one: one.fun).x, x, y)


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    for case in CASES:
        errors: dict[str, list[float]] = {name: [] for name in ("plain", *WEIGHTS)}
        scales: dict[str, list[float]] = {name: [] for name in WEIGHTS}
        truth = TRUTHS[case.truth](GRID[:, 0])
        for seed in range(repeats):
            X, Y = observe(case, seed)
            level, unit = float(Y.mean()), float(Y.std())
            error = _error(truth, level, unit)
            for name, weights in WEIGHTS.items():
                gp = fit(X[:, 0].numpy(), (Y[:, 0].numpy() - level) / unit, *weights)
                if name == "without signs":
                    errors["plain"].append(error(gp.plain(GRID[:, 0])))
                errors[name].append(error(gp.rising(GRID[:, 0], seed)))
                scales[name].append(gp.scale)
        shown = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in errors.items())
        print(f"{case.text:<60} {shown}   lengthscales {[round(float(np.median(v)), 2) for v in scales.values()]}", flush=True)


def _error(truth: np.ndarray, level: float, unit: float) -> Callable[[np.ndarray], float]:
    return lambda values: float(np.sqrt(np.mean((level + unit * values - truth) ** 2)))


if __name__ == "__main__":
    main()
