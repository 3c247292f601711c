"""Errors of the lower floors as BoTorch's exceptions, which PyMC users can still catch as Python's own."""

__all__ = ["InvalidDataError", "UnsupportedModelError", "botorch_errors", "with_notes"]

from collections.abc import Iterator
from contextlib import contextmanager

from botorch.exceptions.errors import InputDataError, ModelFittingError, UnsupportedError

from pymc_botorch.errors import DataError, FitError, UnsupportedGPError


class InvalidDataError(InputDataError, ValueError):
    """Training data, a point or inputs that cannot be used as they are."""


class UnsupportedModelError(UnsupportedError, NotImplementedError):
    """A gp, a transform or an operation that this library does not serve."""


@contextmanager
def botorch_errors() -> Iterator[None]:
    """Raise the package's small exceptions again as BoTorch's, chained."""
    try:
        yield
    except DataError as error:
        raise InvalidDataError(str(error)) from error
    except FitError as error:
        raise ModelFittingError(str(error)) from error
    except UnsupportedGPError as error:
        raise UnsupportedModelError(str(error)) from error


def with_notes(error: Exception, other: Exception) -> Exception:
    """Return the other exception with the notes of an error that it stands for."""
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other
