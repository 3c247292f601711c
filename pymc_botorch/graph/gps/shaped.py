"""Gps with knowledge of shape: signs of their derivatives at sites, and measured slopes.

A derivative of a Gaussian process is Gaussian together with it, so that the function given outcomes *and* derivatives is an
exact gp: outcomes and derivatives are stacked, with covariances from the kernel, differentiated by PyTensor. Signs enter as in
Riihimaki and Vehtari (2010): derivatives ``g`` at the sites, which nobody has measured, have the likelihood ``Phi(g / nu)`` each.
"""

__all__ = ["MonotoneGP", "Signs", "default_sites", "only_marginal"]

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.gp.util import JITTER_DEFAULT, stabilize
from pytensor.gradient import pushforward
from pytensor.graph.replace import graph_replace
from pytensor.tensor.linalg import cholesky, solve_triangular
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.graph.gps.kernels import kernels_in, rough_kernels
from pymc_botorch.graph.gps.values import constant_value
from pymc_botorch.graph.rewrites.differentiable import differentiable_with_random

NUGGET = 1e-3
"""Sd of the noise of derivatives that carry signs, of their prior sd: without it those of close sites have no factor."""
NO_SECOND = "Convexity and concavity need a second derivative that PyMC's kernels have at distance zero: use pm.gp.cov.ExpQuad."

_only_marginal: ContextVar[bool] = ContextVar("only_marginal", default=False)


@contextmanager
def only_marginal() -> Iterator[None]:
    """Build models with the marginal likelihood of the outcomes alone; signs are left to whoever reads the gp."""
    token = _only_marginal.set(True)
    try:
        yield
    finally:
        _only_marginal.reset(token)


class Derivative(NamedTuple):
    """A derivative of a function of ``d`` inputs.

    Attributes:
        column: The input.
        order: 1 for the slope, 2 for the curvature, 0 for the function itself.
        sign: 1 where it is positive, -1 where it is negative.
    """

    column: int
    order: int = 1
    sign: float = 1.0


class Observed(NamedTuple):
    """Derivatives that the function is conditioned on.

    Attributes:
        sites: Where they are, ``m x d``.
        kinds: Which, ``k``.
        values: Their values, times their sign, ``k m``: those of the first kind at all sites come first.
        variance: Variance of their noise, ``k m`` or a number.
    """

    sites: TensorVariable
    kinds: Sequence[Derivative]
    values: TensorVariable
    variance: TensorVariable


class Signs(NamedTuple):
    """Derivatives with a sign, given the outcomes; all times their sign, so that they are positive.

    Attributes:
        name: Name of the parameter that draws have them by.
        values: Symbol or variable of the model that stands for them, ``M``.
        mean: Their mean given outcomes and measured slopes, ``M``.
        cov: Their covariance, ``M x M``.
        scale: Their prior sds, ``M``.
        nu: Width of the probit, of these.
        sites: Where they are, ``m x d``.
        kinds: Which derivatives, ``k``; those of the first at all sites come first, so that ``M`` is ``k m``.
    """

    name: str
    values: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    scale: TensorVariable
    nu: float
    sites: TensorVariable
    kinds: tuple[Derivative, ...]


