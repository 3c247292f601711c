"""Docstrings as the site shows them: the roles of Sphinx become links, and examples become code."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|attr|mod|data):`(?:[^`<]*<)?([^`>]+)>?`")
EXAMPLE = re.compile(r"^(\s*)Example:$", flags=re.MULTILINE)
FACES = ("", ".acquisition", ".ax", ".shape")
"""Modules that have public names, as parts of a path."""


class SiteDocstrings(griffe.Extension):
    """Rewrite each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is None:
            return
        owner = obj if obj.is_class else obj.parent
        package = obj.package
        text = ROLE.sub(lambda found: _link(found.group(1), owner, package), obj.docstring.value)
        obj.docstring.value = EXAMPLE.sub(r"\1Examples:", text)


def _link(name: str, owner: Any, package: Any) -> str:
    """Return a link to the public object of a name: with its path, a member of the class, or a name of a face."""
    last = name.rsplit(".", 1)[-1]
    if name.startswith("pymc_botorch."):
        return f"[`{last}`][{name}]"
    if owner is not None and owner.is_class and name in owner.members:
        return f"[`{name}`][{_public(owner, package)}.{name}]"
    for face in FACES:
        module = package[face[1:]] if face else package
        if name in (module.exports or ()):
            return f"[`{name}`][{package.path}{face}.{name}]"
    return f"`{name}`"


def _public(owner: Any, package: Any) -> str:
    """Return the path of a class as users import it; of a mixin that of the model that has its methods."""
    return f"{package.path}.{owner.name}" if owner.name in (package.exports or ()) else f"{package.path}.PyMCGP"
