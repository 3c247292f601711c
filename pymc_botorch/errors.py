"""What the lower floors raise when they refuse something; models/ raises it again as BoTorch's own exceptions."""

__all__ = ["DataError", "UnsupportedGPError"]


class DataError(ValueError):
    """Training data or a point that cannot be used as it is; the message says what to pass instead."""


class UnsupportedGPError(TypeError):
    """A gp whose conditional is not a Gaussian that this library reads; the message names what to use instead."""
