"""Fingerprint of a builder: a hashable description, by value, of all that decides what it builds.

It covers the builder's code, the variables that it closes over, the globals, modules and attributes that it names, and the
attributes and classes of the object whose method it is. A builder that uses something whose value cannot be read (a random
generator, a file, ``eval``) has no fingerprint, and must run again each time.
"""

__all__ = ["fingerprint"]

import enum
import functools
import logging
import pickle
import sys
import types
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pymc_botorch.inference.bytecode import lookup_by_name, names_in

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, np.dtype)
TRUSTED = set(sys.stdlib_module_names).union(
    ("arviz", "botorch", "gpytorch", "linear_operator", "matplotlib", "numba", "numpy", "pandas", "pymc", "pymc_botorch"),
    ("pytensor", "scipy", "torch", "xarray"),
)
"""Packages whose own code and state do not change what a builder builds."""

GENERATED_CLASS_ATTRIBUTES = {"_abc_impl"}.union(
    f"__{name}__"
    for name in (
        "annotate",
        "annotate_func",
        "annotations",
        "dict",
        "doc",
        "firstlineno",
        "module",
        "static_attributes",
        "weakref",
    )
)
GENERATED_DATACLASS_ATTRIBUTES = {"__dataclass_fields__", "__dataclass_params__", "__match_args__"}.union(
    f"__{name}__" for name in ("delattr", "eq", "ge", "gt", "hash", "init", "le", "lt", "replace", "repr", "setattr")
)
MAX_OBJECTS = 20_000
"""Number of objects beyond which a builder is not read to the end."""


class Unreadable(Exception):  # noqa: N818  # it never leaves this module
    """A value whose content cannot be read."""


def fingerprint(build: Any, attributes: Mapping[str, Any] | None = None) -> tuple[Hashable | None, str]:
    """Return the fingerprint of ``build`` and an empty string, or None and the reason why it has no fingerprint.

    Args:
        build: A function, method, partial or callable object.
        attributes: Attributes that stand for the object whose method it is; None reads all of the object's.
    """
    try:
        reader = _Reader()
        if attributes is None:
            return reader.read(build), ""
        owner = getattr(build, "__self__", None)
        cls = owner if isinstance(owner, type) else type(owner)
        return (reader.read(getattr(build, "__func__", build)), reader.read(cls), reader.read(dict(attributes))), ""
    except Unreadable as reason:
        return None, str(reason)
    except Exception as error:  # user objects may raise anything when they are inspected
        return None, repr(error)


