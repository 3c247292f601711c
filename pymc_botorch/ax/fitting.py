"""Construction and fit of models for Ax, by its dispatchers: registered when this module is imported."""

__all__: list[str] = []

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ax.core.search_space import SearchSpaceDigest
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate, submodel_input_constructor
from ax.generators.torch.botorch_modular.utils import fit_botorch_model
from botorch.exceptions.errors import InputDataError, ModelFittingError
from botorch.models.model import Model
from botorch.models.transforms.input import Normalize
from botorch.utils.datasets import SupervisedDataset

from pymc_botorch.ax.configuration import MODULE_OPTION
from pymc_botorch.ax.registration import GPClass, register
from pymc_botorch.ax.warm_starts import WarmStarts
from pymc_botorch.errors import PACKAGE_FOLDER, FitWarning
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.categories import allow_values_between
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.known_variances import rounded_up

METRIC_OPTION = "pymc_botorch: metric"
"""Fit option that carries the name of the metric from the construction of a model to its fit."""


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
    if len(dataset.Y) == 0:  # Ax leaves the only observation out; it can compare nothing, but has to choose
        dataset = next(whole for whole in surrogate.training_data if whole.outcome_names == dataset.outcome_names)
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
    if dataset.Yvar is not None and type(dataset) is SupervisedDataset:
        dataset = SupervisedDataset(
            dataset.X,
            dataset.Y,
            Yvar=rounded_up(dataset.X, dataset.Y, dataset.Yvar, zero_is_meant=True),
            feature_names=dataset.feature_names,
            outcome_names=dataset.outcome_names,
            validate_init=False,
            group_indices=dataset.group_indices,
        )
    _check_columns(cls, dataset)
    _check_units(cls, dataset)
    _check_metrics(cls, surrogate)
    model_config.mll_options[METRIC_OPTION] = metric
    if search_space_digest.categorical_features and model_config.input_transform_classes not in (None, []):
        _keep_indices(model_config, search_space_digest, len(dataset.feature_names))
    return submodel_input_constructor.dispatch(Model)(
        cls, model_config=model_config, dataset=dataset, search_space_digest=search_space_digest, surrogate=surrogate
    )


def _check_columns(cls: GPClass, dataset: SupervisedDataset) -> None:
    """Refuse a class whose columns are not those that Ax passes, in their order."""
    names = tuple(dataset.feature_names)
    if cls.columns is not None and tuple(cls.columns) != names:
        raise InvalidDataError(
            f"The columns of {cls.__name__} are {', '.join(cls.columns)}, but those of the experiment {', '.join(names)} "
            "(parameters in their order, without fixed ones; of an unordered choice one for each value, or its position with "
            f"categories='index'). Write columns = {names!r}."
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


def _check_metrics(cls: GPClass, surrogate: Surrogate | None) -> None:
    """Warn of misspelt metrics, and of a class in natural units that serves a metric by default beside others."""
    if surrogate is None or surrogate._training_data is None:  # not called by Ax
        return
    known = {name for dataset in surrogate.training_data for name in dataset.outcome_names}
    spec = surrogate.surrogate_spec
    served = {
        metric
        for metric in known
        for config in spec.metric_to_model_configs.get(metric, spec.model_configs)
        if config.botorch_model_class is cls
    }
    by_default = sorted(served - set(spec.metric_to_model_configs))
    named = ", ".join(f"{metric!r}: ..." for metric in by_default)
    if cls.units == "natural" and by_default and len(served) > 1:
        warnings.warn(
            f"{cls.__name__} has priors in natural units, and serves {' and '.join(sorted(served))} alike, though it was not "
            f"named for {' or '.join(by_default)}. Give each metric a class with priors for its own units, by "
            f"surrogate_spec(..., by_metric={{{named}}}), where one may also stand for several.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )
    if unknown := sorted(set(spec.metric_to_model_configs) - known):
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
    options.pop(MODULE_OPTION, None)
    metric, memory = options.pop(METRIC_OPTION, ""), options.get("warm_start")
    n = len(model.train_targets)
    allow_values_between(model)  # Ax's optimiser of mixed spaces begins with a relaxation
    if isinstance(memory, WarmStarts):
        options["warm_start"] = memory.before(metric, n)
    if "progressbar" in inspect.signature(model.fit).parameters:
        options.setdefault("progressbar", False)
    with _by_metric(f"{type(model).__name__} of {metric}"):
        try:
            model.fit(**options)
        except (InputDataError, ModelFittingError, TypeError, ValueError) as error:
            if not isinstance(memory, WarmStarts) or options["warm_start"] is None:
                raise
            model.fit(**{**options, "warm_start": None})  # raises again what is not of the start
            memory.forget(metric)
            warnings.warn(
                f"The warm start that {type(model).__name__} remembers for {metric} no longer fits it, and is dropped "
                f"({str(error).splitlines()[0].partition('. ')[0]}). The fit began without it, and later ones start at its end.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
    if isinstance(memory, WarmStarts):
        memory.remember(metric, n, model.point)


@contextmanager
def _by_metric(fitted: str) -> Iterator[None]:
    """Say in each ``FitWarning`` and ``ModelFittingError`` what was fitted; others pass."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        try:
            yield
        except ModelFittingError as error:
            raise ModelFittingError(f"{fitted}: {error}") from error
        finally:
            passed = list(caught)
    for warning in passed:
        if issubclass(warning.category, FitWarning):
            warnings.warn(f"{fitted}: {warning.message}", warning.category, skip_file_prefixes=(PACKAGE_FOLDER,))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
