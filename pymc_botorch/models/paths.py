"""Refusal of Matheron sample paths of our models."""

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
