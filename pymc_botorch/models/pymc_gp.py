"""A fitted PyMC gp and a point come in, a BoTorch model goes out: ``PyMCGP``."""

__all__ = ["PyMCGP"]

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import torch
from botorch.models.model import Model
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood
from torch import Tensor

from pymc_botorch.graph.compile import ConditionedPosterior
from pymc_botorch.inference.fitted import FittedGP, read_fitted
from pymc_botorch.models.contract import AbstractPyMCGP, affine
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors

if TYPE_CHECKING:
    import pymc as pm


class PyMCGP(AbstractPyMCGP):
    """A ``pm.gp.Marginal`` with one value per hyperparameter, as a BoTorch model.

    Made by :meth:`from_fitted`. Acquisition functions, ``optimize_acqf`` and samplers take it as they take a
    ``SingleTaskGP``; its posterior is PyMC's, computed by compiled functions, with exact gradients.
    """

    _fitted: FittedGP
    _noisy: FittedGP | None
    _raw_X: Tensor
    _conditioned: ConditionedPosterior
    _observed: ConditionedPosterior | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("PyMCGP has no constructor yet. Use PyMCGP.from_fitted(gp, point, model=...).")

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
            gp: A ``pm.gp.Marginal`` whose ``marginal_likelihood`` was called in ``model``, with any mean and covariance
                function; ``sigma`` a number, a random variable, a vector of known sds or a covariance function.
            point: One value for each parameter, as ``pm.find_MAP()`` returns them (transformed copies and deterministics
                may be there too), or ArviZ data with one posterior draw.
            model: The PyMC model; None takes the one in context.
            given: For an additive component, as in ``gp.conditional``: ``{"gp": total}``.
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
            fitted, noisy = read_fitted(
                gp, point, model=model, given=given, jitter=jitter, inputs_transformed=input_transform is not None
            )
            raw_X = _undo(input_transform, torch.from_numpy(fitted.X))
            offset, scale = (affine(outcome_transform) if outcome_transform is not None else None) or (0.0, 1.0)
            self = cls.__new__(cls)
            Model.__init__(self)
            self._fitted, self._noisy = fitted, noisy
            self._raw_X = raw_X
            self._observed = None
            self._conditioned = replace(fitted.condition(), offset=offset, scale=scale)
        self.likelihood = _likelihood(torch.from_numpy(self._conditioned.noise))
        if input_transform is not None:
            self.input_transform = input_transform
        if outcome_transform is not None:
            self.outcome_transform = outcome_transform
        return self.eval()

    @property
    def conditioned(self) -> ConditionedPosterior:
        """The posterior of the noise-free function, in the units of the outcome."""
        return self._conditioned

    @property
    def observed(self) -> ConditionedPosterior | None:
        """The posterior of new observations where their noise is correlated; compiled when first asked for."""
        if self._observed is None and self._noisy is not None:
            noisy, base = self._noisy.condition(), self._conditioned
            self._observed = replace(noisy, offset=base.offset, scale=base.scale)
        return self._observed

    @property
    def noise_variance(self) -> Tensor:
        """Variance of a new observation, in squared units of the outcome: the mean over the training observations."""
        return torch.as_tensor(self._conditioned.noise.mean() * self._conditioned.scale**2)

    @property
    def num_inputs(self) -> int:
        """Number of columns of raw inputs."""
        return self._raw_X.shape[-1]

    @property
    def point(self) -> dict[str, Any]:
        """The hyperparameters, by name, on their natural scale (copies)."""
        return {name: value.copy() for name, value in self._fitted.point.items()}

    @property
    def train_inputs(self) -> tuple[Tensor]:
        """Training inputs ``n x d``, transformed in evaluation mode and raw in training mode, as BoTorch keeps them."""
        return (self._raw_X if self.training else torch.from_numpy(self._fitted.X),)

    @property
    def train_targets(self) -> Tensor:
        """Training targets ``n``, on the scale of the gp."""
        return torch.from_numpy(self._fitted.y)

    @property
    def _has_transformed_inputs(self) -> bool:
        return not self.training and getattr(self, "input_transform", None) is not None

    @property
    def _original_train_inputs(self) -> Tensor:
        return self._raw_X


def _undo(input_transform: InputTransform | None, X: Tensor) -> Tensor:
    """Return raw training inputs from those that the gp saw."""
    if input_transform is None or not input_transform.transform_on_train:
        return X
    input_transform.eval()  # fitted transforms must not learn again
    try:
        return input_transform.untransform(X)
    except NotImplementedError as error:
        raise UnsupportedModelError(
            f"{type(input_transform).__name__} cannot be undone, so the raw training inputs are unknown. Pass an "
            "input_transform that has an inverse, such as Normalize."
        ) from error


def _likelihood(noise: Tensor) -> GaussianLikelihood | FixedNoiseGaussianLikelihood:
    """Return GPyTorch's likelihood with this noise variance, on the scale of the gp, as BoTorch reads it."""
    if noise.ndim:
        likelihood = FixedNoiseGaussianLikelihood(noise=noise)
    else:
        likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.0, transform=None)).double()
        likelihood.noise_covar.raw_noise.data.fill_(float(noise))
    return likelihood.requires_grad_(False)
