"""A graph comes in, its compiled functions go out: compiled once per structure in a process.

Two graphs have one structure when they differ only in the values of their inputs: data, hyperparameters, known noise,
lengthscales written as arrays. A season's refit, another outcome or another ``pm.Model`` with the same code therefore
compiles nothing.
"""

__all__ = [
    "CacheInfo",
    "cache_clear",
    "cache_info",
    "clear_with_the_cache",
    "compiled",
    "compiled_posterior",
    "count",
    "report_errors",
    "wait_for_numba",
]

import copyreg
import os
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import pytensor
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.variable import TensorConstant

from pymc_botorch.config import Linker, Tier, config
from pymc_botorch.graph import background
from pymc_botorch.graph.compile import CompiledPosterior, compile_posterior
from pymc_botorch.graph.posterior import PosteriorGraph
from pymc_botorch.graph.traversal import nodes_between

MAX_STRUCTURES = 64


class Graph(Protocol):
    """What can be compiled: ``symbols``, whose values are given at run time, and expressions of them, ``outputs``."""

    @property
    def symbols(self) -> Sequence[Variable]: ...

    @property
    def outputs(self) -> Sequence[Variable]: ...


_cache: OrderedDict[Hashable, Any] = OrderedDict()
_lock = Lock()
_structures: dict[int, Hashable] = {}
_cleared_too: dict[str, list[Any]] = {"builders": [], "structures": []}
_hits = 0
_compilations = 0


class CacheInfo(NamedTuple):
    """What the cache has done since the process began or it was cleared.

    Attributes:
        hits: Requests that found their structure compiled.
        compilations: Structures compiled (a posterior is three functions, an objective one, each other prediction one).
        structures: Structures held now.
        pending: Structures that wait for Numba to take over, that under way included.
        builders: Builders whose graphs are held.
    """

    hits: int
    compilations: int
    structures: int
    pending: int
    builders: int


class Compiled(Protocol):
    """What compiling a graph gives; see :func:`compiled`."""

    tier: Tier | None
    answered: Callable[[Sequence[np.ndarray]], None] | None

    def exercise(self, values: Sequence[np.ndarray]) -> None: ...


def compiled[G: Graph, C: Compiled](graph: G, compile_graph: Callable[[G, Linker], C], tier: Tier | None = None) -> C:
    """Return the compiled functions of a graph's structure, compiled first where they are not in the cache.

    Args:
        graph: What to compile. Of an equal graph seen before, only the values of the inputs may differ.
        compile_graph: How to compile it. The result is told its ``tier``. With ``"auto"`` it is given ``answered``, to be called
            with the values of the inputs after the first answer; its method ``exercise`` calls all functions on such values.
        tier: None takes ``pymc_botorch.config.linker``.
    """
    global _compilations
    tier = config.linker if tier is None else tier
    report_errors()
    key = (tier, compile_graph, structure(graph))
    if (found := _find(key)) is not None:
        return found
    with background.compile_lock:  # one thread compiles, others wait for it
        if (found := _find(key)) is not None:
            return found
        with pytensor.config.change_flags(traceback__limit=0):  # else each new variable keeps the stack that made it
            result = compile_graph(graph, "python" if tier == "auto" else tier)
        result.tier = tier
        if tier == "auto":
            result.answered = _Upgrade(graph, compile_graph, key)
        with _lock:
            _compilations += 1
            _cache[key] = result
            while len(_cache) > MAX_STRUCTURES:
                _cache.popitem(last=False)
        return result


def _find(key: Hashable) -> Any:
    global _hits
    with _lock:
        if key not in _cache:
            return None
        _hits += 1
        _cache.move_to_end(key)
        return _cache[key]


def compiled_posterior(graph: PosteriorGraph, tier: Tier | None = None) -> CompiledPosterior:
    """Return the compiled functions of a posterior; see :func:`compiled`."""
    return compiled(graph, compile_posterior, tier)


