"""Numba compiles in the background, and takes over between models; whatever goes wrong leaves NumPy working."""

import logging
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest

from pymc_botorch import cache_clear, cache_info, config, wait_for_numba
from pymc_botorch.graph.compiling import background, index
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.structure import Graph

ENOUGH = 120.0  # seconds


class Doubling(Graph):
    """A graph so small that Numba compiles it in a second."""

    symbols = outputs = ()

    def __init__(self, factor: float = 2.0) -> None:
        self.x = pt.vector("x", dtype="float64")
        self.symbols, self.outputs = [self.x], [factor * self.x]


def itself(graph: Doubling) -> Doubling:
    return graph


def doubled(graph: Doubling) -> tuple[list, list]:
    return graph.symbols, graph.outputs


THIS_PROCESS = "TEST_BACKGROUND_PROCESS"


def breaks_with_numba(graph: Doubling) -> tuple[list, list]:
    if os.environ[THIS_PROCESS] != str(os.getpid()):  # in the compiling process
        raise NotImplementedError("no such operation")
    return graph.symbols, graph.outputs


def dies_with_numba(graph: Doubling) -> tuple[list, list]:
    if os.environ[THIS_PROCESS] != str(os.getpid()):
        os._exit(7)
    return graph.symbols, graph.outputs


def functions(factor: float = 2.0) -> CompiledGraph[Doubling]:
    return compiled(Doubling(factor), itself)


@pytest.fixture(autouse=True)
def auto(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    monkeypatch.setattr(index, "FOLDER", str(tmp_path / "index"))  # of which earlier runs know nothing
    monkeypatch.setenv(THIS_PROCESS, str(os.getpid()))
    cache_clear()
    with config.change_flags(linker="auto"):
        yield
    assert wait_for_numba(ENOUGH)
    background.errors()


def test_numpy_answers_first_and_numba_takes_over_at_the_next_request(caplog: pytest.LogCaptureFixture) -> None:
    x = np.arange(3.0)
    caplog.set_level(logging.INFO, "pymc_botorch")
    first = functions()
    assert first.linker == "numpy"
    assert cache_info().pending == 0  # nothing starts before the first answer
    np.testing.assert_array_equal(first(doubled, x)[0], 2 * x)
    first(doubled, x)
    assert cache_info().pending == 1
    assert functions() is first
    assert wait_for_numba(ENOUGH)
    second = functions()
    assert (second.linker, second.tier) == ("numba", "auto")
    np.testing.assert_array_equal(second(doubled, x)[0], 2 * x)
    assert first.linker == "numpy"  # models that have it keep it
    assert first.latest() is second
    assert cache_info()[:3] == (2, 2, 1)
    assert re.fullmatch(r"Numba has compiled a function in \d+ s: later models and fits use it.", caplog.messages[-1])


@pytest.mark.parametrize(("build", "message"), [(breaks_with_numba, "no such operation"), (dies_with_numba, "exit code 7")])
def test_errors_are_reported_once_and_leave_numpy_working(build: Any, message: str) -> None:
    x = np.ones(2)
    first = functions()
    first(build, x)
    assert wait_for_numba(ENOUGH)
    with pytest.warns(UserWarning, match=f"{message}.*NumPy goes on"):
        again = functions()
    assert again is first
    np.testing.assert_array_equal(again(build, x)[0], 2 * x)
    functions()  # no second warning, which would be an error


def test_one_failure_does_not_stop_what_comes_after_it() -> None:
    x = np.ones(2)
    functions()(dies_with_numba, x)
    functions(3.0)(doubled, x)
    assert wait_for_numba(ENOUGH)
    with pytest.warns(UserWarning, match="exit code 7"):
        assert functions(3.0).linker == "numba"


def test_an_exit_in_the_thread_leaves_nobody_waiting() -> None:
    x, functions_of_3 = np.ones(2), functions(3.0)

    def leave(_: Any) -> None:
        raise SystemExit(3)

    background.request(background.Job("leaves", functions_of_3.subject, doubled, functions_of_3.entry(doubled), [x], leave))
    functions_of_3(doubled, x)
    assert wait_for_numba(ENOUGH)
    with pytest.warns(UserWarning, match="SystemExit: 3"):
        assert functions(3.0).linker == "numba"


def test_exit_does_not_wait_for_the_compiler(tmp_path: pathlib.Path) -> None:
    code = (
        "import torch, pymc_botorch, time\n"
        "X = torch.rand(6, 2, dtype=torch.double)\n"
        "model = pymc_botorch.PyMCGP(X, X.sum(-1, keepdim=True)).fit()\n"
        "print(model.posterior(X).mean.shape, pymc_botorch.cache_info().pending, model.fit_result.linker, time.time())\n"
    )
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "auto", "PYTHONWARNINGS": "ignore"}
    environment["PYTENSOR_FLAGS"] = f"base_compiledir={tmp_path}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, timeout=ENOUGH
    )
    *shape, pending, linker, finished = done.stdout.split()
    assert (shape, pending, linker) == (["torch.Size([6,", "1])"], "2", "numpy")
    assert time.time() - float(finished) < background.PATIENCE_AT_EXIT + 5
    assert done.stderr == ""
