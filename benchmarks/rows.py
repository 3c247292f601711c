"""Lines of a table: what was measured, its value with quartiles, and its bar."""

from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """One line of the table; ``bar`` is a floor of ratios, a ceiling of deviations and of seconds."""

    work: str
    value: float
    low: float
    high: float
    bar: float | None
    kind: str = "ratio"  # "deviation", "seconds", "at most"

    @property
    def missed(self) -> bool:
        """Whether the value is on the wrong side of its bar."""
        if self.bar is None:
            return False
        return not (self.value >= self.bar if self.kind == "ratio" else self.value <= self.bar)

    @property
    def shown(self) -> str:
        """The value with its quartiles, as text."""
        if self.kind == "deviation":
            return f"{self.value:.1e}"
        if self.kind == "at most" or (self.bar is not None and self.bar < 1):
            return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"
        unit = " s" if self.kind == "seconds" else ""
        return (
            f"{self.value:.2g}{unit} ({self.low:.2g} to {self.high:.2g})"
            if unit
            else (f"{self.value:.1f} ({self.low:.1f} to {self.high:.1f})")
        )

    @property
    def bar_shown(self) -> str:
        """The bar, as text."""
        if self.bar is None:
            return ""
        return f"{'at least' if self.kind == 'ratio' else 'at most'} {self.bar:g}{' s' if self.kind == 'seconds' else ''}"


def line(row: Row) -> str:
    """Return a row as it is printed."""
    return f"{row.work:<92} {row.shown:<24} {row.bar_shown}".rstrip()


def deviation(work: str, value: float, bar: float) -> Row:
    """Return a row of a largest deviation."""
    return Row(work, float(value), float(value), float(value), bar, "deviation")


def quartiles(work: str, values: list[float], bar: float | None, kind: str = "ratio") -> Row:
    """Return a row of a median and its quartiles."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return Row(work, float(middle), float(low), float(high), bar, kind)
