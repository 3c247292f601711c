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

if TYPE_CHECKING:
    from pymc_botorch.acquisition import compile_acqf
    from pymc_botorch.export import JaxFunctions, to_jax
    from pymc_botorch.graph.compiling.cache import cache_clear, cache_info, wait_for_numba
    from pymc_botorch.inference.comparison import ComparedModel, Comparison
    from pymc_botorch.inference.fit.map import FitResult
    from pymc_botorch.inference.leave_one_out import LeaveOneOut
    from pymc_botorch.inference.predictive_gradients import PredictiveGradients
    from pymc_botorch.inference.sampling.result import SamplingResult
    from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity
    from pymc_botorch.inference.sensitivity.result import ExpectationGradient
    from pymc_botorch.models.comparison import compare
    from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
    from pymc_botorch.models.gradient_posterior import GradientPosterior, gradient_posterior
    from pymc_botorch.models.pymc_gp import PyMCGP
    from pymc_botorch.models.sensitivity.recommendation import RecommendationInfluence
    from pymc_botorch.plots import plot_contour, plot_leave_one_out, plot_priors, plot_slice, plot_slopes
    from pymc_botorch.predict import Prediction, Predictor, compile_predict
    from pymc_botorch.sensitivity import expectation_gradient, map_sensitivity, recommendation_influence
    from pymc_botorch.symbolic import symbolic_gradients, symbolic_posterior

_LAZY = {
    "acquisition": ("compile_acqf",),
    "export": ("JaxFunctions", "to_jax"),
    "graph.compiling.cache": ("cache_clear", "cache_info", "wait_for_numba"),
    "inference.comparison": ("ComparedModel", "Comparison"),
    "inference.fit.map": ("FitResult",),
    "inference.leave_one_out": ("LeaveOneOut",),
    "inference.predictive_gradients": ("PredictiveGradients",),
    "inference.sampling.result": ("SamplingResult",),
    "inference.sensitivity.map_sensitivity": ("MapSensitivity",),
    "inference.sensitivity.result": ("ExpectationGradient",),
    "models.comparison": ("compare",),
    "models.fully_bayesian": ("FullyBayesianPyMCGP",),
    "models.gradient_posterior": ("GradientPosterior", "gradient_posterior"),
    "models.pymc_gp": ("PyMCGP",),
    "models.sensitivity.recommendation": ("RecommendationInfluence",),
    "plots": ("plot_contour", "plot_leave_one_out", "plot_priors", "plot_slice", "plot_slopes"),
    "predict": ("Prediction", "Predictor", "compile_predict"),
    "sensitivity": ("expectation_gradient", "map_sensitivity", "recommendation_influence"),
    "symbolic": ("symbolic_gradients", "symbolic_posterior"),
}
_FACES = ("acquisition", "ax", "export", "plots", "predict", "sensitivity", "shape", "symbolic")
_MODULES = {name: f"pymc_botorch.{module}" for module, names in _LAZY.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: PyMC users need not wait for torch."""
    if name in _FACES:
        return import_module(f"pymc_botorch.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'pymc_botorch' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
