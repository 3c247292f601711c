"""A class that builds a gp comes in, an Ax surrogate goes out: registration, ``model_config``, ``generation_strategy``.

To import this module registers with Ax, by the means that Ax offers: each subclass of our models, present or future, in its list of
model classes (storage finds them by name); how they are made and fitted, with its dispatchers ``submodel_input_constructor`` and
``fit_botorch_model``; and ``WarmStarts`` in its JSON registry. A new process that loads a stored experiment must import the module
that has the class, and this one.
"""

__all__ = ["WarmStarts", "generation_strategy", "model_config", "register", "surrogate_spec"]

import inspect
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import torch
from ax.adapter.registry import Generators, MBM_X_trans, Mixed_transforms
from ax.adapter.transforms.base import Transform
from ax.adapter.transforms.derelativize import Derelativize
from ax.core.experiment_status import ExperimentStatus
from ax.core.search_space import SearchSpaceDigest
from ax.core.trial_status import TrialStatus
from ax.exceptions.core import UserInputError
from ax.generation_strategy.center_generation_node import CenterGenerationNode
from ax.generation_strategy.dispatch_utils import get_derelativize_config
from ax.generation_strategy.generation_node import GenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generation_strategy.transition_criterion import MaxTrialsAwaitingData, MinTrials
from ax.generators.torch.botorch_modular.surrogate import (
    ModelConfig,
    Surrogate,
    SurrogateSpec,
    submodel_input_constructor,
)
from ax.generators.torch.botorch_modular.utils import fit_botorch_model
from ax.storage.botorch_modular_registry import CLASS_TO_REVERSE_REGISTRY, register_model
from ax.storage.json_store.decoder import object_from_json
from ax.storage.json_store.encoder import object_to_json
from ax.storage.json_store.registry import CORE_DECODER_REGISTRY
from ax.utils.stats.model_fit_stats import DIAGNOSTIC_FNS
from botorch.acquisition import AcquisitionFunction
from botorch.models.model import Model
from botorch.models.transforms.input import Normalize
from botorch.models.transforms.outcome import Standardize
from botorch.utils.datasets import SupervisedDataset

from pymc_botorch.models.contract import AbstractPyMCGP, on_new_class
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError

type GPClass = type[AbstractPyMCGP]

METRIC = "pymc_botorch: metric"
"""The fit option in which the name of a metric goes from the making of its model to its fit."""


@dataclass(eq=False)
class WarmStarts:
    """What was fitted, by metric: a fit to more observations starts from there.

    It is a part of a strategy and is stored with it. What it remembers depends on the data only, not on who asked for a fit: for
    each metric the fits to the largest numbers of observations so far, of each number the first. So cross-validation and analyses
    change nothing, and a strategy that was stored, loaded and continued goes on as if it had not been stopped.

    Attributes:
        fits: For each metric its last two fits: the number of observations, and the point.
    """

    fits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: Ax copies options for each model that it makes."""
        return self

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


def register(cls: GPClass) -> GPClass:
    """Enter a class in Ax's list of models, where its storage finds it by name. It may be used as a decorator.

    Importing this module does it for each subclass, and each that is made later. The same class may be made again, as in a
    notebook: the last one counts.

    Raises:
        UserInputError: If another class bears this name there: loading an experiment would silently take one for the other.

    Example:
        >>> from pymc_botorch import PyMCGP, ax
        >>> class DemoGP(PyMCGP):
        ...     pass
        >>> ax.register(DemoGP) is DemoGP
        True
    """
    bearer = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if bearer is not None and _origin(bearer) != _origin(cls):
        raise UserInputError(
            f"Ax stores models by the name of their class, and {cls.__name__} is already that of {'.'.join(_origin(bearer))}. "
            f"Give {'.'.join(_origin(cls))} another name."
        )
    register_model(cls)
    return cls


def model_config(
    cls: GPClass,
    *,
    name: str | None = None,
    model_options: Mapping[str, Any] | None = None,
    fit_options: Mapping[str, Any] | None = None,
) -> ModelConfig:
    """Return Ax's configuration of a class as surrogate.

    Where the class says ``units = "scaled"``, its ``X`` is normalised to the bounds of the search space. Where it says
    ``"natural"``, ``X`` is as in the experiment, but a parameter on a log scale is its ``log10`` (and Ax must not standardise
    outcomes: :func:`generation_strategy` sees to it).

    Args:
        cls: A subclass of ``PyMCGP`` or ``FullyBayesianPyMCGP``, or one of these.
        name: Of the configuration in Ax's reports; None is that of the class.
        model_options: Arguments of the constructor, for classes that have their own.
        fit_options: Arguments of ``fit``, such as ``num_starts``. ``{"warm_start": True}`` starts from the point that the
            same strategy found for the same metric with fewer observations.

    Raises:
        UserInputError: If the class or an option can't be used, or an option can't be stored: Ax would notice that when it
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
    _check_arguments(f"model_options of {cls.__name__}", inspect.signature(cls), options, given=("train_X", "train_Y"))
    _check_arguments(f"fit_options of {cls.__name__}", inspect.signature(cls.fit), fitting, given=("self",))
    if "warm_start" in fitting:
        if not isinstance(fitting["warm_start"], bool):
            raise UserInputError(f"warm_start is a {type(fitting['warm_start']).__name__}. In Ax, pass True or False.")
        if fitting.pop("warm_start"):
            fitting["warm_start"] = WarmStarts()
    _check_storable("model_options", options)
    _check_storable("fit_options", {key: value for key, value in fitting.items() if key != "warm_start"})
    scaling: dict[str, Any] = {} if cls.units == "scaled" else {"input_transform_classes": None}
    return ModelConfig(cls, model_options=options, mll_options=fitting, name=name or cls.__name__, **scaling)


