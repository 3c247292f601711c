"""A posterior graph comes in, any further function of it goes out: cut where the new inputs enter, compiled when asked for.

The three functions of :mod:`pymc_botorch.graph.compile` are what a BoTorch model needs. Whoever reads something else of a
posterior (the gradient at single points, the covariance of slopes) writes it as an expression of the cut posterior, a
:data:`Build`, and has it compiled once per structure. Distances and kernels are written so that derivatives are exact::

    posterior = readings(graph, tier).condition(values)
    mean, *_ = posterior(mean_at, X)
"""

__all__ = ["Build", "ConditionedReadings", "Readings", "readings"]

import copyreg
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Self

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import FitError
from pymc_botorch.graph import background
from pymc_botorch.graph.compile import CutPosterior, boundary_of
from pymc_botorch.graph.derivatives import differentiable
from pymc_botorch.graph.functions import Arrays, Compiled, as_input, compile_function
from pymc_botorch.graph.posterior import PosteriorGraph
from pymc_botorch.graph.rewrites import slice_columns, weights_before_solves
from pymc_botorch.graph.structures import MAX_STRUCTURES, clear_with_the_cache, count, report_errors, structure

type Build = Callable[[CutPosterior], tuple[Sequence[Variable], Sequence[Variable]]]
"""A function of the cut posterior that returns inputs and outputs of what to compile; the frozen arrays are added."""

_cache: OrderedDict[Hashable, "Readings"] = OrderedDict()
_lock = RLock()
clear_with_the_cache(_cache, "structures")


class Readings:
    """The functions of one posterior graph that were asked for so far; models and threads share it.

    Attributes:
        graph: What they are functions of.
        tier: How they are asked for; with ``"auto"`` each is Python's until Numba has compiled it.
    """

    def __init__(self, graph: PosteriorGraph, tier: Tier) -> None:
        self.graph, self.tier = graph, tier
        self._linker: Linker = "python" if tier == "auto" else tier
        *outputs, noise = differentiable([graph.mean, graph.cov, graph.noise])
        outputs = weights_before_solves(slice_columns(outputs), graph.X)
        boundary = boundary_of([graph.X], outputs)
        frozen = [variable.type(f"frozen_{i}") for i, variable in enumerate(boundary)]
        mean, cov = graph_replace(outputs, dict(zip(boundary, frozen, strict=True)), strict=False)
        self._cut = CutPosterior(graph.X, mean, cov, frozen)
        self._condition = compile_function(graph.inputs, [noise, *boundary], self._linker)
        self._functions: dict[Build, Compiled] = {}
        self._asked: set[Build] = set()

    def condition(self, values: Sequence[np.ndarray]) -> "ConditionedReadings":
        """Return the posterior for a value of each of ``graph.inputs``.

        Raises:
            FitError: If the training covariance cannot be factorised.
        """
        inputs = [as_input(value, variable.type.dtype) for value, variable in zip(values, self.graph.inputs, strict=True)]
        noise, *frozen = self._condition(*inputs)
        if not all(np.isfinite(array).all() for array in frozen):
            raise FitError(
                "The training covariance is not positive definite with these hyperparameters. Pass a larger jitter to "
                "marginal_likelihood (1e-6 is PyMC's default) or a point whose scales are not zero or infinite."
            )
        return ConditionedReadings(self, noise, tuple(as_input(array, array.dtype.name) for array in frozen))

    def function(self, build: Build) -> Compiled:
        """Return a function of the inputs of ``build`` and the frozen arrays, compiled the first time."""
        with _lock:
            if build not in self._functions:
                with background.compile_lock:
                    self._functions[build] = compile_reading((self._cut, build), self._linker).function
                count(compilations=1)
            return self._functions[build]

    def answered(self, build: Build, values: Sequence[np.ndarray]) -> None:
        """Ask for Numba after the first answer, with the inputs that were answered."""
        if self.tier == "auto" and build not in self._asked:
            self._asked.add(build)
            background.request(background.Job(compile_reading, (self._cut, build), values, partial(self._take_over, build)))

    def _take_over(self, build: Build, compiled: "CompiledReading") -> None:
        with _lock:
            self._functions[build] = compiled.function
        count(compilations=1)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: compiled functions hold no state of a model."""
        return self


@dataclass(frozen=True)
class CompiledReading:
    """One function of a cut posterior."""

    function: Compiled

    def exercise(self, values: Sequence[np.ndarray]) -> None:
        """Call it once: Numba compiles at the first call."""
        self.function(*values)


def compile_reading(what: tuple[CutPosterior, Build], linker: Linker) -> CompiledReading:
    """Return ``(*inputs of build, *frozen) -> outputs of build``."""
    cut, build = what
    inputs, outputs = build(cut)
    return CompiledReading(compile_function([*inputs, *cut.frozen], outputs, linker))


@dataclass(frozen=True)
class ConditionedReadings:
    """A posterior given data and parameters, of which anything can be read.

    Attributes:
        readings: The compiled functions.
        noise: Variance of the training observations: a scalar, or ``n`` where it differs between them.
        frozen: What the new inputs do not change.
    """

    readings: Readings
    noise: np.ndarray
    frozen: Arrays

    def __call__(self, build: Build, *arrays: np.ndarray) -> list[np.ndarray]:
        """Return the outputs of ``build`` for a value of each of its inputs."""
        values = [*map(as_input, arrays), *self.frozen]
        outputs = self.readings.function(build)(*values)
        self.readings.answered(build, values)
        return outputs


def readings(graph: PosteriorGraph, tier: Tier) -> Readings:
    """Return the functions of a graph's structure: the same object for graphs that differ only in the values of inputs."""
    report_errors()
    key = (tier, structure(graph))
    with _lock:
        if key in _cache:
            count(hits=1)
        else:
            with background.compile_lock:
                _cache[key] = Readings(graph, tier)
        _cache.move_to_end(key)
        while len(_cache) > MAX_STRUCTURES:
            _cache.popitem(last=False)
        return _cache[key]


# A compiled function is not worth pickling: another process finds its structure in PyTensor's disk cache
copyreg.pickle(Readings, lambda compiled: (readings, (compiled.graph, compiled.tier)))
