"""Ax's data and options come in, a fitted model goes out, begun where the last fit ended if that is asked for."""

__all__ = ["WarmStarts"]

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from ax.core.generator_run import GeneratorRun
from ax.core.search_space import SearchSpaceDigest
from ax.generation_strategy.generation_node import GenerationNode
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate, submodel_input_constructor
from ax.generators.torch.botorch_modular.utils import fit_botorch_model
from ax.storage.json_store.registry import CORE_DECODER_REGISTRY
from botorch.models.model import Model
from botorch.models.transforms.input import Normalize
from botorch.utils.datasets import SupervisedDataset

from pymc_botorch.ax.registration import GPClass, register
from pymc_botorch.models.built_gp import AbstractBuiltGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

METRIC = "pymc_botorch: metric"
"""The fit option in which the name of a metric goes from the making of its model to its fit."""


@dataclass
class WarmStarts:
    """What was fitted, by metric: a fit to more observations starts from there.

    It is a part of a strategy and is stored with it. For each metric it has the fits to the largest numbers of observations so
    far, of each number the first. So predictions, cross-validation and analyses of a running client change nothing, and a
    strategy that was stored, loaded and continued goes on as if it had not been stopped. (After a reload Ax has no model, so
    that an analysis between new data and the next trial asks for a fit that would not have been; that is remembered, too.)

    Attributes:
        fits: For each metric its last two fits: the number of observations, and the point.
    """

    fits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself, as Ax copies options for each model that it makes; in a copy of a strategy or a client, an empty one."""
        copied = any(isinstance(made, GenerationNode | GeneratorRun) for made in list(memo.values()))
        return type(self)() if copied else self

    def before(self, metric: str, n: int) -> dict[str, np.ndarray] | None:
        """Return the point that was fitted to the largest number of observations below ``n``."""
        earlier = [fit["point"] for fit in self.fits.get(metric, []) if fit["n"] < n]
        return {name: np.asarray(value) for name, value in earlier[-1].items()} if earlier else None

    def remember(self, metric: str, n: int, point: Mapping[str, np.ndarray]) -> None:
        """Keep a point that was fitted to more observations than those before."""
        fits = self.fits.get(metric, [])
        if not fits or n > fits[-1]["n"]:
            point = {name: np.asarray(value).tolist() for name, value in point.items()}
            self.fits[metric] = [*fits, {"n": n, "point": point}][-2:]


CORE_DECODER_REGISTRY[WarmStarts.__name__] = WarmStarts


@submodel_input_constructor.register(AbstractBuiltGP)  # type: ignore[untyped-decorator]
def _construct_inputs(
    cls: GPClass,
    model_config: ModelConfig,
    dataset: SupervisedDataset,
    search_space_digest: SearchSpaceDigest,
    surrogate: Surrogate,
) -> dict[str, Any]:
    """Return the arguments of the constructor, as Ax does, and refuse data that the model would take for something else."""
    register(cls)  # of a ModelConfig that we did not see, before a trial depends on it
    metric = dataset.outcome_names[0]
    if dataset.Yvar is not None and (unknown := int(dataset.Yvar.isnan().sum())):
        raise InvalidDataError(
            f"{unknown} of {len(dataset.Yvar)} observations of {metric} have no SEM. Report it for all of them, or for none to "
            "have the noise learned."
        )
    if search_space_digest.fidelity_features:
        names = [search_space_digest.feature_names[i] for i in search_space_digest.fidelity_features]
        raise UnsupportedModelError(
            f"{', '.join(names)} is a fidelity parameter, which our models don't have. Declare it without."
        )
    if search_space_digest.hierarchical_dependencies:
        raise UnsupportedModelError("The search space is hierarchical and not flattened. Leave Ax's transforms as they are.")
    _check_units(cls, dataset)
    _check_metrics(surrogate)
    if isinstance(model_config.mll_options.get("warm_start"), WarmStarts):
        model_config.mll_options[METRIC] = metric
    if search_space_digest.categorical_features and model_config.input_transform_classes not in (None, []):
        _keep_indices(model_config, search_space_digest, len(dataset.feature_names))
    return submodel_input_constructor.dispatch(Model)(
        cls, model_config=model_config, dataset=dataset, search_space_digest=search_space_digest, surrogate=surrogate
    )


def _check_units(cls: GPClass, dataset: SupervisedDataset) -> None:
    if getattr(cls, "units", "scaled") == "natural" and len(dataset.Y) > 2:
        mean, sd = float(dataset.Y.mean()), float(dataset.Y.std())
        if abs(mean) < 1e-9 and abs(sd - 1) < 1e-9:
            warnings.warn(
                f"The outcome of {cls.__name__} looks as if Ax had standardised it, but its priors are in natural units. Use "
                "pymc_botorch.ax.generation_strategy, or leave StandardizeY out of the generator's transforms.",
                UserWarning,
                stacklevel=2,
            )


def _check_metrics(surrogate: Surrogate | None) -> None:
    if surrogate is None or surrogate._training_data is None:  # called by hand
        return
    known = {name for dataset in surrogate.training_data for name in dataset.outcome_names}
    if unknown := sorted(set(surrogate.surrogate_spec.metric_to_model_configs) - known):
        warnings.warn(
            f"by_metric has models of {', '.join(unknown)}, of which there are no data (there are of "
            f"{', '.join(sorted(known))}). Mind the spelling: a metric without a model of its own has that of all others.",
            UserWarning,
            stacklevel=2,
        )


def _keep_indices(config: ModelConfig, digest: SearchSpaceDigest, d: int) -> None:
    """Have Ax normalise all columns but those that hold an index of a category."""
    if isinstance(config.input_transform_classes, list) and Normalize not in config.input_transform_classes:
        return
    numeric = [i for i in range(d) if i not in digest.categorical_features]
    given = config.input_transform_classes
    if not numeric:  # Normalize refuses to have nothing to do
        config.input_transform_classes = [cls for cls in given if cls is not Normalize] if isinstance(given, list) else None
        return
    if not isinstance(given, list):
        config.input_transform_classes = [Normalize]
    options = dict(config.input_transform_options or {})
    config.input_transform_options = {**options, "Normalize": {"indices": numeric, **options.get("Normalize", {})}}


@fit_botorch_model.register(AbstractBuiltGP)  # type: ignore[untyped-decorator]
def _fit(model: Any, mll_class: Any = None, mll_options: Mapping[str, Any] | None = None) -> None:
    """Fit a model by its own ``fit``, with the options that were given."""
    options = dict(mll_options or {})
    metric, memory = options.pop(METRIC, ""), options.get("warm_start")
    n = len(model.train_targets)
    if isinstance(memory, WarmStarts):
        options["warm_start"] = memory.before(metric, n)
    if "progressbar" in inspect.signature(model.fit).parameters:
        options.setdefault("progressbar", False)
    model.fit(**options)
    if isinstance(memory, WarmStarts):
        memory.remember(metric, n, _one_point(model))


def _one_point(model: AbstractBuiltGP) -> Mapping[str, np.ndarray]:
    """Return the hyperparameters, of draws those of the first: where chains and climbs begin."""
    if model._is_fully_bayesian:
        return {name: draws[0] for name, draws in model._hyperparameters.items()}
    return model._hyperparameters