def surrogate_spec(
    *surrogates: GPClass | ModelConfig,
    by_metric: Mapping[str, GPClass | ModelConfig | Sequence[GPClass | ModelConfig]] | None = None,
    criterion: str = "Rank correlation",
    num_folds: int | None = 10,
) -> SurrogateSpec:
    """Return Ax's choice between surrogates: of several, that which predicts left-out trials best, for each metric.

    Args:
        *surrogates: Classes of ours, or configurations of any models; none is ``PyMCGP``.
        by_metric: For the metrics of these names, others.
        criterion: Ax's name of the measure by which predictions are compared, such as ``"Rank correlation"`` or ``"MSE"``.
        num_folds: Of the cross-validation; None leaves out one at a time.

    Raises:
        UserInputError: If two configurations have one name, or Ax can't compute the criterion for a model without a GPyTorch
            likelihood.

    Example:
        >>> from ax.generators.torch.botorch_modular.surrogate import ModelConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> spec = ax.surrogate_spec(PyMCGP, ModelConfig(name="Ax's own"))
        >>> [config.name for config in spec.model_configs]
        ['PyMCGP', "Ax's own"]
    """
    if criterion not in DIAGNOSTIC_FNS:
        raise UserInputError(f"Ax can't compare these models by {criterion!r}. Pass one of {', '.join(DIAGNOSTIC_FNS)}.")
    metrics = {
        metric: _configs([given] if isinstance(given, type | ModelConfig) else given) for metric, given in (by_metric or {}).items()
    }
    return SurrogateSpec(
        model_configs=_configs(surrogates or (_default_class(),)),
        metric_to_model_configs=metrics,
        eval_criterion=criterion,
        num_folds=num_folds,
    )


