"""Settings of the package, ``pymc_botorch.config``, in the manner of ``pytensor.config``.

Example:
    >>> import pymc_botorch
    >>> with pymc_botorch.config.change_flags(linker="numpy"):
    ...     pymc_botorch.config.linker
    'numpy'
"""

__all__ = ["Config", "Linker", "Tier", "config"]

import contextlib
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from pymc_botorch.errors import PACKAGE_FOLDER

Linker = Literal["numba", "numpy"]
"""What a function has been compiled with."""

Tier = Literal["auto", "numba", "numpy"]
"""What functions are to be compiled with: ``"auto"`` is NumPy at first, and Numba once that is ready."""


class Config:
    """The package's settings; each is checked when it is set.

    Attributes:
        linker: What functions are compiled with. ``"auto"`` (the default) is NumPy at once, and Numba once that has compiled:
            ten seconds after the first answer another process of low priority begins to, and what it has compiled takes over
            at the next fit or model, never inside an optimisation (predictions of ``compile_predict`` change at once). What
            Numba compiled on this machine before, it serves from the start. ``"numba"`` waits for it: one to two minutes the
            first time on a machine. ``"numpy"`` never starts it. The setting is read when a model is made or fitted: later
            changes leave existing models as they are. The environment variable ``PYMC_BOTORCH_LINKER`` sets the initial value.

    Example:
        >>> from pymc_botorch import config
        >>> before, config.linker = config.linker, "numpy"  # no compiler at all
        >>> config.linker = before
    """

    def __init__(self) -> None:
        self.linker = os.environ.get("PYMC_BOTORCH_LINKER", "auto")  # type: ignore[assignment]  # checked by the setter

    @property
    def linker(self) -> Tier:
        """``"auto"``, ``"numba"`` or ``"numpy"``."""
        return self._linker

    @linker.setter
    def linker(self, value: Tier | Literal["python"]) -> None:
        if value == "python":  # its former name
            warnings.warn(
                "The linker 'python' is called 'numpy' now. Write config.linker = \"numpy\".",
                FutureWarning,
                skip_file_prefixes=(PACKAGE_FOLDER, contextlib.__file__),
            )
            value = "numpy"
        if value not in get_args(Tier):
            raise ValueError(f"No linker is called {value!r}. Pass one of {', '.join(map(repr, get_args(Tier)))}.")
        self._linker: Tier = value

    @contextmanager
    def change_flags(self, *, linker: Tier) -> Iterator[None]:
        """Change settings inside a ``with`` block.

        Args:
            linker: New value of the attribute ``linker``.
        """
        before = self.linker
        self.linker = linker
        try:
            yield
        finally:
            self.linker = before


config = Config()
