"""Process-wide cache of compiled functions: each is compiled on first use, once per structure.

Two graphs have the same structure if they differ only in the values of their inputs: data, hyperparameters, known noise,
lengthscales written as arrays. A refit to new data, another outcome or another ``pm.Model`` with the same code therefore
compiles nothing. A function of a graph is defined by a :data:`Build`::

    functions = compiled(graph, cut_posterior)
    mean, variance = functions(moments_at, X, *frozen)
"""

__all__ = [
    "CacheInfo",
    "CompiledGraph",
    "cache_clear",
    "cache_info",
    "compiled",
    "register_builders",
    "wait_for_numba",
]

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from threading import Lock
from typing import Any, NamedTuple, Self

import numpy as np
import pytensor

from pymc_botorch.config import Linker, Tier, config
from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.graph.compiling import background
from pymc_botorch.graph.compiling.functions import Build, Function, compile_build
from pymc_botorch.graph.compiling.structure import Graph

MAX_STRUCTURES = 64

_cache: OrderedDict[Hashable, "CompiledGraph"] = OrderedDict()
_lock = Lock()
_builder_caches: list[Any] = []
_hits = 0
_compilations = 0


class CacheInfo(NamedTuple):
    """Counts of the cache since the process began or the cache was cleared.

    Attributes:
        hits: Requests that found their structure in the cache.
        compilations: Structures compiled; one that Numba takes over from Python counts twice.
        structures: Structures held now.
        pending: Structures with functions that Numba is compiling or has yet to compile.
        builders: Builders (``build_gp``) whose graphs are held now.
    """

    hits: int
    compilations: int
    structures: int
    pending: int
    builders: int