def generation_strategy(
    surrogate: GPClass | ModelConfig | SurrogateSpec,
    *,
    initialization_budget: int = 5,
    seed: int | None = None,
    botorch_acqf_class: type[AcquisitionFunction] | None = None,
    acquisition_options: Mapping[str, Any] | None = None,
    optimizer_kwargs: Mapping[str, Any] | None = None,
    fit_options: Mapping[str, Any] | None = None,
    categories: Literal["one-hot", "index"] = "one-hot",
) -> GenerationStrategy:
    """Return a strategy for ``Client.set_generation_strategy``: the centre, Sobol points, then our surrogate, as Ax's default.

    The class's ``units`` decide what its priors meet: ``"scaled"`` are inputs in the unit cube and outcomes that Ax has
    winsorised and standardised, ``"natural"`` are inputs and outcomes as they were reported (a parameter on a log scale as its
    ``log10``). A strategy serves one experiment: make another for another.

    Args:
        surrogate: A subclass of ``PyMCGP`` or ``FullyBayesianPyMCGP`` with a ``build_gp``, or what :func:`model_config` or
            :func:`surrogate_spec` returned.
        initialization_budget: Trials before the surrogate is asked, the centre and attached ones included; half of them (rounded
            down) must have data.
        seed: Of the Sobol points.
        botorch_acqf_class: None is Ax's choice by the experiment's objectives and constraints.
        acquisition_options: Ax's, such as ``{"prune_irrelevant_parameters": True}``.
        optimizer_kwargs: Of the acquisition function's optimiser, such as ``{"num_restarts": 10}``.
        fit_options: As in :func:`model_config`, for a class.
        categories: How choices without an order reach ``build_gp``: a column of 0 and 1 for each value, or one column with the index
            of the value, never scaled, for ``pm.gp.cov.Coregion``. Two values are one column 0 or 1 in either case.

    Raises:
        UserInputError: If an argument can't be used, or stored.

    Example:
        >>> import pymc as pm
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> import pymc_botorch.ax
        >>> class DoseGP(pymc_botorch.PyMCGP):
        ...     units = "natural"
        ...     def build_gp(self, X, y):
        ...         noise = pm.LogNormal("noise", mu=-2, sigma=1)  # t/ha
        ...         gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8), cov_func=9 * pm.gp.cov.Matern52(1, ls=60))
        ...         gp.marginal_likelihood("yield", X, y, sigma=noise)
        ...         return gp
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(pymc_botorch.ax.generation_strategy(DoseGP, initialization_budget=2))
        >>> client.get_next_trials(max_trials=1)
        {0: {'dose': 80.0}}
    """
    spec = _spec(surrogate, fit_options)
    if isinstance(initialization_budget, bool) or not isinstance(initialization_budget, int) or initialization_budget < 0:
        raise UserInputError(f"initialization_budget is {initialization_budget!r}. Pass a whole number from 0 up.")
    if categories not in ("one-hot", "index"):
        raise UserInputError(f"categories is {categories!r}. Pass 'one-hot' or 'index'.")
    for name, options in (("acquisition_options", acquisition_options), ("optimizer_kwargs", optimizer_kwargs)):
        _check_storable(name, dict(options or {}))
    generator_kwargs: dict[str, Any] = {
        "surrogate_spec": spec,
        "transform_configs": get_derelativize_config(derelativize_with_raw_status_quo=True),
        "acquisition_options": dict(acquisition_options or {}),
    }
    if any(_is_natural(config) for config in _all_configs(spec)):
        generator_kwargs |= _in_natural_units(spec, Mixed_transforms if categories == "index" else MBM_X_trans)
    if botorch_acqf_class is not None:
        generator_kwargs["botorch_acqf_class"] = botorch_acqf_class
    gen_kwargs = {"model_gen_options": {"optimizer_kwargs": dict(optimizer_kwargs)}} if optimizer_kwargs else {}
    enum = Generators.BO_MIXED if categories == "index" else Generators.BOTORCH_MODULAR
    node = GenerationNode(
        name="MBM",
        generator_specs=[GeneratorSpec(enum, generator_kwargs=generator_kwargs, generator_gen_kwargs=gen_kwargs)],
        should_deduplicate=True,
        suggested_experiment_status=ExperimentStatus.OPTIMIZATION,
    )
    nodes = [*_initialization(initialization_budget, seed), node]
    title = "+".join(dict.fromkeys(str(config.name) for config in _all_configs(spec)))
    strategy = GenerationStrategy(name="+".join([*(node.name for node in nodes[:-1]), title]), nodes=nodes)
    _check_storable("The strategy", strategy)
    return strategy


