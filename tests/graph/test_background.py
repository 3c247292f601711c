"""Numba compiles in the background, and takes over between models; whatever goes wrong leaves Python working."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest

from pymc_botorch import cache_clear, cache_info, config, wait_for_numba
from pymc_botorch.config import Linker, Tier
from pymc_botorch.graph import background
from pymc_botorch.graph.functions import compile_function
from pymc_botorch.graph.structures import compiled

ENOUGH = 120.0  # seconds


class Doubling:
    """A graph so small that Numba compiles it in a second."""

    def __init__(self, factor: float = 2.0) -> None:
        self.x = pt.vector("x", dtype="float64")
        self.symbols, self.outputs = [self.x], [factor * self.x]


class CompiledDoubling:
    tier: Tier | None = None
    answered: Any = None

    def __init__(self, graph: Doubling, linker: Linker) -> None:
        self.linker = linker
        self.function = compile_function(graph.symbols, graph.outputs, linker)

    def exercise(self, values: Sequence[np.ndarray]) -> None:
        self.function(*values)


def breaks_with_numba(graph: Doubling, linker: Linker) -> CompiledDoubling:
    if linker == "numba":
        raise NotImplementedError("no such operation")
    return CompiledDoubling(graph, linker)


def dies_with_numba(graph: Doubling, linker: Linker) -> CompiledDoubling:
    if linker == "numba":
        os._exit(7)
    return CompiledDoubling(graph, linker)


@pytest.fixture(autouse=True)
def auto() -> Iterator[None]:
    cache_clear()
    with config.change_flags(linker="auto"):
        yield
    assert wait_for_numba(ENOUGH)
    background.errors()


def test_python_answers_first_and_numba_takes_over_at_the_next_request() -> None:
    x, graph = np.arange(3.0), Doubling()
    first = compiled(graph, CompiledDoubling)
    assert first.linker == "python"
    assert cache_info().pending == 0  # nothing starts before the first answer
    np.testing.assert_array_equal(first.function(x)[0], 2 * x)
    first.answered([x])
    first.answered([x])
    assert cache_info().pending == 1
    assert compiled(graph, CompiledDoubling) is first
    assert wait_for_numba(ENOUGH)
    second = compiled(Doubling(), CompiledDoubling)
    assert (second.linker, second.tier) == ("numba", "auto")
    np.testing.assert_array_equal(second.function(x)[0], 2 * x)
    assert first.linker == "python"  # models that have it keep it
    assert cache_info()[:3] == (2, 2, 1)


@pytest.mark.parametrize(
    ("compile_graph", "message"), [(breaks_with_numba, "no such operation"), (dies_with_numba, "exit code 7")]
)
def test_errors_are_reported_once_and_leave_python_working(compile_graph: Any, message: str) -> None:
    x = np.ones(2)
    first = compiled(Doubling(), compile_graph)
    first.answered([x])
    assert wait_for_numba(ENOUGH)
    with pytest.warns(UserWarning, match=f"{message}.*Python goes on"):
        again = compiled(Doubling(), compile_graph)
    assert again is first
    np.testing.assert_array_equal(again.function(x)[0], 2 * x)
    compiled(Doubling(), compile_graph)  # no second warning, which would be an error


def test_one_failure_does_not_stop_what_comes_after_it() -> None:
    x = np.ones(2)
    compiled(Doubling(), dies_with_numba).answered([x])
    compiled(Doubling(3.0), CompiledDoubling).answered([x])
    assert wait_for_numba(ENOUGH)
    with pytest.warns(UserWarning, match="exit code 7"):
        assert compiled(Doubling(3.0), CompiledDoubling).linker == "numba"


def test_exit_does_not_wait_for_the_compiler() -> None:
    code = (
        "import torch, pymc_botorch, time\n"
        "X = torch.rand(6, 2, dtype=torch.double)\n"
        "model = pymc_botorch.PyMCGP(X, X.sum(-1, keepdim=True)).fit()\n"
        "print(model.posterior(X).mean.shape, pymc_botorch.cache_info().pending, model.fit_result.linker, time.time())\n"
    )
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "auto", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=ENOUGH
    )
    *shape, pending, linker, finished = done.stdout.split()
    assert (shape, pending, linker) == (["torch.Size([6,", "1])"], "2", "python")
    assert time.time() - float(finished) < background.PATIENCE_AT_EXIT + 5
    assert done.stderr == ""
