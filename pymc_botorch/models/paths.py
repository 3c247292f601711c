"""A request for Matheron sample paths of our models comes in, a clear refusal goes out.

Registered with BoTorch's dispatcher ``draw_matheron_paths``, which would otherwise say that it finds no signature.
"""

__all__: list[str] = []

from typing import Any, NoReturn

from botorch.sampling.pathwise.posterior_samplers import DrawMatheronPaths

from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import UnsupportedModelError


@DrawMatheronPaths.register(AbstractPyMCGP)  # type: ignore[untyped-decorator]
def _refuse_paths(model: AbstractPyMCGP, **_: Any) -> NoReturn:
    raise UnsupportedModelError(
        "Matheron paths sample the features of a GPyTorch kernel, which a PyMC gp does not have. Use MaxPosteriorSampling on a "
        "set of candidates, or an acquisition function that samples the posterior."
    )