class _Reader:
    """Recursive reader of values; an object that was seen before is represented by its number, so that cycles end."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}  # of the objects seen so far, by id
        self.kept_alive: list[Any] = []  # an id is unique among living objects only
        self.names: frozenset[str] = frozenset()  # of attributes in the code of the functions that are being read
        self.open_modules: set[str] = set()  # modules that are being read

    def read(self, value: Any) -> Hashable:
        if type(value) in ATOMS or isinstance(value, np.dtype):
            # 1, 1.0 and True are equal, and so are 0.0 and -0.0, but build different graphs
            return type(value).__name__, repr(value) if isinstance(value, float | complex) else value
        if id(value) in self.numbers:
            return "seen", self.numbers[id(value)]
        if len(self.numbers) > MAX_OBJECTS:
            raise Unreadable("too many objects")
        self.numbers[id(value)] = len(self.numbers)
        self.kept_alive.append(value)
        if isinstance(value, types.ModuleType):
            return self.read_module(value)
        if isinstance(value, types.FunctionType):
            return self.read_function(value)
        if isinstance(value, types.CodeType):
            return self.read_code(value, {})
        if isinstance(value, types.MethodType):
            return "method", self.read(value.__func__), self.read(value.__self__)
        if isinstance(value, types.BuiltinFunctionType | np.ufunc | types.WrapperDescriptorType | types.MethodDescriptorType):
            return "builtin", value
        if isinstance(value, type):
            return self.read_class(value)
        return self.read_container(value)

    def read_container(self, value: Any) -> Hashable:
        cls = type(value)
        if cls is functools.partial:
            return "partial", self.read(value.func), self.read(value.args), self.read(value.keywords)
        if cls in (dict, types.MappingProxyType):
            return cls, tuple((self.read(key), self.read(item)) for key, item in value.items())
        if cls in (list, tuple):
            return cls, tuple(map(self.read, value))
        if cls in (set, frozenset):
            if not all(type(item) in ATOMS for item in value):
                raise Unreadable(f"a {cls.__name__} of objects")
            return cls, frozenset(map(self.read, value))
        if isinstance(value, tuple) and hasattr(cls, "_fields"):
            return cls, tuple(map(self.read, value))
        return self.read_object(value)

    def read_module(self, module: types.ModuleType, attributes: frozenset[str] | None = None) -> Hashable:
        """Read those attributes of a module that the code being read takes of it; None are all that it takes of anything."""
        if _is_trusted(module.__name__):
            return "module", module.__name__
        if module.__name__ in self.open_modules:
            return "seen", module.__name__
        self.open_modules.add(module.__name__)
        names = self.names if attributes is None else attributes
        if "__dict__" in names:
            raise Unreadable(f"{module.__name__}.__dict__")
        used = [(name, self.read_named(vars(module)[name])) for name in sorted(names) if name in vars(module)]
        self.open_modules.remove(module.__name__)
        return "module", module.__name__, tuple(used)

    def read_function(self, function: types.FunctionType) -> Hashable:
        if _is_trusted(function.__globals__.get("__name__")):
            return "function", function
        before, self.names = self.names, self.names | _attributes(function.__code__)
        closure = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                content = cell.cell_contents
            except ValueError:
                content = "unassigned"
            closure.append((name, self.read(content)))
        result = (
            "function",
            self.read_code(function.__code__, function.__globals__),
            tuple(closure),
            self.read(function.__defaults__),
            self.read(function.__kwdefaults__),
            self.read(vars(function)),
        )
        self.names = before
        return result

    def read_code(self, code: types.CodeType, scope: Mapping[str, Any]) -> Hashable:
        used = []
        names = names_in(code)
        if (dynamic := lookup_by_name(names, scope)) is not None:
            raise Unreadable(f"{dynamic} in {code.co_name}")
        for name, attributes in names.globals.items():
            if name in scope:
                used.append((name, self.read_named(scope[name], attributes)))
        for name in sorted(names.imports):  # inside the function
            for module in _modules_named(name, scope.get("__package__")):
                used.append((f"import {module}", self.read_named(sys.modules[module])))
        constants = [self.read_code(c, scope) if isinstance(c, types.CodeType) else self.read(c) for c in code.co_consts]
        return code.co_code, code.co_names, code.co_varnames, code.co_argcount, tuple(constants), tuple(used)

    def read_named(self, value: Any, attributes: frozenset[str] | None = None) -> Hashable:
        """Read a value that code names; a user's module is read even if seen before: other code may name other attributes."""
        is_users = isinstance(value, types.ModuleType) and not _is_trusted(value.__name__)
        return self.read_module(value, attributes) if is_users else self.read(value)

    def read_class(self, cls: type) -> Hashable:
        if _is_trusted(cls.__module__):
            return "class", cls
        bases = tuple(self.read(base) for base in cls.__mro__[1:])
        skipped = GENERATED_CLASS_ATTRIBUTES
        if "__dataclass_fields__" in vars(cls):
            skipped = skipped | GENERATED_DATACLASS_ATTRIBUTES
        content = [(name, self.read_member(value)) for name, value in vars(cls).items() if name not in skipped]
        return "class", cls, bases, tuple(content)

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
        cls = type(value)
        origin = (cls.__module__ or "").partition(".")[0]
        if cls is np.ndarray or isinstance(value, np.generic):
            return self.read_array(value)
        if origin == "torch" and hasattr(value, "detach"):
            return cls, self.read_array(value.detach().cpu().numpy())
        if origin in ("pandas", "xarray"):
            return cls, pickle.dumps(value)
        if isinstance(value, enum.Enum):
            return cls, value.name, self.read(value.value)
        if isinstance(value, logging.Logger):
            return "logger", value.name
        if isinstance(value, functools._lru_cache_wrapper):
            return "cached", self.read(value.__wrapped__)
        plain = all(getattr(cls, name) is getattr(object, name) for name in ("__reduce_ex__", "__reduce__"))
        plain = plain and not isinstance(value, dict | list | tuple | set | frozenset | str | bytes | int | float)
        slots = any("__slots__" in vars(base) for base in cls.__mro__)
        if plain and not slots and hasattr(value, "__dict__") and (not _is_trusted(cls.__module__) or origin == "types"):
            return "object", self.read(cls), self.read(vars(value))
        raise Unreadable(f"a {cls.__module__}.{cls.__qualname__}")

    def read_array(self, value: Any) -> Hashable:
        array = np.asarray(value)
        content = self.read(array.tolist()) if array.dtype.hasobject else array.tobytes()
        return "array", type(value), str(array.dtype), array.shape, content


@functools.cache
def _is_trusted(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in TRUSTED and module != "__main__"


def _modules_named(name: str, package: str | None) -> Iterator[str]:
    """Yield the loaded modules of a user that an import of ``name`` can mean, relative to a package, too."""
    parts = package.split(".") if package else []
    parents = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    for module in (name, *(f"{parent}.{name}" if name else parent for parent in parents)):
        if module in sys.modules and not _is_trusted(module):
            yield module


def _attributes(code: types.CodeType) -> frozenset[str]:
    """Return the names of all attributes in code and in the code of functions inside it."""
    inner: Iterable[frozenset[str]] = (_attributes(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return names_in(code).attributes.union(*inner)
