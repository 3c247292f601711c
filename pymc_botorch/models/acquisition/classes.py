"""BoTorch's acquisition functions by class, each with the compiled class that has its name and arguments."""

__all__ = ["COMPILED_CLASSES", "AbstractCompiledClass", "compiled"]

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    LogExpectedImprovement,
    PosteriorMean,
    PosteriorStandardDeviation,
    ProbabilityOfImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qSimpleRegret,
    qUpperConfidenceBound,
)
from botorch.acquisition.analytic import LogProbabilityOfImprovement
from botorch.exceptions.errors import UnsupportedError

from pymc_botorch.models.acquisition.analytic import read_analytic
from pymc_botorch.models.acquisition.compiled import CompiledAcquisitionFunction, ScoredAcquisitionFunction
from pymc_botorch.models.acquisition.monte_carlo import read_monte_carlo, read_noisy
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


def compiled(acqf: AcquisitionFunction) -> ScoredAcquisitionFunction:
    """Return an acquisition function compiled, which may be so already.

    Raises:
        UnsupportedError: If it cannot be; the message is the reason alone.
    """
    if isinstance(acqf, ScoredAcquisitionFunction):
        return acqf
    cls = COMPILED_CLASSES.get(type(acqf))
    if cls is None:
        names = ", ".join(known.__name__ for known in COMPILED_CLASSES)
        raise UnsupportedModelError(
            f"Those that are compiled are {names}, and no subclasses. Others that are formulas of mean and standard deviation "
            "can be written as a FormulaAcquisitionFunction."
        )
    return cls.of(acqf)


class CompiledExpectedImprovement(AbstractCompiledClass, ExpectedImprovement, read=read_analytic):
    """``ExpectedImprovement`` of BoTorch, compiled.

    Example:
        >>> import warnings, torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledExpectedImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> with warnings.catch_warnings(action="ignore"):  # BoTorch warns: take LogExpectedImprovement
        ...     acqf = CompiledExpectedImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledLogExpectedImprovement(AbstractCompiledClass, LogExpectedImprovement, read=read_analytic):
    """``LogExpectedImprovement`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledLogExpectedImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledLogExpectedImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledProbabilityOfImprovement(AbstractCompiledClass, ProbabilityOfImprovement, read=read_analytic):
    """``ProbabilityOfImprovement`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledProbabilityOfImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledProbabilityOfImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledLogProbabilityOfImprovement(AbstractCompiledClass, LogProbabilityOfImprovement, read=read_analytic):
    """``LogProbabilityOfImprovement`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledLogProbabilityOfImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledLogProbabilityOfImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledUpperConfidenceBound(AbstractCompiledClass, UpperConfidenceBound, read=read_analytic):
    """``UpperConfidenceBound`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledUpperConfidenceBound
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledUpperConfidenceBound(PyMCGP(X, (6 * X).sin()), beta=4.0)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledPosteriorMean(AbstractCompiledClass, PosteriorMean, read=read_analytic):
    """``PosteriorMean`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledPosteriorMean
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledPosteriorMean(PyMCGP(X, (6 * X).sin()))
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledPosteriorStandardDeviation(AbstractCompiledClass, PosteriorStandardDeviation, read=read_analytic):
    """``PosteriorStandardDeviation`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledPosteriorStandardDeviation
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledPosteriorStandardDeviation(PyMCGP(X, (6 * X).sin()))
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledqExpectedImprovement(AbstractCompiledClass, qExpectedImprovement, read=read_monte_carlo):
    """``qExpectedImprovement`` of BoTorch, compiled.

    Example:
        >>> import warnings, torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledqExpectedImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> with warnings.catch_warnings(action="ignore"):  # BoTorch warns: take qLogExpectedImprovement
        ...     acqf = CompiledqExpectedImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledqLogExpectedImprovement(AbstractCompiledClass, qLogExpectedImprovement, read=read_monte_carlo):
    """``qLogExpectedImprovement`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledqLogExpectedImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledqLogExpectedImprovement(PyMCGP(X, (6 * X).sin()), best_f=0.9)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledqLogNoisyExpectedImprovement(AbstractCompiledClass, qLogNoisyExpectedImprovement, read=read_noisy):
    """``qLogNoisyExpectedImprovement`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledqLogNoisyExpectedImprovement
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledqLogNoisyExpectedImprovement(PyMCGP(X, (6 * X).sin()), X_baseline=X)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledqSimpleRegret(AbstractCompiledClass, qSimpleRegret, read=read_monte_carlo):
    """``qSimpleRegret`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledqSimpleRegret
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledqSimpleRegret(PyMCGP(X, (6 * X).sin()))
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """


class CompiledqUpperConfidenceBound(AbstractCompiledClass, qUpperConfidenceBound, read=read_monte_carlo):
    """``qUpperConfidenceBound`` of BoTorch, compiled.

    Example:
        >>> import torch
        >>> from pymc_botorch import PyMCGP
        >>> from pymc_botorch.acquisition import CompiledqUpperConfidenceBound
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> acqf = CompiledqUpperConfidenceBound(PyMCGP(X, (6 * X).sin()), beta=4.0)
        >>> acqf(X.unsqueeze(-2)).shape
        torch.Size([8])
    """
