"""The code of a page of the site, run in its order, with its printed output beside what the page shows."""

import contextlib
import io
import linecache
import math
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Block", "agree", "blocks", "run_page"]

FENCE = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^(?P=indent)```$', re.M | re.S
)
SECONDS = re.compile(r"[\d.]+ s\b")
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?")
TOLERANCE = 0.05
"""Of numbers that a page shows, relative to one that is printed: optimisers and machines differ in the last digits."""

SHORTER = {
    "pm.find_MAP(": "pm.find_MAP(progressbar=False, ",
    "ax.generation_strategy(": 'ax.generation_strategy(optimizer_kwargs={"num_restarts": 2, "raw_samples": 32}, surrogate=',
    "pm.sample(": "pm.sample(20, tune=40, chains=2, cores=1, progressbar=False, ",
}
"""What a page writes, and what its test runs instead."""


class Block(NamedTuple):
    """A block of code: its language, the file that it is, and the line of the page on which it begins."""

    language: str
    title: str | None
    code: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of code of a page."""
    for found in FENCE.finditer(text):
        indent = len(found["indent"])
        code = "".join(line[indent:] for line in found["code"].splitlines(keepends=True))
        yield Block(found["language"], found["title"], code, text.count("\n", 0, found.start()) + 1)


def run_page(path: pathlib.Path, folder: pathlib.Path) -> list[tuple[Block, str]]:
    """Run the Python of a page, as one module; blocks with a title become files of ``folder``, which can be imported.

    Returns:
        Each block of text that follows code, and what that code printed.
    """
    namespace = {"__name__": "page"}
    shown, printed = [], ""
    for block in blocks(path.read_text()):
        if block.language == "text":
            shown.append((block, printed))
        if block.language != "python":
            continue
        if block.title is not None:
            (folder / block.title).write_text(block.code)
            continue
        code = block.code
        for written, shorter in SHORTER.items():
            code = code.replace(written, shorter)
        name = f"{path.name}, line {block.line + 1}"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # for tracebacks and builders
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            exec(compile(code, name, "exec"), namespace)
        printed = stream.getvalue()
    return shown


def agree(shown: str, printed: str) -> bool:
    """Return whether two texts are the same but for seconds, small differences of numbers, and the layout that these change."""
    shown, printed = (SECONDS.sub("seconds", text) for text in (shown, printed))
    one, two = ([float(number) for number in NUMBER.findall(text)] for text in (shown, printed))
    return NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split() and all(
        math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) for a, b in zip(one, two, strict=True)
    )
