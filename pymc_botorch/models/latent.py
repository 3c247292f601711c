"""What stands in a BoTorch model for a likelihood that is PyMC's alone: ``LatentLikelihood``, which says so."""

__all__ = ["NOT_GAUSSIAN", "LatentLikelihood"]

from typing import Any, NoReturn

from gpytorch.likelihoods import Likelihood

from pymc_botorch.models.errors import UnsupportedModelError

NOT_GAUSSIAN = (
    "The gp is latent: its outcomes are not the function plus Gaussian noise, and new ones would change how probable each draw "
    "of the function is. Take posterior(X) of the function, with the response as an objective; to add observations sample the "
    "PyMC model with all of them."
)


class LatentLikelihood(Likelihood):
    """The likelihood of a latent gp: there, because ``ModelListGP`` asks for one, and refused wherever it is used."""

    def forward(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be evaluated."""
        raise UnsupportedModelError(NOT_GAUSSIAN)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be evaluated."""
        raise UnsupportedModelError(NOT_GAUSSIAN)
