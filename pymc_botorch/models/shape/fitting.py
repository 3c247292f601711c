"""Fits of gps whose derivatives have signs, at one point of the hyperparameters."""

__all__ = ["AtPoint", "fit_at_point"]

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from pymc_botorch.config import config
from pymc_botorch.errors import PACKAGE_FOLDER, FitError, FitWarning
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fit.map import FitResult, fit_map
from pymc_botorch.inference.fit.signs import contradiction, fit_joint
from pymc_botorch.inference.sampling.options import PointMethod, SamplingOptions
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.shape.drawing import warning_of, with_signs


class AtPoint(NamedTuple):
    """A fit of a gp with signs at one point.

    Attributes:
        draws: ``S`` draws of the derivatives, each with the hyperparameters, ``S x ...`` by name.
        size: ``S``.
        result: Report.
    """

    draws: dict[str, np.ndarray]
    size: int
    result: FitResult


def fit_at_point(
    built: BuiltGP,
    data: TrainingData,
    *,
    method: PointMethod,
    warm_start: Mapping[str, Any] | None,
    options: SamplingOptions,
    num_draws: int,
    owner: str | None,
) -> AtPoint:
    """Return hyperparameters at a maximum of their density, and draws of the derivatives given them.

    Args:
        built: The gp.
        data: Training data.
        method: ``"map"``: the maximum a posteriori without signs. ``"joint"``: of the joint density of outcomes and signs.
        warm_start: Point to begin at, if any.
        options: Options of the fit.
        num_draws: How many draws of the derivatives to keep.
        owner: Name of what the priors belong to, for warnings.

    Raises:
        FitError: If the density is finite nowhere; of a ``strict`` fit, where there would be a warning.
    """
    own = None if warm_start is None else {name: warm_start[name] for name in built.scales.names if name in warm_start}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # told below, with those of the derivatives
        point, result = fit_map(
            built,
            data,
            warm_start=own,
            num_starts=options.num_starts,
            seed=options.seed,
            maxiter=options.maxiter,
            tier=config.linker,
            owner=owner,
            progressbar=options.nuts.progressbar,
        )
    if method == "joint":
        point, result = fit_joint(built, data, start=point, maxiter=options.maxiter, tier=config.linker)
    draws = {name: value[None] for name, value in point.items()}
    given = built.given(data, draws, 1)[0]
    drawn = with_signs(given, draws, num_draws=num_draws, seed=options.seed)
    report = drawn.report._replace(log_contradiction=contradiction(given))
    warning = " ".join(text for text in (result.warning, warning_of(report)) if text is not None) or None
    if warning is not None:
        if options.strict:
            raise FitError(warning)
        warnings.warn(warning, FitWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
    return AtPoint(drawn.draws, drawn.size, replace(result, slopes=report, warning=warning))
