"""PyMC models as surrogates of Ax: classes with a ``build_gp`` for Ax's ``Client``, its modular BoTorch generator and storage.

Importing this package registers with Ax, by the means that Ax offers: each subclass of ``PyMCGP`` and ``FullyBayesianPyMCGP``,
present or future, in its list of model classes (storage finds them by name); their construction and fit, with its dispatchers
``submodel_input_constructor`` and ``fit_botorch_model``; ``WarmStarts`` and ``EvidenceSurrogate`` in its JSON registry; and the
classes of ``pymc_botorch.acquisition``, compiled acquisition functions, with the input constructors of BoTorch and in Ax's list
of acquisition functions, so that any strategy may have them as ``botorch_acqf_class``. A new process that loads a stored
experiment must import this package and the module that defines the class, as :func:`load_client` does.
"""

__all__ = [
    "EvidenceSurrogate",
    "FitAnalysis",
    "WarmStarts",
    "acquisition_function",
    "acquisition_summary",
    "fitted_models",
    "generation_strategy",
    "load_client",
    "model_config",
    "register",
    "surrogate_spec",
]

import pymc_botorch.ax.fitting  # noqa: F401  (registers with Ax's dispatchers)
from pymc_botorch.ax.analysis import FitAnalysis
from pymc_botorch.ax.configuration import model_config, surrogate_spec
from pymc_botorch.ax.evidence import EvidenceSurrogate
from pymc_botorch.ax.loading import load_client
from pymc_botorch.ax.reading import acquisition_function, acquisition_summary, fitted_models
from pymc_botorch.ax.registration import register
from pymc_botorch.ax.strategy import generation_strategy
from pymc_botorch.ax.warm_starts import WarmStarts
