"""BoTorch's analytic acquisition functions, read as formulas of mean and standard deviation."""

__all__ = ["read_analytic"]

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    LogExpectedImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
)
from botorch.acquisition.analytic import AnalyticAcquisitionFunction, LogProbabilityOfImprovement

from pymc_botorch.graph.acquisition import formulas
from pymc_botorch.graph.acquisition.scores import point_score
from pymc_botorch.models.acquisition.reading import number, read_model
from pymc_botorch.models.acquisition.scores import Score

SMALLEST_VARIANCE = 1e-12
"""Below it BoTorch's analytic acquisition functions take it, in squared units of the outcome."""


def _sign(acqf: AnalyticAcquisitionFunction) -> float:
    return 1.0 if acqf.maximize else -1.0


def _signed_best(acqf: AnalyticAcquisitionFunction) -> list[float]:
    return [_sign(acqf) * number("best_f", acqf.best_f)]


FORMULAS: dict[type[AcquisitionFunction], tuple[Callable, Callable[[AnalyticAcquisitionFunction], Sequence[float]]]] = {
    ExpectedImprovement: (formulas.expected_improvement, _signed_best),
    LogExpectedImprovement: (formulas.log_expected_improvement, _signed_best),
    ProbabilityOfImprovement: (formulas.probability_of_improvement, _signed_best),
    LogProbabilityOfImprovement: (formulas.log_probability_of_improvement, _signed_best),
    UpperConfidenceBound: (formulas.upper_confidence_bound, lambda acqf: [number("beta", acqf.beta)]),
    PosteriorMean: (formulas.posterior_mean, lambda acqf: []),
    PosteriorStandardDeviation: (formulas.posterior_sd, lambda acqf: [_sign(acqf)]),
}
"""By class: its formula, and what that is given beyond mean and sd, of which the mean is that of what is maximised."""


def read_analytic(acqf: AnalyticAcquisitionFunction, q: int) -> Score:
    """Return the score of an analytic acquisition function of one of the classes in ``FORMULAS``.

    Raises:
        UnsupportedError: If it is told something that no formula takes.
    """
    if q != 1:
        raise AssertionError(f"Expected X to be `batch_shape x q=1 x d`, but its q is {q}.")  # as BoTorch's own
    formula, read = FORMULAS[type(acqf)]
    given = [np.array(value) for value in read(acqf)]
    posteriors, scalarized = read_model(acqf.model, acqf.posterior_transform)
    signed = scalarized if isinstance(acqf, PosteriorStandardDeviation) else scalarized.times(_sign(acqf))

    arguments = [[*signed.units(posterior, SMALLEST_VARIANCE), *given] for posterior in posteriors]
    build = partial(_build, formula, len(given))
    return Score(posteriors, build, arguments, log=getattr(acqf, "_log", False), single=True)


def _build(formula: Callable, parameters: int, with_gradient: bool) -> Callable:
    return point_score(formula, parameters, with_gradient=with_gradient)
