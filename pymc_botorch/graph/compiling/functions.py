"""Compilation of PyTensor expressions into functions of NumPy arrays: the one place where this package compiles."""

__all__ = [
    "AS_WRITTEN",
    "QUICK",
    "Arrays",
    "Build",
    "Compilable",
    "Function",
    "as_given",
    "as_input",
    "compile_build",
    "compile_function",
    "compile_lock",
    "making_graphs",
]

import gc
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from threading import RLock

import numpy as np
import pytensor
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.basic import Variable
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from pymc_botorch.config import Linker
from pymc_botorch.graph.compiling.index import Entry
from pymc_botorch.graph.compiling.ops import plain_products
from pymc_botorch.graph.compiling.rewritten import from_bytes, to_bytes
from pymc_botorch.graph.numpy_source.linker import NumpyLinker
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs

type Arrays = tuple[np.ndarray, ...]
type Function = Callable[..., list[np.ndarray]]

type Compilable = tuple[Sequence[Variable], Sequence[Variable]]
"""Inputs and outputs of a function to compile."""

type Build[Subject] = Callable[[Subject], Compilable]
"""Module-level function that returns inputs and outputs of a function to compile; compiled functions are cached by it."""

AS_WRITTEN = Mode(NumpyLinker(), RewriteDatabaseQuery(include=["minimum_compile"]))
"""PyTensor's mode without rewriting, for what is called a few times and has no inner graphs."""
QUICK = Mode(NumpyLinker(), RewriteDatabaseQuery(include=["fast_compile"]))
"""That with some of it, for what is called a few times."""
FUTILE = ["useless_symmetric_transpose", "extract_diag_lift_pass"]
NUMPY = Mode(NumpyLinker(), RewriteDatabaseQuery(include=["fast_run"], exclude=FUTILE))
"""That of the tier ``"numpy"``, without two rewrites that take a third of the time and find nothing in our graphs."""
LITTLE = Mode(NumpyLinker(), RewriteDatabaseQuery(include=["merge", "canonicalize", "stabilize"]))
"""That for the largest graphs, which take seconds to be rewritten whole and a fourth of that so; forms are as stable."""


def _numba_mode() -> Mode:
    import_module("pymc_botorch.graph.compiling.numba_ops")  # which registers them
    return get_mode("NUMBA")


MODES: Mapping[Linker, Callable[[], Mode]] = {"numba": _numba_mode, "numpy": lambda: NUMPY}


def as_input(array: np.ndarray, dtype: str = "float64") -> np.ndarray:
    """Return ``array`` as compiled functions take it: C-contiguous, writeable, of the dtype they were compiled for.

    Numba compiles anew, silently and for seconds, for each other layout and dtype.
    """
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.dtype == dtype:
        return array  # nearly always, and np.require takes longer to find out
    return np.require(array, dtype=dtype, requirements=["C_CONTIGUOUS", "WRITEABLE"])


def as_given(array: np.ndarray) -> np.ndarray:
    """Return ``array`` as :func:`as_input` does, integers as int64 and all others as float64."""
    return as_input(array, "int64" if array.dtype.kind == "i" else "float64")


def compile_function(
    inputs: Sequence[Variable], outputs: Sequence[Variable], linker: Linker, *, is_large: bool = False
) -> Function:
    """Return the compiled function, which takes arrays as :func:`as_input` returns them; of a large one little is rewritten."""
    return _own_function(_rewritten_and_linked(inputs, outputs, linker, is_large=is_large))


def _rewritten_and_linked(
    inputs: Sequence[Variable], outputs: Sequence[Variable], linker: Linker, *, is_large: bool = False
) -> pytensor.compile.Function:
    mode = LITTLE if is_large and linker == "numpy" else MODES[linker]()
    return _of_arrays(inputs, plain_products(inline_inner_graphs(outputs, all_kinds=linker == "numpy")), mode)


def _linked(graph: bytes, linker: Linker) -> Function:
    """Return the function of a graph that has been rewritten for a linker."""
    order = RewriteDatabaseQuery(include=["add_destroy_handler"])  # of operations that overwrite what others read
    return _own_function(_of_arrays(*from_bytes(graph), Mode(MODES[linker]().linker, order), accept_inplace=True))


def _of_arrays(
    inputs: Sequence[Variable], outputs: Sequence[Variable], mode: Mode, *, accept_inplace: bool = False
) -> pytensor.compile.Function:
    return pytensor.function(
        inputs,
        outputs,
        mode=mode,
        accept_inplace=accept_inplace,
        on_unused_input="ignore",
        trust_input=True,
        name="pymc_botorch",
    )


def _own_function(function: pytensor.compile.Function) -> Function:
    """Return a linker's own function, which any thread may call: PyTensor's around it has storage that all callers share."""
    return function.vm.jit_fn


compile_lock = RLock()
"""Held by whoever makes or compiles graphs in this process: PyTensor makes no promise about threads."""


def _after_fork() -> None:
    global compile_lock
    compile_lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def making_graphs() -> Iterator[None]:
    """Make graphs, one thread at a time, without what takes a third of the time.

    That is a stack trace for each variable, and Python's search for cycles.
    """
    with compile_lock:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            with pytensor.config.change_flags(traceback__limit=0):
                yield
        finally:
            if was_enabled:
                gc.enable()


def compile_build[Subject](subject: Subject, build: Build[Subject], linker: Linker, entry: Entry | None = None) -> Function:
    """Return the compiled function with the inputs and outputs ``build(subject)``.

    Args:
        subject: Argument of ``build``.
        build: Returns inputs and outputs; where it has an attribute ``is_large``, the NumPy tier rewrites little of them.
        linker: How the function is compiled.
        entry: What stands for the function in the index on disk, which may hold its graph as PyTensor has rewritten it.
    """
    is_large = getattr(build, "is_large", False)
    with making_graphs():
        if entry is None or not entry.is_complete:
            return compile_function(*build(subject), linker, is_large=is_large)
        if (held := entry.held(linker)) is not None:
            with suppress(Exception):  # whatever a damaged file leads to
                return _linked(held, linker)
        function = _rewritten_and_linked(*build(subject), linker, is_large=is_large)
        with suppress(Exception):  # of pickling: then nothing is held
            graph = to_bytes(function.maker.fgraph)
            entry.hold(linker, graph)
            if linker == "numba":  # whose cache tells apart the orders of one graph's nodes: each later process has this one
                return _linked(graph, linker)
        return _own_function(function)
