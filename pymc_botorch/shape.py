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
    """
    return model.refine_sites(bound, bounds=bounds, max_rounds=max_rounds, **options)  # type: ignore[attr-defined]
