"""Settings of the whole package: ``pymc_botorch.config``, in the manner of ``pytensor.config``.

Example:
    >>> import pymc_botorch
    >>> with pymc_botorch.config.change_flags(linker="python"):
    ...     pymc_botorch.config.linker
    'python'
"""

__all__ = ["Config", "config"]

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

Linker = Literal["numba", "python"]


class Config:
    """The package's settings; each is checked when it is set.

    Attributes:
        linker: How posterior functions are compiled. ``"numba"`` (the default) is fast to call and takes PyTensor's
            Numba tens of seconds to compile the first time on a machine (its disk cache serves later processes);
            ``"python"`` is ready in about a second and 5 to 10 times slower to call. It is read when a model is made:
            later changes leave existing models as they are. The environment variable ``PYMC_BOTORCH_LINKER`` sets the
            initial value.
    """

    def __init__(self) -> None:
        self.linker = os.environ.get("PYMC_BOTORCH_LINKER", "numba")  # type: ignore[assignment]  # checked by the setter

    @property
    def linker(self) -> Linker:
        """``"numba"`` or ``"python"``."""
        return self._linker

    @linker.setter
    def linker(self, value: Linker) -> None:
        if value not in get_args(Linker):
            raise ValueError(f"No linker is called {value!r}. Pass one of {', '.join(map(repr, get_args(Linker)))}.")
        self._linker = value

    @contextmanager
    def change_flags(self, *, linker: Linker) -> Iterator[None]:
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
