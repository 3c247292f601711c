"""Outcome constraints in acquisition functions of samples: each sample's utility is weighed by how feasible its outcomes are.

A constraint has a slack, positive where it is met, in units of the temperature that smooths the step between.
"""

__all__ = ["constrained", "log_fatmoid", "weigh"]

import functools

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.acquisition import formulas
from pymc_botorch.graph.acquisition.formulas import SamplesFormula

INFLECTION = np.sqrt(1 / 3)


def log_fatmoid(slack: TensorVariable) -> TensorVariable:
    """Return the logarithm of a smooth step from 0 to 1, which falls like ``1 / x²`` (Ament et al. 2023, appendix A.4).

    With ``c(x) = 1 / (1 + x²)`` it is ``2/3 c(x - m)`` below zero and ``1 - 2/3 c(x + m)`` above, ``m² = 1/3``.
    """
    below, above = pt.minimum(slack, 0.0), pt.maximum(slack, 0.0)
    log_below = np.log(2 / 3) - pt.log1p((below - INFLECTION) ** 2)
    return pt.switch(slack < 0, log_below, pt.log1p(-2 / 3 / (1 + (above + INFLECTION) ** 2)))


def _log_fat(utility: TensorVariable, slack: TensorVariable) -> TensorVariable:
    return utility + log_fatmoid(slack).sum(axis=0)


def _log_slim(utility: TensorVariable, slack: TensorVariable) -> TensorVariable:
    return utility - pt.softplus(-slack).sum(axis=0)


def _slim(utility: TensorVariable, slack: TensorVariable) -> TensorVariable:
    return utility * pt.exp(-pt.softplus(-slack).sum(axis=0))


WEIGHTS = {
    formulas.Q_EXPECTED_IMPROVEMENT: _slim,
    formulas.Q_LOG_EXPECTED_IMPROVEMENT: _log_fat,
    formulas.Q_LOG_EXPECTED_IMPROVEMENT_SLIM: _log_slim,
}
"""Of the formulas whose utilities may be weighed: those that are not negative, or logarithms."""


def weigh(formula: SamplesFormula, utility: TensorVariable, slack: TensorVariable) -> TensorVariable:
    """Return the utility of samples, weighed.

    Args:
        formula: One of :data:`WEIGHTS`.
        utility: That of samples, any shape.
        slack: That of constraints, ``k x`` the same shape.
    """
    return WEIGHTS[formula](utility, slack)


@functools.cache
def constrained(formula: SamplesFormula) -> SamplesFormula:
    """Return a formula of samples of one outcome under ``k`` constraints.

    It is given their slacks ``intercepts + slopes * sample`` last, as two vectors ``k``.

    Args:
        formula: One of :data:`WEIGHTS`.
    """

    def utility(samples: TensorVariable, best: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
        *own, slopes, intercepts = parameters
        along = (slice(None), *[None] * samples.type.ndim)
        return weigh(formula, formula.utility(samples, best, *own), intercepts[along] + slopes[along] * samples)

    def over_points(values: TensorVariable, *parameters: TensorVariable) -> TensorVariable:
        return formula.over_points(values, *parameters[: formula.parameters])

    utility.__qualname__ = f"constrained({formula.utility.__qualname__})"
    return formula._replace(utility=utility, over_points=over_points, vectors=2)
