"""A fitted PyMC gp and a point come in, a BoTorch model goes out: ``PyMCGP``."""

__all__ = ["PyMCGP"]

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from botorch.models.model import Model
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from torch import Tensor

from pymc_botorch.inference.fitted import read_fitted
from pymc_botorch.models.errors import UnsupportedModelError, botorch_errors
from pymc_botorch.models.fitted_gp import AbstractFittedGP
from pymc_botorch.models.units import fitted_copy, raw_inputs, read_units

if TYPE_CHECKING:
    import pymc as pm


class PyMCGP(AbstractFittedGP):
    """A PyMC gp with a marginal likelihood and one value per hyperparameter, as a BoTorch model.

    Made by :meth:`from_fitted`. Acquisition functions, ``optimize_acqf`` and samplers take it as they take a
    ``SingleTaskGP``; its posterior is PyMC's, computed by compiled functions, with exact gradients.
    """

    def __init__(self, train_X: Tensor | None = None, train_Y: Tensor | None = None, *_: Any, **__: Any) -> None:
        if isinstance(train_Y, Tensor) and train_Y.ndim > 1 and train_Y.shape[-1] > 1:
            raise UnsupportedModelError(
                f"train_Y has {train_Y.shape[-1]} columns, but a model has one outcome. Fit a gp for each and join the models in "
                "botorch.models.ModelListGP."
            )
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
            gp: A ``pm.gp.Marginal``, ``MarginalApprox`` or ``MarginalKron`` whose ``marginal_likelihood`` was called in
                ``model``, or an additive component of one, with any mean and covariance function;
                ``sigma`` a number, a random variable, a vector of known sds or a covariance function.
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
            fitted, noisy = read_fitted(
                gp, point, model=model, given=given, jitter=jitter, inputs_transformed=input_transform is not None
            )
            raw_X = raw_inputs(input_transform, fitted.X, fitted.raw_X)
            units = read_units(outcome_transform)
            self = cls.__new__(cls)
            Model.__init__(self)
            if input_transform is not None:
                self.input_transform = fitted_copy(input_transform)
            if outcome_transform is not None:
                self.outcome_transform = fitted_copy(outcome_transform)
                units = units._replace(transform=units.transform and self.outcome_transform)
            self.outcome_units = units
            self._noisy = noisy
            self._condition(fitted, raw_X)
        return self.eval()

    @property
    def point(self) -> dict[str, Any]:
        """The hyperparameters, by name, on their natural scale (copies)."""
        return {name: value.copy() for name, value in self._fitted.point.items()}
