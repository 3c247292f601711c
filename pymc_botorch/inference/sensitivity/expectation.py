"""Derivatives of posterior expectations in the data, by the score function.

Let ``u`` be the unconstrained parameters of a model, ``L(u, h)`` the log of their joint density with the outcomes, Jacobian
included, and ``h`` a number among the data. ``F(h) = E[f(u, h)]`` under the posterior is ``∫ f exp(L) du / ∫ exp(L) du``, and
the quotient rule gives, with the score ``s = dL/dh``, all at fixed ``u``::

    dF/dh = E[df/dh] + Cov(f, s)        E[s] = d log p(y | h) / dh

The estimate is the average of ``df/dh + (f - F)(s - E[s])`` over draws, centred twice: without the second centring the spread of
the series would not be that of the estimate, which has to estimate ``F``, too. Nothing is sampled or fitted again.

References:
    Glynn (1990), Likelihood ratio gradient estimation for stochastic systems, https://doi.org/10.1145/84537.84552
"""

__all__ = ["expectation_gradient_over", "read_order"]

from typing import Any

import numpy as np

from pymc_botorch.errors import DataError, FitError
from pymc_botorch.inference.sensitivity.builds import ExpectationTerms
from pymc_botorch.inference.sensitivity.columns import Columns, columns_of
from pymc_botorch.inference.sensitivity.control_variates import Order, average, choose_fields
from pymc_botorch.inference.sensitivity.derivatives import Derivatives
from pymc_botorch.inference.sensitivity.draws import PosteriorDraws
from pymc_botorch.inference.sensitivity.kinks import check_new_inputs
from pymc_botorch.inference.sensitivity.result import ExpectationGradient

ORDERS = ("quadratic", "linear", None)


def read_order(control_variates: Any) -> Order:
    """Return the degree of control variates that a user asked for.

    Raises:
        DataError: If it is none.
    """
    if control_variates not in ORDERS:
        raise DataError(f"control_variates is {control_variates!r}. Pass 'quadratic', 'linear' or None.")
    return control_variates


def expectation_gradient_over(
    derivatives: Derivatives, draws: PosteriorDraws, order: Order, columns: Columns | None = None
) -> ExpectationGradient:
    """Return the derivatives of an expectation, estimated from draws.

    Args:
        derivatives: Those of the log density, with Jacobian, and of the quantity.
        draws: Posterior draws of the model's parameters.
        order: Degree of the control variates.
        columns: The data to return derivatives in; None takes those of ``derivatives``.

    Raises:
        DataError: If the quantity or a derivative is not finite at a draw, or functions have a kink where they are to be
            differentiated.
        FitError: If the training covariance cannot be factorised at a draw.
    """
    columns = columns_of(derivatives) if columns is None else columns
    if columns.X_name is not None and derivatives.X_name is not None:
        check_new_inputs(derivatives.rough, derivatives.values[derivatives.X_name], derivatives.new_inputs)
    terms = _terms(derivatives, draws)
    S, K = terms.score.shape
    w = np.full(S, 1 / S) if draws.weights is None else draws.weights
    unbiased = S / (S - 1) if draws.weights is None else 1.0
    h = terms.in_data.copy()  # S x K and new inputs, on which the density does not depend
    h[:, :K] += unbiased * (terms.f - w @ terms.f)[:, None] * (terms.score - w @ terms.score)
    scores = columns.pulled(terms.score)
    variates = choose_fields(draws, terms.slope, order)
    (value,), (value_mcse,), _ = average(terms.f[:, None], draws, variates)
    gradient, mcse, ess = average(columns.pulled(h), draws, variates)
    slope, slope_mcse, _ = average(terms.slope, draws)
    stein_z = slope / np.where(slope_mcse > 0, slope_mcse, 1.0)
    owners = np.array(derivatives.owners)
    return ExpectationGradient(
        value=float(value),
        value_mcse=float(value_mcse),
        gradient=columns.by_name(gradient),
        mcse=columns.by_name(mcse),
        ess=columns.by_name(ess),
        evidence_gradient=columns.by_name(average(scores, draws, variates).value),
        X_new_gradient=columns.of_new(gradient),
        stein_z={name: stein_z[owners == name] for name in derivatives.names},
        translation=columns.translation(gradient),
        score_translation=columns.translation_of_scores(scores),
        control_variates=variates.order,
        num_draws=S,
        effective_draws=variates.effective,
        note=variates.note,
    )


def _terms(derivatives: Derivatives, draws: PosteriorDraws) -> ExpectationTerms[np.ndarray]:
    """Return the terms at all draws, with ``S`` as first axis; zeros where a draw has no weight."""
    S, w = len(draws.unconstrained), draws.weights
    counting = np.arange(S) if w is None else np.flatnonzero(w)
    found = [_at_draw(derivatives, draws, int(s)) for s in counting]
    stacked = []
    for parts in zip(*found, strict=True):
        every = np.zeros((S, *np.shape(parts[0])))
        every[counting] = parts
        stacked.append(every)
    return ExpectationTerms(*stacked)


def _at_draw(derivatives: Derivatives, draws: PosteriorDraws, s: int) -> ExpectationTerms[float]:
    try:
        terms = derivatives.expectation_terms(draws.unconstrained[s])
    except FitError as error:
        raise FitError(f"At {draws.label(s)}: {error} Leave this draw out, or give the model more jitter.") from error
    if not np.isfinite(terms.f):
        raise DataError(f"f is {terms.f} at {draws.label(s)}. Pass one that is finite at all draws.")
    if not all(np.isfinite(part).all() for part in terms[1:]):
        raise DataError(f"A derivative of f or of the log density is not finite at {draws.label(s)}. Leave this draw out.")
    return terms