class MonotoneGP(pm.gp.Marginal):
    """A ``pm.gp.Marginal`` of a function that rises or falls, is convex or concave, or whose slopes were measured.

    Inside a ``pm.Model`` it is used as ``pm.gp.Marginal``: ``marginal_likelihood``, ``conditional``, ``predict``. The signs hold
    at sites, softly; between close ones of a smooth kernel they mostly do. They are given to the function *after* the outcomes,
    so that the marginal likelihood of the outcomes, and with it a point estimate of the hyperparameters, is that of the gp
    without signs: as part of a likelihood they would be pseudo-data, which favour long lengthscales.

    Args:
        mean_func: As of ``pm.gp.Marginal``.
        cov_func: As of ``pm.gp.Marginal``, differentiable: ``ExpQuad`` or ``Matern52``; for curvatures ``ExpQuad``.
        increasing: Columns of ``X`` in which the function does not fall.
        decreasing: Columns in which it does not rise.
        convex: Columns along which it is convex.
        concave: Columns along which it is concave.
        nu: Width of the probit by which a derivative has its sign, of its prior sd.

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
        nu: float = 0.01,
    ) -> None:
        super().__init__(
            mean_func=pm.gp.mean.Zero() if mean_func is None else mean_func,
            cov_func=pm.gp.cov.Constant(0.0) if cov_func is None else cov_func,
        )
        given = ((increasing, 1, 1.0), (decreasing, 1, -1.0), (convex, 2, 1.0), (concave, 2, -1.0))
        self.kinds = tuple(Derivative(int(j), order, sign) for columns, order, sign in given for j in columns)
        if len({(kind.column, kind.order) for kind in self.kinds}) < len(self.kinds):
            raise DataError("A column is named twice, or with both signs. Name it once, as one that rises or one that falls.")
        if not 0 < nu < 1:
            raise DataError(f"nu is {nu}. Pass the width of the probit as a share of the derivative's prior sd, such as 0.01.")
        _check_smooth(cov_func, self.kinds)
        self.nu = float(nu)
        self.measured: list[Observed] = []
        self.at: np.ndarray | None = None

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

        Args:
            name: Name of the outcomes. The derivatives at the sites are ``{name}_slopes``, times their signs.
            X: Inputs, ``n x d``.
            y: Outcomes, ``n``.
            sigma: Sd of their noise, as of ``pm.gp.Marginal``.
            jitter: As of ``pm.gp.Marginal``.
            is_observed: As of ``pm.gp.Marginal``.
            at: Sites of the signs, ``m x d``; None takes a grid over the range of ``X``.
            slopes: Measured slopes ``(X_g, g, sigma_g, columns)``: where, ``m x d``; what, ``m x k`` (or ``m`` of one column);
                sd of their noise, a number or in that shape; along which ``k`` columns of ``X``.
            **kwargs: As of ``pm.gp.Marginal``.
        """
        outcomes = super().marginal_likelihood(name, X, y, sigma, jitter, is_observed, **kwargs)
        given = (pt.as_tensor_variable(self.X), pt.as_tensor_variable(self.y), self.sigma, jitter)
        self.measured = []
        if slopes is not None:
            measured = _measured(*slopes, self.cov_func.input_dim)
            mean, cov = self._derivatives(measured, *given)
            pm.MvNormal(f"{name}_measured_slopes", mu=mean, cov=cov, observed=measured.values)
            self.measured = [measured]
        if self.kinds:
            self._add_signs(name, at, *given)
        return outcomes

    def _add_signs(self, name: str, at: Any, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any) -> None:
        d = self.cov_func.input_dim
        self.at = None if at is None else _checked_sites(at, d)
        if _only_marginal.get():  # whoever reads the gp gives sites and values
            sites, values = pt.matrix("sites", dtype="float64", shape=(None, d)), pt.vector(f"{name}_slopes", dtype="float64")
            self.signs = Signs(f"{name}_slopes", values, values, values, values, self.nu, sites, self.kinds)
        else:
            sites = pt.as_tensor_variable(default_sites(X.eval()) if at is None else at).astype("float64")
            self.signs = Signs(f"{name}_slopes", sites, sites, sites, sites, self.nu, sites, self.kinds)
            signs = self.signs_given(X, y, noise, jitter)
            whitened = pm.Normal(f"{name}_slopes_rotated_", shape=signs.mean.shape[0])
            values = pm.Deterministic(f"{name}_slopes", signs.mean + cholesky(signs.cov, lower=True) @ whitened)
            positive = pm.logcdf(pm.Normal.dist(0.0, 1.0), values / (self.nu * signs.scale))
            pm.Potential(f"{name}_signs", pt.sum(positive))
            self.signs = signs._replace(values=values)

    def signs_given(self, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any) -> Signs:
        """Return the derivatives with signs, given other outcomes, noise and jitter."""
        signs, kinds = self.signs, self.kinds
        if signs is None:
            raise DataError("The gp has no signs yet. Call gp.marginal_likelihood(...) first.")
        prior = _covariance(self.cov_func, kinds, signs.sites, kinds, signs.sites)
        scale = pt.sqrt(pt.diagonal(prior))
        new = Observed(signs.sites, kinds, signs.values, pt.square(NUGGET * scale))
        mean, cov = self._derivatives(new, X, y, noise, jitter)
        return signs._replace(mean=mean, cov=cov, scale=scale)

    @property
    def _virtual(self) -> list[Observed]:
        if self.signs is None:
            return []
        prior = _covariance(self.cov_func, self.kinds, self.signs.sites, self.kinds, self.signs.sites)
        return [Observed(self.signs.sites, self.kinds, self.signs.values, NUGGET**2 * pt.diagonal(prior))]

    def _derivatives(
        self, new: Observed, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any
    ) -> tuple[TensorVariable, TensorVariable]:
        """Return mean and covariance of derivatives, times their signs, given outcomes and what was measured of slopes."""
        cov_func = self.cov_func
        L, residuals, groups = self._factorised(X, y, noise, jitter, self.measured, self.mean_func)
        cross = pt.concatenate([_covariance(cov_func, kinds, sites, new.kinds, new.sites) for kinds, sites in groups], axis=0)
        A = solve_triangular(L, cross, lower=True, b_ndim=2)
        half = solve_triangular(L, residuals, lower=True, b_ndim=1)
        mean = _means(self.mean_func, new.kinds, new.sites) + A.T @ half
        cov = _covariance(cov_func, new.kinds, new.sites, new.kinds, new.sites) - A.T @ A
        return mean, cov + pt.diag(pt.zeros_like(mean) + new.variance)

    def _factorised(
        self, X: TensorVariable, y: TensorVariable, noise: Any, jitter: Any, observed: Sequence[Observed], mean_func: Any
    ) -> tuple[TensorVariable, TensorVariable, list[tuple[Sequence[Derivative], TensorVariable]]]:
        """Return factor, residuals, and kinds and places of all that the function is conditioned on."""
        values = (Derivative(0, 0),)
        groups: list[tuple[Sequence[Derivative], TensorVariable]] = [(values, X), *((o.kinds, o.sites) for o in observed)]
        own = stabilize(self.cov_func(X), jitter) + noise(X)
        blocks = [
            [own if i == j == 0 else _covariance(self.cov_func, one, A, two, B) for j, (two, B) in enumerate(groups)]
            for i, (one, A) in enumerate(groups)
        ]
        for i, part in enumerate(observed, start=1):
            blocks[i][i] = blocks[i][i] + pt.diag(pt.zeros_like(part.values) + part.variance)
        covariance = pt.concatenate([pt.concatenate(row, axis=1) for row in blocks], axis=0)
        residuals = [y - mean_func(X), *(o.values - _means(mean_func, o.kinds, o.sites) for o in observed)]
        return cholesky(covariance, lower=True), pt.concatenate(residuals), groups

    def _build_conditional(
        self,
        Xnew: Any,
        pred_noise: bool,
        diag: bool,
        X: Any,
        y: Any,
        noise_func: Any,
        cov_total: Any,
        mean_total: Any,
        jitter: Any,
    ) -> tuple[TensorVariable, TensorVariable]:
        """Return mean and covariance (of ``diag`` its diagonal) at new inputs, given outcomes and derivatives."""
        if cov_total is not self.cov_func:
            raise UnsupportedGPError("A MonotoneGP is no part of a sum, and takes no given={'gp': ...}.")
        X, y, Xnew = (pt.as_tensor_variable(part) for part in (X, y, Xnew))
        observed = [*self.measured, *self._virtual]
        L, residuals, groups = self._factorised(X, y, noise_func, jitter, observed, mean_total)
        values = (Derivative(0, 0),)
        crosses = [self.cov_func(X, Xnew), *(_covariance(self.cov_func, kinds, Z, values, Xnew) for kinds, Z in groups[1:])]
        A = solve_triangular(L, pt.concatenate(crosses, axis=0), lower=True, b_ndim=2)
        half = solve_triangular(L, residuals, lower=True, b_ndim=1)
        mean = self.mean_func(Xnew) + A.T @ half
        if diag:
            variance = self.cov_func(Xnew, diag=True) - pt.sum(pt.square(A), 0)
            return mean, variance + noise_func(Xnew, diag=True) if pred_noise else variance
        cov = self.cov_func(Xnew) - A.T @ A
        return mean, cov + noise_func(Xnew) if pred_noise else stabilize(cov, jitter)


