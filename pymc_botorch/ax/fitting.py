"""Construction and fit of models for Ax, with warm starts from earlier fits of the same strategy."""

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
from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

METRIC_OPTION = "pymc_botorch: metric"
"""Fit option that carries the name of the metric from the construction of a model to its fit."""


@dataclass
class WarmStarts:
    """Memory of the fitted points by metric, from which fits to more observations start.

    It is part of a strategy and stored with it. For each metric it keeps the fits to the largest numbers of observations so
    far, and the first fit to each number. So predictions, cross-validation and analyses of a running client change nothing, and
    a strategy that was stored, loaded and continued goes on as if it had not been stopped. (After a reload Ax has no model, so
    an analysis between new data and the next trial causes a fit that would not have happened otherwise; it is kept, too.)

    Attributes:
        fits: The last two fits for each metric: the number of observations ``n``, and the point.
    """

    fits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return the memory itself, as Ax copies options for each model; in a copy of a strategy or client, an empty one."""
        in_strategy = any(isinstance(copied, GenerationNode | GeneratorRun) for copied in list(memo.values()))
        return type(self)() if in_strategy else self

    def before(self, metric: str, n: int) -> dict[str, np.ndarray] | None:
        """Return the point fitted to the most observations below ``n``, or None."""
        earlier = [fit["point"] for fit in self.fits.get(metric, []) if fit["n"] < n]
        return {name: np.asarray(value) for name, value in earlier[-1].items()} if earlier else None

    def remember(self, metric: str, n: int, point: Mapping[str, np.ndarray]) -> None:
        """Keep a fitted point if it has more observations than those before."""
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
    """Return the constructor's arguments, as Ax does, and refuse data that the model would misread."""
    register(cls)  # its ModelConfig may be made by hand; refuse its name before a trial depends on it
    metric = dataset.outcome_names[0]
    if dataset.Yvar is not None and (unknown := int(dataset.Yvar.isnan().sum())):
        raise InvalidDataError(
            f"{unknown} of {len(dataset.Yvar)} observations of {metric} have no SEM. Report it for all of them, or for none to "
            "have the noise learned."
        )
    if search_space_digest.fidelity_features:
        names = [search_space_digest.feature_names[i] for i in search_space_digest.fidelity_features]
        raise UnsupportedModelError(
            f"{', '.join(names)} is a fidelity parameter, which pymc_botorch does not support. Declare it without is_fidelity."
        )
    if search_space_digest.hierarchical_dependencies:
        raise UnsupportedModelError("The search space is hierarchical and not flattened. Leave Ax's transforms as they are.")
    _check_units(cls, dataset)
    _check_metrics(surrogate)
    if isinstance(model_config.mll_options.get("warm_start"), WarmStarts):
        model_config.mll_options[METRIC_OPTION] = metric
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
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )


def _check_metrics(surrogate: Surrogate | None) -> None:
    if surrogate is None or surrogate._training_data is None:  # not called by Ax
        return
    known = {name for dataset in surrogate.training_data for name in dataset.outcome_names}
    if unknown := sorted(set(surrogate.surrogate_spec.metric_to_model_configs) - known):
        warnings.warn(
            f"by_metric names {', '.join(unknown)}, but the data have only {', '.join(sorted(known))}. Check the spelling: "
            "metrics that it does not name get the surrogates of all others.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _keep_indices(config: ModelConfig, digest: SearchSpaceDigest, d: int) -> None:
    """Make Ax normalise all columns except those that hold the index of a category."""
    if isinstance(config.input_transform_classes, list) and Normalize not in config.input_transform_classes:
        return
    numeric = [i for i in range(d) if i not in digest.categorical_features]
    classes = config.input_transform_classes
    if not numeric:  # Normalize refuses an empty list of columns
        config.input_transform_classes = [cls for cls in classes if cls is not Normalize] if isinstance(classes, list) else None
        return
    if not isinstance(classes, list):
        config.input_transform_classes = [Normalize]
    options = dict(config.input_transform_options or {})
    config.input_transform_options = {**options, "Normalize": {"indices": numeric, **options.get("Normalize", {})}}


@fit_botorch_model.register(AbstractBuiltGP)  # type: ignore[untyped-decorator]
def _fit(model: Any, mll_class: Any = None, mll_options: Mapping[str, Any] | None = None) -> None:
    """Fit a model by its own ``fit``, with the options of its configuration."""
    options = dict(mll_options or {})
    metric, memory = options.pop(METRIC_OPTION, ""), options.get("warm_start")
    n = len(model.train_targets)
    if isinstance(memory, WarmStarts):
        options["warm_start"] = memory.before(metric, n)
    if "progressbar" in inspect.signature(model.fit).parameters:
        options.setdefault("progressbar", False)
    model.fit(**options)
    if isinstance(memory, WarmStarts):
        memory.remember(metric, n, model.point)
