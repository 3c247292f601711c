"""BoTorch's acquisition functions by class, each with the compiled class that has its name and arguments."""

__all__ = ["COMPILED_CLASSES", "compiled"]

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

from pymc_botorch.models.acquisition.analytic import read_analytic
from pymc_botorch.models.acquisition.compiled import ScoredAcquisitionFunction
from pymc_botorch.models.acquisition.compiled_class import COMPILED_CLASSES, AbstractCompiledClass
from pymc_botorch.models.acquisition.monte_carlo import read_monte_carlo, read_noisy
from pymc_botorch.models.errors import UnsupportedModelError


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
