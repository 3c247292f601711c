"""Leave-one-out predictions of models: of a point by a formula, of draws by their weights."""

__all__ = ["LeaveOneOutMixin", "log_densities", "of_draws", "with_log_densities"]

import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.components import TOTAL
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.leave_one_out import LeaveOneOut, leave_one_out, reliable_k
from pymc_botorch.inference.left_out import left_out
from pymc_botorch.inference.sampling.methods.importance import MIN_DRAWS
from pymc_botorch.inference.sampling.pointwise import with_pointwise
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.state import State

if TYPE_CHECKING:
    import xarray as xr


class LeaveOneOutMixin:
    """Predictions of the training observations, each given the others."""

    @property
    @abstractmethod
    def state(self) -> State:
        """What the model is conditioned on."""

    @property
    @abstractmethod
    def outcome_name(self) -> str:
        """Name of the outcome."""

    def leave_one_out(self, *, raw: bool = True) -> LeaveOneOut:
        """Return what the model predicts of each training observation given all others, with the same hyperparameters.

        They are not fitted again, so that predictions from few observations look a little better than they are; nor is what
        the model computes from its data. Of an exact gp the predictions follow from the inverse of the covariance of the
        observations (no refit, ``n³`` operations); a sparse approximation is conditioned ``n`` times. They are the same as
        ``posterior(x_i, observation_noise=True)`` of the model given the others, but that an observation has its own noise
        where this differs. Observations are of the sum: the model of a component gives the predictions of its total.

        Args:
            raw: Whether the result is in raw units, through the outcome transform, which must be affine
                (``Standardize``). False gives the units of the gp, which any transform allows: PIT and coverage
                are the same in both.

        Returns:
            Mean, sd of the observation, standardised residual, PIT, log density and coverage, with a table
            (``to_frame()``) and a figure (``plot()``).

        Raises:
            UnsupportedError: If the outcome transform is not affine and ``raw``; for a latent gp; if the model was
                conditioned on more observations.
            ModelFittingError: If a covariance cannot be factorised.
        """
        gp = _observed(self.state)
        return _summary(self.state, gp, self.outcome_name, raw=raw, weighted=False)


def of_draws(state: State, draws: Mapping[str, np.ndarray], outcome: str, *, raw: bool) -> LeaveOneOut:
    """Return the predictions averaged over posterior draws ``S x ...``, weighed so that each observation is left out.

    Warns:
        UserWarning: If weights cannot be relied on.
    """
    gp = _observed(state)
    if not draws:  # a model without hyperparameters
        return _summary(state, gp, outcome, raw=raw, weighted=False)
    S = len(next(iter(draws.values())))
    found = _summary(state, gp.with_draws_of_model(draws, S), outcome, raw=raw, weighted=True)
    limit, k = reliable_k(S), found.pareto_k
    if S < MIN_DRAWS:
        problem = f"There are only {S} draws, too few to leave an observation out of them by weights"
        advice = f"Give from_fitted, or fit, {MIN_DRAWS} or more; a state that was loaded has only the draws that the model kept."
    elif k is not None and not (k < limit).all():
        bad = np.flatnonzero(~(k < limit))[np.argsort(-np.nan_to_num(k[~(k < limit)], nan=np.inf))]  # the worst first
        rows = ", ".join(f"{i}: {k[i]:.2f}" for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
        problem = (
            f"Pareto k of the weights that leave an observation out is not below {limit:.2f} for {len(bad)} of {len(k)} "
            f"observations (row {rows}), whose predictions are not to be trusted"
        )
        advice = "Fit the model without these rows, and predict them."
    else:
        return found
    warnings.warn(f"{problem}. {advice}", UserWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    return found


def log_densities(state: State, draws: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the log density of each observation given the others in each of ``S`` draws, ``S x n``, in units of the gp."""
    gp = _observed(state)
    return left_out(gp.with_draws_of_model(draws, len(next(iter(draws.values()))))).log_density


def with_log_densities(state: State, idata: "xr.DataTree", **units: float) -> "xr.DataTree":
    """Return ArviZ data of a model's draws with log densities and replicates of the observations, where the gp has them.

    They are in the units of the gp, or of ``offset`` and ``scale`` as :func:`with_pointwise` takes them.
    """
    draws = stack_draws(idata)
    if draws is None or state.fitted.is_latent or state.fitted.num_signs or state.is_given_more:
        return idata
    return with_pointwise(idata, _observed(state).with_draws_of_model(draws.arrays, draws.count), **units)


def _observed(state: State) -> FittedGP:
    """Return the gp whose function the observations are of."""
    if state.fitted.is_latent:
        raise UnsupportedModelError(
            "The gp is latent: its outcomes are not the function plus Gaussian noise. Take arviz.loo of the PyMC model's draws, "
            "after pm.compute_log_likelihood."
        )
    if state.fitted.kind == "shaped":
        raise UnsupportedModelError(
            "The derivatives of a MonotoneGP were drawn given all observations, and would have to be drawn anew without each. "
            "Take leave_one_out of the same gp without signs."
        )
    if state.is_given_more:
        raise UnsupportedModelError(
            "This model was conditioned on more observations, which leave_one_out does not leave out. Take that of the model "
            "which it came from, or of one fitted to all data."
        )
    return state.part(TOTAL) if state.fitted.kind == "component" else state.fitted


def _summary(state: State, gp: FittedGP, outcome: str, *, raw: bool, weighted: bool) -> LeaveOneOut:
    scale: Any = state.outcome_scale
    if raw and scale.transform is not None:
        raise UnsupportedModelError(
            f"The outcome transform {type(scale.transform).__name__} is not linear, so that predictions in raw units are not "
            "normal. Take model.leave_one_out(raw=False), which plot_leave_one_out draws, too: PIT and coverage are the same in "
            "the units of the gp."
        )
    units = {"offset": scale.offset, "scale": scale.scale} if raw else {"offset": 0.0, "scale": 1.0}
    is_raw = scale.transform is None and (scale.offset, scale.scale) == (units["offset"], units["scale"])
    name = outcome if is_raw else f"{outcome}, in the units of the gp"
    with botorch_errors():
        return leave_one_out(gp.y, left_out(gp), weighted=weighted, outcome=name, **units)
