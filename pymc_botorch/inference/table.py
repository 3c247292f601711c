"""Short tables of text, as fit results print."""

__all__ = ["table"]

import textwrap
from collections.abc import Mapping
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
