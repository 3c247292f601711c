"""What the data do to the answer: how estimates, predictions and recommendations move with each observation."""

__all__ = ["expectation_gradient", "map_sensitivity", "recommendation_influence"]

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pymc as pm
from botorch.acquisition import AcquisitionFunction
from torch import Tensor

from pymc_botorch.errors import DataError, UnsupportedGPError
from pymc_botorch.inference.sensitivity.control_variates import Order
from pymc_botorch.inference.sensitivity.data import read_names
from pymc_botorch.inference.sensitivity.derivatives import read_derivatives
from pymc_botorch.inference.sensitivity.draws import read_draws
from pymc_botorch.inference.sensitivity.expectation import expectation_gradient_over, read_order
from pymc_botorch.inference.sensitivity.map_sensitivity import MapSensitivity, map_sensitivity_at
from pymc_botorch.inference.sensitivity.quantity import AskedAt, Quantity
from pymc_botorch.inference.sensitivity.result import ExpectationGradient
from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
from pymc_botorch.models.pymc_gp import PyMCGP
from pymc_botorch.models.sensitivity.influence import influence_of_data
from pymc_botorch.models.sensitivity.of_expectation import expectation_gradient_of_model
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
            does not follow them; equal arrays of the model are one.
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
    wrt = read_names(wrt)
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
            sampler needs a seed. An average over samples has kinks, where these begin to improve, so that its derivatives are
            noisy: by one or two per cent of the largest with 512 samples, by ten with 64.
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
    return influence_of_data(model, acqf, candidate, read_names(wrt), bounds, fixed_features)


def expectation_gradient(
    gp: Any,
    f: Any,
    wrt: Sequence[str] = ("X", "y"),
    idata: Any = None,
    *,
    model: pm.Model | None = None,
    weights: Any = None,
    X_new: AskedAt = "fixed",
    control_variates: Order = "quadratic",
) -> ExpectationGradient:
    """Return how a posterior expectation ``F = E[f]`` moves with the data, from draws that are there already.

    With ``u`` the unconstrained parameters, ``L`` the log of their joint density with the outcomes, Jacobian included, and
    ``s = dL/dh`` at fixed ``u``, for each number ``h`` among the data::

        dF/dh = E[df/dh] + Cov(f, s)        E[s] = d log p(y | h) / dh

    so that no model is fitted again. It is the derivative of what a new sample would say of changed data, not that of a
    prediction at fixed hyperparameters.

    Errors are of Monte Carlo only: **modes that the draws have missed are not in them**. A covariance amplifies rare modes. In a
    model of ten observations with a HalfCauchy noise, a mode "all is noise" has 0.45 % of the posterior; 20,000 draws of NUTS,
    with R-hat 1.0003 and no divergence, never saw it, and gave one derivative as 0.0116 ± 0.0017 that is 0.0173. Priors that rule
    such modes out, or draws that look for them (``FullyBayesianPyMCGP.fit``), are the remedy. So is ``evidence_gradient``, where
    the evidence can be had otherwise.

    Args:
        gp: A gp whose ``marginal_likelihood`` was called in ``model``, or a fitted ``FullyBayesianPyMCGP`` that was made from
            data, whose draws of the last fit, all of them with their weights, are taken.
        f: A number about the model: the name of one of its variables or deterministics; a scalar expression of its variables,
            such as ``symbolic_posterior(gp, X_new).mean[0]``; or a function ``f(posterior)`` that returns one:
            ``posterior(X_new)`` is mean ``q`` and covariance ``q x q`` of the noise-free function at ``q x d`` points,
            ``posterior()`` at the training inputs. It has to be continuous in the data: a smooth version of what is true or
            false.
        wrt: Names of the data: of ``pm.Data``, or ``"X"`` and ``"y"`` for the gp's own, also where they are arrays; of a
            ``FullyBayesianPyMCGP`` ``"X"``, ``"y"`` and, with known variances, ``"sigma"``, the sds.
        idata: What ``pm.sample`` returned for these data: ArviZ data with a ``posterior``, or that as a dataset.
        model: The PyMC model; None takes the one in context.
        weights: Importance weights of the draws, ``S``, one chain after another; None weighs all alike. Errors are then those
            of independent draws: thin a chain before you weigh it.
        X_new: Whether new inputs that are the training inputs stay where they are (``"fixed"``), or move with ``X``
            (``"moves"``): the derivative of predictions at the training inputs is one or the other.
        control_variates: Degree of the polynomials that Stein's identity makes control variates of: ``"quadratic"``, ``"linear"``
            or None. Where there are fewer than 20 effective draws for each, the degree is lower.

    Returns:
        ``value``, ``gradient["X"]`` (``n x d``), ``gradient["y"]`` (``n``), ``mcse``, ``ess``, ``evidence_gradient``, and checks
        that need no reference: ``stein_z``, ``translation``. It prints as a table. Units are those of the PyMC model; of a
        ``FullyBayesianPyMCGP``, data, new inputs and predictions are raw, and transforms that learn from data learn anew, as in a
        refit. ``evidence_gradient`` is that of the outcomes as the gp sees them.

    Raises:
        DataError: If draws, weights, ``f`` or ``wrt`` do not fit the model, ``f`` or a derivative is not finite at a draw, or the
            kernel has a kink where points coincide. (A ``ValueError``.)
        FitError: If the training covariance cannot be factorised at a draw.
        UnsupportedGPError: If ``gp`` is of another class. (A ``TypeError``.)

    References:
        Glynn (1990), Likelihood ratio gradient estimation for stochastic systems, https://doi.org/10.1145/84537.84552

        Mira, Solgi & Imparato (2013), Zero variance Markov chain Monte Carlo for Bayesian estimators,
        https://doi.org/10.1007/s11222-012-9344-6

    Example:
        >>> import numpy as np, pymc as pm, xarray as xr, pymc_botorch
        >>> X = np.linspace(0, 1, 8)[:, None]
        >>> with pm.Model():
        ...     sigma = pm.LogNormal("sigma", -2, 0.5)
        ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma)
        ...     draws = np.exp(-2 + 0.3 * np.random.default_rng(0).normal(size=(4, 100)))
        ...     idata = xr.Dataset({"sigma": (("chain", "draw"), draws)})  # or pm.sample()
        ...     best = pymc_botorch.symbolic_posterior(gp, [[0.25]]).mean[0]
        ...     result = pymc_botorch.expectation_gradient(gp, best, ["X", "y"], idata)
        >>> result.gradient["X"].shape, result.gradient["y"].shape
        ((8, 1), (8,))
    """
    order, wrt = read_order(control_variates), read_names(wrt)
    if not wrt:
        raise DataError("wrt is empty. Name the data to take derivatives in, for example ['X', 'y'].")
    if isinstance(gp, FullyBayesianPyMCGP):
        if not (idata is model is weights is None):
            raise DataError("A FullyBayesianPyMCGP has its own draws, weights and model. Leave idata, weights and model out.")
        return expectation_gradient_of_model(gp, f, wrt, X_new, order)
    if isinstance(gp, PyMCGP):
        raise UnsupportedGPError(
            "The hyperparameters of a PyMCGP are a point, which has no expectation. Use map_sensitivity, or fit a "
            "FullyBayesianPyMCGP to the same data."
        )
    derivatives = read_derivatives(gp, wrt, model=model, jacobian=True, quantity=Quantity(f, X_new))
    return expectation_gradient_over(derivatives, read_draws(derivatives, idata, weights), order)
