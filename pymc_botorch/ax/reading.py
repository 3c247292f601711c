"""Fitted surrogates and acquisition functions of an Ax ``Client``."""

__all__ = ["acquisition_function", "acquisition_summary", "fitted_models", "models_of"]

import pandas as pd  # type: ignore[import-untyped]
from ax.adapter.base import Adapter
from ax.adapter.torch import TorchAdapter
from ax.api.client import Client
from ax.exceptions.core import UserInputError
from ax.generators.torch.botorch_modular.generator import BoTorchGenerator
from botorch.acquisition import AcquisitionFunction
from botorch.models.model import Model

from pymc_botorch.ax.acquisition import Compilation
from pymc_botorch.models.builder import AbstractBuiltGP


def fitted_models(client: Client) -> dict[str, Model]:
    """Return the surrogates that a client fitted last, by metric: to read ``fit_result``, ``idata`` or ``gradient_posterior``.

    They are the models themselves, not copies, with the names of parameters and metric in their figures and tables. Their inputs
    are Ax's columns: in the units of the experiment, but with range parameters of ``scaling="log"`` as their ``log10`` (unless a
    class's ``units`` are ``"natural"``, also ordered choices that Ax puts on a log scale), and unordered choices as a column for
    each value or a position among them. Their outcomes are as Ax standardised them, unless the class's ``units`` are
    ``"natural"``. (``client.predict`` takes and returns the units of the experiment.)

    Args:
        client: A client that has fitted its surrogate, for a trial or an analysis. One that was just loaded has no models.

    Returns:
        BoTorch models with one outcome each, by the name of the metric.

    Raises:
        UserInputError: If no surrogate has been fitted yet.

    Example:
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(ax.generation_strategy(PyMCGP, initialization_budget=2, seed=1))
        >>> for crop in (7.9, 8.4, 8.1):
        ...     ((index, parameters),) = client.get_next_trials(max_trials=1).items()
        ...     _ = client.complete_trial(index, raw_data={"crop": crop})
        >>> ax.fitted_models(client)["crop"].fit_result.method
        'map'
    """
    return models_of(_adapter(client))


def models_of(adapter: Adapter | None) -> dict[str, Model]:
    """Return the surrogates of an adapter, by metric.

    Raises:
        UserInputError: If it has fitted none.
    """
    surrogate = _generator(adapter).surrogate
    model, outcomes = surrogate.model, surrogate.outcomes
    alone = len(outcomes) == 1
    models = {metric: model if alone else model.subset_output([i]) for i, metric in enumerate(outcomes)}
    for dataset in surrogate.training_data:
        for metric in dataset.outcome_names:
            if isinstance(found := models.get(metric), AbstractBuiltGP):
                units = "" if found.units == "natural" else ", standardised"
                found.name_data(dataset.feature_names, metric + units)
    return models


def acquisition_function(client: Client) -> AcquisitionFunction:
    """Return the acquisition function of the last trial that a client's surrogate suggested: itself, not a copy.

    Its class says whether it is compiled: ``CompiledqLogNoisyExpectedImprovement`` is, ``qLogNoisyExpectedImprovement`` is not.
    Its inputs are those of the models that :func:`fitted_models` returns.

    Args:
        client: A client that has suggested a trial. One that was just loaded has none; :func:`acquisition_summary` tells of it.

    Raises:
        UserInputError: If the surrogate has suggested nothing yet.

    Example:
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(ax.generation_strategy(PyMCGP, initialization_budget=2, seed=1))
        >>> for crop in (7.9, 8.4, 8.1):
        ...     ((index, parameters),) = client.get_next_trials(max_trials=1).items()
        ...     _ = client.complete_trial(index, raw_data={"crop": crop})
        >>> type(ax.acquisition_function(client)).__name__
        'CompiledqLogNoisyExpectedImprovement'
    """
    acquisition = _generator(_adapter(client))._acquisition
    if acquisition is None:
        raise UserInputError("The client's surrogate has suggested no trial since it was fitted. Call get_next_trials first.")
    return acquisition.acqf


def acquisition_summary(client: Client) -> pd.DataFrame:
    """Return a table of trials and the acquisition functions that they were suggested by, also of a client that was loaded.

    Args:
        client: A client with a strategy of :func:`generation_strategy`. Trials of the initialisation, those that were attached
            and those with ``compile_acqf=False`` are left out.

    Returns:
        For each trial ``trial_index``, ``acquisition_function`` (the name of its class), ``compiled`` (whether it is), and the
        ``reason`` why it is not.

    Raises:
        UserInputError: If the client has no strategy or no trials yet.

    Example:
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(ax.generation_strategy(PyMCGP, initialization_budget=2, seed=1))
        >>> for crop in (7.9, 8.4, 8.1):
        ...     ((index, parameters),) = client.get_next_trials(max_trials=1).items()
        ...     _ = client.complete_trial(index, raw_data={"crop": crop})
        >>> ax.acquisition_summary(client).iloc[-1].to_dict()["acquisition_function"]
        'CompiledqLogNoisyExpectedImprovement'
    """
    strategy = client._maybe_generation_strategy
    experiment = None if strategy is None else strategy._experiment
    if experiment is None:
        raise UserInputError("The client has no strategy, or no trials yet. Call set_generation_strategy and get_next_trials.")
    rows = [
        {"trial_index": index, **used}
        for index, trial in experiment.trials.items()
        for run in trial.generator_runs
        for used in (run.gen_metadata or {}).get("models_used", [])
        if {*Compilation._fields} <= used.keys()
    ]
    return pd.DataFrame(rows, columns=["trial_index", *Compilation._fields])


def _adapter(client: Client) -> Adapter | None:
    """Return what a client's strategy fitted last."""
    strategy = client._maybe_generation_strategy  # Ax has no public way
    return None if strategy is None else strategy.adapter


def _generator(adapter: Adapter | None) -> BoTorchGenerator:
    """Return what an adapter has fitted its surrogate with."""
    if not (isinstance(adapter, TorchAdapter) and isinstance(adapter.generator, BoTorchGenerator)):
        raise UserInputError(
            "The client has not fitted a surrogate yet: it does so for the first trial after those of the initialisation, and "
            "again after it was loaded. Call get_next_trials first; a loaded client also fits for compute_analyses."
        )
    return adapter.generator
