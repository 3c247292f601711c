"""How a maximum a posteriori (MAP) estimate, and predictions at it, move with the data."""

__all__ = ["Chain", "MapSensitivity", "PredictionSensitivity", "map_sensitivity_at"]

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from pymc_botorch.errors import PACKAGE_FOLDER, DataError, FitWarning
from pymc_botorch.inference.sensitivity.derivatives import ByData, Derivatives
from pymc_botorch.inference.sensitivity.optimum import Maximum, find_maximum
from pymc_botorch.inference.table import table


class Chain(Protocol):
    """The way from data as a user has them to those that a gp sees, and back for derivatives."""

    @property
    def num_inputs(self) -> int:
        """Number of columns of the user's inputs."""

    def inputs(self, X_new: np.ndarray) -> np.ndarray:
        """Return new inputs ``q x d`` as the gp sees them."""

    def pull(self, bars: ByData, X_new: np.ndarray | None = None) -> ByData:
        """Return gradients in the user's data, given those in the gp's and, of predictions, in ``"X_new"`` and units."""

    @property
    def units(self) -> tuple[float, float]:
        """Offset and scale: the outcome of the user is ``offset + scale * f``."""


class PredictionSensitivity(NamedTuple):
    """Mean, variance and sd of the noise-free function at ``q`` points, and how they move with the data.

    Derivatives are total: hyperparameters move with the data, as in a refit (unless they were asked to be frozen).

    Attributes:
        mean: ``q``, in the units of the outcome.
        variance: ``q``, in their square.
        sd: ``q``, in the units of the outcome.
        mean_gradient: Derivatives of ``mean`` by the name of the data: ``q x n x d`` for ``"X"``, ``q x n`` for ``"y"``.
        variance_gradient: The same of ``variance``.
        sd_gradient: The same of ``sd``; NaN where the variance is zero, whose root has no derivative.
    """

    mean: np.ndarray
    variance: np.ndarray
    sd: np.ndarray
    mean_gradient: ByData
    variance_gradient: ByData
    sd_gradient: ByData


