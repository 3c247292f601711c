"""Short tables of text, as fit results print."""

__all__ = ["grid", "table"]

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100
"""Number of characters of a line."""


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
