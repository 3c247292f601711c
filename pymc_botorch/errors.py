"""Exceptions and warnings of pymc_botorch; models/ raises the exceptions again as BoTorch's own."""

__all__ = ["PACKAGE_FOLDER", "DataError", "FitError", "FitWarning", "OutOfTime", "UnsupportedGPError"]

import os
import pathlib

PACKAGE_FOLDER = f"{pathlib.Path(__file__).parent}{os.sep}"
"""Prefix of the package's files, for the ``skip_file_prefixes`` of warnings: they point at the user's line."""


class DataError(ValueError):
    """Training data or a point that cannot be used as it is; the message says what to pass instead."""


class FitError(RuntimeError):
    """Hyperparameters with which the posterior cannot be computed; the message says what to change."""


class OutOfTime(FitError):  # noqa: N818  # what the loop that it ends catches
    """The budget of a fit has ended."""


class UnsupportedGPError(TypeError):
    """A gp whose conditional is not a Gaussian that pymc_botorch can read; the message names what to use instead."""


class FitWarning(UserWarning):
    """A fit that should not be trusted as it is; the message says why and what to do.

    Example:
        >>> import warnings, torch
        >>> from pymc_botorch import FitWarning, FullyBayesianPyMCGP
        >>> X = torch.rand(6, 2, dtype=torch.double)
        >>> with warnings.catch_warnings(record=True, action="always", category=FitWarning) as caught:
        ...     model = FullyBayesianPyMCGP(X, X.sum(1, keepdim=True)).fit(max_seconds=0.01)
        >>> model.fit_result.trusted, str(caught[0].message) == model.fit_result.warning
        (False, True)
    """
