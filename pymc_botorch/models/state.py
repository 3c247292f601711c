"""What a model is conditioned on, as one value that is replaced whole."""

__all__ = ["State", "TrainingTensors", "conditioned_state", "prior_process", "reconditioned"]

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.inference.categories import categories
from pymc_botorch.inference.components import Parts
from pymc_botorch.inference.fit.map import FitResult
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.names import NO_NAMES, Names
from pymc_botorch.inference.sampling.idata import SampleRecord
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.models.posterior.mixture import MixtureProcess
from pymc_botorch.models.posterior.process import AbstractProcess, CompiledProcess, ConditionedProcess
from pymc_botorch.models.transforms import OutcomeScale

if TYPE_CHECKING:
    import xarray as xr

KEPT_BYTES = 2**30
"""Of factorised training covariances, ``8 S n^2`` in all: those of further draws are computed anew at each call."""


class TrainingTensors(NamedTuple):
    """Training data as BoTorch reads them, in float64 on the CPU.

    Attributes:
        raw_X: Inputs before their transform, ``n x d``; of a fantasy model ``... x (n + q) x d``, as the others.
        inputs: The same as the gp sees them.
        targets: Outcomes as the gp sees them, ``n``; of a latent gp the function in each draw, ``S x n``.
        dtype: Data type of the inputs that the model was made from.
    """

    raw_X: Tensor
    inputs: Tensor
    targets: Tensor
    dtype: torch.dtype = torch.float64