def _initialization(budget: int, seed: int | None) -> list[GenerationNode]:
    """Return Ax's first nodes: the centre of the search space, then Sobol points, ``budget`` trials in all."""
    counted = [TrialStatus.FAILED, TrialStatus.ABANDONED]
    criteria = [
        MinTrials(threshold=budget, transition_to="MBM", use_all_trials_in_exp=True, not_in_statuses=counted),
        MinTrials(
            threshold=max(1, budget // 2),
            transition_to="MBM",
            use_all_trials_in_exp=True,
            only_in_statuses=[TrialStatus.COMPLETED],
            count_only_trials_with_data=True,
        ),
    ]
    pausing = [MaxTrialsAwaitingData(threshold=budget, not_in_statuses=counted, use_all_trials_in_exp=True)]
    sobol = GenerationNode(
        name="Sobol",
        generator_specs=[GeneratorSpec(Generators.SOBOL, generator_kwargs={"seed": seed})],
        transition_criteria=criteria,
        pausing_criteria=pausing,
        should_deduplicate=True,
        suggested_experiment_status=ExperimentStatus.INITIALIZATION,
    )
    after = [sobol] if budget > 1 else []
    centre = CenterGenerationNode(
        next_node_name=after[0].name if after else "MBM", use_existing_trials_for_initialization=True
    )
    return [centre, *after] if budget else []


def _spec(surrogate: Any, fit_options: Mapping[str, Any] | None) -> SurrogateSpec:
    """Return the specification, with warm starts of its own."""
    if isinstance(surrogate, type):
        return surrogate_spec(model_config(surrogate, fit_options=fit_options))
    if fit_options:
        raise UserInputError("fit_options belong to a class. Pass them to model_config.")
    if isinstance(surrogate, ModelConfig):
        surrogate = surrogate_spec(surrogate)
    if not isinstance(surrogate, SurrogateSpec):
        raise UserInputError(f"The surrogate is a {type(surrogate).__name__}. Pass a class, a ModelConfig or a SurrogateSpec.")
    return _map_configs(surrogate, _with_own_warm_starts)


def _with_own_warm_starts(config: ModelConfig) -> ModelConfig:
    if "warm_start" not in config.mll_options:
        return config
    return replace(config, mll_options={**config.mll_options, "warm_start": WarmStarts()})


def _in_natural_units(spec: SurrogateSpec, of_inputs: Iterable[type[Transform]]) -> dict[str, Any]:
    """Return the options for outcomes as reported; models that want them standardised do it themselves."""

    def standardize(config: ModelConfig) -> ModelConfig:
        if _is_natural(config) or config.outcome_transform_classes is not None:
            return config
        return replace(
            config, outcome_transform_classes=[Standardize], outcome_transform_options={"Standardize": {"m": 1}}
        )

    configs = get_derelativize_config(derelativize_with_raw_status_quo=True)
    return {
        "surrogate_spec": _map_configs(spec, standardize),
        "transforms": [*of_inputs, Derelativize],
        "transform_configs": {Derelativize.__name__: configs[Derelativize.__name__]},
    }


def _map_configs(spec: SurrogateSpec, change: Any) -> SurrogateSpec:
    metrics = {metric: [change(config) for config in configs] for metric, configs in spec.metric_to_model_configs.items()}
    return replace(spec, model_configs=[change(config) for config in spec.model_configs], metric_to_model_configs=metrics)


def _all_configs(spec: SurrogateSpec) -> list[ModelConfig]:
    return [*spec.model_configs, *(config for configs in spec.metric_to_model_configs.values() for config in configs)]


def _configs(surrogates: Iterable[Any]) -> list[ModelConfig]:
    configs = [given if isinstance(given, ModelConfig) else model_config(given) for given in surrogates]
    names = [config.identifier for config in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserInputError(f"Two configurations are called {twice[0]!r}. Pass model_config(..., name=...) for each.")
    return configs


def _default_class() -> GPClass:
    from pymc_botorch.models.pymc_gp import PyMCGP

    return PyMCGP


def _is_natural(config: ModelConfig) -> bool:
    return getattr(config.botorch_model_class, "units", "scaled") == "natural"


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _check_class(cls: Any) -> None:
    """Refuse what Ax could not make, and register the rest."""
    if not (isinstance(cls, type) and issubclass(cls, AbstractPyMCGP) and callable(getattr(cls, "fit", None))):
        raise UserInputError(f"{cls!r} is no surrogate of ours. Pass a subclass of PyMCGP or FullyBayesianPyMCGP, not an instance.")
    if inspect.isabstract(cls):
        raise UserInputError(f"{cls.__name__} is abstract. Pass a subclass of PyMCGP or FullyBayesianPyMCGP.")
    if missing := {"input_transform", "outcome_transform"} - set(inspect.getfullargspec(cls).args):
        raise UserInputError(
            f"{cls.__name__}.__init__ does not name {' and '.join(sorted(missing))} among its positional arguments, by which Ax "
            "passes them. Write them out."
        )
    register(cls)
    if cls.__module__ == "__main__":
        warnings.warn(
            f"{cls.__name__} is defined in __main__, where a new process that loads the experiment can't find it. Move it to a "
            "module that can be imported.",
            UserWarning,
            stacklevel=3,
        )


def _check_arguments(what: str, signature: inspect.Signature, options: Mapping[str, Any], given: Sequence[str]) -> None:
    try:
        signature.bind(*given, **options)
    except TypeError as error:
        known = [name for name in signature.parameters if name not in given]
        raise UserInputError(f"The {what} can't be used ({error}). Pass some of {', '.join(known)}.") from error


def _check_storable(what: str, value: Any) -> None:
    """Refuse what Ax's storage refuses, or gives back as something else: a failing save truncates the file that was there."""
    try:
        stored = object_from_json(json.loads(json.dumps(object_to_json(value))))
    except Exception as error:
        raise UserInputError(f"{what}: Ax can't store this ({error}). Pass numbers, strings, lists and dicts of them.") from error
    if isinstance(value, dict) and not _same(value, stored):
        raise UserInputError(f"{what}: Ax would load {value!r} as {stored!r}. Pass numbers, strings, lists and dicts with string keys.")


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, dict):
        return isinstance(two, dict) and one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return isinstance(two, list | tuple) and len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, np.ndarray | torch.Tensor):
        return type(one) is type(two) and np.array_equal(np.asarray(one), np.asarray(two))
    return bool(one == two)


