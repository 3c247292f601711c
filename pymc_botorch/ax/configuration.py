"""Ax's configuration of a pymc_botorch class as surrogate, and the choice between several surrogates."""

__all__ = ["apply_units", "check_storable", "has_natural_units", "model_config", "surrogate_spec"]

import inspect
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args
from weakref import WeakSet

import numpy as np
import torch
from ax.exceptions.core import UserInputError
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, SurrogateSpec
from ax.storage.json_store.decoder import object_from_json
from ax.storage.json_store.encoder import object_to_json
from ax.utils.stats.model_fit_stats import DIAGNOSTIC_FNS
from botorch.exceptions.errors import InputDataError
from botorch.utils.types import DEFAULT

from pymc_botorch.ax.evidence import LOG_EVIDENCE, check_evidence
from pymc_botorch.ax.registration import GPClass, register
from pymc_botorch.ax.warm_starts import WarmStarts
from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.training_data import UnitsOfPriors

PASSED_BY_AX = ("train_X", "train_Y", "train_Yvar", "input_transform", "outcome_transform", "categorical_features")
"""Constructor arguments that Ax makes from the experiment."""

MODULE_OPTION = "pymc_botorch: module"
"""Fit option that carries the name of the module that defines a class to a process that loads the experiment."""

_warned: WeakSet[type] = WeakSet()


def model_config(
    cls: GPClass,
    *,
    name: str | None = None,
    model_options: Mapping[str, Any] | None = None,
    fit_options: Mapping[str, Any] | None = None,
) -> ModelConfig:
    """Return Ax's configuration of a class as surrogate.

    For a class with ``units = "scaled"``, ``X`` is normalised to the bounds of the search space. For one with ``"natural"``,
    ``X`` is as in the experiment, with range parameters of ``scaling="log"`` as their ``log10``. (Ax must not standardise
    outcomes for it, nor put ordered choices on a log scale by itself: :func:`generation_strategy` makes sure of both.)

    Args:
        cls: A subclass of ``PyMCGP`` or ``FullyBayesianPyMCGP``, or one of these.
        name: Name of the configuration in Ax's reports; None takes the name of the class.
        model_options: Further arguments of the constructor, for classes that have such.
        fit_options: Arguments of ``fit``, such as ``num_starts``. ``{"warm_start": True}`` starts from the point that the
            same strategy found for the same metric with fewer observations. Of an ensemble, that is one draw: in Ax, ``"auto"``
            can't reweight earlier draws. Doubtful draws give a warning, and the trial goes on (:class:`FitAnalysis` lists them);
            with ``{"strict": True}`` they are an error. ``{"max_seconds": 20}`` is the budget of each fit.

    Raises:
        UserInputError: If the class or an option can't be used, or an option can't be stored: Ax would only notice when it
            saves, and leave an empty file.

    Warns:
        UserWarning: If the class is in ``__main__``, where a new process will not find it.

    Example:
        >>> from pymc_botorch import PyMCGP, ax
        >>> ax.model_config(PyMCGP, fit_options={"num_starts": 2}).name
        'PyMCGP'
    """
    options, fitting = dict(model_options or {}), dict(fit_options or {})
    _check_class(cls)
    if "build_gp" in options:
        raise UserInputError("Ax can't store a build_gp function. Write it as the method build_gp of a subclass of the model.")
    if taken := sorted({*PASSED_BY_AX} & set(options)):
        raise UserInputError(f"Ax passes {', '.join(taken)} itself. Leave it out of model_options.")
    _check_arguments(f"model_options of {cls.__name__}", _constructor(cls), ("train_X", "train_Y"), options)
    _check_arguments(f"fit_options of {cls.__name__}", inspect.signature(cls.fit), ("self",), fitting)
    if "warm_start" in fitting:
        if not isinstance(fitting["warm_start"], bool):
            raise UserInputError(f"warm_start is a {type(fitting['warm_start']).__name__}. In Ax, pass True or False.")
        if fitting.pop("warm_start"):
            fitting["warm_start"] = WarmStarts()
    check_storable("model_options", options)
    without_warm_start = {key: value for key, value in fitting.items() if key != "warm_start"}
    check_storable("fit_options", without_warm_start)
    try:
        cls.check_fit_options(**without_warm_start)
    except InputDataError as error:
        raise UserInputError(f"The fit_options of {cls.__name__} can't be used: {error}") from error
    return apply_units(ModelConfig(cls, model_options=options, mll_options=fitting, name=name or cls.__name__))


def apply_units(config: ModelConfig) -> ModelConfig:
    """Return a configuration of ours with the module of its class, and if that has natural units without Ax's scaling."""
    cls = config.botorch_model_class
    if not (isinstance(cls, type) and issubclass(cls, AbstractBuiltGP)):
        return config
    _check_class(cls)
    config = replace(config, mll_options={**config.mll_options, MODULE_OPTION: cls.__module__})
    if has_natural_units(config) and config.input_transform_classes is DEFAULT:
        return replace(config, input_transform_classes=None)
    return config


def has_natural_units(config: ModelConfig) -> bool:
    """Return whether the priors of a configuration's class are for the units of the experiment."""
    return getattr(config.botorch_model_class, "units", "scaled") == "natural"


