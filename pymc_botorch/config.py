"""Settings of the package, ``pymc_botorch.config``, in the manner of ``pytensor.config``.

Example:
    >>> import pymc_botorch
    >>> with pymc_botorch.config.change_flags(linker="python"):
    ...     pymc_botorch.config.linker
    'python'
"""

__all__ = ["Config", "Linker", "Tier", "config"]

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Linker = Literal["numba", "python"]
"""What a function has been compiled with."""

Tier = Literal["auto", "numba", "python"]
"""What functions are to be compiled with: ``"auto"`` is Python at first, and Numba once that is ready."""


class Config:
    """The package's settings; each is checked when it is set.

    Attributes:
        linker: What functions are compiled with. ``"numba"`` is fast to call, but takes one to two minutes to compile the first
            time on a machine, with a wait for each function (its cache on disk serves later processes). ``"python"`` is ready in
            about a second and 5 to 10 times slower to call. ``"auto"`` (the default) begins with Python; ten seconds after the
            first answer another process of low priority compiles with Numba, which takes over at the next fit or model, never
            inside an optimisation (predictions of ``compile_predict`` change at once). The setting is read when a model is made
            or fitted: later changes leave existing models as they are. The environment variable ``PYMC_BOTORCH_LINKER`` sets
            the initial value.
    """

    def __init__(self) -> None:
        self.linker = os.environ.get("PYMC_BOTORCH_LINKER", "auto")  # type: ignore[assignment]  # checked by the setter

    @property
    def linker(self) -> Tier:
        """``"auto"``, ``"numba"`` or ``"python"``."""
        return self._linker

    @linker.setter
    def linker(self, value: Tier) -> None:
        if value not in get_args(Tier):
            raise ValueError(f"No linker is called {value!r}. Pass one of {', '.join(map(repr, get_args(Tier)))}.")
        self._linker = value

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