class CompiledGraph[Subject]:
    """The functions of one structure, compiled on first use and shared by models, refits and threads.

    An instance keeps the functions that it has: once Numba has compiled one, the cache returns a successor that uses it.

    Attributes:
        graph: A graph of the structure.
        prepare: Function of ``graph`` that returns ``subject``.
        tier: How functions are compiled; with ``"auto"`` Python serves each until Numba has compiled it.
        subject: Argument of the builds.
    """

    def __init__(self, graph: Graph, prepare: Callable[[Any], Subject], tier: Tier, subject: Subject) -> None:
        self.graph, self.prepare, self.tier, self.subject = graph, prepare, tier, subject
        self._functions: dict[Build, Function] = {}  # those that this instance uses
        self._taken_over: Mapping[Build, Function] = {}  # of these, Numba's in place of Python's
        self._ready: dict[Build, Function] = {}  # compiled on demand; successors share them
        self._requested: set[Build] = set()  # asked of Numba; successors share it

    @property
    def linker(self) -> Linker:
        """``"numba"`` where Numba compiled one of the functions, else ``"python"``."""
        return "numba" if self.tier == "numba" or self._taken_over else "python"

    def __call__(self, build: Build[Subject], *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of ``build``, given a value for each of its inputs as ``as_input`` returns it."""
        function = self._functions.get(build)
        if function is None:
            function = self.function(build)
        outputs = function(*arrays)
        if self.tier == "auto" and build not in self._requested and self._is_first(build):
            deliver = partial(_take_over, self._key, build)
            background.request(background.Job(self._key, self.subject, build, arrays, deliver))
        return outputs

    def function(self, build: Build[Subject]) -> Function:
        """Return the function that ``build`` defines, compiled on first use."""
        if build not in self._functions:
            with background.compile_lock:  # one thread compiles, others wait for it
                if build not in self._ready:
                    self._ready[build] = compile_build(self.subject, build, "numba" if self.tier == "numba" else "python")
                self._functions[build] = self._ready[build]
        return self._functions[build]

    def with_numba(self, build: Build[Subject], function: Function) -> Self:
        """Return a successor that uses Numba's ``function`` for ``build``."""
        successor = type(self)(self.graph, self.prepare, self.tier, self.subject)
        successor._taken_over = {**self._taken_over, build: function}
        successor._functions = dict(successor._taken_over)
        successor._ready, successor._requested = self._ready, self._requested
        return successor

    def _is_first(self, build: Build) -> bool:
        """Return whether nobody has asked Numba for this function yet, and remember that somebody does now."""
        with _lock:
            first = build not in self._requested
            self._requested.add(build)
            return first

    def latest(self) -> "CompiledGraph[Subject]":
        """Return the successor with all functions that Numba has compiled so far, or this instance if there is none."""
        with _lock:
            return _cache.get(self._key, self) if self.tier == "auto" else self

    @property
    def _key(self) -> Hashable:
        return self.tier, self.prepare, self.graph.structure

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: compiled functions hold no state of a model."""
        return self

    def __reduce__(self) -> tuple:
        """Pickle without the functions: another process loads them from PyTensor's disk cache."""
        return compiled, (self.graph, self.prepare, self.tier)


def compiled[G: Graph, Subject](graph: G, prepare: Callable[[G], Subject], tier: Tier | None = None) -> CompiledGraph[Subject]:
    """Return the compiled functions of a graph's structure.

    Args:
        graph: The graph; one of the same structure shares its functions, whatever the values of its symbols.
        prepare: Module-level function that turns the graph into the argument of builds; called once per structure.
        tier: How functions are compiled; None takes ``pymc_botorch.config.linker``.
    """
    global _hits, _compilations
    tier = config.linker if tier is None else tier
    _report_errors()
    key = (tier, prepare, graph.structure)
    with _lock:
        if key in _cache:
            _hits += 1
            _cache.move_to_end(key)
            return _cache[key]
    with background.compile_lock:
        with pytensor.config.change_flags(traceback__limit=0):  # else each new variable keeps the stack trace of its creation
            result = CompiledGraph(graph, prepare, tier, prepare(graph))
        with _lock:
            if key not in _cache:  # another thread may have been quicker
                _compilations += 1
                _cache[key] = result
                while len(_cache) > MAX_STRUCTURES:
                    _cache.popitem(last=False)
            return _cache[key]


def _take_over(key: Hashable, build: Build, function: Function) -> None:
    """Give Numba's function to later models and fits."""
    global _compilations
    with _lock:
        if key in _cache:
            _compilations += _cache[key].linker == "python"
            _cache[key] = _cache[key].with_numba(build, function)


def cache_info() -> CacheInfo:
    """Return the counts of the process-wide cache of compiled structures.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.cache_info().pending
        0
    """
    return CacheInfo(_hits, _compilations, len(_cache), background.pending(), sum(map(len, _builder_caches)))


def cache_clear() -> None:
    """Forget all compiled structures, builders and counts; models made before keep theirs."""
    global _hits, _compilations
    with _lock:
        _cache.clear()
        for builders in _builder_caches:
            builders.clear()
        _hits = _compilations = 0


def register_builders(builders: Any) -> None:
    """Register a mapping of builders that ``cache_clear`` clears too and ``cache_info`` counts."""
    _builder_caches.append(builders)


def wait_for_numba(timeout: float | None = None) -> bool:
    """Wait until Numba has compiled all pending functions; later fits and models use them.

    Calling this is optional: with ``config.linker = "auto"`` Python serves in the meantime.

    Args:
        timeout: Seconds to wait; None for no limit.

    Returns:
        Whether nothing is pending.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.wait_for_numba(timeout=60)
        True
    """
    return background.wait(timeout)


def _report_errors() -> None:
    """Warn of compilations that failed in the background."""
    for error in background.errors():
        warnings.warn(
            f"Numba could not compile a function ({error}). Python goes on evaluating it, more slowly.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _after_fork() -> None:
    global _lock
    _lock = Lock()
    for functions in _cache.values():
        functions._requested.clear()  # the parent's background worker will not deliver here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
