"""Mixtures of multivariate Student-t distributions, from which importance sampling proposes, and their fit to weighted draws."""

__all__ = ["Mixture", "joined", "log_sum"]

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln

DEGREES_OF_FREEDOM = 4.0
"""Degrees of freedom of the components: normal tails are too thin for the posteriors of scale parameters."""
SCALE = 0.8
"""Squared scale of a component over the covariance of its draws: the Student-t itself adds a factor of two."""
POINTS_AT_ONCE = 1000
"""Number of points whose distances are computed in one product of matrices: more leave the processor's cache."""
LEAST_SHARE = 0.002
"""Share of the posterior below which a component is dropped."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of ``K`` Student-t distributions over ``D`` numbers.

    Attributes:
        centres: ``K x D``.
        roots: Lower triangular roots of the squared scales, ``K x D x D``.
        shares: Probabilities of the components, ``K``.
    """

    centres: np.ndarray
    roots: np.ndarray
    shares: np.ndarray

    @classmethod
    def of_covariances(cls, centres: np.ndarray, covariances: np.ndarray, shares: np.ndarray) -> Self:
        """Return the mixture with these squared scales, ``K x D x D``."""
        roots = np.stack([_root(covariance) for covariance in covariances])
        return cls(np.asarray(centres), roots, np.asarray(shares) / np.sum(shares))

    def log_density(self, U: np.ndarray) -> np.ndarray:
        """Return the log density at ``S x D`` points."""
        return log_sum(self.log_parts(U))

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Return draws ``S x D``, of each component as many as its share says."""
        D = self.centres.shape[1]
        edges = np.cumsum(self.shares) / self.shares.sum()
        which = np.minimum(np.searchsorted(edges, (np.arange(count) + rng.uniform()) / count), len(edges) - 1)
        scales = np.sqrt(DEGREES_OF_FREEDOM / rng.chisquare(DEGREES_OF_FREEDOM, size=count))
        steps = np.einsum("sij,sj->si", self.roots[which], rng.normal(size=(count, D)))
        return self.centres[which] + scales[:, None] * steps

    def refitted(self, U: np.ndarray, log_weights: np.ndarray, log_parts: np.ndarray | None = None) -> Self:
        """Return the mixture after a step of expectation maximisation on weighted draws ``S x D`` (Cappé et al. 2008).

        A component with few effective draws keeps part of its former scale. ``log_parts`` are those of the draws, where known.
        """
        log_parts = self.log_parts(U) if log_parts is None else log_parts
        belongs = np.exp(log_parts - log_sum(log_parts) + log_weights)  # K x S
        mass = belongs.sum(1)
        kept = np.flatnonzero(mass > LEAST_SHARE * mass.sum())
        D, centres, covariances = U.shape[1], [], []
        for k in kept:
            weights = belongs[k] / mass[k]
            size = 1 / np.square(weights).sum()
            centre = weights @ U
            offsets = U - centre
            trust = size / (size + 2 * D)
            own = SCALE * (offsets.T * weights) @ offsets
            centres.append(centre * trust + (1 - trust) * self.centres[k])
            covariances.append(trust * own + (1 - trust) * self.roots[k] @ self.roots[k].T)
        return self.of_covariances(np.stack(centres), np.stack(covariances), mass[kept])

    def split(self) -> Self:
        """Return the mixture with each component in two halves along its longest axis, which expectation maximisation moves.

        Two halves have the mean and covariance of the component.
        """
        centres, covariances = [], []
        for centre, root in zip(self.centres, self.roots, strict=True):
            axes, sds, _ = np.linalg.svd(root)
            step = 0.6 * sds[0] * axes[:, 0]
            centres += [centre - step, centre + step]
            covariances += 2 * [root @ root.T - (1 - 2 / DEGREES_OF_FREEDOM) * np.outer(step, step)]
        return self.of_covariances(np.stack(centres), np.stack(covariances), np.repeat(self.shares, 2))

    def log_parts(self, U: np.ndarray) -> np.ndarray:
        """Return the log of each component's part of the density at ``S x D`` points, ``K x S``."""
        K, D, nu = *self.centres.shape, DEGREES_OF_FREEDOM
        inverses, constants = self._inverse_roots
        parts = np.empty((K, len(U)))
        for i in range(0, len(U), POINTS_AT_ONCE):
            some = slice(i, i + POINTS_AT_ONCE)
            standard = inverses.reshape(K * D, D) @ U[some].T - np.einsum("kij,kj->ki", inverses, self.centres).reshape(-1, 1)
            square = np.einsum("kds,kds->ks", *2 * [standard.reshape(K, D, -1)])
            parts[:, some] = constants[:, None] - (nu + D) / 2 * np.log1p(square / nu)
        return parts

    @cached_property
    def _inverse_roots(self) -> tuple[np.ndarray, np.ndarray]:
        """The inverses of the roots, ``K x D x D``, and the log density of each component's part at its centre, ``K``."""
        D, nu = self.centres.shape[1], DEGREES_OF_FREEDOM
        constant = gammaln((nu + D) / 2) - gammaln(nu / 2) - D / 2 * np.log(nu * np.pi)
        log_volumes = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(1)
        inverses = np.stack([solve_triangular(root, np.eye(D), lower=True) for root in self.roots])
        return inverses, np.log(self.shares) + constant - log_volumes


def joined(*parts: tuple[float, Mixture]) -> Mixture:
    """Return one mixture of several, each with its share."""
    return Mixture(
        np.concatenate([mixture.centres for _, mixture in parts]),
        np.concatenate([mixture.roots for _, mixture in parts]),
        np.concatenate([share * mixture.shares for share, mixture in parts]),
    )


def log_sum(values: np.ndarray) -> np.ndarray:
    """Return the log of the sum of exponentials over the first axis: SciPy's takes ten times as long for few numbers."""
    if len(values) == 1:
        return values[0]
    largest = np.maximum(values.max(0), np.finfo(np.float64).min)
    with np.errstate(divide="ignore"):
        return np.asarray(largest + np.log(np.exp(values - largest).sum(0)))


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return the lower triangular root of a covariance, made positive definite where rounding left it otherwise."""
    variances = np.maximum(np.diagonal(covariance), 1e-16)
    correlation = covariance / np.sqrt(np.outer(variances, variances))
    for ridge in (1e-9, 1e-6, 1e-3):
        try:
            return np.sqrt(variances)[:, None] * np.linalg.cholesky(correlation + ridge * np.eye(len(variances)))
        except np.linalg.LinAlgError:
            continue
    return np.diag(np.sqrt(variances))
