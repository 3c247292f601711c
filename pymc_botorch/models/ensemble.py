"""BoTorch's conventions for ensembles: draws of the hyperparameters as a batch dimension, last but two."""

__all__ = ["AbstractEnsemble"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.posteriors import GPyTorchPosterior, Posterior
from botorch.posteriors.fully_bayesian import MCMC_DIM, GaussianMixturePosterior
from botorch.sampling import MCSampler
from torch import Tensor

from pymc_botorch.errors import DataError
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.leave_one_out import LeaveOneOut
from pymc_botorch.inference.sampling.idata import draws_to_datatree, to_datatree
from pymc_botorch.inference.sampling.methods.importance import WeightedDraws
from pymc_botorch.inference.sampling.options import check_counts
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.leave_one_out import of_draws, with_log_densities
from pymc_botorch.models.tensors import ArrayLike

if TYPE_CHECKING:
    import xarray as xr


class AbstractEnsemble(AbstractBuiltGP):
    """A gp with ``S`` draws of its hyperparameters, by BoTorch's conventions for ensembles: each draw a batch, last but two."""

    _is_fully_bayesian = True
    _is_ensemble = True
    _posterior_class = GaussianMixturePosterior

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """What was drawn, by name, ``S x ...``, on its constrained scale (copies).

        These are the hyperparameters of the gp, of a latent gp the function at the training inputs (``S x n``), and the other
        free variables and scalar deterministics of the PyMC model that were among the draws, such as parameters of a link. An
        objective is given samples ``... x S x q x 1`` of the function, so that one number per draw enters as ``S x 1``.

        Example:
            >>> import numpy as np, pymc as pm, torch, pymc_botorch
            >>> from botorch.acquisition import GenericMCObjective, qLogNoisyExpectedImprovement
            >>> X = np.linspace(0, 1, 6)[:, None]
            >>> with pm.Model():
            ...     gp = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
            ...     f, ceiling = gp.prior("f", X), pm.Beta("ceiling", 9, 1)
            ...     germinated = pm.Binomial("germinated", n=50, p=ceiling * pm.math.sigmoid(f), observed=[3, 9, 30, 41, 38, 20])
            ...     idata = pm.sample(8, tune=8, chains=1, random_seed=1, progressbar=False, compute_convergence_checks=False)
            ...     model = pymc_botorch.FullyBayesianPyMCGP.from_fitted(gp, idata, num_draws=4)
            >>> top = torch.from_numpy(model.draws["ceiling"])[:, None]  # S x 1
            >>> share = GenericMCObjective(lambda Y, X=None: top * torch.sigmoid(Y[..., 0]))
            >>> known = torch.from_numpy(X)
            >>> acquisition = qLogNoisyExpectedImprovement(model, known, objective=share, prune_baseline=False)
            >>> acquisition(torch.rand(5, 2, 1, dtype=torch.double)).shape
            torch.Size([5])
        """
        return {name: value.copy() for name, value in self.state.parameters.items()}

    @property
    def num_mcmc_samples(self) -> int:
        """Number of draws ``S``, by BoTorch's name."""
        return self.state.fitted.num_draws

    def posterior(
        self,
        X: ArrayLike,
        output_indices: list[int] | None = None,
        observation_noise: bool | Tensor = False,
        posterior_transform: PosteriorTransform | Callable[..., Posterior] | None = None,
    ) -> Posterior:
        """Return the posterior of each draw at ``X``, and with it that of their mixture.

        Args:
            X: Inputs, ``n x d`` or ``... x q x d``, in raw units where the model has an input transform.
            output_indices: None or ``[0]``: there is one outcome.
            observation_noise: True adds each draw's noise variance; a tensor that broadcasts to ``... x S x q x 1`` is added
                as it is. Refused for a latent gp.
            posterior_transform: Applied last, to each draw.

        Returns:
            A ``GaussianMixturePosterior`` with mean and variance ``... x S x q x 1`` in the units of the outcome, and
            ``mixture_mean`` and ``mixture_variance`` ``... x q x 1``. With a non-linear outcome transform, BoTorch's
            transformed posterior.

        Raises:
            BotorchTensorDimensionError: If ``X`` or a tensor of noise variances has a shape that does not fit.
            UnsupportedError: If another outcome is asked for, or noise of a latent gp; if the batches of ``X`` do not fit those
                of a fantasy model.
        """
        X, _ = self.read_inputs(X)  # checks them
        self._check_batches(X)
        posterior = super().posterior(X.unsqueeze(MCMC_DIM), output_indices, observation_noise, posterior_transform)
        return GaussianMixturePosterior(posterior.distribution) if type(posterior) is GPyTorchPosterior else posterior

    def _check_batches(self, X: Tensor) -> None:
        """Refuse inputs that do not fit the batches of observations: ``qKnowledgeGradient.evaluate`` has some for each draw."""
        given = self.process.batch_shape[:-1]
        try:
            torch.broadcast_shapes(X.shape[:-2], given)
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"X has batches {tuple(X.shape[:-2])} and the observations that this model was given {tuple(given)}. Draws share "
                "their inputs: qKnowledgeGradient.evaluate, which seeks a best point for each draw, can't be had; its value, "
                "with fantasy points among the candidates, can."
            ) from error

    def fantasize(self, X: Tensor, sampler: MCSampler, observation_noise: Tensor | None = None, **kwargs: Any) -> Self:
        """Return a model for each fantasy, as BoTorch's method of this name; each draw has fantasies and a posterior of its own.

        The result leaves the average over draws to who holds this ensemble: BoTorch's look-ahead functions would else take it
        of the fantasy's value, and once more of batches. To build an acquisition function on known or pending observations, take
        :meth:`condition_on_observations`.

        Args:
            X: ``... x q x d``, in raw units.
            sampler: Sampler of the outcomes at ``X``, ``num_fantasies x ... x S x q x 1``.
            observation_noise: Variances; None takes each draw's own.
            **kwargs: As in ``condition_on_observations``.

        Raises:
            UnsupportedError: For a latent gp, and as ``condition_on_observations``.
        """
        self._check_not_latent()
        fantasy = super().fantasize(X, sampler, observation_noise, **kwargs)
        fantasy._is_ensemble = False
        return fantasy

    def _with_observations(self, X: Tensor | None, inputs: Tensor, targets: Tensor, noise: Tensor | None) -> Self:
        """Return the model given more observations, each draw conditioned on its own.

        Targets with batches have one for each draw as the last, as fantasies have. So have inputs with as many dimensions; those
        with fewer (the inputs of fantasies) are shared.
        """
        if targets.ndim == 1 or inputs.ndim != targets.ndim + 1:
            X, inputs = None if X is None else X.unsqueeze(MCMC_DIM), inputs.unsqueeze(MCMC_DIM)
        if targets.ndim == 1:
            targets = targets.unsqueeze(0)
        return super()._with_observations(X, inputs, targets, noise)

    def leave_one_out(self, *, raw: bool = True, num_draws: int | None = 400) -> LeaveOneOut:
        """Return what the model predicts of each training observation given all others, averaged over draws.

        In each draw the prediction is that of :meth:`pymc_botorch.PyMCGP.leave_one_out`. The draws are given all observations;
        Pareto-smoothed weights ``1 / p(y_i | y_-i, draw)`` make them draws given the others, so that hyperparameters follow
        without another fit. All draws of the last fit are there for this (:attr:`idata`), not only those that the model keeps.

        Args:
            raw: As in ``PyMCGP.leave_one_out``.
            num_draws: At most how many draws to take, evenly spaced; None takes all.

        Returns:
            As in ``PyMCGP.leave_one_out``, of the mixture, with ``pareto_k`` of the weights of each observation.

        Raises:
            UnsupportedError: As in ``PyMCGP.leave_one_out``.

        Warns:
            UserWarning: If there are too few draws, or Pareto's k says that their weights cannot be relied on.
        """
        with botorch_errors():
            check_counts(num_draws=(1 if num_draws is None else num_draws, 1))
        self._check_not_latent()
        stacked = stack_draws(self.idata)
        if stacked is None or not self.state.fitted.draws:  # a model without hyperparameters
            return of_draws(self.state, {}, self.outcome_name, raw=raw)
        return of_draws(self.state, stacked.spread(num_draws), self.outcome_name, raw=raw)

    @property
    def idata(self) -> "xr.DataTree":
        """All draws of the last fit, for ArviZ, hyperparameters on their constrained scale.

        ``posterior`` has draws of equal weight, as ArviZ takes them, also of deterministics, with the model's coords, and
        ``prior`` draws before the data (parameters with improper priors have none; leave them out by ``var_names``);
        ``sample_stats``, ``observed_data`` and ``constant_data`` are beside them. Where draws have weights, ``posterior`` has up
        to 4000 drawn by them, ``weighted_posterior`` all as they were made, and ``weights`` their ``log_weight``; of SMC,
        ``source`` in ``sample_stats`` and ``weights`` is the number of the run. The attributes of ``posterior`` say the method,
        the log evidence, and whether it is trusted.

        Of each draw in ``posterior`` there are, computed when their values are first read (seconds, of thousands of draws):

        - ``log_prior``: of each parameter, on its constrained scale.
        - ``log_likelihood``: of each observation given all others, ``log p(y_i | y_-i, draw)``, the ratio by which PSIS leaves it
          out of a gp, whose observations are not independent given the hyperparameters.
        - ``log_marginal_likelihood``: of all observations together, ``log p(y | draw)``.
        - ``posterior_predictive``: new observations at the training inputs.

        Observations, these, and densities of them are in raw units (through an outcome transform that is not linear, in the units
        of the gp). So ``arviz.plot_prior_posterior(model.idata)`` shows what was learned, ``plot_ppc_dist`` and ``plot_loo_pit``
        what is predicted, ``loo`` and ``compare`` how well, and ``psense_summary`` what the priors do. For the sensitivity to the
        likelihood ``psense_summary`` adds up ``log_likelihood``, which makes it look larger than it is; that to
        ``log p(y | draw)`` is had by ``copied = model.idata.copy()`` and
        ``copied["log_likelihood"] = copied["log_marginal_likelihood"]``. Gps with signs have neither ``log_likelihood`` nor
        ``posterior_predictive``.

        Of a model whose state was loaded there are the draws that it keeps, with ``log_likelihood`` and ``posterior_predictive``
        (``arviz.loo`` needs a hundred draws or more). Of one made by :meth:`from_fitted` it is what was given, with these two
        where they were not, in the units of the gp; for ``psense_summary`` add ``log_prior`` by
        ``pymc.stats.compute_log_prior``.
        """
        state = self.state
        if state.idata is not None:
            return state.idata
        with botorch_errors():
            scale = state.outcome_scale
            if state.sample is None:
                idata = with_log_densities(state, draws_to_datatree(self.draws), offset=scale.offset, scale=scale.scale)
            else:
                idata = to_datatree(self._build()[0], state.sample, offset=scale.offset, scale=scale.scale)
        self._state = replace(state, idata=idata)
        return idata

    @property
    def point(self) -> dict[str, Any]:
        """One of the draws, by name, on its constrained scale: what another fit can begin at (copies)."""
        middle = self.num_mcmc_samples // 2
        return {name: values[middle, ...].copy() for name, values in self.state.parameters.items()}

    def _as_warm_start(self, names: Sequence[str]) -> WeightedDraws | Mapping[str, Any]:
        state = self.state
        if missing := set(names) - set(state.parameters):
            raise DataError(
                f"The warm start has draws of {', '.join(sorted(state.parameters))}, but not of {', '.join(sorted(missing))}. "
                "Pass a fit of the same model."
            )
        if state.sample is not None:
            return state.sample.draws
        point = self.point
        return {name: point[name] for name in names}
