"""Short tables, as results and models print them: text, and HTML for notebooks."""

__all__ = ["AbstractReported", "Report", "grid", "rounded", "seconds_text", "table"]

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

WIDTH = 100
"""Number of characters of a line."""
LEFT = ' style="text-align: left"'


class Report(NamedTuple):
    """What a person reads of something.

    Attributes:
        title: The first line.
        rows: Names and texts; rows without a text are left out.
        header: Names of the columns of a grid below; empty where there is none.
        cells: Their texts, row by row.
    """

    title: str
    rows: Mapping[str, Any]
    header: Sequence[str] = ()
    cells: Sequence[Sequence[str]] = ()

    @property
    def text(self) -> str:
        """Lines of text."""
        lines = table(self.title, self.rows)
        return lines if not self.cells else "\n".join([lines, *grid("", self.header, self.cells).split("\n")[1:]])

    @property
    def html(self) -> str:
        """Two tables of HTML, the second only where there is a grid."""
        rows = ([name, str(text)] for name, text in self.rows.items() if text)
        parts = ["<table>", f"<caption{LEFT}>{escape(self.title)}</caption>", *_html_rows(rows), "</table>"]
        if self.cells:
            header = "".join(f"<th{LEFT}>{escape(name)}</th>" for name in self.header)
            parts += ["<table>", f"<tr>{header}</tr>", *_html_rows(self.cells), "</table>"]
        return "\n".join(parts)


class AbstractReported(ABC):
    """What prints as a report."""

    @abstractmethod
    def report(self) -> Report:
        """Return what a person reads."""

    def __repr__(self) -> str:
        """Return the report as text."""
        return self.report().text

    def _repr_html_(self) -> str:
        """Return the report as HTML, which notebooks show."""
        return self.report().html


def table(title: str, rows: Mapping[str, Any]) -> str:
    """Return a title and two columns; rows without a text are left out, and long texts wrapped."""
    shown = {name: str(text) for name, text in rows.items() if text}
    left = max(map(len, shown))
    lines = [title]
    for name, text in shown.items():
        first, *others = textwrap.wrap(text, WIDTH - left - 4) or [""]
        lines += [f"  {name:<{left}}  {first}", *(" " * (left + 4) + line for line in others)]
    return "\n".join(lines)


def grid(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """Return a title, columns under their names (the first to the left, others to the right), and wrapped notes below."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [title]
    for first, *others in (header, *rows):
        cells = [f"{first:<{widths[0]}}", *(f"{text:>{width}}" for text, width in zip(others, widths[1:], strict=True))]
        lines.append("  " + "  ".join(cells).rstrip())
    for note in notes:
        lines += textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def rounded(number: float) -> str:
    """Return a number with three digits, or all digits of its whole part below a million."""
    return f"{number:.0f}" if 1000 <= abs(number) < 1e6 else f"{number:.3g}"


def seconds_text(seconds: float) -> str:
    """Return a duration with two digits, or whole seconds."""
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _html_rows(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows of HTML, the first cell of each as its name."""
    return [
        f"<tr><th{LEFT}>{escape(first)}</th>{''.join(f'<td{LEFT}>{escape(text)}</td>' for text in others)}</tr>"
        for first, *others in rows
    ]
