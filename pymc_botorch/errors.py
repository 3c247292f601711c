"""What the lower floors raise when they refuse something; models/ raises it again as BoTorch's own exceptions."""

__all__ = ["DataError", "FitError", "UnsupportedGPError"]


class DataError(ValueError):
    """Training data or a point that cannot be used as it is; the message says what to pass instead."""


class FitError(RuntimeError):
    """Hyperparameters with which the posterior cannot be computed; the message says what to change."""


class UnsupportedGPError(TypeError):
    """A gp whose conditional is not a Gaussian that this library reads; the message names what to use instead."""
