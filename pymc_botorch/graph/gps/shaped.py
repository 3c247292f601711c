"""Gps with knowledge of shape: signs of their derivatives at sites, and measured slopes.

A derivative of a Gaussian process is Gaussian together with it, so that the function given outcomes *and* derivatives is an
exact gp: outcomes and derivatives are stacked, with covariances from the kernel, differentiated by PyTensor. Signs enter as in
Riihimaki and Vehtari (2010): derivatives ``g`` at the sites, which nobody has measured, have the likelihood ``Phi(g / nu)`` each.
"""

__all__ = ["MonotoneGP"]

from collections.abc import Sequence
from copy import copy
from typing import Any, NoReturn, Self

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.gp.util import JITTER_DEFAULT, stabilize
from pytensor.tensor.linalg import cholesky, solve_triangular
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.conditioning import factorised
from pymc_botorch.graph.gps.derivatives import (
    Derivative,
    Observed,
    check_derivatives,
    check_matrix,
    derivative_covariance,
    derivative_mean,
    index_columns_of_kernel,
    measured_slopes,
)
from pymc_botorch.graph.gps.signs import Signs, is_only_marginal
from pymc_botorch.graph.gps.sites import checked_sites, default_sites

NUGGET = 1e-3
"""Sd of the noise of derivatives that carry signs, of their prior sd: without it those of close sites have no factor."""
LARGE = 20.0
"""Standard normal number whose log probability is zero in float64; PyMC's has no finite gradient far above it."""


