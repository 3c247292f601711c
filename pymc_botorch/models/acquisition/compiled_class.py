"""What a class of BoTorch, compiled, is: of its name and arguments, and a subclass of it."""

__all__ = ["COMPILED_CLASSES", "AbstractCompiledClass"]

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from botorch.acquisition import AcquisitionFunction
from botorch.exceptions.errors import UnsupportedError

from pymc_botorch.models.acquisition.compiled import CompiledAcquisitionFunction
from pymc_botorch.models.acquisition.scores import AbstractScore
from pymc_botorch.models.errors import UnsupportedModelError

COMPILED_CLASSES: dict[type[AcquisitionFunction], type["AbstractCompiledClass"]] = {}
"""Compiled classes by those of BoTorch, exactly: a subclass of these computes something else."""


class AbstractCompiledClass(CompiledAcquisitionFunction):
    """A class of BoTorch, compiled: it takes the arguments of that class, and is a subclass of it."""

    botorch_class: ClassVar[type[AcquisitionFunction]]
    read: "ClassVar[staticmethod[[Any, int], AbstractScore]]"

    def __init_subclass__(cls, *, read: Callable[[Any, int], AbstractScore], **options: Any) -> None:
        """Enter a class whose second base is the one of BoTorch."""
        super().__init_subclass__(**options)
        _, cls.botorch_class = cls.__bases__
        cls.read = staticmethod(read)
        cls.__signature__ = inspect.signature(cls.botorch_class)
        COMPILED_CLASSES[cls.botorch_class] = cls

    def __init__(self, *args: Any, **options: Any) -> None:
        original = self.botorch_class(*args, **options)
        super().__init__(original, self.read)
        try:
            self._check()
        except UnsupportedError as error:
            name = self.botorch_class.__name__
            raise UnsupportedModelError(f"This {name} cannot be compiled. {error} Use {name} itself.") from error

    @classmethod
    def of(cls, original: AcquisitionFunction) -> Self:
        """Return what is compiled of an acquisition function.

        Raises:
            UnsupportedError: If it is told something that no formula takes.
        """
        made = cls.__new__(cls)
        CompiledAcquisitionFunction.__init__(made, original, cls.read)
        made._check()
        return made

    def _check(self) -> None:
        """Read the score of one point, and leave to the first call what is drawn then: seeded, it has the original's samples."""
        has_sampler = getattr(self.original, "sampler", self) is not None
        with torch.random.fork_rng(devices=[]):
            self.score(1)
        if not has_sampler:
            self.original.sampler = None
            self.forget()
