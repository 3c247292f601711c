"""Acquisition functions on our models, compiled: value and gradient in one function.

:func:`compile_acqf` takes one of BoTorch's. Each class of BoTorch that it takes has a compiled one, ``Compiled`` and its name: a
subclass with the same arguments. It may be used in its place, and be given to Ax as ``botorch_acqf_class`` (``pymc_botorch.ax``
registers all of them). :class:`FormulaAcquisitionFunction` takes a formula of one's own, in PyTensor; the formulas here are
PyTensor expressions of a posterior's mean and standard deviation, stable in the tails, for such formulas and others.

Example:
    >>> import torch, pymc_botorch
    >>> from pymc_botorch.acquisition import CompiledLogExpectedImprovement
    >>> X = torch.rand(8, 2, dtype=torch.double)
    >>> model = pymc_botorch.PyMCGP(X, X.sum(-1, keepdim=True)).fit()
    >>> CompiledLogExpectedImprovement(model, best_f=1.5)(torch.rand(5, 1, 2, dtype=torch.double)).shape
    torch.Size([5])
"""

__all__ = [
    "CompiledExpectedImprovement",
    "CompiledLogExpectedImprovement",
    "CompiledLogProbabilityOfImprovement",
    "CompiledPosteriorMean",
    "CompiledPosteriorStandardDeviation",
    "CompiledProbabilityOfImprovement",
    "CompiledUpperConfidenceBound",
    "CompiledqExpectedImprovement",
    "CompiledqLogExpectedImprovement",
    "CompiledqLogNoisyExpectedImprovement",
    "CompiledqSimpleRegret",
    "CompiledqUpperConfidenceBound",
    "FormulaAcquisitionFunction",
    "compile_acqf",
    "expected_improvement",
    "gen_candidates_compiled",
    "log_expected_improvement",
    "log_probability_of_improvement",
    "probability_of_improvement",
    "upper_confidence_bound",
]

import warnings

from botorch.acquisition import AcquisitionFunction
from botorch.exceptions.errors import UnsupportedError

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.graph.acquisition.formulas import (
    expected_improvement,
    log_expected_improvement,
    log_probability_of_improvement,
    probability_of_improvement,
    upper_confidence_bound,
)
from pymc_botorch.models.acquisition.classes import (
    CompiledExpectedImprovement,
    CompiledLogExpectedImprovement,
    CompiledLogProbabilityOfImprovement,
    CompiledPosteriorMean,
    CompiledPosteriorStandardDeviation,
    CompiledProbabilityOfImprovement,
    CompiledqExpectedImprovement,
    CompiledqLogExpectedImprovement,
    CompiledqLogNoisyExpectedImprovement,
    CompiledqSimpleRegret,
    CompiledqUpperConfidenceBound,
    CompiledUpperConfidenceBound,
    compiled,
)
from pymc_botorch.models.acquisition.optimizing import gen_candidates_compiled
from pymc_botorch.models.acquisition.own import FormulaAcquisitionFunction
from pymc_botorch.models.errors import UnsupportedModelError


def compile_acqf(acqf: AcquisitionFunction, *, strict: bool = True) -> AcquisitionFunction:
    """Return an acquisition function with the same values, computed with their gradients by one compiled function.

    It is compiled once for a structure of model and a class: other data, hyperparameters, incumbents, base samples and numbers
    of points compile nothing.

    Monte Carlo functions may have outcome constraints, and as model a ``ModelListGP`` of this package's, all with the same number
    of draws. Objective and constraints must be linear in the outcomes, which is found by evaluating them at some hundred points
    on all sides of the data. Each of several outcomes has compiled functions of its moments, and one more makes the value of
    these, whatever the number of outcomes and constraints.

    Args:
        acqf: One of BoTorch's on such a model: ``ExpectedImprovement``, ``LogExpectedImprovement``,
            ``ProbabilityOfImprovement``, ``LogProbabilityOfImprovement``, ``UpperConfidenceBound``, ``PosteriorMean``,
            ``PosteriorStandardDeviation``, ``qExpectedImprovement``, ``qLogExpectedImprovement``,
            ``qLogNoisyExpectedImprovement``, ``qSimpleRegret`` or ``qUpperConfidenceBound``. A subclass of these is not one.
        strict: Whether to refuse what cannot be compiled; else it is returned as it is, with a warning.

    Returns:
        Its compiled class, such as ``CompiledLogExpectedImprovement``, of ``... x q x d`` points in raw units, for
        ``optimize_acqf``; over draws it averages as the original does. What is compiled already is returned as it is.

    Raises:
        UnsupportedError: If the acquisition function, or what it was told, is not among these.

    Example:
        >>> import torch, pymc_botorch
        >>> from botorch.acquisition import LogExpectedImprovement
        >>> X = torch.rand(8, 2, dtype=torch.double)
        >>> model = pymc_botorch.PyMCGP(X, X.sum(-1, keepdim=True)).fit()
        >>> acqf = pymc_botorch.compile_acqf(LogExpectedImprovement(model, best_f=1.5))
        >>> acqf(torch.rand(5, 1, 2, dtype=torch.double)).shape
        torch.Size([5])
    """
    try:
        return compiled(acqf)
    except UnsupportedError as error:
        message = f"This {type(acqf).__name__} cannot be compiled. {error}"
        if strict:
            raise UnsupportedModelError(f"{message} Use it as it is.") from error
        warnings.warn(f"{message} It is returned as it is.", UserWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
        return acqf