@dataclass(frozen=True)
class State:
    """A gp by value and what follows from it; fantasies, other data, loaded hyperparameters and fits are other states.

    Attributes:
        fitted: The gp, its data and draws of its hyperparameters; a point is one draw.
        observation: The posterior of new observations where their noise is a covariance function, else None.
        parameters: What is known of each parameter of the PyMC model, ``S x ...``, those of the gp among them.
        process: The noise-free function given the data, in the units of the outcome.
        noise: Noise variance of the training observations, in the units of the gp: ``()`` or ``n``, of draws ``S`` or ``S x n``.
        noise_is_known: Whether each observation has a noise variance of its own.
        training: The training data.
        outcome_scale: How the units of the outcome relate to those of the gp.
        result: What the last fit did; None where there was none, or its hyperparameters were replaced.
        sample: All draws of the last fit by draws, else None.
        idata: ArviZ data that the draws were taken from, else None.
        parts: The sum and its components by name, where the gp is a sum or a component of one; :meth:`part` gives them the
            data and draws.
        names: Names that the PyMC model gives to entries of its parameters, and to the outcome.
        is_initial: Whether the hyperparameters are those of PyMC's initial point.
    """

    fitted: FittedGP
    observation: FittedGP | None
    parameters: Mapping[str, np.ndarray]
    process: AbstractProcess
    noise: Tensor
    noise_is_known: bool
    training: TrainingTensors
    outcome_scale: OutcomeScale
    result: FitResult | SamplingResult | None = None
    sample: SampleRecord | None = None
    idata: "xr.DataTree | None" = None
    parts: Parts = field(default_factory=dict)
    names: Names = NO_NAMES
    is_initial: bool = False

    @property
    def is_ensemble(self) -> bool:
        """Whether draws are a batch dimension, the last."""
        return isinstance(self.fitted_process, MixtureProcess)

    @property
    def fitted_process(self) -> AbstractProcess:
        """The function given the data that the gp was fitted to, without observations that were added."""
        process = self.process
        while isinstance(process, ConditionedProcess):
            process = process.base
        return process

    @property
    def batches(self) -> torch.Size:
        """Batches of observations, as fantasies have, without the axis of draws."""
        batch = self.process.batch_shape
        return batch[:-1] if self.is_ensemble else batch

    @property
    def is_given_more(self) -> bool:
        """Whether observations were added to those that the gp was fitted to, as fantasies are."""
        return isinstance(self.process, ConditionedProcess)

    @property
    def jitter(self) -> float:
        """PyMC's jitter on the training covariance; a sparse approximation has it on its inducing points only."""
        return 0.0 if self.fitted.kind == "sparse" else self.fitted.jitter

    def part(self, name: str) -> FittedGP:
        """Return a part of the sum, given the present data and draws."""
        part, own = self.parts[name][0], self.fitted
        draws = {**part.draws, **self.parameters, **own.draws}
        given = part.with_draws_of_model(draws, own.num_draws).with_data(own.training_data)
        return replace(given, tier=own.tier, is_built=own.is_built)

    @cached_property
    def categories(self) -> Mapping[int, int]:
        """Columns of the gp's inputs that it uses as indices, and how many categories it has; not looked for in fantasies."""
        process = self.process.processes[0] if isinstance(self.process, MixtureProcess) else self.process
        return categories(self.fitted, process.posterior.functions) if isinstance(process, CompiledProcess) else {}

    @property
    def index_columns(self) -> frozenset[int]:
        """Columns of the gp's inputs that it uses as indices of categories."""
        return frozenset(self.categories)

    @cached_property
    def observation_process(self) -> AbstractProcess | None:
        """New observations given the data, where their noise is a covariance; compiled when first asked for."""
        if self.observation is None:
            return None
        return _process(self.observation, self.outcome_scale, ensemble=self.is_ensemble)[0]

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself, which is never changed; a transform that BoTorch may change goes with the copy of the model."""
        scale = self.outcome_scale
        return self if scale.transform is None else replace(self, outcome_scale=copy.deepcopy(scale, memo))


def conditioned_state(
    fitted: FittedGP,
    observation: FittedGP | None,
    training: TrainingTensors,
    outcome_scale: OutcomeScale,
    *,
    parameters: Mapping[str, np.ndarray],
    ensemble: bool,
) -> State:
    """Return the state of a gp given its data and hyperparameters.

    Args:
        fitted: The gp.
        observation: Its observations where their noise is a covariance; they are given the data and draws of ``fitted``.
        training: Where ``fitted``'s data came from; inputs and targets are taken from it.
        outcome_scale: How the units of the outcome relate to those of the gp.
        parameters: What is known of the parameters of the PyMC model, ``S x ...``; those of ``fitted`` are added.
        ensemble: Whether draws are a batch dimension; else there is one.

    Raises:
        DataError: If there is noise for another number of observations.
        FitError: If a training covariance cannot be factorised.
    """
    process, noise = _process(fitted, outcome_scale, ensemble=ensemble)
    if observation is not None:
        observation = observation.with_data(fitted.training_data).with_draws_of_model(
            {**observation.draws, **parameters, **fitted.draws}, fitted.num_draws
        )
    return State(
        fitted,
        observation,
        {**parameters, **fitted.draws},
        process,
        noise,
        noise.ndim > len(process.batch_shape),
        training._replace(inputs=torch.tensor(fitted.X), targets=torch.tensor(fitted.y)),
        outcome_scale,
    )


def reconditioned(state: State, fitted: FittedGP, parameters: Mapping[str, np.ndarray]) -> State:
    """Return the state with another gp, data or hyperparameters, of which there is no fit."""
    conditioned = conditioned_state(
        fitted, state.observation, state.training, state.outcome_scale, parameters=parameters, ensemble=state.is_ensemble
    )
    return replace(conditioned, parts=state.parts, names=state.names)


def prior_process(state: State) -> AbstractProcess:
    """Return the prior of the function, in the units of the gp."""
    return _side_by_side(state.fitted.prior(), ensemble=state.is_ensemble)


def _process(fitted: FittedGP, outcome: OutcomeScale, *, ensemble: bool) -> tuple[AbstractProcess, Tensor]:
    """Return the posterior in the units of the outcome, and the noise variance in those of the gp."""
    posteriors, kept = [], 0
    for posterior in fitted.conditioned():
        kept += posterior.nbytes
        posteriors.append(posterior.in_units(outcome.offset, outcome.scale))
        if kept > KEPT_BYTES and ensemble:
            posteriors[-1] = posteriors[-1].without_frozen()
    noise = torch.from_numpy(np.stack([posterior.noise for posterior in posteriors]))
    return _side_by_side(posteriors, ensemble=ensemble), noise if ensemble else noise[0]


def _side_by_side(posteriors: Iterable[ConditionedPosterior], *, ensemble: bool) -> AbstractProcess:
    processes = tuple(map(CompiledProcess, posteriors))
    return MixtureProcess(processes) if ensemble else processes[0]
