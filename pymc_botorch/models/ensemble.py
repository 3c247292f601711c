"""A gp with draws of its hyperparameters comes in, a BoTorch ensemble goes out: ``AbstractEnsemble``."""

__all__ = ["AbstractEnsemble"]

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from botorch.acquisition.objective import PosteriorTransform
from botorch.posteriors import GPyTorchPosterior, Posterior
from botorch.posteriors.fully_bayesian import MCMC_DIM, GaussianMixturePosterior
from botorch.sampling import MCSampler
from torch import Tensor

from pymc_botorch.inference.build import BuiltGP, TrainingData
from pymc_botorch.inference.draws import FittedDraws
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.models.built_gp import AbstractBuiltGP
from pymc_botorch.models.errors import UnsupportedModelError
from pymc_botorch.models.mixture import MixtureProcess
from pymc_botorch.models.process import AbstractProcess, CompiledProcess

KEPT_BYTES = 2**30
"""Of factorised training covariances, ``8 S n^2`` in all: those of further draws are computed anew at each call."""


class AbstractEnsemble(AbstractBuiltGP):
    """A gp with ``S`` draws of its hyperparameters, by BoTorch's conventions for ensembles: each draw a batch, last but two."""

    _is_fully_bayesian = True
    _is_ensemble = True
    _posterior_class = GaussianMixturePosterior

    _fitted: FittedDraws

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """What was drawn, by name, ``S x ...``, on its natural scale (copies).

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
        return {name: value.copy() for name, value in self._hyperparameters.items()}

    @property
    def num_mcmc_samples(self) -> int:
        """Number of draws ``S``, by BoTorch's name."""
        return self._fitted.num_draws

    def posterior(
        self,
        X: Tensor,
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
        self._check_inputs(X)
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
            sampler: Of the outcomes at ``X``, ``num_fantasies x ... x S x q x 1``.
            observation_noise: Variances; None takes each draw's own.
            **kwargs: As in ``condition_on_observations``.

        Raises:
            UnsupportedError: For a latent gp, and as ``condition_on_observations``.
        """
        self._check_not_latent()
        fantasy = super().fantasize(X, sampler, observation_noise, **kwargs)
        fantasy._is_ensemble = False
        return fantasy

    def _given(self, X: Tensor | None, inputs: Tensor, targets: Tensor, noise: Tensor | None) -> Self:
        """Return the model given more observations, each draw conditioned on its own.

        Targets with batches have one for each draw as the last, as fantasies have. So have inputs with as many dimensions; those
        with fewer (the inputs of fantasies) are shared.
        """
        if targets.ndim == 1 or inputs.ndim != targets.ndim + 1:
            X, inputs = None if X is None else X.unsqueeze(MCMC_DIM), inputs.unsqueeze(MCMC_DIM)
        if targets.ndim == 1:
            targets = targets.unsqueeze(0)
        return super()._given(X, inputs, targets, noise)

    def _process_of(self, fitted: FittedGP) -> tuple[AbstractProcess, Tensor]:
        """Return the posterior of each draw, and the noise variances: ``S``, or ``S x n``."""
        offset, scale = self.outcome_units.offset, self.outcome_units.scale
        conditioned, kept = [], 0
        for draw in fitted.each:
            posterior = replace(draw.condition(), offset=offset, scale=scale)
            kept += posterior.nbytes
            conditioned.append(posterior if kept <= KEPT_BYTES else posterior.without_frozen())
        return MixtureProcess(tuple(map(CompiledProcess, conditioned))), torch.from_numpy(
            np.stack([c.noise for c in conditioned])
        )

    def _prior_of(self, fitted: FittedGP) -> AbstractProcess:
        return MixtureProcess(tuple(CompiledProcess(draw.prior()) for draw in fitted.each))

    def _at(self, built: BuiltGP, data: TrainingData, point: Mapping[str, np.ndarray]) -> tuple[FittedGP, FittedGP | None]:
        fitted, noisy = built.at(data, point)
        S = len(next(iter(point.values())))
        return FittedDraws.of(fitted, point, S), noisy and FittedDraws.of(noisy, point, S)

    def _initial(self, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: value[None] for name, value in point.items()}  # one draw
