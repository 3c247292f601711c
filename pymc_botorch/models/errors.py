"""Errors of the lower floors as BoTorch's exceptions, which PyMC users can still catch as Python's own."""

__all__ = ["InvalidDataError", "UnsupportedModelError", "botorch_errors", "with_notes"]

from types import TracebackType

from botorch.exceptions.errors import InputDataError, ModelFittingError, UnsupportedError

from pymc_botorch.errors import DataError, FitError, UnsupportedGPError


class InvalidDataError(InputDataError, ValueError):
    """Training data, a point or inputs that cannot be used as they are."""


class UnsupportedModelError(UnsupportedError, NotImplementedError):
    """A gp, a transform or an operation that this library does not serve."""


class _BotorchErrors:
    """A context in which the package's small exceptions are raised again as BoTorch's; a generator takes longer to enter."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if isinstance(error, DataError):
            raise InvalidDataError(str(error)) from error
        if isinstance(error, FitError):
            raise ModelFittingError(str(error)) from error
        if isinstance(error, UnsupportedGPError):
            raise UnsupportedModelError(str(error)) from error


def botorch_errors() -> _BotorchErrors:
    """Raise the package's small exceptions again as BoTorch's, chained."""
    return _CONTEXT


_CONTEXT = _BotorchErrors()


def with_notes(error: Exception, other: Exception) -> Exception:
    """Return the other exception with the notes of an error that it stands for."""
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other
