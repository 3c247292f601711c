"""Fitted surrogates of an Ax ``Client``."""

__all__ = ["fitted_models"]

from ax.adapter.torch import TorchAdapter
from ax.api.client import Client
from ax.exceptions.core import UserInputError
from ax.generators.torch.botorch_modular.generator import BoTorchGenerator
from botorch.models.model import Model


def fitted_models(client: Client) -> dict[str, Model]:
    """Return the surrogates that a client fitted last, by metric: to read ``fit_result``, ``idata`` or ``gradient_posterior``.

    They are the models themselves, not copies. Their inputs are Ax's columns: in the units of the experiment, but with range
    parameters of ``scaling="log"`` as their ``log10`` (unless a class's ``units`` are ``"natural"``, also ordered choices that Ax
    puts on a log scale), and unordered choices as a column for each value or a position among them. Their outcomes
    are as Ax standardised them, unless the class's ``units`` are ``"natural"``. (``client.predict`` takes and returns the units
    of the experiment.)

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
    strategy = client._maybe_generation_strategy  # Ax has no public way
    adapter = None if strategy is None else strategy.adapter
    if not (isinstance(adapter, TorchAdapter) and isinstance(adapter.generator, BoTorchGenerator)):
        raise UserInputError(
            "The client has not fitted a surrogate yet: it does so for the first trial after those of the initialisation, and "
            "again after it was loaded. Call get_next_trials first; a loaded client also fits for compute_analyses."
        )
    surrogate = adapter.generator.surrogate
    model, outcomes = surrogate.model, surrogate.outcomes
    if len(outcomes) == 1:
        return {outcomes[0]: model}
    return {metric: model.subset_output([i]) for i, metric in enumerate(outcomes)}
