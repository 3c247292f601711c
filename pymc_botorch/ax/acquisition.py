"""Compiled acquisition functions in Ax: its own ones, compiled, and classes that it can be given by name.

Importing this module registers each class of ``pymc_botorch.acquisition`` with BoTorch's input constructors, as the class that it
compiles, and with Ax's storage; and :class:`CompiledAcquisition` with the latter.
"""

__all__ = ["Compilation", "CompiledAcquisition"]

from typing import Any, NamedTuple

from ax.core.search_space import SearchSpaceDigest
from ax.generators.torch.botorch_modular.acquisition import Acquisition, determine_optimizer
from ax.generators.utils import mk_discrete_choices
from ax.storage.botorch_modular_registry import register_acquisition, register_acquisition_function
from botorch.acquisition import AcquisitionFunction
from botorch.acquisition.input_constructors import ACQF_INPUT_CONSTRUCTOR_REGISTRY
from botorch.exceptions.errors import UnsupportedError
from torch import Tensor

from pymc_botorch.models.acquisition.classes import COMPILED_CLASSES, compiled
from pymc_botorch.models.acquisition.optimizing import gen_candidates_compiled


class Compilation(NamedTuple):
    """What became of an acquisition function of Ax.

    Attributes:
        acquisition_function: Name of its class.
        compiled: Whether it is compiled.
        reason: Why it is not; empty where it is.
    """

    acquisition_function: str
    compiled: bool
    reason: str


class CompiledAcquisition(Acquisition):
    """Ax's modular acquisition, whose acquisition function is compiled where it can be.

    What became of it is appended to ``models_used``, which Ax stores with each trial, as a dict of :class:`Compilation`.
    """

    reason: str = ""
    models_used: list[dict[str, Any]]

    def _instantiate_acquisition(self) -> None:
        super()._instantiate_acquisition()
        made = Compilation(type(self.acqf).__name__, compiled=not self.reason, reason=self.reason)
        self.models_used = [*self.models_used, made._asdict()]

    def _construct_botorch_acquisition(self, *args: Any, **options: Any) -> AcquisitionFunction:
        acqf = super()._construct_botorch_acquisition(*args, **options)
        try:
            acqf, self.reason = compiled(acqf), ""
        except UnsupportedError as error:
            self.reason = str(error)
        return acqf

    def optimize(
        self,
        n: int,
        search_space_digest: SearchSpaceDigest,
        *args: Any,
        optimizer_options: dict[str, Any] | None = None,
        **others: Any,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Search as Ax does, given values and gradients of a compiled function without torch in between where it can be."""
        choices = mk_discrete_choices(search_space_digest, others.get("fixed_features"))
        if determine_optimizer(search_space_digest, self.acqf, choices) in ("optimize_acqf", "optimize_acqf_mixed"):
            optimizer_options = {"gen_candidates": gen_candidates_compiled, **(optimizer_options or {})}
        return super().optimize(n, search_space_digest, *args, optimizer_options=optimizer_options, **others)


for _botorch_class, _compiled_class in COMPILED_CLASSES.items():
    register_acquisition_function(_compiled_class)
    if _botorch_class in ACQF_INPUT_CONSTRUCTOR_REGISTRY:  # not PosteriorStandardDeviation
        ACQF_INPUT_CONSTRUCTOR_REGISTRY[_compiled_class] = ACQF_INPUT_CONSTRUCTOR_REGISTRY[_botorch_class]
register_acquisition(CompiledAcquisition)