def default_sites(X: np.ndarray) -> np.ndarray:
    """Return a grid over the range of inputs ``n x d``: 15 sites of one, 5 x 5 of two, of more ten for each, spread evenly."""
    d, low, high = X.shape[1], X.min(0), X.max(0)
    if d <= 2:
        axes = [np.linspace(0, 1, 15 if d == 1 else 5)] * d
        unit = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d)
    else:  # points of a rank-one lattice, which fill a cube evenly
        root = 2.0
        for _ in range(30):
            root = (1 + root) ** (1 / (d + 1))
        unit = (0.5 + np.arange(10 * d)[:, None] / root ** np.arange(1, d + 1)) % 1
    return low + (high - low) * unit


def _checked_sites(at: Any, d: int) -> np.ndarray:
    value = constant_value(at)
    sites = None if value is None else np.asarray(value, dtype=np.float64)
    if sites is None or sites.ndim != 2 or sites.shape[1] != d or not len(sites) or not np.isfinite(sites).all():
        raise DataError(
            f"at is {'computed' if sites is None else sites.shape}. Pass sites as a finite array or pm.Data, m x {d}."
        )
    return sites


def _measured(sites: Any, values: Any, sigma: Any, columns: Sequence[int], d: int) -> Observed:
    """Return measured slopes as they are conditioned on."""
    sites, kinds = pt.as_tensor_variable(sites), tuple(Derivative(int(j)) for j in columns)
    values = pt.as_tensor_variable(values)
    flat = values.T.flatten() if values.type.ndim == 2 else values
    sigma = pt.as_tensor_variable(sigma)
    sigma = sigma.T.flatten() if sigma.type.ndim == 2 else sigma
    return Observed(sites.astype("float64"), kinds, flat.astype("float64"), pt.square(sigma))


