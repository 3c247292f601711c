"""What is known of a function's shape: where it rises or falls, how it bends, which slopes were measured."""

__all__ = ["MonotoneGP", "refine_sites"]

from typing import Any

from pymc_botorch.graph.gps.shaped import MonotoneGP


def refine_sites[M](model: M, bound: float = 0.05, *, bounds: Any = None, max_rounds: int = 8, **options: Any) -> M:
    """Add sites where a slope may have the wrong sign, and fit again, until it is improbable everywhere.

    The same as the method ``model.refine_sites(bound)`` of a ``FullyBayesianPyMCGP``.

    Args:
        model: A fitted model whose ``build_gp`` returns a :class:`MonotoneGP`.
        bound: Largest probability of a wrong sign at a point that is left alone.
        bounds: Where to look, ``2 x d``, in raw units; None takes the range of the sites.
        max_rounds: Maximum number of rounds, each of which adds up to three sites for each column.
        **options: Of the model's ``fit``.

    Returns:
        The model.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import FullyBayesianPyMCGP
        >>> from pymc_botorch.shape import MonotoneGP, refine_sites
        >>> class ClimbingGP(FullyBayesianPyMCGP):
        ...     def build_gp(self, X, y):
        ...         reach = pm.LogNormal("reach", -1, 0.5)
        ...         gp = MonotoneGP(cov_func=pm.gp.cov.ExpQuad(1, ls=reach), increasing=[0])
        ...         gp.marginal_likelihood("observed", X, y, sigma=0.1)
        ...         return gp
        >>> X = torch.linspace(0, 1, 6, dtype=torch.double).unsqueeze(-1)
        >>> model = refine_sites(ClimbingGP(X, X**3).fit(num_draws=16, seed=0), bound=0.2)  # doctest: +SKIP
    """
    return model.refine_sites(bound, bounds=bounds, max_rounds=max_rounds, **options)  # type: ignore[attr-defined]
