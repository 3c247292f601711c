"""Acquisition functions of samples at new points jointly with samples at known ones (a baseline), whose root is kept.

With ``b`` the baseline, ``C`` the posterior covariance and ``L_b`` the Cholesky factor of ``C_bb``, the rows of the joint factor
at new points are ``A' = (L_b⁻¹ C_b*)'`` and the factor of ``C_** - A'A``. What the new points do not change is computed once.
"""

__all__ = ["noisy_joint_score", "noisy_point_score"]

import functools

import pytensor.tensor as pt
from pytensor.tensor.linalg import solve_triangular

from pymc_botorch.graph.acquisition.blocks import blocks_of
from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.scores import named, over_batches, sampling_symbols, unit_symbols
from pymc_botorch.graph.compiling.functions import Build, Compilable
from pymc_botorch.graph.compiling.ops import factor
from pymc_botorch.graph.posterior.cut import CutPosterior, batched
from pymc_botorch.graph.posterior.pointwise import point_gradients, point_variances
from pymc_botorch.graph.rewrites.differentiable import without_zero_steps


@functools.cache
def noisy_point_score(formula: SamplesFormula, *, with_gradient: bool) -> Build[CutPosterior]:
    """Return the build of an acquisition function of samples at single points.

    Args:
        formula: Of samples.
        with_gradient: Whether to compute the gradient.

    Returns:
        Build of ``X, offset, scale, floor, z, best, *parameters, root, *arrays -> value, gradient``: ``N x d``, base samples
        ``(r + 1) x s``, ``s`` incumbents, the factor ``r x r`` at the baseline in the units of the outcome and its arrays, to
        ``N`` and ``N x d``.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = blocks_of(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, floor) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, pt.square(scale) * blocks.cross, lower=True, b_ndim=2)  # r x N
        left = pt.square(scale) * point_variances(blocks.cov, cut.X) - (pt.square(half)).sum(axis=0)
        r = root.shape[0]
        samples = offset + (scale * blocks.mean)[:, None] + half.T @ z[:r] + pt.sqrt(pt.maximum(left, floor))[:, None] * z[r]
        value = formula.over_samples(formula.utility(samples, best, *symbols))
        outputs = [value, point_gradients(value, cut.X)] if with_gradient else [value]
        return [cut.X, *units, z, best, *symbols, root, *blocks.frozen], without_zero_steps(outputs)

    return named(build, "noisy_point_score", formula.utility, with_gradient=with_gradient)


@functools.cache
def noisy_joint_score(formula: SamplesFormula) -> Build[CutPosterior]:
    """Return the build of an acquisition function of joint samples at the points of each batch.

    It takes and returns what :func:`noisy_point_score` does, with ``X`` ``b x q x d``, base samples ``(r + q) x s``, values ``b``
    and gradients ``b x q x d``. NaN where a covariance has no Cholesky factor.
    """

    def build(cut: CutPosterior) -> Compilable:
        blocks, root = blocks_of(cut), pt.matrix("root", dtype="float64")
        units, (offset, scale, _) = unit_symbols()
        z, best, symbols = sampling_symbols(formula)
        half = solve_triangular(root, pt.square(scale) * blocks.cross, lower=True, b_ndim=2)  # r x q
        left = factor(pt.square(scale) * blocks.cov - half.T @ half)
        r = root.shape[0]
        samples = offset + (scale * blocks.mean)[:, None] + half.T @ z[:r] + left @ z[r:]
        value = formula.over_samples(formula.over_points(formula.utility(samples, best, *symbols), *symbols))
        outputs = [value, pt.grad(value, cut.X, return_disconnected="zero", disconnected_inputs="ignore")]
        batch = batched([cut.X])
        return [batch[cut.X], *units, z, best, *symbols, root, *blocks.frozen], over_batches(outputs, batch)

    return named(build, "noisy_joint_score", formula.utility, is_large=True)
