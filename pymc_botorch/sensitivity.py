"""What the data do to the answer: how estimates, predictions and recommendations move with each observation."""

__all__ = ["map_sensitivity", "recommendation_influence"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymc as pm
from botorch.acquisition import AcquisitionFunction
from torch import Tensor

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.inference.sensitivity.derivatives import read_derivatives
from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity, map_sensitivity_at
from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.influence import influence_of_data
from pymc_botorch.models.sensitivity.of_map import map_sensitivity_of_model
from pymc_botorch.models.sensitivity.recommendation import RecommendationInfluence


def map_sensitivity(
    gp: pm.gp.Marginal | PyMCGP,
    point: Mapping[str, Any] | None = None,
    wrt: Sequence[str] = ("X", "y"),
    *,
    model: pm.Model | None = None,
) -> MapSensitivity:
    """Return how a maximum a posteriori (MAP) estimate, and predictions at it, move with the data.

    Derivatives are those of a refit, by the implicit function theorem: nothing is fitted again. The density is the one that
    ``pm.find_MAP`` and :meth:`pymc_botorch.PyMCGP.fit` maximise, without the Jacobian of the parameters' transforms. The point is
    first made exact by Newton's method. A parameter whose density has no maximum (a noise sd that runs to zero) is found, held
    fixed and named in a warning. Where the posterior has several maxima, the derivatives are those of the one at the point.

    Args:
        gp: A gp whose ``marginal_likelihood`` was called in ``model``; or a fitted :class:`pymc_botorch.PyMCGP` that was made
            from data, alone: data and predictions are then in raw units, and transforms that learn from data move with them.
        point: What ``pm.find_MAP()`` returned: one value for each parameter of the PyMC model.
        wrt: Names of the data: ``"X"`` (``n x d``) and ``"y"`` (``n``) are the training data; ``"sigma"`` (``n``) the sds of the
            noise, where they are known; else names of ``pm.Data`` of the model. What NumPy computed from data outside the model
            does not follow them.
        model: The PyMC model; None takes the one in context.

    Returns:
        ``.parameters["ell"]["y"]`` has the derivatives of a parameter, on its constrained scale; ``.prediction(X_new)`` mean,
        variance and sd of the noise-free function with their total derivatives.

    Raises:
        DataError: If gp, point and model do not fit together, the point is no maximum, or there are no data of a name in ``wrt``.
            (A ``ValueError``; of a model, an ``InputDataError``.)
        UnsupportedGPError: If ``gp`` is of a class that has no Gaussian marginal likelihood. (A ``TypeError``.)
        UnsupportedError: If a model was made by ``from_fitted`` or conditioned on more observations.

    Warns:
        FitWarning: If the density of a parameter has no maximum.

    Example:
        >>> import numpy as np, pymc as pm, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     ell, sigma = pm.LogNormal("ell", -1, 0.5), pm.LogNormal("sigma", -2, 0.5)
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=ell))
        ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma)
        ...     point = pm.find_MAP(progressbar=False, jitter=False, return_inferencedata=True)
        ...     sensitivity = pymc_botorch.map_sensitivity(gp, point)
        >>> sensitivity.parameters["ell"]["y"].shape, sensitivity.parameters["ell"]["X"].shape
        ((8,), (8, 1))
        >>> sensitivity.prediction([[0.3], [0.7]]).mean_gradient["y"].shape
        (2, 8)
    """
    wrt = [wrt] if isinstance(wrt, str) else list(wrt)
    if isinstance(gp, FullyBayesianPyMCGP):
        raise UnsupportedGPError(
            "The hyperparameters of a FullyBayesianPyMCGP are draws, which are no maximum. Use expectation_gradient, or fit a "
            "PyMCGP to the same data."
        )
    if isinstance(gp, PyMCGP):
        if point is not None or model is not None:
            raise DataError("A fitted model has its own point and PyMC model. Pass map_sensitivity(model, wrt=...).")
        return map_sensitivity_of_model(gp, wrt)
    if point is None:
        raise DataError("There is no point. Pass what pm.find_MAP() returned, or a fitted PyMCGP in place of the gp.")
    return map_sensitivity_at(read_derivatives(gp, wrt, model=model), point, wrt)


def recommendation_influence(
    model: PyMCGP,
    acqf: AcquisitionFunction | Callable[[Any], AcquisitionFunction],
    candidate: Tensor,
    wrt: Sequence[str] = ("X", "y"),
    *,
    bounds: Tensor | None = None,
    fixed_features: Mapping[int, float] | None = None,
) -> RecommendationInfluence:
    """Return how a recommendation moves with each observation: with its outcome, its inputs, its known noise.

    The derivatives are those of fitting again and optimising the acquisition function again, by the implicit function theorem:
    hyperparameters, transforms and the incumbent move along. The candidate is first made exact by Newton's method. Derivatives
    are local, and hold the design of earlier rounds fixed. Each number in the data costs six gradients of the acquisition
    function, of models that are conditioned anew: some 20 ms in all.

    Args:
        model: A fitted model that was made from data.
        acqf: The acquisition function of ``model`` that the candidate maximises: one of those with a closed form, ``qEI``,
            ``qLogEI``, ``qPI``, ``qUCB`` or ``qSR``, also compiled. Its ``best_f`` is recognised as the best outcome or the best
            posterior mean, and moves with it; else it is a fixed number. For all others, such as noisy expected improvement, a
            function that makes it from a model: ``lambda model: qLogNoisyExpectedImprovement(model, X, sampler=sampler)``; the
            sampler needs a seed.
        candidate: What ``optimize_acqf`` returned, ``q x d``, in raw units.
        wrt: Which data: ``"X"``, ``"y"`` and, with ``train_Yvar``, ``"sigma"``, the known sds of the noise, in raw units. None of
            them (``[]``) makes the candidate exact, and no more.
        bounds: Bounds of the search, ``2 x d``: what is at one and would go beyond does not move.
        fixed_features: As in ``optimize_acqf``: inputs that the search held fixed. Indices of categories are held anyway.

    Returns:
        ``.gradient["y"]`` is ``q x d x n``, in units of an input per unit of the outcome; it prints as a table, and ``.plot()``
        draws it.

    Raises:
        InputDataError: If the candidate is not close to a maximum of ``acqf``, shapes do not fit, or ``acqf`` is that of
            another model or takes other samples each time.
        UnsupportedError: If the model is an ensemble, was made by ``from_fitted`` or conditioned on more observations, or
            ``acqf`` has to be passed as a function.

    Example:
        >>> import pymc as pm, torch
        >>> from botorch.acquisition import LogExpectedImprovement
        >>> from botorch.optim import optimize_acqf
        >>> from pymc_botorch import PyMCGP, recommendation_influence
        >>> X = torch.linspace(0, 1, 7, dtype=torch.double).unsqueeze(-1)
        >>> Y = (5 * X).sin() + 0.1 * (40 * X).cos()
        >>> model = PyMCGP(X, Y).fit()
        >>> acqf, bounds = LogExpectedImprovement(model, best_f=Y.max()), torch.tensor([[0.0], [1.0]], dtype=torch.double)
        >>> candidate, _ = optimize_acqf(acqf, bounds, q=1, num_restarts=4, raw_samples=32)
        >>> influence = recommendation_influence(model, acqf, candidate, ["y"], bounds=bounds)
        >>> influence.gradient["y"].shape, influence.incumbent
        ((1, 1, 7), 'observation')
    """
    wrt = [wrt] if isinstance(wrt, str) else list(wrt)
    return influence_of_data(model, acqf, candidate, wrt, bounds, fixed_features)