def _covariance(
    cov_func: Any, one: Sequence[Derivative], A: TensorVariable, two: Sequence[Derivative], B: TensorVariable
) -> TensorVariable:
    """Return covariances of derivatives ``one`` at the rows of ``A`` with ``two`` at those of ``B``, times their signs."""
    d = cov_func.input_dim
    left, right = (pt.matrix(name, dtype="float64", shape=(None, d)) for name in ("left", "right"))
    (base,) = differentiable_with_random([cov_func(left, right)])
    rows = []
    for a in one:
        row = []
        for b in two:
            block = base
            for kind, side in ((b, right), (a, left)):
                for _ in range(kind.order):
                    direction = pt.ones_like(side) * np.eye(d)[kind.column]
                    block = pushforward(block, side, direction, disconnected_outputs="ignore")
            row.append(a.sign * b.sign * block)
        rows.append(pt.concatenate(row, axis=1) if len(row) > 1 else row[0])
    whole = pt.concatenate(rows, axis=0) if len(rows) > 1 else rows[0]
    (whole,) = graph_replace([whole], {left: A.astype("float64"), right: B.astype("float64")}, strict=False)
    return whole


def _means(mean_func: Any, kinds: Sequence[Derivative], sites: TensorVariable) -> TensorVariable:
    """Return derivatives of the mean at sites, times their signs: those of the first kind come first."""
    X = pt.matrix("X_mean", dtype="float64", shape=(None, sites.type.shape[1]))
    parts = []
    for kind in kinds:
        value = mean_func(X) + pt.zeros(X.shape[0])
        for _ in range(kind.order):
            slope = pt.grad(pt.sum(value), X, disconnected_inputs="ignore", return_disconnected="zero")
            value = slope[:, kind.column]
        parts.append(kind.sign * value)
    (mean,) = graph_replace([pt.concatenate(parts) if len(parts) > 1 else parts[0]], {X: sites}, strict=False)
    return mean


def _check_smooth(cov_func: Any, kinds: Sequence[Derivative]) -> None:
    if rough := rough_kernels(cov_func):
        raise UnsupportedGPError(f"Functions with the covariance {' and '.join(rough)} have no slope. Use Matern52 or ExpQuad.")
    if any(kind.order == 2 for kind in kinds):
        stationary = [part for part in kernels_in(cov_func) if isinstance(part, pm.gp.cov.Stationary)]
        if any(type(part) is not pm.gp.cov.ExpQuad for part in stationary):
            raise UnsupportedGPError(NO_SECOND)
