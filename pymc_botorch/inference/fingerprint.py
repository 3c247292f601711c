"""A builder comes in, a hashable description of all that decides what it builds goes out, cheaply and by value.

It reads the builder's code, what that closes over, the globals and attributes that it names, and the attributes of the object
whose method it is. Two fingerprints are equal only if the same graph would be built; where something cannot be read by value
(a random generator, a file), there is none, and the builder must run again.
"""

__all__ = ["fingerprint"]

import functools
import sys
import sysconfig
import types
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, np.dtype)
INSTALLED = tuple({sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib", "platstdlib")})


class _Unreadable(Exception):  # noqa: N818  # never leaves this module
    """A value whose content cannot be told."""


def fingerprint(build: Any, attributes: Mapping[str, Any] | None = None) -> Hashable | None:
    """Return what decides the result of ``build``, or None where that cannot be told.

    Args:
        build: A function, method, partial or callable object.
        attributes: Attributes of the object whose method it is, where these are known better than from the object.
    """
    try:
        reader = _Reader()
        if attributes is None:
            return reader.read(build)
        function = build.__func__
        classes = [reader.read_class(cls) for cls in type(build.__self__).__mro__ if not _is_installed(cls.__module__)]
        return reader.read(function), tuple(classes), reader.read(dict(attributes))
    except (_Unreadable, RecursionError):
        return None


class _Reader:
    """Reads values recursively; what is met again is named by its number, so that cycles end."""

    def __init__(self) -> None:
        self.met: dict[int, int] = {}
        self.alive: list[Any] = []

    def read(self, value: Any) -> Hashable:
        if isinstance(value, ATOMS):
            # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but build different graphs
            return type(value).__name__, repr(value) if isinstance(value, float | complex) else value
        if id(value) in self.met:
            return "again", self.met[id(value)]
        self.met[id(value)] = len(self.met)
        self.alive.append(value)  # ids are of living objects
        if isinstance(value, types.ModuleType):
            return "module", value.__name__
        if isinstance(value, types.FunctionType):
            return self.read_function(value)
        if isinstance(value, types.MethodType):
            return "method", self.read(value.__func__), self.read(value.__self__)
        if isinstance(value, types.BuiltinFunctionType | np.ufunc):
            return "builtin", value
        if isinstance(value, type):
            return ("class", value) if _is_installed(value.__module__) else self.read_class(value)
        if isinstance(value, functools.partial):
            return "partial", self.read(value.func), self.read(value.args), self.read(value.keywords)
        if isinstance(value, dict | types.MappingProxyType):
            return "dict", tuple((self.read(key), self.read(item)) for key, item in value.items())
        if isinstance(value, list | tuple):
            return type(value), tuple(map(self.read, value))
        if isinstance(value, set | frozenset):
            return type(value), frozenset(map(self.read, value))
        return self.read_object(value)

    def read_function(self, function: types.FunctionType) -> Hashable:
        if _is_installed(function.__module__):
            return "function", function
        closure = {}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                closure[name] = self.read(cell.cell_contents)
            except ValueError:
                closure[name] = "empty"
        return (
            "function",
            self.read_code(function.__code__, function.__globals__),
            tuple(closure.items()),
            self.read(function.__defaults__),
            self.read(function.__kwdefaults__),
        )

    def read_code(self, code: types.CodeType, names: Mapping[str, Any]) -> Hashable:
        constants = [
            self.read_code(constant, names) if isinstance(constant, types.CodeType) else self.read(constant)
            for constant in code.co_consts
        ]
        used = [(name, self.read_global(names[name], code.co_names)) for name in code.co_names if name in names]
        return code.co_code, code.co_names, code.co_varnames, code.co_argcount, tuple(constants), tuple(used)

    def read_global(self, value: Any, attributes: Iterable[str]) -> Hashable:
        """Read a global; of a user's module, what the code may take from it."""
        if isinstance(value, types.ModuleType) and not _is_installed(value.__name__):
            return value.__name__, tuple((name, self.read(vars(value)[name])) for name in attributes if name in vars(value))
        return self.read(value)

    def read_class(self, cls: type) -> Hashable:
        skipped = ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl")
        content = [(name, self.read_member(value)) for name, value in vars(cls).items() if name not in skipped]
        return "class", cls, tuple(content)

    def read_member(self, value: Any) -> Hashable:
        if isinstance(value, property):
            return "property", self.read(value.fget)
        if isinstance(value, staticmethod | classmethod):
            return type(value), self.read(value.__func__)
        if isinstance(value, functools.cached_property):
            return "property", self.read(value.func)
        if type(value) in (types.GetSetDescriptorType, types.MemberDescriptorType):
            return "slot", value.__name__
        return self.read(value)

    def read_object(self, value: Any) -> Hashable:
        if hasattr(value, "__array__"):
            array = np.asarray(value)
            content = self.read(array.tolist()) if array.dtype.hasobject else array.tobytes()
            return "array", type(value), str(array.dtype), array.shape, content
        cls = type(value)
        plain = all(getattr(cls, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))
        if plain and hasattr(value, "__dict__") and not _is_installed(cls.__module__):
            return "object", self.read(cls), self.read(vars(value))
        raise _Unreadable


@functools.cache
def _is_installed(module: str | None) -> bool:
    """Say whether a module is of the standard library or of an installed package, whose code does not change."""
    if module is None:
        return False
    if module == "builtins" or module.partition(".")[0] == "pymc_botorch":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return module != "__main__" and file is not None and file.startswith(INSTALLED)
