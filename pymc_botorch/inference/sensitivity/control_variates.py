"""Averages over posterior draws, with standard errors, and with less variance by Stein's identity.

For a smooth function ``phi`` of the ``D`` unconstrained parameters ``u``, and the log posterior density ``L``::

    E[ sum_i d²phi/du_i² + dphi/du_i dL/du_i ] = 0

under the posterior. The term in brackets of ``u_i``, or of ``u_i u_j``, is a number with mean zero that each draw has without
further cost. What a regression on them explains of a series is taken away from it: for a normal posterior and a series that is
quadratic in ``u``, all of it.

References:
    Mira, Solgi & Imparato (2013), Zero variance Markov chain Monte Carlo for Bayesian estimators,
    https://doi.org/10.1007/s11222-012-9344-6
"""

__all__ = ["Average", "ControlVariates", "Order", "average", "choose_fields", "effective_draws"]

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from pymc_botorch.inference.sensitivity.draws import PosteriorDraws

type Order = Literal["quadratic", "linear"] | None

DRAWS_PER_COLUMN = 20
"""Number of effective draws for each control variate: the regression then takes up to a twentieth of them."""
FALLBACKS: Mapping[Order, tuple[Order, ...]] = {"quadratic": ("quadratic", "linear"), "linear": ("linear",), None: ()}


class ControlVariates(NamedTuple):
    """Numbers with mean zero under the posterior.

    Attributes:
        order: Degree of the polynomials that they are made of, or None.
        fields: One of each draw, ``S x C``.
        effective: Number of effective draws.
        note: Why they are of a lower degree than was asked for, or an empty text.
    """

    order: Order
    fields: np.ndarray
    effective: float
    note: str = ""


class Average(NamedTuple):
    """Averages of ``K`` series over draws.

    Attributes:
        value: The averages.
        mcse: Their Monte Carlo standard errors.
        ess: Effective sample sizes: the numbers of independent draws that would give the same errors.
    """

    value: np.ndarray
    mcse: np.ndarray
    ess: np.ndarray


def average(series: np.ndarray, draws: PosteriorDraws, variates: ControlVariates | None = None) -> Average:
    """Return the averages of ``K`` series, ``S x K``, over draws.

    The error of chains is ``sd / sqrt(ess)``. With weights ``w`` that sum to one, and ``r`` what control variates leave of a
    series, it is that of self-normalised importance sampling, ``sqrt(sum w² (r - mean)²)``.

    Args:
        series: One number of each draw, in each column.
        draws: The draws.
        variates: Control variates, or None.
    """
    w = draws.weights
    left, used = series, 0
    if variates is not None and variates.fields.shape[1]:
        left, used = _residual(series, variates.fields, w), variates.fields.shape[1]
    if w is None:
        value = left.mean(0)
        ess, sd = _chain_ess(left, draws.chains), left.std(0, ddof=1)
        mcse = sd / np.sqrt(ess)
    else:
        value = w @ left
        mcse = np.sqrt(np.square(w[:, None] * (left - value)).sum(0) / draws.efficiency)
        variance = w @ np.square(left - value)
        with np.errstate(invalid="ignore", divide="ignore"):
            ess = np.where(mcse > 0, variance / np.square(mcse), draws.efficiency / np.square(w).sum())
    if used and variates is not None:  # coefficients are estimated, too
        share = max(1 - used / variates.effective, 0.5)
        mcse, ess = mcse / np.sqrt(share), ess * share
    return Average(value, mcse, ess)


def choose_fields(draws: PosteriorDraws, slope: np.ndarray, order: Order) -> ControlVariates:
    """Return control variates of the degree that was asked for, or of the largest that the number of draws allows.

    Args:
        draws: The draws.
        slope: Gradient of the log posterior density in the unconstrained parameters at each, ``S x D``.
        order: Degree that was asked for.
    """
    D, effective = slope.shape[1], effective_draws(draws, slope)
    columns: dict[Order, int] = {"quadratic": D + D * (D + 1) // 2, "linear": D}
    chosen = next((one for one in FALLBACKS[order] if DRAWS_PER_COLUMN * columns[one] <= effective), None)
    note = ""
    if chosen != order:
        needed = DRAWS_PER_COLUMN * columns[order]
        note = f"{effective:.0f} effective draws are too few for {order} control variates, which take {needed}"
    return ControlVariates(chosen, _fields(draws, slope, chosen), effective, note)


def effective_draws(draws: PosteriorDraws, slope: np.ndarray) -> float:
    """Return the effective number of draws: of chains, the smallest over the gradient of the log density."""
    if draws.weights is not None:
        return float(draws.efficiency / np.square(draws.weights).sum())
    return float(min(len(slope), _chain_ess(slope, draws.chains).min()))


def _fields(draws: PosteriorDraws, slope: np.ndarray, order: Order) -> np.ndarray:
    """Return the fields, ``S x C``, of parameters that are centred and scaled."""
    S, D = slope.shape
    if order is None:
        return np.empty((S, 0))
    w = np.full(S, 1 / S) if draws.weights is None else draws.weights
    centred = draws.unconstrained - w @ draws.unconstrained
    sd = np.sqrt(w @ np.square(centred))
    sd = np.where(sd > 0, sd, 1.0)
    z, g = centred / sd, slope * sd
    if order == "linear":
        return g
    i, j = np.triu_indices(D)
    return np.hstack([g, 2.0 * (i == j) + z[:, i] * g[:, j] + z[:, j] * g[:, i]])


def _residual(series: np.ndarray, fields: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    """Return what a (weighted) regression on fields, whose means are zero, leaves of series, their means included."""
    S = len(series)
    weights = np.full(S, 1 / S) if w is None else w
    root = np.sqrt(weights)[:, None]
    coefficients, *_ = np.linalg.lstsq(root * (fields - weights @ fields), root * (series - weights @ series), rcond=None)
    return series - fields @ coefficients


def _chain_ess(series: np.ndarray, chains: int) -> np.ndarray:
    """Return the effective sample sizes of the means of ``K`` series ``S x K``."""
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]  # documented, but not exported; slow to import

    by_chain = series.reshape(chains, len(series) // chains, series.shape[1])
    return np.asarray(array_stats.ess(by_chain, chain_axis=0, draw_axis=1, method="mean"))
