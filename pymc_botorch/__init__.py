"""PyMC infers, BoTorch chooses: PyMC Gaussian processes as BoTorch models."""

__all__ = ["FitResult", "FitWarning", "PyMCGP", "cache_clear", "cache_info", "config", "wait_for_numba"]

from pymc_botorch.config import config
from pymc_botorch.errors import FitWarning
from pymc_botorch.graph.structures import cache_clear, cache_info, wait_for_numba
from pymc_botorch.inference.map import FitResult
from pymc_botorch.models import paths as _paths  # noqa: F401  # registers a refusal with BoTorch
from pymc_botorch.models.pymc_gp import PyMCGP
