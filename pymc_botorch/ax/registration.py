"""Registration of pymc_botorch classes with Ax's storage, which knows models by the name of their class."""

__all__ = ["GPClass", "register"]

import abc
import inspect
import warnings

from ax.exceptions.core import UserInputError
from ax.storage.botorch_modular_registry import CLASS_TO_REGISTRY, CLASS_TO_REVERSE_REGISTRY, register_model
from botorch.models.model import Model

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.models.builder import AbstractBuiltGP, on_new_class

type GPClass = type[AbstractBuiltGP]

CLASS_CREATION_FILE = inspect.getfile(abc.ABCMeta.__new__)[:-1]  # CPython 3.13.0 skips no file whose whole name is the prefix
"""Prefix of the file that is on the stack between a class statement and ``__init_subclass__``."""

_unused_local_classes: set[type] = set()  # classes that functions made and nothing used: other modules may take their names


def register(cls: GPClass) -> GPClass:
    """Enter a class in Ax's list of models, where its storage finds it by name. It may be used as a decorator.

    Importing ``pymc_botorch.ax`` does this for each subclass that exists, and for each that is made later. The same class may be
    made again, as in a notebook: the last one counts. A class that was made in a function, and has not been registered by hand or
    used in a configuration since, loses its name to a class of another module, and can then no longer be stored.

    Raises:
        UserInputError: If it is not a pymc_botorch class, or another class has its name: loading an experiment would silently
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
            f"{cls!r} is not a model class of pymc_botorch. Pass a subclass of PyMCGP or FullyBayesianPyMCGP, not an instance."
        )
    holder = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__)
    if holder is not None and _origin(holder) != _origin(cls):
        if holder not in _unused_local_classes or holder.__module__ == cls.__module__:
            raise UserInputError(
                f"Ax stores models by the name of their class, and {cls.__name__} is already the name of "
                f"{'.'.join(_origin(holder))}. Give {'.'.join(_origin(cls))} another name."
            )
        del CLASS_TO_REGISTRY[Model][holder]
    _unused_local_classes.discard(holder)
    register_model(cls)
    return cls


def _origin(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__


def _register_if_free(cls: GPClass) -> None:
    """Register a class when it is made, with a warning if its name is taken: an experiment with it would load the other class.

    A class that is made in a function keeps its name only until a class of another module takes it, unless it has been used: no
    other process could find it.
    """
    in_function = "<locals>" in cls.__qualname__
    unused = CLASS_TO_REVERSE_REGISTRY[Model].get(cls.__name__) in {None, *_unused_local_classes}
    try:
        register(cls)
    except UserInputError as error:
        if not in_function:
            warnings.warn(
                f"{error} Until then, an experiment that Ax stores with it is loaded with the other class.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER, CLASS_CREATION_FILE),
            )
    else:
        if in_function and unused:
            _unused_local_classes.add(cls)


def _register_all(cls: type) -> None:
    subclass: GPClass
    for subclass in cls.__subclasses__():
        _register_if_free(subclass)
        _register_all(subclass)


_register_all(AbstractBuiltGP)
on_new_class(_register_if_free)
