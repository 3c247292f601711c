"""Generation strategy for Ax's ``Client``: the centre, Sobol points, then a pymc_botorch surrogate."""

__all__ = ["generation_strategy"]

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from ax.adapter.registry import Generators, Y_trans
from ax.adapter.transforms.derelativize import Derelativize
from ax.core.experiment import Experiment
from ax.core.experiment_status import ExperimentStatus
from ax.core.trial_status import TrialStatus
from ax.exceptions.core import UserInputError
from ax.generation_strategy.center_generation_node import CenterGenerationNode
from ax.generation_strategy.dispatch_utils import get_derelativize_config
from ax.generation_strategy.generation_node import GenerationNode
from ax.generation_strategy.generation_strategy import GenerationStrategy
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generation_strategy.transition_criterion import MaxTrialsAwaitingData, MinTrials
from ax.generators.torch.botorch_modular.surrogate import ModelConfig, SurrogateSpec
from ax.storage.json_store.encoders import generation_strategy_to_dict
from ax.storage.json_store.registry import CORE_ENCODER_REGISTRY
from ax.utils.stats.model_fit_stats import LOG_LIKELIHOOD
from botorch.acquisition import AcquisitionFunction
from botorch.models.transforms.outcome import Standardize

from pymc_botorch.ax.acquisition import CompiledAcquisition
from pymc_botorch.ax.configuration import apply_units, check_storable, has_natural_units, model_config, surrogate_spec
from pymc_botorch.ax.evidence import LOG_EVIDENCE, EvidenceSurrogate, check_evidence
from pymc_botorch.ax.registration import GPClass
from pymc_botorch.ax.transforms import input_transforms
from pymc_botorch.ax.warm_starts import WarmStarts


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
    compile_acqf: bool = True,
) -> GenerationStrategy:
    """Return a strategy like Ax's default, with our surrogate: first the centre of the search space, then Sobol points, then it.

    The class's ``units`` decide what its priors are for: ``"scaled"`` for inputs in the unit cube and outcomes that Ax has
    winsorised and standardised, ``"natural"`` for inputs and outcomes as they were reported (parameters on a log scale as their
    ``log10``). A strategy serves one experiment: make a new one for each.

    Args:
        surrogate: A subclass of ``PyMCGP`` or ``FullyBayesianPyMCGP`` with a ``build_gp``, or what :func:`model_config` or
            :func:`surrogate_spec` returned.
        initialization_budget: Number of trials before the surrogate is used, including the centre and attached trials; half of
            them (rounded down) must have data. Pass 0 where the experiment already has data: otherwise Ax makes one more trial.
        seed: Random seed of the Sobol points.
        botorch_acqf_class: Acquisition function; None lets Ax choose by the experiment's objectives and constraints.
        acquisition_options: Ax's acquisition options, such as ``{"prune_irrelevant_parameters": True}``.
        optimizer_kwargs: Arguments of the acquisition function's optimiser, such as ``{"num_restarts": 10}``.
        fit_options: Arguments of ``fit``, as in :func:`model_config`; only where ``surrogate`` is a class.
        categories: How unordered choices reach ``build_gp``. ``"one-hot"``: as a column of 0 and 1 for each value.
            ``"index"``: as one column with the position ``0..k-1`` of the value, of text in the order that was declared, of
            numbers in ascending order, never scaled, for ``pm.gp.cov.Coregion``; a constructor that takes
            ``categorical_features`` is told these columns. Ax calls each choice of two values ordered: with ``"one-hot"`` it is
            one column, of its values where they are numbers, of 0 and 1 otherwise. With ``"index"`` it is a category, also where
            its values are numbers, unless a parameter constraint needs them; so is a range whose ``step_size`` leaves two
            values, which Ax takes for such a choice. Ordered text comes as positions in either case.
        compile_acqf: Whether acquisition functions are compiled, as by ``pymc_botorch.compile_acqf``, where they can be. Values
            are the same, trials take less time. Several objectives and models of others are left to BoTorch;
            :func:`acquisition_summary` says what was compiled, and otherwise why not.

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
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise UserInputError(f"seed is {seed!r}. Pass a whole number, or None.")
    if botorch_acqf_class is not None and not isinstance(botorch_acqf_class, type):
        raise UserInputError(f"botorch_acqf_class is {botorch_acqf_class!r}. Pass a class of BoTorch, or None.")
    if categories not in ("one-hot", "index"):
        raise UserInputError(f"categories is {categories!r}. Pass 'one-hot' or 'index'.")
    if not isinstance(compile_acqf, bool):
        raise UserInputError(f"compile_acqf is {compile_acqf!r}. Pass True or False.")
    for name, options in (("acquisition_options", acquisition_options), ("optimizer_kwargs", optimizer_kwargs)):
        if not (options is None or isinstance(options, Mapping)):
            raise UserInputError(f"{name} is {options!r}. Pass a dict.")
        check_storable(name, dict(options or {}))
    generator_kwargs: dict[str, Any] = {
        "surrogate_spec": spec,
        "transform_configs": get_derelativize_config(derelativize_with_raw_status_quo=True),
        "acquisition_options": dict(acquisition_options or {}),
    }
    if any(has_natural_units(config) for config in _all_configs(spec)):
        generator_kwargs |= _in_natural_units(spec)
        generator_kwargs["transforms"] = [*input_transforms(categories, natural=True), Derelativize]
    elif categories == "index":
        generator_kwargs["transforms"] = [*input_transforms(categories, natural=False), *Y_trans]
    if spec.eval_criterion == LOG_EVIDENCE:
        check_evidence(_all_configs(spec))
        by_evidence = replace(generator_kwargs.pop("surrogate_spec"), eval_criterion=LOG_LIKELIHOOD)  # a name that Ax knows
        generator_kwargs["surrogate"] = EvidenceSurrogate(by_evidence)
    if botorch_acqf_class is not None:
        generator_kwargs["botorch_acqf_class"] = botorch_acqf_class
    if compile_acqf:
        generator_kwargs["acquisition_class"] = CompiledAcquisition
    gen_kwargs = {"model_gen_options": {"optimizer_kwargs": dict(optimizer_kwargs)}} if optimizer_kwargs else {}
    enum = Generators.BO_MIXED if categories == "index" else Generators.BOTORCH_MODULAR
    node = GenerationNode(
        name="MBM",
        generator_specs=[GeneratorSpec(enum, generator_kwargs=generator_kwargs, generator_gen_kwargs=gen_kwargs)],
        should_deduplicate=True,
        suggested_experiment_status=ExperimentStatus.OPTIMIZATION,
    )
    nodes = [*_initialization(initialization_budget, seed), node]
    title = "+".join(dict.fromkeys(config.name or "unnamed" for config in _all_configs(spec)))
    strategy = _StrategyOfOneExperiment(name="+".join([*(node.name for node in nodes[:-1]), title]), nodes=nodes)
    check_storable("The strategy", strategy)
    return strategy


class _StrategyOfOneExperiment(GenerationStrategy):
    """A strategy that a second experiment can't take: Ax would go on from the trials of the first, and fail for want of data."""

    @property
    def _experiment(self) -> Experiment | None:
        return self.__dict__.get("only_experiment")

    @_experiment.setter
    def _experiment(self, experiment: Experiment | None) -> None:
        if self._experiment is not None and experiment is not self._experiment:
            name = self._experiment.name if self._experiment.has_name else "unnamed"
            raise UserInputError(
                f"This strategy serves another experiment ({name}), and remembers its trials. Call "
                "pymc_botorch.ax.generation_strategy again, and give each client a strategy of its own."
            )
        self.__dict__["only_experiment"] = experiment


