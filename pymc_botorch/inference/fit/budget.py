"""Budget of time of a fit, and what a person sees of it while it lasts."""

__all__ = ["Budget"]

import time
from typing import Any

from pymc_botorch.errors import OutOfTime

SHOWN_AFTER = 2.0
"""Seconds after which progress is shown."""


class Budget:
    """Seconds that a fit may take, with a line on what it is doing.

    Attributes:
        seconds: The budget; infinite where there is none.
    """

    def __init__(self, seconds: float, *, show: bool) -> None:
        self.seconds, self._show = seconds, show
        self._began = time.perf_counter()
        self._doing = ""
        self._bar: Any = None

    @property
    def spent(self) -> float:
        """Seconds since the fit began."""
        return time.perf_counter() - self._began

    @property
    def remaining(self) -> float:
        """Seconds that are left, not below zero."""
        return max(self.seconds - self.spent, 0.0)

    @property
    def shows(self) -> str | None:
        """What is shown now."""
        return None if self._bar is None else self._bar.tasks[0].description

    def check(self) -> None:
        """Raise ``OutOfTime`` where nothing is left; from two seconds on, show what the fit is doing."""
        if self.spent > self.seconds:
            raise OutOfTime(f"The budget of {self.seconds:.3g} s has ended.")
        if self._show and self._doing and self._bar is None and self.spent > SHOWN_AFTER:
            self._begin_to_show()

    def _begin_to_show(self) -> None:
        """Show a line in a terminal or a notebook, and nothing in logs."""
        from rich import get_console  # slow to import, as what follows
        from rich.errors import LiveError
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = get_console()
        self._show = console.is_terminal or console.is_jupyter
        if self._show:
            columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
            bar = Progress(*columns, console=console, transient=True)
            bar.add_task(self._doing, total=None)
            try:
                bar.start()
            except LiveError:  # another thread shows something, or the caller does; older versions of rich allow for one only
                self._show = False
            else:
                self._bar = bar
                bar.refresh()

    def say(self, doing: str) -> None:
        """Set what the fit is doing."""
        self._doing = doing
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=doing)

    def close(self) -> None:
        """Take away what is shown."""
        if self._bar is not None:
            self._bar.stop()
            self._bar, self._doing = None, ""
