"""PyMC infers, BoTorch chooses: fitted PyMC Gaussian processes as BoTorch models."""

__all__ = ["PyMCGP", "config"]

from pymc_botorch.config import config
from pymc_botorch.models.pymc_gp import PyMCGP
