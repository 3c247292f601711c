"""A class that builds a gp comes in, an Ax surrogate goes out: registration, ``model_config``, ``generation_strategy``.

To import this registers with Ax, by the means that Ax offers: each subclass of our models, present or future, in its list of
model classes (storage finds them by name); how they are made and fitted, with its dispatchers ``submodel_input_constructor`` and
``fit_botorch_model``; and ``WarmStarts`` in its JSON registry. A new process that loads a stored experiment must import the
module that has the class, and this one.
"""

__all__ = ["WarmStarts", "fitted_models", "generation_strategy", "model_config", "register", "surrogate_spec"]

from pymc_botorch.ax.configuration import model_config, surrogate_spec
from pymc_botorch.ax.fitting import WarmStarts
from pymc_botorch.ax.reading import fitted_models
from pymc_botorch.ax.registration import register
from pymc_botorch.ax.strategy import generation_strategy