def surrogate_spec(
    *surrogates: GPClass | ModelConfig,
    by_metric: Mapping[str, GPClass | ModelConfig | Sequence[GPClass | ModelConfig]] | None = None,
    criterion: str = "Rank correlation",
    num_folds: int | None = 10,
) -> SurrogateSpec:
    """Return Ax's choice between surrogates: for each metric, the one that predicts left-out trials best.

    Args:
        *surrogates: Classes of pymc_botorch, or configurations of any models; ``PyMCGP`` if there are none.
        by_metric: Surrogates for the metrics of these names, in place of ``surrogates``.
        criterion: Ax's name of the measure by which predictions are compared, such as ``"Rank correlation"`` or ``"MSE"``. Or
            ``"Log evidence"``, for classes of draws with the same units and a strategy of :func:`generation_strategy`: the
            density that a model gave to all data before it saw them, without a cross-validation.
        num_folds: Number of folds of the cross-validation; None leaves out one trial at a time.

    Raises:
        UserInputError: If two configurations have the same name, Ax can't compute the criterion for a model without a GPyTorch
            likelihood, or a model has no evidence where that is the criterion.

    Example:
        >>> from ax.generators.torch.botorch_modular.surrogate import ModelConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> spec = ax.surrogate_spec(PyMCGP, ModelConfig(name="Ax's own"))
        >>> [config.name for config in spec.model_configs]
        ['PyMCGP', "Ax's own"]
    """
    if criterion not in (known := (*DIAGNOSTIC_FNS, LOG_EVIDENCE)):
        raise UserInputError(f"Ax can't compare these models by {criterion!r}. Pass one of {', '.join(known)}.")
    metrics = {
        metric: _configs([chosen] if isinstance(chosen, type | ModelConfig) else chosen)
        for metric, chosen in (by_metric or {}).items()
    }
    configs = _configs(surrogates or (PyMCGP,))
    if criterion == LOG_EVIDENCE:
        check_evidence(config for chosen in (configs, *metrics.values()) for config in chosen)
    return SurrogateSpec(
        model_configs=configs,
        metric_to_model_configs=metrics,
        eval_criterion=criterion,
        num_folds=num_folds,
    )


def _configs(surrogates: Iterable[Any]) -> list[ModelConfig]:
    configs = [apply_units(one) if isinstance(one, ModelConfig) else model_config(one) for one in surrogates]
    if not configs:
        raise UserInputError("by_metric has a metric without a surrogate. Pass a class or a configuration.")
    names = [config.identifier for config in configs]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise UserInputError(f"Two configurations are called {repeated[0]!r}. Pass model_config(..., name=...) for each.")
    return configs


def _check_class(cls: Any) -> None:
    """Register a class, and refuse one that Ax could not construct."""
    register(cls)
    if inspect.isabstract(cls):
        raise UserInputError(f"{cls.__name__} is abstract. Pass a subclass of PyMCGP or FullyBayesianPyMCGP.")
    if missing := {"input_transform", "outcome_transform"} - set(inspect.getfullargspec(cls).args):
        raise UserInputError(
            f"{cls.__name__}.__init__ does not name {' and '.join(sorted(missing))} among its positional arguments, which Ax "
            "looks for. Write them out."
        )
    if cls.units not in get_args(UnitsOfPriors.__value__):
        raise UserInputError(f"The units of {cls.__name__} are {cls.units!r}. Write 'scaled' or 'natural'.")
    if cls.__module__ == "__main__" and cls not in _warned:
        _warned.add(cls)
        warnings.warn(
            f"{cls.__name__} is defined in __main__, where a new process that loads the experiment can't find it. Move it to a "
            "module that can be imported.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _constructor(cls: GPClass) -> inspect.Signature:
    """Return the arguments of a class, without those that our own constructor takes to refuse them by name."""
    signature = inspect.signature(cls)
    if cls.__init__ is not AbstractBuiltGP.__init__:
        return signature
    named = [parameter for parameter in signature.parameters.values() if parameter.kind != parameter.VAR_KEYWORD]
    return signature.replace(parameters=named)


def _check_arguments(what: str, signature: inspect.Signature, positional: Sequence[str], options: Mapping[str, Any]) -> None:
    try:
        signature.bind(*positional, **options)
    except TypeError as error:
        known = [name for name in signature.parameters if name not in positional]
        raise UserInputError(f"The {what} can't be used ({error}). Pass some of {', '.join(known)}.") from error


def check_storable(what: str, value: Any) -> None:
    """Refuse what Ax's storage cannot save or would load as something else: a failing save truncates the existing file."""
    try:
        stored = object_from_json(json.loads(json.dumps(object_to_json(value))))
    except Exception as error:
        raise UserInputError(f"{what}: Ax can't store this ({error}). Pass numbers, strings, lists and dicts of them.") from error
    if isinstance(value, dict) and not _same(value, stored):
        raise UserInputError(
            f"{what}: Ax would load {value!r} as {stored!r}. Pass numbers, strings, lists and dicts with string keys."
        )


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return isinstance(two, list | tuple) and len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, np.ndarray | torch.Tensor):
        return type(one) is type(two) and np.array_equal(np.asarray(one), np.asarray(two))
    return bool(one == two)
