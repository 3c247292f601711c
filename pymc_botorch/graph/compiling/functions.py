"""Compilation of PyTensor expressions into functions of NumPy arrays: the one place where this package compiles."""

__all__ = ["QUICK", "Arrays", "Build", "Compilable", "Function", "as_input", "compile_build", "compile_function"]

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

import numpy as np
import pytensor
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.basic import Variable

from pymc_botorch.config import Linker
from pymc_botorch.graph.compiling.ops import plain_products
from pymc_botorch.graph.rewrites.plain import ShortSums, inline_inner_graphs, plain_clips

type Arrays = tuple[np.ndarray, ...]
type Function = Callable[..., list[np.ndarray]]

type Compilable = tuple[Sequence[Variable], Sequence[Variable]]
"""Inputs and outputs of a function to compile."""

type Build[Subject] = Callable[[Subject], Compilable]
"""Module-level function that returns inputs and outputs of a function to compile; compiled functions are cached by it."""

AFTER_ALL_REWRITES = 1000.0
"""Position in a mode, where PyTensor's own rewrites have positions up to 100."""

QUICK = Mode(linker="py", optimizer="fast_compile").register((ShortSums(), AFTER_ALL_REWRITES))
"""PyTensor's mode that compiles fastest. (``fast_run`` fuses operations, which this linker then evaluates number by number.)"""

MODES: Mapping[Linker, Callable[[], Mode]] = {"numba": lambda: get_mode("NUMBA"), "python": lambda: QUICK}


def as_input(array: np.ndarray, dtype: str = "float64") -> np.ndarray:
    """Return ``array`` as compiled functions take it: C-contiguous, writeable, of the dtype they were compiled for.

    Numba compiles anew, silently and for seconds, for each other layout and dtype.
    """
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.dtype == dtype:
        return array  # nearly always, and np.require takes longer to find out
    return np.require(array, dtype=dtype, requirements=["C_CONTIGUOUS", "WRITEABLE"])


def compile_function(inputs: Sequence[Variable], outputs: Sequence[Variable], linker: Linker) -> Function:
    """Return the compiled function, which takes arrays as :func:`as_input` returns them."""
    written = plain_products(inline_inner_graphs(outputs, all_kinds=linker == "python"))
    function = pytensor.function(
        inputs,
        plain_clips(written) if linker == "python" else written,
        mode=MODES[linker](),
        on_unused_input="ignore",
        trust_input=True,
        name="pymc_botorch",
    )
    # Numba's own function takes and returns arrays in any thread; without PyTensor's wrapper a small call saves a quarter
    jitted = getattr(function.vm, "jit_fn", None)
    return _OneAtATime(function) if jitted is None else jitted


def compile_build[Subject](subject: Subject, build: Build[Subject], linker: Linker) -> Function:
    """Return the compiled function with the inputs and outputs ``build(subject)``."""
    with pytensor.config.change_flags(traceback__limit=0):  # else each new variable keeps the stack trace of its creation
        return compile_function(*build(subject), linker)


class _OneAtATime:
    """A function behind a lock: PyTensor passes inputs and results through storage that its callers share."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self._lock = Lock()

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        with self._lock, np.errstate(all="ignore"):  # as PyTensor's operations but for products: callers look at the result
            return self.function(*arrays)