@submodel_input_constructor.register(AbstractPyMCGP)  # type: ignore[untyped-decorator]
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
            f"{unknown} of {len(dataset.Yvar)} observations of {metric} have no SEM. Report it for all of them, or for none to have "
            "the noise learned."
        )
    if search_space_digest.fidelity_features:
        names = [search_space_digest.feature_names[i] for i in search_space_digest.fidelity_features]
        raise UnsupportedModelError(f"{', '.join(names)} is a fidelity parameter, which our models don't have. Declare it without.")
    if search_space_digest.hierarchical_dependencies:
        raise UnsupportedModelError("The search space is hierarchical and not flattened. Leave Ax's transforms as they are.")
    _check_units(cls, dataset)
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


def _keep_indices(config: ModelConfig, digest: SearchSpaceDigest, d: int) -> None:
    """Have Ax normalise all columns but those that hold an index of a category."""
    if isinstance(config.input_transform_classes, list) and Normalize not in config.input_transform_classes:
        return
    if not isinstance(config.input_transform_classes, list):
        config.input_transform_classes = [Normalize]
    options = dict(config.input_transform_options or {})
    numeric = [i for i in range(d) if i not in digest.categorical_features]
    config.input_transform_options = {**options, "Normalize": {"indices": numeric, **options.get("Normalize", {})}}


@fit_botorch_model.register(AbstractPyMCGP)  # type: ignore[untyped-decorator]
def _fit(model: AbstractPyMCGP, mll_class: Any = None, mll_options: Mapping[str, Any] | None = None) -> None:
    """Fit a model by its own ``fit``, with the options that were given."""
    options = dict(mll_options or {})
    metric, memory = options.pop(METRIC, ""), options.get("warm_start")
    n = len(model.train_targets)
    if isinstance(memory, WarmStarts):
        options["warm_start"] = memory.before(metric, n)
    seed = inspect.signature(model.fit).parameters.get("seed")  # type: ignore[attr-defined]
    if seed is not None and seed.default is None and "seed" not in options:
        options["seed"] = int(torch.randint(2**31 - 1, ()))  # Client(random_seed=) seeds torch
    model.fit(**options)  # type: ignore[attr-defined]
    if isinstance(memory, WarmStarts):
        memory.remember(metric, n, model._hyperparameters)  # type: ignore[attr-defined]


def _register_if_free(cls: GPClass) -> None:
    """Register a class when it is made; if its name is taken, whoever uses it in Ax is told."""
    bearer = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if bearer is None or _origin(bearer) == _origin(cls):
        register_model(cls)


def _register_all(cls: type) -> None:
    for subclass in cls.__subclasses__():
        _register_if_free(subclass)
        _register_all(subclass)


_register_all(AbstractPyMCGP)
on_new_class(_register_if_free)
