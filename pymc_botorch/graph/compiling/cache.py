"""Process-wide cache of compiled functions: each is compiled on first use, once per structure.

Two graphs have the same structure if they differ only in the values of their inputs: data, hyperparameters, known noise,
lengthscales written as arrays. A refit to new data, another outcome or another ``pm.Model`` with the same code therefore
compiles nothing. A function of a graph is defined by a :data:`Build`::

    functions = compiled(graph, cut_posterior)
    mean, variance = functions(moments_at, X, *frozen)
"""

__all__ = [
    "CacheInfo",
    "cache_clear",
    "cache_info",
    "compiled",
    "register_builders",
    "wait_for_numba",
]

import copyreg
import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, NamedTuple

from pymc_botorch.config import Tier, config
from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.graph.compiling import background
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import making_graphs
from pymc_botorch.graph.compiling.structure import Graph

MAX_STRUCTURES = 64

_cache: OrderedDict[Hashable, CompiledGraph] = OrderedDict()
_lock = Lock()
_builder_caches: list[Any] = []
_hits = 0
_compilations = 0


class CacheInfo(NamedTuple):
    """Counts of the cache since the process began or the cache was cleared.

    Attributes:
        hits: Requests that found their structure in the cache.
        compilations: Structures compiled; one that Numba takes over from NumPy counts twice.
        structures: Structures held now.
        pending: Structures with functions that Numba is compiling or has yet to compile.
        builders: Builders (``build_gp``) whose graphs are held now.
    """

    hits: int
    compilations: int
    structures: int
    pending: int
    builders: int


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
            return _cache[key].latest()
    with making_graphs():
        result = CompiledGraph(graph, prepare, tier, prepare(graph), _count)
    with _lock:
        if key not in _cache:  # another thread may have been quicker
            _compilations += 1
            _cache[key] = result
            while len(_cache) > MAX_STRUCTURES:
                _cache.popitem(last=False)
        return _cache[key]


def _count(before: CompiledGraph) -> None:
    """Count a structure that Numba takes over, at its first function."""
    global _compilations
    with _lock:
        _compilations += before.linker == "numpy" and before.key in _cache


def _reduce(functions: CompiledGraph) -> tuple[Any, ...]:
    """Pickle without the functions: another process loads them from PyTensor's disk cache."""
    return compiled, (functions.graph, functions.prepare, functions.tier)


copyreg.pickle(CompiledGraph, _reduce)


def cache_info() -> CacheInfo:
    """Return the counts of the process-wide cache of compiled structures.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.cache_info().pending
        0
    """
    return CacheInfo(_hits, _compilations, len(_cache), background.pending(), sum(map(len, _builder_caches)))


def cache_clear() -> None:
    """Forget all compiled structures, builders and counts; models made before keep theirs.

    Example:
        >>> import pymc_botorch
        >>> pymc_botorch.cache_clear()
        >>> pymc_botorch.cache_info().compilations
        0
    """
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

    Calling this is optional: with ``config.linker = "auto"`` NumPy serves in the meantime.

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
            f"Numba could not compile a function ({error}). NumPy goes on evaluating it, more slowly.",
            UserWarning,
            skip_file_prefixes=(PACKAGE_FOLDER,),
        )


def _after_fork() -> None:
    global _lock
    _lock = Lock()
    for graph in _cache.values():
        graph.forget_requests()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
