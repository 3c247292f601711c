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
from botorch.models import ModelListGP

from pymc_botorch.graph.acquisition import formulas
from pymc_botorch.graph.acquisition.blocks import baseline_arrays
from pymc_botorch.graph.acquisition.constraints import constrained
from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.noisy import noisy_joint_score, noisy_point_score
from pymc_botorch.graph.acquisition.scores import joint_score, sampled_point_score
from pymc_botorch.graph.compiling.functions import Build
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.models.acquisition.base_samples import base_samples, noisy_base_samples
from pymc_botorch.models.acquisition.linear import Spread
from pymc_botorch.models.acquisition.model_list import Sampling, read_list
from pymc_botorch.models.acquisition.objectives import read_objective, spread_of
from pymc_botorch.models.acquisition.reading import Scalarized, check_models, number, read_model
from pymc_botorch.models.acquisition.scores import AbstractScore, Score
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import UnsupportedModelError


class _Reading(NamedTuple):
    """How a class is read: its formula, numbers that this is given, and its incumbents."""

    formula: Callable[[Any], SamplesFormula]
    numbers: Callable[[Any], Sequence[float]] = lambda acqf: ()
    best: Callable[[Any], Any] = lambda acqf: 0.0


def _log_formula(acqf: qLogExpectedImprovement) -> SamplesFormula:
    if not isinstance(acqf._fat, bool):
        raise UnsupportedModelError(f"Its fat is {acqf._fat}, and not True or False.")
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


def read_monte_carlo(acqf: MCAcquisitionFunction, q: int) -> AbstractScore:
    """Return the score of an acquisition function of one of the classes in ``FORMULAS``, for batches of ``q`` points.

    Raises:
        UnsupportedError: If it is told something that no formula takes.
    """
    check_models(acqf.model)
    reading = FORMULAS[type(acqf)]
    numbers = [np.array(value) for value in reading.numbers(acqf)]
    z = base_samples(acqf, q)  # S x m x q x s
    best = torch.as_tensor(reading.best(acqf)).detach().to(torch.float64).reshape(-1, 1).numpy()
    return _read(acqf, Sampling(reading.formula(acqf), numbers, z, np.repeat(best, z.shape[-1], axis=1)), q)


def read_noisy(acqf: qLogNoisyExpectedImprovement, q: int) -> AbstractScore:
    """Return the score of a noisy expected improvement, whose incumbents are samples at the points observed.

    Raises:
        UnsupportedError: If it is told something that no formula takes.
    """
    check_models(acqf.model)
    if not acqf._cache_root:
        raise UnsupportedModelError("It keeps no root of its baseline (cache_root=False). Make it without that argument.")
    if acqf.X_baseline.ndim != 2:
        raise UnsupportedModelError(f"Its X_baseline has shape {tuple(acqf.X_baseline.shape)}, and not r x d.")
    numbers = [np.array(number(name, getattr(acqf, name))) for name in ("tau_relu", "tau_max")]
    z = noisy_base_samples(acqf, q)  # S x m x (r + q) x s
    m, r = z.shape[1], acqf.X_baseline.shape[-2]
    best = acqf._baseline_best_f.detach().to(torch.float64).reshape(z.shape[-1], -1).T.numpy()  # S x s
    roots = acqf._baseline_L.detach().to(torch.float64).reshape(-1, m, r, r).numpy()
    return _read(acqf, Sampling(_log_formula(acqf), numbers, z, best, roots, acqf.X_baseline), q)


def _read(acqf: MCAcquisitionFunction, sampling: Sampling, q: int) -> AbstractScore:
    """Return the score: of one outcome in one function, of several in one for each and one of all.

    Raises:
        UnsupportedError: If what is maximised, or a constraint, is not served.
    """
    if type(acqf.model) is ModelListGP:
        return read_list(acqf, sampling)
    posteriors, scalarized = read_model(acqf.model, acqf.posterior_transform)
    sampling.check_draws(len(posteriors))
    read = read_objective(acqf, _spread(acqf.model, scalarized), acqf.model.state.training.raw_X).of_itself()
    scalarized, formula = scalarized.then(read.objective), sampling.formula
    numbers = [*sampling.numbers]
    if read.has_constraints:
        formula = constrained(formula)
        numbers += [read.slopes[:, 0], read.intercepts]
    weight = read.objective.weights[0]
    sign = np.sign(weight)  # which base samples have in what is maximised
    has_baseline = sampling.X_baseline is not None
    if has_baseline and weight == 0:
        raise UnsupportedModelError("Its objective has a weight of zero.")
    kept: Sequence[Sequence[np.ndarray]] = [()] * len(posteriors)
    if has_baseline:
        baseline = acqf.model.read_inputs(sampling.X_baseline)[1].numpy()
        kept = [posterior.arrays(baseline_arrays, baseline) for posterior in posteriors]

    def arguments(posterior: ConditionedPosterior, s: int) -> list[np.ndarray]:
        z, best, roots = sampling.of_draw(s)
        return [
            *scalarized.units(posterior, 0.0),
            sign * z[0],
            best,
            *numbers,
            *(abs(weight) * root[0] for root in roots),  # in the units of what is maximised
            *kept[s],
        ]

    def build(with_gradient: bool) -> Build[CutPosterior]:
        if q > 1:
            return (noisy_joint_score if has_baseline else joint_score)(formula)
        make = noisy_point_score if has_baseline else sampled_point_score
        return make(formula, with_gradient=with_gradient)

    given = [arguments(posterior, s) for s, posterior in enumerate(posteriors)]
    return Score(posteriors, build, given, log=acqf._log, single=q == 1, needs_frozen=not has_baseline)


def _spread(model: AbstractPyMCGP, scalarized: Scalarized) -> Spread:
    """Return where what the objective is given is."""
    centre, scale = spread_of([model])
    return Spread(scalarized.offset + scalarized.weight * centre, (abs(scalarized.weight) or 1.0) * scale)
