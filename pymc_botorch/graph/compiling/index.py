"""Index on disk of what earlier processes made of graphs, beside PyTensor's cache of the code that Numba compiled.

An entry is a file named by a digest. An empty one says that Numba has compiled a function, which is then loaded in a moment
rather than compiled for many seconds. Others hold a graph as PyTensor has rewritten it, which takes most of the time until a
function's first answer; they are held only where the digest says all that decides them. Any number of processes may write at
once, and a missing entry costs nothing but time.
"""

__all__ = ["Entry", "entry_of"]

import functools
import hashlib
import os
import pathlib
import platform
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import distribution, version
from typing import Any, NamedTuple

import pytensor

from pymc_botorch.config import Linker
from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.graph.compiling.description import Description
from pymc_botorch.graph.compiling.structure import Graph

FOLDER = "pymc_botorch_index"
PACKAGES = ("pytensor", "pymc", "numba", "llvmlite", "numpy", "scipy")
FLAGS = ("floatX", "optimizer", "optimizer_excluding", "optimizer_including")
"""PyTensor's settings that change what a graph is rewritten to."""


class Entry(NamedTuple):
    """One function of a graph in the index.

    Attributes:
        path: The file that says that Numba has compiled the function. Its name is a digest of the graph, the function, the
            versions, the settings and the processor.
        is_complete: Whether the digest says all that decides the function.
    """

    path: pathlib.Path
    is_complete: bool

    def is_there(self) -> bool:
        """Return whether Numba has compiled the function, of a graph that is held if it can be."""
        return self.path.exists() and (not self.is_complete or self._graph("numba").exists())

    def add(self) -> None:
        """Say that it has; where the disk cannot be written to, nothing is said."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()

    def remove(self) -> None:
        """Say that it has not, and let go of the graphs."""
        for path in (self.path, self._graph("numba"), self._graph("numpy")):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def held(self, linker: Linker) -> bytes | None:
        """Return the graph that was rewritten for a linker, None where it is not held."""
        try:
            return self._graph(linker).read_bytes()
        except OSError:
            return None

    def hold(self, linker: Linker, graph: bytes) -> None:
        """Hold a graph that was rewritten for a linker; other processes find all of it or nothing."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
                whole = pathlib.Path(folder) / "graph"
                whole.write_bytes(graph)
                os.replace(whole, self._graph(linker))

    def _graph(self, linker: Linker) -> pathlib.Path:
        return self.path.with_suffix(f".{linker}")


def entry_of(graph: Graph, prepare: Callable[..., Any], build: Callable[..., Any]) -> Entry:
    """Return the entry of a function: the same in each process for graphs of one structure."""
    description = Description(_platform(), repr([getattr(pytensor.config, name) for name in FLAGS]))
    description.add_name(prepare)
    description.add_name(build)
    try:
        description.add_graph(graph.symbols, graph.outputs)
    except Exception:  # an operation of a user's may have attributes of any kind, one that holds itself among them
        description.is_complete = False
    folder = pathlib.Path(pytensor.config.base_compiledir) / FOLDER
    return Entry(folder / description.digest, description.is_complete and not any(map(_is_editable, ("pytensor", "pymc"))))


@functools.cache
def _is_editable(package: str) -> bool:
    """Return whether a package is run from its sources, which change without its version."""
    return '"editable": true' in (distribution(package).read_text("direct_url.json") or "")


@functools.cache
def _platform() -> str:
    """Return versions, of this package its files, and the processor."""
    from llvmlite import binding  # type: ignore[import-untyped]

    own = hashlib.sha256()
    for path in sorted(pathlib.Path(PACKAGE_FOLDER).rglob("*.py")):
        own.update(path.read_bytes())
    packages = [f"{name} {version(name)}" for name in PACKAGES]
    processor = f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"
    return f"{own.hexdigest()} {packages} {platform.python_version()} {processor}"
