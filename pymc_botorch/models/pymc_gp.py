"""``PyMCGP``: a PyMC gp at one point, as a BoTorch model."""

__all__ = ["PyMCGP"]

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform

from pymc_botorch.config import config
from pymc_botorch.inference.fit.map import fit_map
from pymc_botorch.inference.fitted import read_fitted
from pymc_botorch.inference.names import names_in
from pymc_botorch.inference.points import model_in_context
from pymc_botorch.inference.sampling.options import check_counts
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.warm_start import check_warm_start

if TYPE_CHECKING:
    import pymc as pm


SMALLEST_OPTIONS = {"num_starts": 1, "maxiter": 1, "seed": 0}


class PyMCGP(AbstractBuiltGP):
    """A PyMC gp with a marginal likelihood and one value per hyperparameter, as a BoTorch model.

    Made from data, and fitted by :meth:`fit`; or from a gp fitted in PyMC, by :meth:`from_fitted`. Acquisition functions,
    ``optimize_acqf`` and samplers take it as they take a ``SingleTaskGP``; its posterior is PyMC's, computed by compiled
    functions, with exact gradients.

    The model is written as a function ``build_gp(X, y)``, or as a method of this name in a subclass: plain PyMC, run inside a
    ``pm.Model`` whose coords have ``feature`` and ``obs_id``. ``X`` (``n x d``) and ``y`` (``n``) are symbolic: ``d`` is
    ``X.type.shape[1]``, and they go into ``marginal_likelihood`` as they are. It returns the gp; of a sum
    ``(total, {"trend": trend, "field": field})``, whose components :meth:`component` has, or ``(trend, {"gp": total})`` for the
    model of one. With known noise it is ``build_gp(X, y, sigma)``: ``sigma`` (``n``) is the sd of each observation.

    A builder is run, and its functions are compiled, once in a process for its code, what that closes over, the attributes of
    a subclass and ``d``: later models, with other data, outcomes or known noise, cost their arithmetic only.

    Args:
        train_X: Inputs, ``n x d``, ``n`` from one up.
        train_Y: Outcomes, ``n x 1``, in raw units.
        train_Yvar: Known variances of the noise, ``n x 1``, in squared raw units; None learns the noise.
        outcome_transform: Applied to the outcomes here, and undone in the posterior. BoTorch's ``DEFAULT`` is
            ``Standardize(m=1)``, or nothing where ``units`` are natural; None is none.
        input_transform: Applied to inputs; learns its bounds from the data where it does not know them.
        build_gp: The model; None takes the method. The default is that of BoTorch 0.18's ``SingleTaskGP`` with its priors.

    Raises:
        InputDataError: If data are not finite or a variance is negative (at the first fit, also if ``build_gp`` does not fit
            the data).
        BotorchTensorDimensionError: If the shapes do not fit together.
        UnsupportedError: For several outcomes or batches of data.

    Warns:
        InputDataWarning: If ``units`` are scaled and inputs without a transform are outside the unit cube, or outcomes without
            one are not standardised.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import PyMCGP
        >>> class WheatGP(PyMCGP):
        ...     def build_gp(self, X, y):
        ...         reach = pm.LogNormal("reach", mu=-1, sigma=0.7, dims="feature")
        ...         noise = pm.LogNormal("noise", mu=-2, sigma=1)
        ...         gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
        ...         gp.marginal_likelihood("observed", X, y, sigma=noise)
        ...         return gp
        >>> X = torch.rand(12, 2, dtype=torch.double)
        >>> model = WheatGP(X, X.sum(-1, keepdim=True).sin()).fit()
        >>> sorted(model.point)
        ['noise', 'reach']
    """

    def fit(
        self,
        warm_start: "PyMCGP | Mapping[str, Any] | None" = None,
        *,
        num_starts: int = 3,
        seed: int = 0,
        maxiter: int = 500,
        progressbar: bool = True,
    ) -> Self:
        """Set the hyperparameters to their maximum a posteriori, the density being that on the constrained scale (no Jacobian).

        The best of several runs of L-BFGS-B is taken by its value. The same data and seed give the same answer.

        Args:
            warm_start: A fitted model, or a point of the same PyMC model, to begin with; hyperparameters are on the scale of the
                outcome as the gp sees it. None is no warm start.
            num_starts: Number of optimisations: from the warm start, the mode of the prior, and prior draws. One is enough where
                earlier fits of the campaign found one optimum only (``fit_result.values``).
            seed: Random seed of the prior draws.
            maxiter: Maximum number of iterations of each optimisation.
            progressbar: Whether to show what is being done, in fits of more than two seconds.

        Returns:
            The model, in evaluation mode; ``fit_result`` says what was done.

        Raises:
            InputDataError: If ``build_gp`` does not fit the data, or the warm start not the model.
            ModelFittingError: If no start has a finite density; the model is left as it was.
            UnsupportedError: If the model was made by :meth:`from_fitted` or conditioned on more observations.

        Warns:
            FitWarning: If the data contradict the priors, mostly by their units; if a parameter is at a bound or undetermined, or
                another optimum is nearly as probable and predicts something else.
        """
        self._check_not_given_more()
        self.check_fit_options(num_starts=num_starts, maxiter=maxiter, seed=seed)
        start = warm_start.point if isinstance(warm_start, PyMCGP) else warm_start
        with botorch_errors():
            check_warm_start(start, "a fitted PyMCGP")
            built, data = self._build()
            point, result = fit_map(
                built,
                data,
                warm_start=start,
                num_starts=int(num_starts),
                seed=int(seed),
                maxiter=int(maxiter),
                tier=config.linker,
                owner=self._owner_of_priors,
                progressbar=progressbar,
            )
            draws = {name: value[None] for name, value in point.items()}
            self._replace_state(replace(self._conditioned(built, data, draws, 1), result=result))
        return self.eval()

    @classmethod
    def check_fit_options(cls, **options: Any) -> None:
        """Refuse options of :meth:`fit` that it would refuse, without data.

        Raises:
            InputDataError: If one is not a whole number of its kind.
        """
        with botorch_errors():
            check_counts(**{name: (options[name], least) for name, least in SMALLEST_OPTIONS.items() if name in options})

    @classmethod
    def from_fitted(
        cls,
        gp: "pm.gp.Marginal",
        point: Mapping[str, Any],
        *,
        model: "pm.Model | None" = None,
        given: Mapping[str, Any] | None = None,
        jitter: float | None = None,
        input_transform: InputTransform | None = None,
        outcome_transform: OutcomeTransform | None = None,
    ) -> Self:
        """Return the BoTorch model of a gp fitted in PyMC.

        It is a snapshot: later changes of the PyMC model or its data do not reach it, and the PyMC model is left as it
        is. The posterior functions are compiled once for a model's structure; refits with other data or other
        hyperparameters reuse them.

        Args:
            gp: A ``pm.gp.Marginal``, ``MarginalApprox`` or ``MarginalKron`` whose ``marginal_likelihood`` was called in
                ``model``, or an additive component of one, with any mean and covariance function;
                ``sigma`` a number, a random variable, a vector of known sds or a covariance function.
            point: One value for each parameter, as ``pm.find_MAP()`` returns them (transformed copies and deterministics
                may be there too), or ArviZ data with one posterior draw.
            model: The PyMC model; None takes the one in context.
            given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``. For a sum, its components by name,
                ``{"trend": trend, "field": field}``, which :meth:`component` then has.
            jitter: What was added to the diagonal of the training covariance; None reads it from the model (PyMC's
                default is 1e-6). It is absolute, in squared units of the targets.
            input_transform: The transform that was applied to the inputs *before* they entered the gp, already fitted.
                ``posterior`` then takes raw inputs.
            outcome_transform: The transform that was applied to the targets before they entered the gp, already fitted.
                ``posterior`` then is in raw units.

        Returns:
            The model, on the CPU, in float64.

        Raises:
            UnsupportedError: If ``gp`` is of another class, or a transform cannot be undone.
            InputDataError: If the gp has no likelihood, belongs to another model, has unusable data or inputs that are
                scaled inside the model without an ``input_transform``; if the point does not fit. (Also a ``ValueError``.)
            ModelFittingError: If the training covariance cannot be factorised at this point.
            TypeError: If there is no PyMC model in context and none is given.

        Example:
            >>> import numpy as np, pymc as pm, torch, pymc_botorch
            >>> X = np.linspace(0, 1, 8)[:, None]
            >>> with pm.Model():
            ...     sigma = pm.LogNormal("sigma", -2, 1)
            ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
            ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma)
            ...     model = pymc_botorch.PyMCGP.from_fitted(gp, {"sigma": 0.1})
            >>> posterior = model.posterior(torch.tensor([[0.25], [0.75]], dtype=torch.double))
            >>> posterior.mean.shape, posterior.variance.shape
            (torch.Size([2, 1]), torch.Size([2, 1]))
        """
        with botorch_errors():
            transformed = input_transform is not None
            read = partial(read_fitted, point=point, model=model, jitter=jitter, inputs_transformed=transformed)
            names = names_in(model_in_context(model))
            return cls._from_gp(read, gp, given, input_transform, outcome_transform, names)

    @property
    def point(self) -> dict[str, Any]:
        """The hyperparameters, by name, on their constrained scale, in the units of the outcome as the gp sees it (copies)."""
        return {name: value[0, ...].copy() for name, value in self.state.parameters.items()}

    def _as_warm_start(self, names: Sequence[str]) -> Mapping[str, Any]:
        return self.point
