"""Names in the bytecode of Python functions, by what the code does with them: a global, an attribute, an imported module."""

__all__ = ["Names", "lookup_by_name", "names_in"]

import dis
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import CodeType, ModuleType
from typing import Any, NamedTuple

GLOBALS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"))
LOOKUPS = {
    "builtins": frozenset(("__import__", "eval", "exec", "getattr", "globals", "locals", "vars")),
    "importlib": frozenset(("import_module",)),
    "operator": frozenset(("attrgetter", "methodcaller")),
    "sys": frozenset(("modules", "_getframe")),
}
"""What reaches values by names that are not in the code, by the module that it is of."""
UNMISTAKABLE = frozenset(("__import__", "import_module", "attrgetter", "methodcaller"))
"""Those that are meant wherever their name is taken as an attribute: no object of a model has others of that name."""
STORES = frozenset(("STORE_NAME", "DELETE_NAME"))  # in the body of a class: its own attributes


class Names(NamedTuple):
    """Names in a code object, without those in the code of functions inside it.

    Attributes:
        globals: Names that are looked up in the globals, each with the attributes that are taken of it; None where it is used
            in another way, too.
        imports: Modules that are imported.
        attributes: Attributes of whatever object, and what is imported from modules.
    """

    globals: Mapping[str, frozenset[str] | None]
    imports: frozenset[str]
    attributes: frozenset[str]


@lru_cache(maxsize=4096)
def names_in(code: CodeType) -> Names:
    """Return the names in a code object.

    Example:
        >>> import pymc as pm
        >>> names = names_in((lambda X: pm.gp.cov.ExpQuad(1, ls=ell)(X)).__code__)
        >>> dict(names.globals), sorted(names.attributes)
        ({'pm': frozenset({'gp'}), 'ell': None}, ['ExpQuad', 'cov', 'gp'])
    """
    loaded: dict[str, frozenset[str] | None] = {}
    imports, attributes = set(), set()
    instructions = [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
    for one, following in zip(instructions, [*instructions[1:], None], strict=True):
        if one.opcode not in dis.hasname or one.opname in STORES:
            continue
        if one.opname in GLOBALS:
            before = loaded.get(one.argval, frozenset())
            is_read = following is not None and following.opname in ("LOAD_ATTR", "LOAD_METHOD") and one.opname.startswith("LOAD")
            taken = frozenset((following.argval,)) if following is not None and is_read else None
            loaded[one.argval] = None if taken is None or before is None else before | taken
        elif one.opname == "IMPORT_NAME":
            imports.add(one.argval)
        else:
            attributes.add(one.argval)
    return Names(loaded, frozenset(imports), frozenset(attributes))


def lookup_by_name(names: Names, scope: Mapping[str, Any]) -> str | None:
    """Return what code looks values up with whose names are not in it, or None if it does not.

    Args:
        names: The names in the code.
        scope: Its globals.
    """
    values = [scope[name] for name in names.globals if name in scope]
    modules = names.imports.union(value.__name__ for value in values if isinstance(value, ModuleType))
    found = {name for name in LOOKUPS["builtins"] & {*names.globals} if name not in scope}
    found |= ({"__builtins__"} & {*names.globals}) | (UNMISTAKABLE & names.attributes)
    for module, lookups in LOOKUPS.items():
        if module in modules:
            found |= lookups & names.attributes
        found |= {name for name in lookups for value in values if value is getattr(import_module(module), name)}
    return min(found, default=None)
