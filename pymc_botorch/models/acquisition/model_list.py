"""Monte Carlo acquisition functions on a ``ModelListGP`` of our models, read."""

__all__ = ["Sampling", "read_list"]

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from botorch.acquisition import MCAcquisitionFunction
from botorch.acquisition.objective import PosteriorTransform, ScalarizedPosteriorTransform
from torch import Tensor

from pymc_botorch.graph.acquisition.blocks import baseline_arrays
from pymc_botorch.graph.acquisition.formulas import SamplesFormula
from pymc_botorch.graph.acquisition.outcomes import as_it_is, moments_graph
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.functions import as_input
from pymc_botorch.models.acquisition.linear import Linear, Spread
from pymc_botorch.models.acquisition.objectives import read_objective, spread_of
from pymc_botorch.models.acquisition.outcomes import OutcomesScore
from pymc_botorch.models.acquisition.reading import models_of, read_model
from pymc_botorch.models.errors import UnsupportedModelError


class Sampling(NamedTuple):
    """What an acquisition function computes of samples, and from which base samples; draws share what has one row for all.

    Attributes:
        formula: Of samples.
        numbers: That it is given.
        z: Base samples, ``S x m x (r + q) x s``.
        best: Incumbents, ``S x s``.
        roots: Factors of the covariance at a baseline, ``S x m x r x r``.
        X_baseline: Its points in raw units, ``r x d``; None without one.
    """

    formula: SamplesFormula
    numbers: Sequence[np.ndarray]
    z: np.ndarray
    best: np.ndarray
    roots: np.ndarray | None = None
    X_baseline: Tensor | None = None

    def check_draws(self, draws: int) -> None:
        """Raise ``UnsupportedError`` if incumbents are those of another number of draws."""
        if len(self.best) not in (1, draws):
            raise UnsupportedModelError(f"best_f has {len(self.best)} numbers, and not one, or one for each draw.")

    def of_draw(self, s: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Return base samples ``m x (r + q) x s``, incumbents ``s`` and, in a list, roots of a draw."""
        z, best, *roots = (array[s if len(array) > 1 else 0] for array in (self.z, self.best, self.roots) if array is not None)
        return z, best, roots


def read_list(acqf: MCAcquisitionFunction, sampling: Sampling) -> OutcomesScore:
    """Return the score of an acquisition function of several outcomes.

    Args:
        acqf: The acquisition function, whose models have been checked.
        sampling: What was read of it.

    Raises:
        UnsupportedError: If what is maximised, or a constraint, is not served.
    """
    models = models_of(acqf.model)
    posteriors = list(zip(*(read_model(model, None)[0] for model in models), strict=True))  # of each draw
    sampling.check_draws(len(posteriors))
    transform = _read_transform(acqf.posterior_transform, len(models))
    spread, floors = spread_of(models), np.array([[posterior.variance_floor for posterior in draw] for draw in posteriors])
    if transform is not None:
        centre, scale = spread.centre @ transform.weights + transform.constant, np.sqrt(spread.scale**2 @ transform.weights**2)
        spread, floors = Spread(np.array([centre]), np.array([scale or 1.0])), floors @ transform.weights[:, None] ** 2
    read = read_objective(acqf, spread, models[0].state.training.raw_X)

    def given(s: int) -> list[np.ndarray]:
        z, best, roots = sampling.of_draw(s)
        constraints = [read.slopes, read.intercepts] if read.has_constraints else []
        objective = [np.array(read.objective.constant), read.objective.weights]
        return [as_input(array) for array in (floors[s], z, *roots, *objective, best, *sampling.numbers, *constraints)]

    baseline = None
    if sampling.X_baseline is not None:
        at = [model.read_inputs(sampling.X_baseline)[1].numpy() for model in models]
        baseline = [[posterior.arrays(baseline_arrays, X) for posterior, X in zip(draw, at, strict=True)] for draw in posteriors]
    graph = moments_graph(sampling.formula, has_constraints=read.has_constraints, has_baseline=baseline is not None)
    return OutcomesScore(
        posteriors,
        baseline,
        None if transform is None else transform.weights,
        0.0 if transform is None else transform.constant,
        [model.state.training.inputs.shape[-1] for model in models],
        compiled(graph, as_it_is, posteriors[0][0].functions.tier),
        [given(s) for s in range(len(posteriors))],
        acqf._log,
    )


def _read_transform(transform: PosteriorTransform | None, m: int) -> Linear | None:
    """Return what of the outcomes samples are drawn of; None draws them of each."""
    if transform is None:
        return None
    if type(transform) is not ScalarizedPosteriorTransform:
        raise UnsupportedModelError(f"Its posterior_transform is a {type(transform).__name__}.")
    weights = transform.weights.detach().double().numpy()
    if len(weights) != m:
        raise UnsupportedModelError(f"Its posterior_transform has {len(weights)} weights, and there are {m} outcomes.")
    return Linear(float(transform.offset), weights)
