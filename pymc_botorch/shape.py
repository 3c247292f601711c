"""What is known of a function's shape: where it rises or falls, how it bends, which slopes were measured."""

__all__ = ["MonotoneGP"]

from pymc_botorch.graph.gps.shaped import MonotoneGP