class _Upgrade:
    """Called after the first answer of a structure that Python serves: asks for Numba, once."""

    def __init__(self, graph: Any, compile_graph: Callable, key: Hashable) -> None:
        self.graph, self.compile_graph, self.key = graph, compile_graph, key
        self.asked = False

    def __call__(self, values: Sequence[np.ndarray]) -> None:
        if not self.asked:
            self.asked = True
            background.request(background.Job(self.compile_graph, self.graph, values, self._take_over))

    def _take_over(self, result: Compiled) -> None:
        global _compilations
        result.tier = "auto"
        with _lock:
            if self.key in _cache:
                _cache[self.key] = result
                _compilations += 1


# A compiled function is not worth pickling: another process finds its structure in PyTensor's disk cache
copyreg.pickle(CompiledPosterior, lambda posterior: (compiled_posterior, (posterior.graph, posterior.tier)))


def cache_info() -> CacheInfo:
    """Return the counts of the process-wide cache of compiled structures.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.cache_info().pending
        0
    """
    structures, builders = (sum(map(len, _cleared_too[kind])) for kind in ("structures", "builders"))
    return CacheInfo(_hits, _compilations, len(_cache) + structures, background.pending(), builders)


def cache_clear() -> None:
    """Forget all compiled structures, builders and counts; models made before keep theirs."""
    global _hits, _compilations
    with _lock:
        _cache.clear()
        for cache in (*_cleared_too["builders"], *_cleared_too["structures"]):
            cache.clear()
        _hits = _compilations = 0


def clear_with_the_cache(held: Any, kind: Literal["builders", "structures"]) -> None:
    """Have ``cache_clear`` clear a mapping too, and ``cache_info`` count what it holds."""
    _cleared_too[kind].append(held)


def count(*, hits: int = 0, compilations: int = 0) -> None:
    """Have ``cache_info`` count what was found or compiled elsewhere."""
    global _hits, _compilations
    with _lock:
        _hits += hits
        _compilations += compilations


def report_errors() -> None:
    """Warn of what went wrong in the background."""
    for error in background.errors():
        warnings.warn(f"Numba could not compile a structure ({error}). Python goes on serving it, more slowly.", stacklevel=4)


def _after_fork() -> None:
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def wait_for_numba(timeout: float | None = None) -> bool:
    """Wait until Numba has compiled all that it was asked for; the next fits and models use it.

    Nothing needs this: with ``config.linker = "auto"`` Python serves in the meantime.

    Args:
        timeout: Seconds; None waits as long as it takes.

    Returns:
        Whether nothing is pending.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.wait_for_numba(timeout=60)
        True
    """
    return background.wait(timeout)


def structure(graph: Graph) -> Hashable:
    """Return what decides the compiled code of a graph: its operations, how they are joined, types and constants.

    It is remembered as long as the graph lives: each refit asks for it.
    """
    if id(graph) not in _structures:
        _structures[id(graph)] = _describe(graph)
        weakref.finalize(graph, _structures.pop, id(graph), None)
    return _structures[id(graph)]


def _describe(graph: Graph) -> Hashable:
    numbers: dict[Variable, int] = {}

    def describe(variable: Variable) -> Hashable:
        if variable in numbers:
            return numbers[variable]
        if isinstance(variable, TensorConstant):
            data = np.ascontiguousarray(variable.data)
            return str(data.dtype), data.shape, data.tobytes()
        return ("constant", repr(variable.data)) if isinstance(variable, Constant) else ("foreign", variable)

    described: list[Hashable] = []
    for variable in graph.symbols:
        numbers[variable] = len(numbers)
        described.append(variable.type)
    for node in nodes_between(graph.outputs):
        described.append((node.op, *map(describe, node.inputs)))
        for output in node.outputs:
            numbers[output] = len(numbers)
    return _Hashed((tuple(described), tuple(map(describe, graph.outputs))))


class _Hashed:
    """A tuple of thousands of entries that is hashed once."""

    def __init__(self, content: tuple) -> None:
        self.content, self.hash = content, hash(content)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Hashed) and self.hash == other.hash and self.content == other.content)
