"""``compare``: models of the same data, by their evidences and by their leave-one-out predictions."""

__all__ = ["compare"]

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from pymc_botorch.errors import PACKAGE_FOLDER, FitWarning
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.comparison import Candidate, Comparison, compare_candidates
from pymc_botorch.inference.sampling.methods.importance import MIN_DRAWS
from pymc_botorch.inference.sampling.options import check_counts
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.models.ensemble import AbstractEnsemble
from pymc_botorch.models.errors import InvalidDataError, botorch_errors
from pymc_botorch.models.leave_one_out import log_densities

DRAWS, MOST_DRAWS = 1000, 4000
"""Of each model for its leave-one-out predictions: of many observations, and of few."""
SAME = 1e-9
"""Difference, relative to the largest number of a column, of data that are the same but for rounding by transforms."""


def compare(models: Mapping[str, AbstractEnsemble] | Sequence[AbstractEnsemble], *, num_draws: int | None = None) -> Comparison:
    """Return a table of models of the same data: evidences and the weights that follow from them, and PSIS-LOO through ArviZ.

    The evidence is the density that a model's priors gave to the data before it saw them; with equal prior probabilities, models
    are as probable as their evidences are large. It depends on priors that the data say little about, and a wide one costs. What
    a model predicts of observations that were left out (``elpd_loo``, stacking weights) does so less. All are of outcomes in
    the units of the gp. The default model has a flat prior on its mean: its evidence compares only with that of models that have
    a flat prior of the same name.

    Args:
        models: Fitted models by name, or a sequence, whose names are those of their classes.
        num_draws: At most how many draws of each to take for leave-one-out predictions, evenly spaced; each costs a factorisation
            of the training covariance. None takes 4000 of up to 50 observations and fewer of more, at least 1000.

    Returns:
        A row for each model, which prints as a table. Of draws by NUTS, or of models with different improper priors, there are
        no weights by evidence, and it says why.

    Raises:
        InputDataError: If there are fewer than two models, they are not ensembles with draws of a fit, or their data differ.
        UnsupportedError: For latent gps, and models that were conditioned on more observations.

    Warns:
        FitWarning: If a fit is not trusted.
        UserWarning: If Pareto's k says that some observations cannot be left out by weights.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import FullyBayesianPyMCGP, compare
        >>> class SmoothGP(FullyBayesianPyMCGP):
        ...     kernel = pm.gp.cov.ExpQuad
        ...     def build_gp(self, X, y):
        ...         gp = pm.gp.Marginal(cov_func=self.kernel(1, ls=pm.LogNormal("reach", -1, 0.5)))
        ...         gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 1))
        ...         return gp
        >>> class RoughGP(SmoothGP):
        ...     kernel = pm.gp.cov.Matern12
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> comparison = compare([kind(X, (6 * X).sin()).fit(seed=1) for kind in (RoughGP, SmoothGP)])
        >>> max(comparison.weights, key=comparison.weights.get)
        'SmoothGP'
    """
    by_name = _named(models)
    with botorch_errors():
        check_counts(num_draws=(MOST_DRAWS if num_draws is None else num_draws, MIN_DRAWS))
    candidates = {}
    for name, model in by_name.items():
        candidates[name] = Candidate(_log_densities(name, model, num_draws), _result(model))
    _check_same_data(by_name)
    comparison = compare_candidates(candidates)
    for name, model in by_name.items():
        if (result := _result(model)) is not None and not result.trusted:
            warnings.warn(f"The fit of {name} is not trusted. {result.warning}", FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    if unreliable := {one.name: one.unreliable for one in comparison.models if one.unreliable}:
        counts = ", ".join(f"{count} of {comparison.num_observations} of {name}" for name, count in unreliable.items())
        warnings.warn(
            f"Pareto k of the weights that leave an observation out is too large for some observations ({counts}), so that "
            "elpd_loo and the stacking weights are doubtful. Rely on the evidences, or fit without these observations and "
            "predict them.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )
    return comparison


def _named(models: Mapping[str, AbstractEnsemble] | Sequence[AbstractEnsemble]) -> dict[str, AbstractEnsemble]:
    """Return the models by name."""
    if isinstance(models, Mapping):
        by_name = {str(name): model for name, model in models.items()}
    elif isinstance(models, Sequence) and not isinstance(models, str):
        kinds = [type(model).__name__ for model in models]
        numbered = (kind if kinds.count(kind) == 1 else f"{kind} {kinds[:i].count(kind)}" for i, kind in enumerate(kinds))
        by_name = dict(zip(numbered, models, strict=True))
    else:
        raise InvalidDataError(f"models is a {type(models).__name__}. Pass fitted models by name, or a list of them.")
    if len(by_name) < 2:
        raise InvalidDataError(f"There are {len(by_name)} models. Pass two or more.")
    for name, model in by_name.items():
        if not isinstance(model, AbstractEnsemble):
            raise InvalidDataError(
                f"{name} is a {type(model).__name__}, which has no draws of its hyperparameters. Pass a FullyBayesianPyMCGP."
            )
    return by_name


def _result(model: AbstractEnsemble) -> SamplingResult | None:
    result = model.fit_result
    return result if isinstance(result, SamplingResult) else None


def _log_densities(name: str, model: AbstractEnsemble, num_draws: int | None) -> np.ndarray:
    stacked = stack_draws(model.idata)
    if stacked is None or stacked.count < MIN_DRAWS:
        count = 0 if stacked is None else stacked.count
        raise InvalidDataError(
            f"{name} has {count} draws, too few to leave observations out of them by weights. Call its fit; a state that was "
            "loaded has only the draws that the model kept."
        )
    with botorch_errors():
        n = len(model.state.fitted.y)
        most = int(np.clip(MOST_DRAWS * (50 / n) ** 3, DRAWS, MOST_DRAWS)) if num_draws is None else num_draws
        return log_densities(model.state, stacked.spread(most))


def _check_same_data(models: Mapping[str, AbstractEnsemble]) -> None:
    """Refuse models of different data, or of the same in different units."""
    (first, one), *others = models.items()
    a, scale = one.state.training, one.outcome_scale
    for name, other in others:
        b, own = other.state.training, other.outcome_scale
        if len(a.targets) != len(b.targets):
            differs = f"they have {len(a.targets)} and {len(b.targets)} observations"
        elif a.raw_X.shape != b.raw_X.shape:
            differs = f"their inputs have {a.raw_X.shape[-1]} and {b.raw_X.shape[-1]} columns"
        elif not _same(a.raw_X, b.raw_X):
            differs = "their inputs differ"
        elif type(scale.transform) is not type(own.transform):
            differs = "their outcome transforms differ"
        elif not _same(scale.offset + scale.scale * a.targets, own.offset + own.scale * b.targets):
            differs = "their outcomes differ"
        elif not _same(a.targets, b.targets):
            differs = f"their outcomes are in different units (of {scale.scale:.4g} and {own.scale:.4g})"
        else:
            continue
        raise InvalidDataError(
            f"{first} and {name} can't be compared: {differs}. Make them from the same train_X and train_Y, in the same order, "
            "with the same outcome_transform."
        )


def _same(one: Tensor, two: Tensor) -> bool:
    largest = one.abs().amax(0)
    return bool(((one - two).abs() <= SAME * largest).all())