CORE_ENCODER_REGISTRY[_StrategyOfOneExperiment] = lambda strategy: {
    **generation_strategy_to_dict(strategy),
    "__type": GenerationStrategy.__name__,  # as which it is loaded
}


def _initialization(budget: int, seed: int | None) -> list[GenerationNode]:
    """Return the initialisation nodes of Ax: the centre of the search space, then Sobol points, ``budget`` trials in all."""
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
    centre = CenterGenerationNode(next_node_name=after[0].name if after else "MBM", use_existing_trials_for_initialization=True)
    return [centre, *after] if budget else []


def _spec(surrogate: Any, fit_options: Mapping[str, Any] | None) -> SurrogateSpec:
    """Return the specification of a surrogate, with a memory of warm starts of its own."""
    if isinstance(surrogate, type):
        return surrogate_spec(model_config(surrogate, fit_options=fit_options))
    if fit_options:
        raise UserInputError("fit_options are taken with a class only. Pass them to model_config.")
    if isinstance(surrogate, ModelConfig):
        surrogate = surrogate_spec(surrogate)
    if not isinstance(surrogate, SurrogateSpec):
        raise UserInputError(f"The surrogate is a {type(surrogate).__name__}. Pass a class, a ModelConfig or a SurrogateSpec.")
    return _map_configs(surrogate, lambda config: _with_own_warm_starts(apply_units(config)))


def _with_own_warm_starts(config: ModelConfig) -> ModelConfig:
    if "warm_start" not in config.mll_options:
        return config
    return replace(config, mll_options={**config.mll_options, "warm_start": WarmStarts()})


def _in_natural_units(spec: SurrogateSpec) -> dict[str, Any]:
    """Return generator options with outcomes as reported; models with scaled units standardise them themselves."""

    def standardize(config: ModelConfig) -> ModelConfig:
        if has_natural_units(config) or config.outcome_transform_classes is not None:
            return config
        return replace(config, outcome_transform_classes=[Standardize], outcome_transform_options={"Standardize": {"m": 1}})

    configs = get_derelativize_config(derelativize_with_raw_status_quo=True)
    return {
        "surrogate_spec": _map_configs(spec, standardize),
        "transform_configs": {Derelativize.__name__: configs[Derelativize.__name__]},
    }


def _map_configs(spec: SurrogateSpec, change: Callable[[ModelConfig], ModelConfig]) -> SurrogateSpec:
    metrics = {metric: [change(config) for config in configs] for metric, configs in spec.metric_to_model_configs.items()}
    return replace(spec, model_configs=[change(config) for config in spec.model_configs], metric_to_model_configs=metrics)


def _all_configs(spec: SurrogateSpec) -> list[ModelConfig]:
    return [*spec.model_configs, *(config for configs in spec.metric_to_model_configs.values() for config in configs)]
