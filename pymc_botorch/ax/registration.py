"""A class comes in, and is known to Ax's storage by its name."""

__all__ = ["GPClass", "register"]

from ax.exceptions.core import UserInputError
from ax.storage.botorch_modular_registry import CLASS_TO_REVERSE_REGISTRY, register_model
from botorch.models.model import Model

from pymc_botorch.models.built_gp import AbstractBuiltGP, on_new_class

type GPClass = type[AbstractBuiltGP]


def register(cls: GPClass) -> GPClass:
    """Enter a class in Ax's list of models, where its storage finds it by name. It may be used as a decorator.

    Importing this module does it for each subclass, and each that is made later. The same class may be made again, as in a
    notebook: the last one counts.

    Raises:
        UserInputError: If another class bears this name there: loading an experiment would silently take one for the other.

    Example:
        >>> from pymc_botorch import PyMCGP, ax
        >>> class DemoGP(PyMCGP):
        ...     pass
        >>> ax.register(DemoGP) is DemoGP
        True
    """
    bearer = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if bearer is not None and _origin(bearer) != _origin(cls):
        raise UserInputError(
            f"Ax stores models by the name of their class, and {cls.__name__} is already that of {'.'.join(_origin(bearer))}. "
            f"Give {'.'.join(_origin(cls))} another name."
        )
    register_model(cls)
    return cls


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _register_if_free(cls: GPClass) -> None:
    """Register a class when it is made; if its name is taken, whoever uses it in Ax is told."""
    bearer = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if bearer is None or _origin(bearer) == _origin(cls):
        register_model(cls)


def _register_all(cls: type) -> None:
    subclass: GPClass
    for subclass in cls.__subclasses__():
        _register_if_free(subclass)
        _register_all(subclass)


_register_all(AbstractBuiltGP)
on_new_class(_register_if_free)
