"""What the lower floors raise when they refuse something, which models/ raises again as BoTorch's own exceptions; a warning."""

__all__ = ["DataError", "FitError", "FitWarning", "UnsupportedGPError"]


class DataError(ValueError):
    """Training data or a point that cannot be used as it is; the message says what to pass instead."""


class FitError(RuntimeError):
    """Hyperparameters with which the posterior cannot be computed; the message says what to change."""


class UnsupportedGPError(TypeError):
    """A gp whose conditional is not a Gaussian that this library reads; the message names what to use instead."""


class FitWarning(UserWarning):
    """A fit that should not be trusted as it is; the message says why and what to do."""
