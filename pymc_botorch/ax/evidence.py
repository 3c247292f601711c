"""Ax's model selection by the evidence of models: the density that each gave to the data before it saw them."""

__all__ = ["LOG_EVIDENCE", "EvidenceSurrogate", "check_evidence"]

import warnings
from collections.abc import Iterable
from typing import Any

from ax.core.search_space import SearchSpaceDigest
from ax.exceptions.core import AxError, UserInputError
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate
from ax.storage.json_store.encoders import surrogate_to_dict
from ax.storage.json_store.registry import CORE_DECODER_REGISTRY, CORE_ENCODER_REGISTRY
from botorch.exceptions.errors import ModelFittingError
from botorch.models.model import Model
from botorch.utils.datasets import SupervisedDataset

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.comparison import compare
from pymc_botorch.models.ensemble import AbstractEnsemble

LOG_EVIDENCE = "Log evidence"
"""The criterion, as ``surrogate_spec`` takes it."""
NUM_DRAWS = 400
"""Number of draws for leave-one-out predictions, which decide where a model has no evidence."""


class EvidenceSurrogate(Surrogate):
    """Ax's surrogate, with the model of largest evidence for each metric: one fit for each, and no cross-validation.

    :func:`generation_strategy` makes it where ``surrogate_spec`` asks for ``criterion="Log evidence"``. Where the evidences can't
    be compared (a fit ended with NUTS, improper priors differ), leave-one-out predictions decide, and a warning says so.

    Example:
        >>> from pymc_botorch import FullyBayesianPyMCGP
        >>> from pymc_botorch.ax import generation_strategy, surrogate_spec
        >>> class FirstGP(FullyBayesianPyMCGP): ...
        >>> class SecondGP(FullyBayesianPyMCGP): ...
        >>> spec = surrogate_spec(FirstGP, SecondGP, criterion="Log evidence")  # makes an EvidenceSurrogate
        >>> strategy = generation_strategy(spec)
    """

    def model_selection(
        self,
        dataset: SupervisedDataset,
        model_configs: list[ModelConfig],
        search_space_digest: SearchSpaceDigest,
        candidate_metadata: Any = None,
    ) -> tuple[Model, ModelConfig]:
        """Return the best model of a metric and its configuration; Ax calls this where there are several."""
        metric = dataset.outcome_names[0]
        fitted: dict[str, Model] = {}
        for config in model_configs:
            try:
                fitted[config.identifier] = self._construct_model(
                    dataset, search_space_digest, config, state_dict=None, refit=True
                )
            except ModelFittingError as error:
                _warn(f"{config.identifier} of {metric} could not be fitted, and is left out of the choice: {error}")
        if not fitted:
            raise AxError(f"None of the models of {metric} could be fitted. Give them more informative priors.")
        scores = _scores(metric, fitted) if len(fitted) > 1 else dict.fromkeys(fitted, 0.0)
        self._model_name_to_eval[metric], self._model_name_to_model[metric] = scores, fitted
        best = max(scores, key=lambda name: scores[name])
        return fitted[best], next(config for config in model_configs if config.identifier == best)


def check_evidence(configs: Iterable[ModelConfig]) -> None:
    """Refuse configurations whose evidences are not known or can't be compared.

    Raises:
        UserInputError: If a model has no draws of its hyperparameters, is to be sampled by NUTS, or has other units.
    """
    configs = list(configs)
    for config in configs:
        cls = config.botorch_model_class
        if not (isinstance(cls, type) and issubclass(cls, AbstractEnsemble)):
            raise UserInputError(
                f"{config.identifier} has no evidence: only fits of a FullyBayesianPyMCGP have one. Pass subclasses of it, or "
                "another criterion."
            )
        if config.mll_options.get("method") == "nuts":
            raise UserInputError(f"NUTS gives no evidence of {config.identifier}. Leave method out of its fit_options.")
    if len({getattr(config.botorch_model_class, "units", "scaled") for config in configs}) > 1:
        raise UserInputError(
            "Evidences of outcomes in natural units and of standardised ones can't be compared. Give all classes the same units."
        )


def _scores(metric: str, fitted: dict[str, Model]) -> dict[str, float]:
    """Return by what models are chosen, the largest being best."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the fits have given theirs
        compared = compare(fitted, num_draws=NUM_DRAWS)
    if compared.reason is not None:
        _warn(f"Leave-one-out predictions chose the model of {metric}, as evidences can't be compared: {compared.reason}")
        return {model.name: model.elpd_loo for model in compared.models}
    return {model.name: float(model.log_evidence) for model in compared.models if model.log_evidence is not None}


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, skip_file_prefixes=(PACKAGE_FOLDER,))


CORE_ENCODER_REGISTRY[EvidenceSurrogate] = surrogate_to_dict
CORE_DECODER_REGISTRY[EvidenceSurrogate.__name__] = EvidenceSurrogate
