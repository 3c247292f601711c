"""The functions of one structure: how each is compiled, and how Numba's take over from NumPy's."""

__all__ = ["CompiledGraph"]

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, Self

import numpy as np

from pymc_botorch.config import Linker, Tier
from pymc_botorch.graph.compiling import background, functions
from pymc_botorch.graph.compiling.functions import Build, Function, compile_build
from pymc_botorch.graph.compiling.index import Entry, entry_of
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.logs import say_linker, took


@dataclass
class _Shared:
    """What the instances of one structure share.

    Attributes:
        ready: Functions compiled on demand.
        requested: Those that were asked of Numba.
        loaded: Those that Numba compiled in an earlier process.
        taken_over: Those that Numba compiled in this process, in place of ``ready`` ones.
        entries: What stands for each in the index on disk.
        latest: The instance that uses ``taken_over``.
        lock: Held while these are changed.
    """

    ready: dict[Build, Function] = field(default_factory=dict)
    requested: set[Build] = field(default_factory=set)
    loaded: set[Build] = field(default_factory=set)
    taken_over: dict[Build, Function] = field(default_factory=dict)
    entries: dict[Build, Entry] = field(default_factory=dict)
    latest: "CompiledGraph | None" = None
    lock: Lock = field(default_factory=Lock)


class CompiledGraph[Subject]:
    """The functions of one structure, compiled on first use and shared by models, refits and threads.

    An instance keeps the functions that it has: once Numba has compiled one, :meth:`latest` is a successor that uses it.

    Attributes:
        graph: A graph of the structure.
        prepare: Function of ``graph`` that returns ``subject``.
        tier: How functions are compiled; with ``"auto"`` NumPy serves each until Numba has compiled it, which it may have before.
        subject: Argument of the builds.
        delivered: Called in the background's thread after each function that Numba has compiled, with the instance before.
    """

    def __init__(
        self,
        graph: Graph,
        prepare: Callable[[Any], Subject],
        tier: Tier,
        subject: Subject,
        delivered: Callable[["CompiledGraph"], None] = lambda _: None,
        *,
        shared: _Shared | None = None,
    ) -> None:
        self.graph, self.prepare, self.tier, self.subject, self.delivered = graph, prepare, tier, subject, delivered
        self._shared = _Shared() if shared is None else shared
        self._functions = dict(self._shared.taken_over)  # those that this instance uses
        self._uses_numba = tier == "numba" or bool(self._functions)

    @property
    def key(self) -> Hashable:
        """What is the same for all graphs of the structure."""
        return self.tier, self.prepare, self.graph.structure

    @property
    def linker(self) -> Linker:
        """``"numba"`` where Numba compiled one of the functions, else ``"numpy"``."""
        return "numba" if self._uses_numba or self._shared.loaded else "numpy"

    def __call__(self, build: Build[Subject], *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of ``build``, given a value for each of its inputs as ``as_input`` returns it."""
        function = self._functions.get(build)
        outputs = self._first_outputs(build, arrays) if function is None else function(*arrays)
        if self.tier == "auto" and build not in self._shared.requested and self._is_first(build):
            background.request(
                background.Job(self.key, self.subject, build, self.entry(build), arrays, partial(self._take_over, build))
            )
        return outputs

    def _first_outputs(self, build: Build[Subject], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs of a function's first call, at which Numba compiles it or loads it from the disk."""
        began = time.perf_counter()
        function = self.function(build)
        say_linker(self.tier, "numba" if self.tier == "numba" or build in self._shared.loaded else "numpy")
        try:
            outputs = function(*arrays)
        except Exception:
            if build not in self._shared.loaded:
                raise
            self.entry(build).remove()  # what was loaded may be at fault, and if it is not, NumPy says so
            self._shared.loaded.discard(build)
            self._shared.ready[build] = self._functions[build] = compile_build(self.subject, build, "numpy", self.entry(build))
            return self._functions[build](*arrays)
        if self.tier == "numba":
            self.entry(build).add()
        took(time.perf_counter() - began, "The first call of a function, with its compilation,")
        return outputs

    def function(self, build: Build[Subject]) -> Function:
        """Return the function that ``build`` defines, compiled on first use."""
        if build not in self._functions:
            shared = self._shared
            with functions.compile_lock:  # one thread compiles, others wait for it
                if build not in shared.ready:
                    if self.tier == "auto" and build not in shared.requested and self.entry(build).is_there():
                        shared.requested.add(build)
                        shared.loaded.add(build)
                    linker: Linker = "numba" if self.tier == "numba" or build in shared.loaded else "numpy"
                    shared.ready[build] = compile_build(self.subject, build, linker, self.entry(build))
                self._functions[build] = shared.ready[build]
        return self._functions[build]

    def entry(self, build: Build[Subject]) -> Entry:
        """Return what stands for a function in the index of those that Numba has compiled."""
        if build not in self._shared.entries:
            self._shared.entries[build] = entry_of(self.graph, self.prepare, build)
        return self._shared.entries[build]

    def _is_first(self, build: Build) -> bool:
        """Return whether nobody has asked Numba for this function yet, and remember that somebody does now."""
        with self._shared.lock:
            first = build not in self._shared.requested
            self._shared.requested.add(build)
            return first

    def _take_over(self, build: Build, function: Function) -> None:
        """Give Numba's function to later models and fits."""
        with self._shared.lock:
            before = self._shared.latest or self
            self._shared.taken_over[build] = function
            self._shared.latest = type(self)(
                self.graph, self.prepare, self.tier, self.subject, self.delivered, shared=self._shared
            )
        self.entry(build).add()
        self.delivered(before)

    def latest(self) -> Self:
        """Return the instance with all functions that Numba has compiled so far, this one if there is no later one."""
        return self._shared.latest or self  # type: ignore[return-value]  # of this class

    def forget_requests(self) -> None:
        """Forget what was asked of Numba: in a forked process the parent's worker will not deliver."""
        self._shared.requested = set(self._shared.loaded)
        self._shared.lock = Lock()

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: compiled functions hold no state of a model."""
        return self
