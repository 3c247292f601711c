"""PyMC infers, BoTorch chooses: PyMC Gaussian processes as BoTorch models."""

__all__ = [
    "ComparedModel",
    "Comparison",
    "ExpectationGradient",
    "FitResult",
    "FitWarning",
    "FullyBayesianPyMCGP",
    "GradientPosterior",
    "JaxFunctions",
    "LeaveOneOut",
    "MapSensitivity",
    "Prediction",
    "PredictiveGradients",
    "Predictor",
    "PyMCGP",
    "RecommendationInfluence",
    "SamplingResult",
    "cache_clear",
    "cache_info",
    "compare",
    "compile_acqf",
    "compile_predict",
    "config",
    "expectation_gradient",
    "gradient_posterior",
    "map_sensitivity",
    "plot_contour",
    "plot_leave_one_out",
    "plot_priors",
    "plot_slice",
    "plot_slopes",
    "recommendation_influence",
    "symbolic_gradients",
    "symbolic_posterior",
    "to_jax",
    "wait_for_numba",
]

__version__ = "0.1.0"

from importlib import import_module
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
from pymc_botorch.inference.sensitivity.result import ExpectationGradient
from pymc_botorch.models import paths as _paths  # noqa: F401  # registers a refusal with BoTorch
from pymc_botorch.models.comparison import compare
from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
from pymc_botorch.models.gradient_posterior import GradientPosterior, gradient_posterior
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.predict import Prediction, Predictor, compile_predict
from pymc_botorch.symbolic import symbolic_gradients, symbolic_posterior

if TYPE_CHECKING:
    from pymc_botorch.acquisition import compile_acqf
    from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity
    from pymc_botorch.models.sensitivity.recommendation import RecommendationInfluence
    from pymc_botorch.plot import plot_contour, plot_leave_one_out, plot_priors, plot_slice, plot_slopes
    from pymc_botorch.sensitivity import expectation_gradient, map_sensitivity, recommendation_influence

_LAZY = {
    "MapSensitivity": "pymc_botorch.inference.sensitivity.map_sensitivity",
    "RecommendationInfluence": "pymc_botorch.models.sensitivity.recommendation",
    "compile_acqf": "pymc_botorch.acquisition",
    "expectation_gradient": "pymc_botorch.sensitivity",
    "map_sensitivity": "pymc_botorch.sensitivity",
    "plot_contour": "pymc_botorch.plot",
    "plot_leave_one_out": "pymc_botorch.plot",
    "plot_priors": "pymc_botorch.plot",
    "plot_slice": "pymc_botorch.plot",
    "plot_slopes": "pymc_botorch.plot",
    "recommendation_influence": "pymc_botorch.sensitivity",
}


def __getattr__(name: str) -> Any:
    """Import what needs ``botorch.acquisition`` when it is first asked for, which takes a second, and figures."""
    if name == "plot":
        return import_module("pymc_botorch.plot")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'pymc_botorch' has no attribute {name!r}")
