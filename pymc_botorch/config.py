"""Settings of the whole package: ``pymc_botorch.config``, in the manner of ``pytensor.config``.

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
"""How a function was compiled."""

Tier = Literal["auto", "numba", "python"]
"""How functions are asked for."""


class Config:
    """The package's settings; each is checked when it is set.

    Attributes:
        linker: How functions are compiled. ``"numba"`` is fast to call, and takes PyTensor's Numba one to two minutes to compile
            the first time on a machine, in as many waits as there are functions (its disk cache serves later processes);
            ``"python"`` is ready in about a second and 5 to 10 times slower to call. ``"auto"`` (the default) begins with Python;
            ten seconds after its first answer another process of low priority compiles with Numba, which takes over at the
            next fit or model, never inside an optimisation (predictions of ``compile_predict`` change at once). It is read when
            a model is made or fitted: later changes leave existing models as they are. The environment variable
            ``PYMC_BOTORCH_LINKER`` sets the initial value.
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
            linker: See the attribute of this name.
        """
        before = self.linker
        self.linker = linker
        try:
            yield
        finally:
            self.linker = before


config = Config()
