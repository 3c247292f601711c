"""Expressions come in, a function of NumPy arrays goes out: where everything that this package compiles is compiled."""

__all__ = ["Arrays", "Compiled", "as_input", "compile_function"]

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

import numpy as np
import pytensor
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.basic import Variable

from pymc_botorch.config import Linker
from pymc_botorch.graph.products import plain_products
from pymc_botorch.graph.rewrites import inline_inner_graphs, plain_clips

type Arrays = tuple[np.ndarray, ...]
type Compiled = Callable[..., list[np.ndarray]]

MODES: Mapping[Linker, Callable[[], Mode]] = {
    "numba": lambda: get_mode("NUMBA"),
    # fast_run fuses elementwise operations into what the Python linker then runs number by number
    "python": lambda: Mode(linker="py", optimizer="fast_compile"),
}


def as_input(array: np.ndarray, dtype: str = "float64") -> np.ndarray:
    """Return ``array`` as compiled functions take it: C-contiguous, writeable, of the dtype they were compiled for.

    Numba compiles anew, silently and for seconds, for each other layout and dtype.
    """
    flags = array.flags
    if flags.c_contiguous and flags.writeable and array.dtype == dtype:
        return array  # as nearly always; np.require takes longer to find that out
    return np.require(array, dtype=dtype, requirements=["C_CONTIGUOUS", "WRITEABLE"])


def compile_function(inputs: Sequence[Variable], outputs: Sequence[Variable], linker: Linker) -> Compiled:
    """Return a function of arrays made by :func:`as_input`."""
    written = plain_products(inline_inner_graphs(outputs, all_kinds=linker == "python"))
    function = pytensor.function(
        inputs,
        plain_clips(written) if linker == "python" else written,
        mode=MODES[linker](),
        on_unused_input="ignore",
        trust_input=True,
        name="pymc_botorch",
    )
    # What Numba made takes and returns arrays by itself, from any thread, and saves a quarter of a small call
    jitted = getattr(function.vm, "jit_fn", None)
    return _OneAtATime(function) if jitted is None else jitted


class _OneAtATime:
    """A function behind a lock: PyTensor passes inputs and results through storage that its callers share."""

    def __init__(self, function: Compiled) -> None:
        self.function = function
        self._lock = Lock()

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        with self._lock:
            return self.function(*arrays)
