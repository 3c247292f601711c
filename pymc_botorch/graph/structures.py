"""A posterior graph comes in, its compiled functions go out: compiled once per structure in a process.

Two graphs have one structure when they differ only in the values of their inputs: data, hyperparameters, known noise,
lengthscales written as arrays. A season's refit, another outcome or another ``pm.Model`` with the same code therefore
compiles nothing.
"""

__all__ = ["cache_clear", "cache_info", "compiled_posterior"]

import copyreg
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import NamedTuple

import numpy as np
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.variable import TensorConstant

from pymc_botorch.config import Linker, config
from pymc_botorch.graph.compile import CompiledPosterior, compile_posterior
from pymc_botorch.graph.posterior import PosteriorGraph
from pymc_botorch.graph.traversal import nodes_between

MAX_STRUCTURES = 64

_cache: OrderedDict[Hashable, CompiledPosterior] = OrderedDict()
_lock = Lock()
_hits = 0
_compilations = 0


class CacheInfo(NamedTuple):
    """What the cache has done since the process began or it was cleared.

    Attributes:
        hits: Requests that found their structure compiled.
        compilations: Structures compiled (each is three functions).
        structures: Structures held now.
    """

    hits: int
    compilations: int
    structures: int


def compiled_posterior(graph: PosteriorGraph, linker: Linker | None = None) -> CompiledPosterior:
    """Return the compiled functions of a graph's structure, compiled first where they are not in the cache.

    Args:
        graph: What to compile. Of an equal graph seen before, only the values of the inputs may differ.
        linker: None takes ``pymc_botorch.config.linker``.
    """
    global _hits, _compilations
    linker = config.linker if linker is None else linker
    key = (linker, structure(graph))
    with _lock:  # one thread compiles, others wait for it
        if key in _cache:
            _hits += 1
            _cache.move_to_end(key)
            return _cache[key]
        compiled = compile_posterior(graph, linker)
        _compilations += 1
        _cache[key] = compiled
        while len(_cache) > MAX_STRUCTURES:
            _cache.popitem(last=False)
        return compiled


# A compiled function is not worth pickling: another process finds its structure in PyTensor's disk cache
copyreg.pickle(CompiledPosterior, lambda compiled: (compiled_posterior, (compiled.graph, compiled.linker)))


def cache_info() -> CacheInfo:
    """Return the counts of the process-wide cache of compiled structures."""
    return CacheInfo(_hits, _compilations, len(_cache))


def cache_clear() -> None:
    """Forget all compiled structures and counts; models made before keep theirs."""
    global _hits, _compilations
    with _lock:
        _cache.clear()
        _hits = _compilations = 0


def structure(graph: PosteriorGraph) -> Hashable:
    """Return what decides the compiled code of a graph: its operations, how they are joined, types and constants."""
    numbers: dict[Variable, int] = {}

    def describe(variable: Variable) -> Hashable:
        if variable in numbers:
            return numbers[variable]
        if isinstance(variable, TensorConstant):
            data = np.ascontiguousarray(variable.data)
            return str(data.dtype), data.shape, data.tobytes()
        return ("constant", repr(variable.data)) if isinstance(variable, Constant) else ("foreign", variable)

    described: list[Hashable] = []
    for variable in (graph.X, *graph.inputs):
        numbers[variable] = len(numbers)
        described.append(variable.type)
    outputs = [graph.mean, graph.cov, graph.noise]
    for node in nodes_between(outputs):
        described.append((node.op, *map(describe, node.inputs)))
        for output in node.outputs:
            numbers[output] = len(numbers)
    return tuple(described), tuple(map(describe, outputs))
