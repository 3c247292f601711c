"""``FullyBayesianPyMCGP``: a PyMC gp with posterior draws of its hyperparameters, as a BoTorch ensemble."""

__all__ = ["FullyBayesianPyMCGP"]

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform

from pymc_botorch.graph.gps.shaped import MonotoneGP
from pymc_botorch.inference.draws import read_fitted_draws
from pymc_botorch.inference.names import names_in
from pymc_botorch.inference.points import model_in_context
from pymc_botorch.inference.sampling.idata import as_datatree
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.leave_one_out import with_log_densities
from pymc_botorch.models.sampled import SIXTEEN, AbstractSampledEnsemble, most_draws

if TYPE_CHECKING:
    import pymc as pm


class FullyBayesianPyMCGP(AbstractSampledEnsemble):
    """A PyMC gp with ``S`` posterior draws of its hyperparameters, as a BoTorch ensemble.

    Made from data, and fitted by :meth:`fit`: importance sampling, tempered SMC or NUTS, whichever can be trusted first. Or
    made from draws that PyMC took, by :meth:`from_fitted`. The model is written as for :class:`pymc_botorch.PyMCGP`.

    It follows the conventions of BoTorch's ``SaasFullyBayesianSingleTaskGP``: ``batch_shape`` is ``[S]``, and the posterior at
    ``b x q x d`` is a ``GaussianMixturePosterior`` whose mean is ``b x S x q x 1``. Acquisition functions average over draws
    what they are worth for each, ``optimize_acqf``, samplers and ``ModelListGP`` take it as they take BoTorch's own. The draws
    are a loop over functions that are compiled once, with exact gradients.

    Fantasies condition each draw (so that knowledge gradient and ``qNegIntegratedPosteriorVariance`` work): the draws and their
    equal weights stay as they are, which is exact in the function and ignores what new observations say of hyperparameters.

    Of a ``pm.gp.Latent`` (for outcomes that are counts or shares, have outliers, or are missing) each draw carries the function
    at the training inputs, and ``posterior`` is the mixture of Gaussians for the latent function given it. The response is an
    objective, which takes the parameters of a link from :attr:`draws`. There is no Gaussian noise, and new outcomes would change
    the weights of the draws: observation noise, fantasies, new observations and other training data are refused. Pass
    ``prune_baseline=False`` to noisy expected improvement: BoTorch's pruning looks at the average over draws and would keep one
    point, while the best of the known points differs between draws.

    Args:
        train_X: Inputs, ``n x d``, ``n`` from one up.
        train_Y: Outcomes, ``n x 1``, in raw units.
        train_Yvar: Known variances of the noise, ``n x 1``, in squared raw units; None learns the noise.
        outcome_transform: As in ``PyMCGP``.
        input_transform: As in ``PyMCGP``.
        build_gp: The model; None takes the method of a subclass. The default is that of BoTorch 0.18's ``SingleTaskGP``.

    Raises:
        InputDataError: If data are not finite or a variance is negative (at the first fit, also if ``build_gp`` does not fit
            the data).
        BotorchTensorDimensionError: If the shapes do not fit together.
        UnsupportedError: For several outcomes or batches of data.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import FullyBayesianPyMCGP
        >>> class BarleyGP(FullyBayesianPyMCGP):
        ...     def build_gp(self, X, y):
        ...         reach = pm.LogNormal("reach", mu=-1, sigma=0.7)
        ...         noise = pm.LogNormal("noise", mu=-2, sigma=1)
        ...         gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
        ...         gp.marginal_likelihood("observed", X, y, sigma=noise)
        ...         return gp
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> model = BarleyGP(X, (6 * X).sin()).fit(seed=1)
        >>> model.posterior(X).mean.shape, model.fit_result.trusted
        (torch.Size([16, 8, 1]), True)
    """

    @classmethod
    def from_fitted(
        cls,
        gp: "pm.gp.Marginal | pm.gp.Latent",
        idata: Any,
        *,
        num_draws: int | None = SIXTEEN,
        model: "pm.Model | None" = None,
        given: Mapping[str, Any] | None = None,
        jitter: float | None = None,
        input_transform: InputTransform | None = None,
        outcome_transform: OutcomeTransform | None = None,
    ) -> Self:
        """Return the BoTorch ensemble of a gp whose hyperparameters were sampled in PyMC.

        It is a snapshot, as that of :meth:`pymc_botorch.PyMCGP.from_fitted`. Each draw costs a factorisation of the training
        covariance here, and a call of the compiled functions later.

        Args:
            gp: A ``pm.gp.Marginal``, ``MarginalApprox`` or ``MarginalKron``, as for ``PyMCGP.from_fitted``; or a
                ``pm.gp.Latent`` whose ``prior`` was called in ``model``, with any likelihood and in either parametrisation.
            idata: What ``pm.sample`` returns: ArviZ data with a ``posterior``, or that as a dataset with the dimensions
                ``chain`` and ``draw``. Of a latent gp the function itself must be in it, ``n`` values in each draw.
            num_draws: How many draws to keep, evenly spaced over all chains; None keeps all. 16 is BoTorch's number; they carry
                about 25 % Monte Carlo error in the sd between draws. Of a ``MonotoneGP`` with signs the default is up to 128.
            model: The PyMC model; None takes the one in context.
            given: As in ``PyMCGP.from_fitted``: ``{"gp": total}`` for a component of a sum, or the components of a sum.
            jitter: What was added to the diagonal of the training covariance (of a latent gp, of its prior covariance), in
                squared units of the targets; None reads it from the model.
            input_transform: The transform that was applied to the inputs before they entered the gp, already fitted.
            outcome_transform: The transform that was applied to the targets before they entered the gp, already fitted.

        Returns:
            The ensemble, on the CPU, in float64.

        Raises:
            UnsupportedError: If ``gp`` is of another class or has several outputs, or a transform cannot be undone.
            InputDataError: If there are fewer draws than asked for, or a parameter is missing or not finite in one of them; if
                gp, data and model do not fit together. (Also a ``ValueError``.)
            ModelFittingError: If the training covariance cannot be factorised at a draw.
            TypeError: If there is no PyMC model in context and none is given.

        Example:
            >>> import numpy as np, pymc as pm, torch, xarray as xr, pymc_botorch
            >>> X = np.linspace(0, 1, 8)[:, None]
            >>> draws = xr.Dataset({"sigma": (("chain", "draw"), np.full((2, 50), 0.1))})  # or pm.sample()
            >>> with pm.Model():
            ...     sigma = pm.LogNormal("sigma", -2, 1)
            ...     gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
            ...     y_ = gp.marginal_likelihood("y", X, np.sin(6 * X[:, 0]), sigma)
            ...     model = pymc_botorch.FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=4)
            >>> posterior = model.posterior(torch.rand(5, 2, 1, dtype=torch.double))
            >>> posterior.mean.shape, posterior.mixture_mean.shape
            (torch.Size([5, 4, 2, 1]), torch.Size([5, 2, 1]))
        """
        with botorch_errors():
            if isinstance(gp, MonotoneGP) and gp.signs is not None:
                num_draws = most_draws(idata, num_draws)
            options: dict[str, Any] = {"model": model, "jitter": jitter, "inputs_transformed": input_transform is not None}
            read = partial(read_fitted_draws, idata=idata, num_draws=num_draws, **options)
            names = names_in(model_in_context(model))
            self = cls._from_gp(read, gp, given, input_transform, outcome_transform, names)
        self._state = replace(self.state, idata=with_log_densities(self.state, as_datatree(idata)))
        return self
