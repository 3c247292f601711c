"""BoTorch's Monte Carlo acquisition functions, read as formulas of samples from a posterior with fixed base samples."""

__all__ = ["FORMULAS", "read_monte_carlo", "read_noisy"]

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from botorch.acquisition import (
    MCAcquisitionFunction,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
from botorch.acquisition.objective import IdentityMCObjective, LinearMCObjective
from botorch.sampling import IIDNormalSampler, SobolQMCNormalSampler
from botorch.sampling.get_sampler import get_sampler

from pymc_botorch.graph.acquisition import formulas
from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.noisy import baseline_arrays, noisy_joint_score, noisy_point_score
from pymc_botorch.graph.acquisition.scores import joint_score, sampled_point_score
from pymc_botorch.graph.compiling.functions import Build, as_input
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.models.acquisition.compiled import Score
from pymc_botorch.models.acquisition.reading import Scalarized, number, read_model
from pymc_botorch.models.errors import UnsupportedModelError


class _Reading(NamedTuple):
    """How a class is read: its formula, numbers that this is given, and its incumbents."""

    formula: Callable[[Any], SamplesFormula]
    numbers: Callable[[Any], Sequence[float]] = lambda acqf: ()
    best: Callable[[Any], Any] = lambda acqf: 0.0


def _log_formula(acqf: qLogExpectedImprovement) -> SamplesFormula:
    return formulas.Q_LOG_EXPECTED_IMPROVEMENT if acqf._fat else formulas.Q_LOG_EXPECTED_IMPROVEMENT_SLIM


FORMULAS: dict[type[MCAcquisitionFunction], _Reading] = {
    qExpectedImprovement: _Reading(lambda acqf: formulas.Q_EXPECTED_IMPROVEMENT, best=lambda acqf: acqf.best_f),
    qLogExpectedImprovement: _Reading(
        _log_formula,
        lambda acqf: [number("tau_relu", acqf.tau_relu), number("tau_max", acqf.tau_max)],
        lambda acqf: acqf.best_f,
    ),
    qSimpleRegret: _Reading(lambda acqf: formulas.Q_SIMPLE_REGRET),
    qUpperConfidenceBound: _Reading(
        lambda acqf: formulas.Q_UPPER_CONFIDENCE_BOUND, lambda acqf: [number("beta", acqf.beta_prime)]
    ),
}


def read_monte_carlo(acqf: MCAcquisitionFunction, q: int) -> Score:
    """Return the score of an acquisition function of one of the classes in ``FORMULAS``, for batches of ``q`` points.

    Raises:
        UnsupportedError: If it is told something that no formula takes.
    """
    reading = FORMULAS[type(acqf)]
    formula, numbers = reading.formula(acqf), [np.array(value) for value in reading.numbers(acqf)]
    posteriors, scalarized = read_model(acqf.model, acqf.posterior_transform)
    scalarized, sign = _read_objective(acqf, scalarized)
    z = sign * _base_samples(acqf, q)  # S x q x s
    best = torch.as_tensor(reading.best(acqf)).detach().to(torch.float64).reshape(-1).numpy()
    if len(best) not in (1, len(posteriors)):
        raise UnsupportedModelError(f"best_f has {len(best)} numbers, and not one, or one for each draw.")

    def arguments(posterior: ConditionedPosterior, s: int) -> list[np.ndarray]:
        incumbents = np.full(z.shape[-1], best[s if len(best) > 1 else 0])
        return [*scalarized.units(posterior, 0.0), z[s if len(z) > 1 else 0], incumbents, *numbers]

    def build(with_gradient: bool) -> Build[CutPosterior]:
        return sampled_point_score(formula, with_gradient=with_gradient) if q == 1 else joint_score(formula)

    given = [arguments(posterior, s) for s, posterior in enumerate(posteriors)]
    return Score(posteriors, build, given, log=acqf._log, single=q == 1)


def read_noisy(acqf: qLogNoisyExpectedImprovement, q: int) -> Score:
    """Return the score of a noisy expected improvement, whose incumbents are samples at the points observed.

    Raises:
        UnsupportedError: If it is told something that no formula takes.
    """
    posteriors, scalarized = read_model(acqf.model, acqf.posterior_transform)
    scalarized, sign = _read_objective(acqf, scalarized)
    if not acqf._cache_root:
        raise UnsupportedModelError("It keeps no root of its baseline (cache_root=False).")
    if acqf.X_baseline.ndim != 2:
        raise UnsupportedModelError(f"Its X_baseline has shape {tuple(acqf.X_baseline.shape)}, and not r x d.")
    formula = _log_formula(acqf)
    numbers = [np.array(number(name, getattr(acqf, name))) for name in ("tau_relu", "tau_max")]
    z = sign * _noisy_base_samples(acqf, q)  # S x (r + q) x s
    r = acqf.X_baseline.shape[-2]
    best = acqf._baseline_best_f.detach().to(torch.float64).reshape(z.shape[-1], -1).T.numpy()  # S x s
    roots = acqf._baseline_L.detach().to(torch.float64).reshape(-1, r, r).numpy()
    baseline = acqf.model.read_inputs(acqf.X_baseline)[1].numpy()
    kept = [
        [as_input(array, "int64" if array.dtype.kind == "i" else "float64") for array in posterior(baseline_arrays, baseline)]
        for posterior in posteriors
    ]

    def arguments(posterior: ConditionedPosterior, s: int) -> list[np.ndarray]:
        own = [as_input(array[s if len(array) > 1 else 0]) for array in (z, best)]
        root = as_input(roots[s if len(roots) > 1 else 0])
        return [*scalarized.units(posterior, 0.0), *own, *numbers, root, *kept[s]]

    given = [arguments(posterior, s) for s, posterior in enumerate(posteriors)]

    def build(with_gradient: bool) -> Build[CutPosterior]:
        return noisy_point_score(formula, with_gradient=with_gradient) if q == 1 else noisy_joint_score(formula)

    return Score(posteriors, build, given, log=True, single=q == 1, needs_frozen=False)


def _noisy_base_samples(acqf: qLogNoisyExpectedImprovement, q: int) -> np.ndarray:
    """Return the base samples that BoTorch takes for the baseline and ``q`` points: ``S x (r + q) x s``."""
    with torch.no_grad():
        X = torch.cat([acqf.X_baseline, acqf.X_baseline[:1].expand(q, -1)]).unsqueeze(0)
        posterior = acqf.model.posterior(X, posterior_transform=acqf.posterior_transform)
        acqf._set_sampler(q_in=q, posterior=posterior)
        z = acqf.sampler.base_samples.detach().to(torch.float64)
    return np.ascontiguousarray(z.reshape(len(z), -1, X.shape[-2]).permute(1, 2, 0).numpy())


def _read_objective(acqf: MCAcquisitionFunction, scalarized: Scalarized) -> tuple[Scalarized, float]:
    """Return what is maximised, and the sign that base samples have in it."""
    if getattr(acqf, "_constraints", None) is not None:
        raise UnsupportedModelError("It has outcome constraints.")
    objective = acqf.objective
    if type(objective) is IdentityMCObjective:
        return scalarized, 1.0
    if type(objective) is LinearMCObjective:
        weight = number("a weight", objective.weights)
        return scalarized.times(weight), float(np.sign(weight))
    raise UnsupportedModelError(f"Its objective is a {type(objective).__name__}.")


def _base_samples(acqf: MCAcquisitionFunction, q: int) -> np.ndarray:
    """Return the base samples that BoTorch takes for ``q`` points: ``S x q x s``, or ``1 x q x s`` where draws share them."""
    with torch.no_grad():
        X = acqf.model.state.training.raw_X[:1].expand(1, q, -1)
        posterior = acqf.model.posterior(X, posterior_transform=acqf.posterior_transform)
        if acqf.sampler is None:
            acqf.sampler = get_sampler(posterior, sample_shape=acqf._default_sample_shape)
        sampler = acqf.sampler
        if not isinstance(sampler, SobolQMCNormalSampler | IIDNormalSampler) or len(sampler.sample_shape) != 1:
            raise UnsupportedModelError(f"Its sampler is a {type(sampler).__name__}.")
        sampler._construct_base_samples(posterior)
        z = sampler.base_samples.detach().to(torch.float64)
    return np.ascontiguousarray(z.reshape(len(z), -1, q).permute(1, 2, 0).numpy())
