"""Acquisition functions of BoTorch on our models, compiled: value and gradient in one function."""

__all__ = ["compile_acqf"]

import warnings

from botorch.acquisition import AcquisitionFunction, qLogNoisyExpectedImprovement
from botorch.exceptions.errors import UnsupportedError

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.acquisition import analytic, monte_carlo
from pymc_botorch.models.acquisition.compiled import CompiledAcquisitionFunction


def compile_acqf(acqf: AcquisitionFunction, *, strict: bool = True) -> AcquisitionFunction:
    """Return an acquisition function with the same values, computed with their gradients by one compiled function."""
    try:
        for readings, read in ((analytic.FORMULAS, analytic.read_analytic), (monte_carlo.FORMULAS, monte_carlo.read_monte_carlo)):
            if type(acqf) in readings:
                read(acqf, 1)
                return CompiledAcquisitionFunction(acqf, read)
        if type(acqf) is qLogNoisyExpectedImprovement:
            monte_carlo.read_noisy(acqf, 1)
            return CompiledAcquisitionFunction(acqf, monte_carlo.read_noisy)
        raise UnsupportedError("nothing is known of its class")
    except UnsupportedError as error:
        message = f"This {type(acqf).__name__} cannot be compiled. {error}"
        if strict:
            raise UnsupportedError(message) from error
        warnings.warn(f"{message} It is returned as it is.", UserWarning, skip_file_prefixes=(PACKAGE_FOLDER,))
        return acqf
