"""PyMC infers, BoTorch chooses: PyMC Gaussian processes as BoTorch models."""

__all__ = [
    "ComparedModel",
    "Comparison",
    "FitResult",
    "FitWarning",
    "FullyBayesianPyMCGP",
    "GradientPosterior",
    "JaxFunctions",
    "LeaveOneOut",
    "Prediction",
    "PredictiveGradients",
    "Predictor",
    "PyMCGP",
    "SamplingResult",
    "cache_clear",
    "cache_info",
    "compare",
    "compile_acqf",
    "compile_predict",
    "config",
    "gradient_posterior",
    "symbolic_gradients",
    "symbolic_posterior",
    "to_jax",
    "wait_for_numba",
]

from typing import TYPE_CHECKING, Any

from pymc_botorch.config import config
from pymc_botorch.errors import FitWarning
from pymc_botorch.export import JaxFunctions, to_jax
from pymc_botorch.graph.compiling.cache import cache_clear, cache_info, wait_for_numba
from pymc_botorch.inference.comparison import ComparedModel, Comparison
from pymc_botorch.inference.fit.map import FitResult
from pymc_botorch.inference.leave_one_out import LeaveOneOut
from pymc_botorch.inference.predictive_gradients import PredictiveGradients
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.models import paths as _paths  # noqa: F401  # registers a refusal with BoTorch
from pymc_botorch.models.comparison import compare
from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
from pymc_botorch.models.gradient_posterior import GradientPosterior, gradient_posterior
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.predict import Prediction, Predictor, compile_predict
from pymc_botorch.symbolic import symbolic_gradients, symbolic_posterior

if TYPE_CHECKING:
    from pymc_botorch.acquisition import compile_acqf


def __getattr__(name: str) -> Any:
    """Import what needs ``botorch.acquisition`` when it is first asked for: that takes a second."""
    if name == "compile_acqf":
        from pymc_botorch.acquisition import compile_acqf

        return compile_acqf
    raise AttributeError(f"module 'pymc_botorch' has no attribute {name!r}")
