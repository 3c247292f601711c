"""A class comes in, and is known to Ax's storage by its name."""

__all__ = ["GPClass", "register"]

import warnings

from ax.exceptions.core import UserInputError
from ax.storage.botorch_modular_registry import CLASS_TO_REGISTRY, CLASS_TO_REVERSE_REGISTRY, register_model
from botorch.models.model import Model

from pymc_botorch.models.built_gp import AbstractBuiltGP, on_new_class

type GPClass = type[AbstractBuiltGP]

_unused: set[type] = set()  # made in functions, and registered then: classes of other modules may take their names


def register(cls: GPClass) -> GPClass:
    """Enter a class in Ax's list of models, where its storage finds it by name. It may be used as a decorator.

    Importing this module does it for each subclass, and each that is made later. The same class may be made again, as in a
    notebook: the last one counts. A class that was made in a function, and not registered by hand or used in a configuration
    since, leaves its name to a class of another module; it can then be stored no more.

    Raises:
        UserInputError: If it is no class of ours, or another class bears this name there: loading an experiment would silently
            take one for the other.

    Example:
        >>> from pymc_botorch import PyMCGP, ax
        >>> class DemoGP(PyMCGP):
        ...     pass
        >>> ax.register(DemoGP) is DemoGP
        True
    """
    if not (isinstance(cls, type) and issubclass(cls, AbstractBuiltGP)):
        raise UserInputError(
            f"{cls!r} is no surrogate of ours. Pass a subclass of PyMCGP or FullyBayesianPyMCGP, not an instance."
        )
    bearer = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if bearer is not None and _origin(bearer) != _origin(cls):
        if bearer not in _unused or bearer.__module__ == cls.__module__:
            raise UserInputError(
                f"Ax stores models by the name of their class, and {cls.__name__} is already that of "
                f"{'.'.join(_origin(bearer))}. Give {'.'.join(_origin(cls))} another name."
            )
        del CLASS_TO_REGISTRY[Model][bearer]
    _unused.discard(bearer)
    register_model(cls)
    return cls


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _register_if_free(cls: GPClass) -> None:
    """Register a class when it is made; if its name is taken, say so: a stored experiment of it would load as the other.

    A class that is made in a function keeps its name only until one of another module wants it, unless it has been used: no
    other process could find it.
    """
    in_function = "<locals>" in cls.__qualname__
    unused = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__) in {None, *_unused}
    try:
        register(cls)
    except UserInputError as error:
        if not in_function:
            warnings.warn(f"{error} Until then, what Ax stores of it is loaded as the other.", UserWarning, stacklevel=4)
    else:
        if in_function and unused:
            _unused.add(cls)


def _register_all(cls: type) -> None:
    subclass: GPClass
    for subclass in cls.__subclasses__():
        _register_if_free(subclass)
        _register_all(subclass)


_register_all(AbstractBuiltGP)
on_new_class(_register_if_free)
