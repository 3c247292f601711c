"""What Numba compiled on this machine before serves from the first answer; a wrong index costs nothing but time."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest

from pymc_botorch import cache_clear, cache_info, config, wait_for_numba
from pymc_botorch.graph.compiling import compiled_graph, index
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.compiled_graph import CompiledGraph
from pymc_botorch.graph.compiling.functions import compile_build
from pymc_botorch.graph.compiling.index import entry_of
from pymc_botorch.graph.compiling.structure import Graph


class Scaling(Graph):
    """A graph so small that Numba compiles it in a second."""

    symbols = outputs = ()

    def __init__(self, factor: Any = 2.0, dtype: str = "float64", operation: Any = pt.exp) -> None:
        x = pt.vector("x", dtype=dtype)
        self.symbols, self.outputs = [x], [operation(factor * x)]


def itself(graph: Scaling) -> Scaling:
    return graph


def scaled(graph: Scaling) -> tuple[list, list]:
    return graph.symbols, graph.outputs


def again(graph: Scaling) -> tuple[list, list]:
    return graph.symbols, graph.outputs


@pytest.fixture(autouse=True)
def empty_index(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Iterator[None]:
    monkeypatch.setattr(index, "FOLDER", str(tmp_path / "index"))
    cache_clear()
    with config.change_flags(linker="auto"):
        yield
        assert wait_for_numba(120)
    cache_clear()


def functions() -> CompiledGraph[Scaling]:
    return compiled(Scaling(), itself)


def test_an_entry_is_that_of_a_structure_and_a_function() -> None:
    entry = entry_of(Scaling(), itself, scaled)
    assert entry == entry_of(Scaling(), itself, scaled)
    assert entry != entry_of(Scaling(), itself, again)
    for other in (Scaling(3.0), Scaling(np.array([1.0, 2.0])), Scaling(dtype="float32"), Scaling(operation=pt.log)):
        assert entry_of(other, itself, scaled) != entry


def test_another_process_finds_the_entry() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_index import Scaling, itself, scaled\n"
        "from zoo import ZOO\n"
        "from pymc_botorch.graph.compiling.index import entry_of\n"
        "from pymc_botorch.graph.posterior.cut import cut_posterior\n"
        "from pymc_botorch.graph.posterior.moments import moments_vjp\n"
        "from pymc_botorch.inference.fitted import read_fitted\n"
        "case = ZOO['a product and a sum']()\n"
        "read, _ = read_fitted(case.gp, case.point, model=case.pm_model, given=None, jitter=None, inputs_transformed=False)\n"
        "print(entry_of(read.graph, cut_posterior, moments_vjp).path.name)\n"
    )
    here = pathlib.Path(__file__).parent
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, str(here), str(here.parent.parent)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.numba
def test_what_numba_compiled_before_serves_at_once() -> None:
    x = np.arange(3.0)
    with config.change_flags(linker="numba"):
        functions()(scaled, x)  # an earlier process, which fills the index
    cache_clear()
    first = functions()
    np.testing.assert_allclose(first(scaled, x)[0], np.exp(2 * x), rtol=1e-14)
    assert first.linker == "numba"
    assert hasattr(first.function(scaled), "signatures")  # Numba's
    first(again, x)
    assert not hasattr(first.function(again), "signatures")  # which it has not compiled
    assert cache_info().pending == 1


def test_where_nothing_can_be_loaded_numpy_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(subject: Any, build: Any, linker: Any, entry: Any) -> Any:
        def fails(*_: Any) -> None:
            raise RuntimeError("the cache on disk is broken")

        return fails if linker == "numba" else compile_build(subject, build, linker, entry)

    monkeypatch.setattr(compiled_graph, "compile_build", broken)
    entry_of(Scaling(), itself, scaled).add()
    first = functions()
    for _ in range(2):
        np.testing.assert_allclose(first(scaled, np.ones(2))[0], np.exp(2.0), rtol=1e-14)
    assert not entry_of(Scaling(), itself, scaled).is_there()
    assert cache_info().pending == 0
    assert first.linker == "numpy"


def test_an_index_that_cannot_be_written_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setattr(index, "FOLDER", str(tmp_path / "a file" / "below"))
    entry = entry_of(Scaling(), itself, scaled)
    entry.add()
    entry.remove()
    assert not entry.is_there()