class MapSensitivity:
    """Derivatives of a MAP estimate in the data, by the implicit function theorem.

    Attributes:
        wrt: Names of the data.
        point: The estimate on its constrained scale, by name, found to rounding.
        parameters: Derivatives of each parameter by its name, then by the name of the data: ``parameters["ell"]["y"]`` is
            ``ell.shape x n``.
        log_density: Log posterior density at the estimate, as the fit maximised it.
        gradient_norm: Length of its gradient there, which is zero up to rounding.
        eigenvalues: Of the negative second derivatives there, rising; the first is small where the data say little.
        fixed_parameters: Parameters whose density has no maximum, at a boundary of their support or undetermined: they are held
            fixed, with derivatives zero.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP, map_sensitivity
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> found = map_sensitivity(PyMCGP(X, (6 * X).sin()).fit(), wrt=("y",))
        >>> found.parameters["lengthscale"]["y"].shape, found.gradient_norm < 1e-6
        ((1, 8), True)
    """

    def __init__(self, derivatives: Derivatives, maximum: Maximum, wrt: Sequence[str], chain: Chain | None) -> None:
        self._derivatives, self._maximum, self._chain, self.wrt = derivatives, maximum, chain, tuple(wrt)
        self.log_density, self.eigenvalues = maximum.log_density, maximum.eigenvalues
        self.gradient_norm = float(np.linalg.norm(maximum.gradient[maximum.free]))
        self.fixed_parameters = tuple(dict.fromkeys(np.array(derivatives.owners)[~maximum.free].tolist()))
        self.point, in_parameters, in_data = derivatives.constrained(maximum.u)
        rows = [
            self._pulled(self._total(slope, {name: part[t] for name, part in in_data.items()}))
            for t, slope in enumerate(in_parameters)
        ]
        stacked = {name: np.stack([row[name] for row in rows]) for name in self.wrt}
        ends = np.cumsum([value.size for value in self.point.values()])
        self.parameters = {
            name: {by: part[end - value.size : end].reshape(value.shape + part.shape[1:]) for by, part in stacked.items()}
            for (name, value), end in zip(self.point.items(), ends, strict=True)
        }

    def prediction(self, X_new: Any, *, frozen: bool = False) -> PredictionSensitivity:
        """Return mean, variance and sd of the noise-free function at ``q x d`` points, and their total derivatives.

        The points stay where they are. Units are those of the data that derivatives are taken in.

        Args:
            X_new: The points, ``q x d``.
            frozen: Whether hyperparameters stay as they are while the data move, which is not what a refit does.

        Raises:
            DataError: If ``X_new`` is not a finite ``q x d`` array, or the PyMC model scales its inputs itself.

        Example:
            >>> import torch
            >>> from pymc_botorch import PyMCGP, map_sensitivity
            >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
            >>> sensitivity = map_sensitivity(PyMCGP(X, (6 * X).sin()).fit())
            >>> prediction = sensitivity.prediction([[0.25], [0.75]])
            >>> prediction.mean_gradient["y"].shape, prediction.sd_gradient["X"].shape
            ((2, 8), (2, 8, 1))
        """
        if self._derivatives.computes_inputs:
            raise DataError(
                "The PyMC model computes the gp's X from other data (it scales them), so that new inputs would be misread. Scale "
                "the data before they enter the model, and pass new inputs that are scaled alike."
            )
        d = self._derivatives.d if self._chain is None else self._chain.num_inputs
        try:
            X_new = np.array(X_new, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"X_new is not an array of numbers ({error}). Pass at least one point, q x {d}.") from error
        if X_new.ndim != 2 or X_new.shape[1] != d or not len(X_new) or not np.isfinite(X_new).all():
            raise DataError(f"X_new has shape {X_new.shape}. Pass at least one point, q x {d}, of finite numbers.")
        values, of_mean, of_variance = zip(*(self._at(X_new[i : i + 1], frozen) for i in range(len(X_new))), strict=True)
        mean, variance = np.array(values).T
        mean_gradient, variance_gradient = (
            {name: np.stack([part[name] for part in parts]) for name in self.wrt} for parts in (of_mean, of_variance)
        )
        sd = np.sqrt(variance)
        twice = 2.0 * np.where(variance > 0, sd, np.nan)
        sd_gradient = {name: (part.T / twice).T for name, part in variance_gradient.items()}
        return PredictionSensitivity(mean, variance, sd, mean_gradient, variance_gradient, sd_gradient)

    def __repr__(self) -> str:
        """Return the table of what a person reads."""
        rows = {
            "parameters": ", ".join(f"{name} = {np.array2string(value, precision=4)}" for name, value in self.point.items()),
            "with respect to": ", ".join(self.wrt),
            "gradient": f"{self.gradient_norm:.1e}",
            "curvature": f"{self.eigenvalues[0]:.3g} to {self.eigenvalues[-1]:.3g}" if self.eigenvalues.size else "none",
            "held fixed": ", ".join(self.fixed_parameters),
        }
        return table("Derivatives of a point (maximum a posteriori) in the data", rows)

    def _at(self, X_new: np.ndarray, frozen: bool) -> tuple[tuple[float, float], ByData, ByData]:
        """Return mean and variance at one point, ``1 x d``, and their total derivatives."""
        offset, scale = (0.0, 1.0) if self._chain is None else self._chain.units
        inputs = X_new if self._chain is None else self._chain.inputs(X_new)
        moments, gradients = [], []
        for power, bars in enumerate(np.eye(2)[:, :, None], start=1):  # of the mean, then of the variance
            *both, slope, direct, X_bar = self._derivatives.predictions(self._maximum.u, inputs, *bars)
            value = float(both[power - 1][0])
            gradient = direct if frozen else self._total(slope, direct)
            total = {name: scale**power * part for name, part in gradient.items()}
            units = {"offset": np.array(2.0 - power), "scale": np.array(power * scale ** (power - 1) * value)}
            gradients.append(self._pulled({**total, **units, "X_new": scale**power * X_bar}, X_new))
            moments.append(scale**power * value)
        return (offset + moments[0], max(moments[1], 0.0)), gradients[0], gradients[1]

    def _total(self, slope: np.ndarray, direct: ByData) -> ByData:
        """Return total derivatives: along the movement of the parameters, by ``slope``, ``D``, and direct ones."""
        return {name: np.tensordot(slope, self._maximum.movement[name], 1) + part for name, part in direct.items()}

    def _pulled(self, bars: ByData, X_new: np.ndarray | None = None) -> ByData:
        """Return derivatives in the user's data from those in the gp's."""
        pulled = bars if self._chain is None else self._chain.pull(bars, X_new)
        return {name: pulled[name] for name in self.wrt}


def map_sensitivity_at(
    derivatives: Derivatives, point: Mapping[str, Any], wrt: Sequence[str], chain: Chain | None = None
) -> MapSensitivity:
    """Return the derivatives of the maximum at a point.

    Args:
        derivatives: Those of the model.
        point: Where an optimiser stopped, in any form that ``from_fitted`` takes.
        wrt: Names of the user's data.
        chain: The way from these to the gp's; None where they are the same.

    Raises:
        DataError: If the point does not fit the model or is no maximum.

    Warns:
        FitWarning: If the density of a parameter has no maximum.
    """
    maximum = find_maximum(derivatives, derivatives.unconstrained(point))
    sensitivity = MapSensitivity(derivatives, maximum, wrt, chain)
    if sensitivity.fixed_parameters:
        values = ", ".join(
            f"{name} = {np.array2string(sensitivity.point[name], precision=3)}" for name in sensitivity.fixed_parameters
        )
        warnings.warn(
            f"The posterior density has no maximum in {values}: it is at a boundary of its support, or neither data nor prior "
            "determine it. It is held fixed, and the derivatives of all else are taken so. Give it a prior that vanishes at the "
            "boundary, such as LogNormal or Gamma(2, ...).",
            FitWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )
    return sensitivity