class MonotoneGP(pm.gp.Marginal):
    """A ``pm.gp.Marginal`` of a function that rises or falls, is convex or concave, or whose slopes were measured.

    Inside a ``pm.Model`` it is used as ``pm.gp.Marginal``: ``marginal_likelihood``, ``conditional``, ``predict`` (at a point that
    has the derivatives, too). The signs hold at sites; between sites they hold as far as the kernel is smooth, which
    ``model.prob_monotone`` checks. The derivatives are parameters given the outcomes, so that the marginal likelihood of the
    outcomes stays that of the gp without signs: ``FullyBayesianPyMCGP.fit`` takes the hyperparameters from it. ``pm.sample`` and
    ``pm.find_MAP`` take the signs as part of the density, which favours long lengthscales.

    Args:
        mean_func: As of ``pm.gp.Marginal``.
        cov_func: As of ``pm.gp.Marginal``, differentiable: ``ExpQuad`` or ``Matern52``; for curvatures ``ExpQuad``.
        increasing: Columns of ``X`` in which the function does not fall.
        decreasing: Columns in which it does not rise.
        convex: Columns along which it is convex.
        concave: Columns along which it is concave.
        nu: Width of the probit, as a share of the derivative's prior sd.

    Raises:
        UnsupportedGPError: If functions of this covariance have no such derivative.
        DataError: If a column has both signs.

    References:
        Riihimaki and Vehtari (2010), Gaussian processes with monotonicity information,
        https://proceedings.mlr.press/v9/riihimaki10a.html

    Example:
        >>> import numpy as np, pymc as pm
        >>> from pymc_botorch.shape import MonotoneGP
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model() as pm_model:
        ...     gp = MonotoneGP(cov_func=pm.gp.cov.ExpQuad(1, ls=0.3), increasing=[0])
        ...     y_ = gp.marginal_likelihood("y", X, np.tanh(5 * X[:, 0]), sigma=0.1)
        >>> [variable.name for variable in (*pm_model.deterministics, *pm_model.potentials)]
        ['y_slopes', 'y_signs']
    """

    signs: Signs | None = None

    def __init__(
        self,
        *,
        mean_func: Any = None,
        cov_func: Any = None,
        increasing: Sequence[int] = (),
        decreasing: Sequence[int] = (),
        convex: Sequence[int] = (),
        concave: Sequence[int] = (),
        nu: float = 0.001,
    ) -> None:
        super().__init__(
            mean_func=pm.gp.mean.Zero() if mean_func is None else mean_func,
            cov_func=pm.gp.cov.Constant(0.0) if cov_func is None else cov_func,
        )
        given = ((increasing, 1, 1.0), (decreasing, 1, -1.0), (convex, 2, 1.0), (concave, 2, -1.0))
        if not all(np.iterable(columns) for columns, _, _ in given):
            raise DataError("increasing, decreasing, convex and concave are columns. Pass a list of each, such as [0].")
        self.kinds = tuple(Derivative(j, order, sign) for columns, order, sign in given for j in columns)
        if len({(kind.column, kind.order) for kind in self.kinds}) < len(self.kinds):
            raise DataError("A column is named twice, or with both signs. Name it once, as one that rises or one that falls.")
        if not isinstance(nu, int | float) or not 0 < nu < 1:
            raise DataError(f"nu is {nu}. Pass the width of the probit as a share of the derivative's prior sd, such as 0.001.")
        check_derivatives(self.cov_func, self.kinds)
        self.nu: float = float(nu)
        self.measured: list[Observed] = []
        self.at: Any = None

    def __add__(self, other: Any) -> NoReturn:
        """Refuse a sum, which would lose the signs."""
        raise UnsupportedGPError("A MonotoneGP is no part of a sum. Add the kernels instead, cov_func=one + other.")

    __radd__ = __add__

    def marginal_likelihood(
        self,
        name: str,
        X: Any,
        y: Any,
        sigma: Any,
        jitter: float = JITTER_DEFAULT,
        is_observed: bool = True,
        *,
        at: Any = None,
        slopes: tuple[Any, Any, Any, Sequence[int]] | None = None,
        **kwargs: Any,
    ) -> TensorVariable:
        """Return the marginal likelihood of the outcomes, as ``pm.gp.Marginal`` does.

        Other data of the model, by ``pm.set_data``, do not move sites that are taken from ``X`` here.

        Args:
            name: Name of the outcomes. The derivatives at the sites are ``{name}_slopes``, times their signs.
            X: Inputs, ``n x d``.
            y: Outcomes, ``n``.
            sigma: Sd of their noise, as of ``pm.gp.Marginal``.
            jitter: As of ``pm.gp.Marginal``.
            is_observed: As of ``pm.gp.Marginal``.
            at: Sites of the signs, ``m x d``, an array or ``pm.Data``, in the units of ``X`` here: in a ``build_gp`` in scaled
                units, of the unit cube. None takes a grid over the range of ``X``, or over the unit interval where ``X`` is in it
                and covers half of it. Pass one over the bounds of the search where they are wider.
            slopes: Measured slopes ``(X_g, g, sigma_g, columns)``: where, ``m x d``; what, ``m x k`` (or ``m`` of one column); sd
                of their noise, a number or in that shape; along which ``k`` columns of ``X``. They are in the units of ``y`` and
                ``X`` here.
            **kwargs: As of ``pm.gp.Marginal``.

        Raises:
            DataError: If sites or measured slopes are of other shapes, or not finite; if ``cov_func`` takes another number of
                columns than ``X`` has.
        """
        if self.kinds or slopes is not None:
            check_matrix(self.cov_func, X)
        if at is not None:
            checked_sites(at, self.cov_func.input_dim)
        measured = [] if slopes is None else [measured_slopes(slopes, self.cov_func)]
        outcomes = super().marginal_likelihood(name, X, y, sigma, jitter, is_observed, **kwargs)
        given = (pt.as_tensor_variable(self.X), pt.as_tensor_variable(self.y), self.sigma, jitter)
        self.measured, self.at, self.signs = [], at, None
        for part in measured:
            mean, cov = self._derivatives(part, *given)
            pm.MvNormal(f"{name}_measured_slopes", mu=mean, cov=cov, observed=part.values)
        self.measured = measured
        if self.kinds:
            self._add_signs(name, at, *given)
        return outcomes

    def _add_signs(self, name: str, at: Any, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any) -> None:
        d, indices = self.cov_func.input_dim, index_columns_of_kernel(self.cov_func)
        if is_only_marginal():  # whoever reads the gp gives sites and values
            sites, values = pt.matrix("sites", dtype="float64", shape=(None, d)), pt.vector(f"{name}_slopes", dtype="float64")
            self.signs = Signs(f"{name}_slopes", values, values, values, values, self.nu, sites, self.kinds, indices)
        else:
            if at is None:
                at = self.at = default_sites(X.eval(), indices)
            sites = pt.as_tensor_variable(at).astype("float64")
            self.signs = Signs(f"{name}_slopes", sites, sites, sites, sites, self.nu, sites, self.kinds, indices)
            signs = self.signs_given(X, y, noise, jitter)
            whitened = pm.Normal(f"{name}_slopes_rotated_", shape=signs.mean.shape[0])
            values = pm.Deterministic(f"{name}_slopes", signs.mean + cholesky(signs.cov, lower=True) @ whitened)
            standard = pt.minimum(values / (self.nu * signs.scale), LARGE)
            pm.Potential(f"{name}_signs", pt.sum(pm.logcdf(pm.Normal.dist(0.0, 1.0), standard)))
            self.signs = signs._replace(values=values, name=values.name)

    def with_signs_as_inputs(self) -> Self:
        """Return the gp with symbols as sites and values of its derivatives."""
        if self.signs is None:
            return self
        gp = copy(self)
        sites = pt.matrix("sites", dtype="float64", shape=(None, self.cov_func.input_dim))
        gp.signs = self.signs._replace(values=pt.vector(self.signs.name, dtype="float64"), sites=sites)
        return gp

    def signs_given(self, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any) -> Signs:
        """Return the derivatives with signs, given other outcomes, noise and jitter."""
        if self.signs is None:
            raise DataError("The gp has no signs yet. Call gp.marginal_likelihood(...) first.")
        (new,) = self._virtual
        mean, cov = self._derivatives(new, X, y, noise, jitter)
        return self.signs._replace(mean=mean, cov=cov, scale=pt.sqrt(new.variance) / NUGGET)

    @property
    def _virtual(self) -> list[Observed]:
        """The derivatives that have signs, with a little noise, as the function is conditioned on them."""
        if self.signs is None:
            return []
        prior = derivative_covariance(self.cov_func, self.kinds, self.signs.sites, self.kinds, self.signs.sites)
        return [Observed(self.signs.sites, self.kinds, self.signs.values, NUGGET**2 * pt.diagonal(prior))]

    def _derivatives(
        self, new: Observed, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any
    ) -> tuple[TensorVariable, TensorVariable]:
        """Return mean and covariance of derivatives, times their signs, given outcomes and what was measured of slopes."""
        cov_func = self.cov_func
        L, residuals, groups = factorised(cov_func, self.mean_func, X, y, noise, jitter, self.measured)
        cross = pt.concatenate(
            [derivative_covariance(cov_func, kinds, sites, new.kinds, new.sites) for kinds, sites in groups], axis=0
        )
        A = solve_triangular(L, cross, lower=True, b_ndim=2)
        half = solve_triangular(L, residuals, lower=True, b_ndim=1)
        mean = derivative_mean(self.mean_func, new.kinds, new.sites) + A.T @ half
        cov = derivative_covariance(cov_func, new.kinds, new.sites, new.kinds, new.sites) - A.T @ A
        return mean, cov + pt.diag(pt.zeros_like(mean) + new.variance)

    def _build_conditional(
        self, Xnew: Any, pred_noise: bool, diag: bool, X: Any, y: Any, noise_func: Any, *rest: Any
    ) -> tuple[TensorVariable, TensorVariable]:
        """Return mean and covariance (of ``diag`` its diagonal) at new inputs, given outcomes and derivatives."""
        cov_total, mean_total, jitter = rest
        if cov_total is not self.cov_func:
            raise UnsupportedGPError("A MonotoneGP is no part of a sum, and takes no given={'gp': ...}.")
        X, y, Xnew = (pt.as_tensor_variable(part) for part in (X, y, Xnew))
        observed = [*self.measured, *self._virtual]
        L, residuals, groups = factorised(self.cov_func, mean_total, X, y, noise_func, jitter, observed)
        values = (Derivative(0, 0),)
        crosses = [
            self.cov_func(X, Xnew),
            *(derivative_covariance(self.cov_func, kinds, Z, values, Xnew) for kinds, Z in groups[1:]),
        ]
        A = solve_triangular(L, pt.concatenate(crosses, axis=0), lower=True, b_ndim=2)
        half = solve_triangular(L, residuals, lower=True, b_ndim=1)
        mean = self.mean_func(Xnew) + A.T @ half
        if diag:
            variance = self.cov_func(Xnew, diag=True) - pt.sum(pt.square(A), 0)
            return mean, variance + noise_func(Xnew, diag=True) if pred_noise else variance
        cov = self.cov_func(Xnew) - A.T @ A
        return mean, cov + noise_func(Xnew) if pred_noise else stabilize(cov, jitter)
