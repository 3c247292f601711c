"""Graphs that an earlier process rewrote are taken from the disk, where their digest says all that decides them."""

import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.builders import OpFromGraph
from pytensor.gradient import grad_clip, grad_scale
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from zoo import ZOO

from pymc_botorch import cache_clear, config
from pymc_botorch.graph.compiling import functions, index
from pymc_botorch.graph.compiling.cache import compiled
from pymc_botorch.graph.compiling.description import Description
from pymc_botorch.graph.compiling.functions import compile_build
from pymc_botorch.graph.compiling.index import entry_of
from pymc_botorch.graph.compiling.structure import Graph
from pymc_botorch.graph.posterior.cut import cut_posterior
from pymc_botorch.graph.posterior.moments import moments, moments_vjp
from pymc_botorch.inference.fit.objective import ObjectiveGraph, density_and_gradient, itself, read_objective
from pymc_botorch.inference.fitted import read_fitted


class Doubled(Op):
    """An operation of a user's own, whose code may change."""

    __props__ = ()

    def make_node(self, x: Any) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence[Any], output_storage: Sequence[list[Any]]) -> None:
        output_storage[0][0] = 2 * inputs[0]


@pytest.fixture(autouse=True)
def empty_index(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(index, "FOLDER", str(tmp_path))
    cache_clear()


def objective() -> ObjectiveGraph:
    with pm.Model() as pm_model:
        rate = pm.Gamma("rate", 2.0, 3.0)
        pm.Normal("y", rate, 1.0, observed=np.array([0.5, 1.5]))
    return read_objective(pm_model)[0]


def density(at: float) -> list[np.ndarray]:
    compiled_objective = compiled(objective(), itself)
    return compiled_objective(density_and_gradient, np.array(at), np.array([0.5, 1.5]), np.array(1.0))


def nothing_is_rewritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_rewritten_and_linked", None)


def described(inputs: list[Variable], outputs: list[Variable]) -> Description:
    description = Description()
    description.add_graph(inputs, outputs)
    return description


@pytest.mark.parametrize("linker", ["numpy", pytest.param("numba", marks=pytest.mark.numba)])
def test_a_later_process_rewrites_nothing(linker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with config.change_flags(linker=linker):
        first = density(0.3)
        cache_clear()  # as another process
        nothing_is_rewritten(monkeypatch)
        for got, expected in zip(density(0.3), first, strict=True):
            np.testing.assert_array_equal(got, expected)
        assert density(0.4)[0] != first[0]


@pytest.mark.parametrize("content", [b"", b"no pickle", b"\x80\x04N."])
def test_what_is_damaged_is_made_anew(content: bytes) -> None:
    expected = density(0.3)
    entry = entry_of(objective(), itself, density_and_gradient)
    held = entry.held("numpy")
    entry.hold("numpy", content)
    cache_clear()
    np.testing.assert_array_equal(density(0.3)[0], expected[0])
    assert entry.held("numpy") == held


def test_other_versions_and_settings_have_other_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = objective()
    one = entry_of(graph, itself, density_and_gradient)
    assert one.is_complete
    assert entry_of(graph, itself, density_and_gradient) == one
    with pytensor.config.change_flags(floatX="float32"):
        assert entry_of(graph, itself, density_and_gradient) != one
    monkeypatch.setattr(index, "_platform", lambda: "another version")
    assert entry_of(graph, itself, density_and_gradient) != one


@pytest.mark.parametrize("name", ZOO)
def test_graphs_of_pymcs_gps_are_held_and_loaded(name: str) -> None:
    specimen = ZOO[name]()
    options = {"given": specimen.given, "jitter": None, "inputs_transformed": False}
    graph = read_fitted(specimen.gp, specimen.point, model=specimen.pm_model, **options)[0].graph
    subject = cut_posterior(graph)
    for build in (moments, moments_vjp):
        entry = entry_of(graph, cut_posterior, build)
        assert entry.is_complete
        first, second = (compile_build(subject, build, "numpy", entry) for _ in range(2))
        assert second.source == first.source  # type: ignore[attr-defined]


def test_an_operation_of_a_user_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pt.vector("x")
    assert described([x], [pt.exp(x)]).is_complete
    assert not described([x], [Doubled()(x)]).is_complete
    assert not described([x], [pt.exp(x + pt.vector("free"))]).is_complete
    entry = entry_of(objective(), lambda graph: graph, density_and_gradient)
    assert not entry.is_complete
    compile_build(objective(), density_and_gradient, "numpy", entry)
    assert entry.held("numpy") is None


@pytest.mark.parametrize("scaled", [grad_scale, lambda x, bound: grad_clip(x, -bound, bound)])
def test_what_changes_only_a_gradient_belongs_to_the_digest(scaled: Any) -> None:
    x = pt.vector("x")
    assert described([x], [scaled(x, 1.0)]).digest == described([x], [scaled(x, 1.0)]).digest
    assert described([x], [scaled(x, 1.0)]).digest != described([x], [scaled(x, 7.0)]).digest


def test_packages_that_are_run_from_their_sources_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert entry_of(objective(), itself, density_and_gradient).is_complete
    monkeypatch.setattr(index, "_is_editable", lambda package: package == "pymc")
    assert not entry_of(objective(), itself, density_and_gradient).is_complete


def test_what_cannot_be_written_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = density(0.3)
    cache_clear()

    def cannot(_: Any) -> bytes:
        raise TypeError("cannot pickle this")

    entry_of(objective(), itself, density_and_gradient).remove()
    monkeypatch.setattr(functions, "to_bytes", cannot)
    np.testing.assert_array_equal(density(0.3)[0], expected[0])
    assert entry_of(objective(), itself, density_and_gradient).held("numpy") is None


def test_whoever_reads_while_others_write_finds_all_or_nothing(tmp_path: pathlib.Path) -> None:
    entry = entry_of(objective(), itself, density_and_gradient)
    contents = [bytes([i]) * 200_000 for i in range(4)]

    def write_or_read(i: int) -> bytes | None:
        if i % 2:
            return entry.held("numpy")
        entry.hold("numpy", contents[i // 2 % 4])
        return None

    with ThreadPoolExecutor(4) as pool:
        found = [content for content in pool.map(write_or_read, range(200)) if content is not None]
    assert found
    assert set(found) <= set(contents)
    assert [path.name for path in tmp_path.iterdir()] == [f"{entry.path.name}.numpy"]


def test_numba_is_not_waited_for_where_its_graph_is_gone() -> None:
    entry = entry_of(objective(), itself, density_and_gradient)
    entry.add()
    assert not entry.is_there()
    entry.hold("numba", b"a graph")
    assert entry.is_there()


def test_an_operation_of_any_kind_can_be_compiled() -> None:
    class Odd(Doubled):
        def __init__(self) -> None:
            self.mixed: Any = {1: "one", "two": 2, (): object()}
            self.function = lambda x: x
            self.itself = [self]

    x = pt.vector("x", dtype="float64")

    class OddGraph(Graph):
        symbols = (x,)
        outputs = (Odd()(x),)

    first, second = (entry_of(OddGraph(), itself, density_and_gradient) for _ in range(2))
    assert first == second
    assert not first.is_complete


def test_an_inner_graph_and_its_gradient_belong_to_the_digest() -> None:
    x, a = pt.vector("x"), pt.vector("a")

    def with_inner(output: Variable, **overrides: Any) -> Description:
        return described([x], [OpFromGraph([a], [output], **overrides)(x)])

    assert with_inner(2 * a).digest == with_inner(2 * a).digest
    assert with_inner(2 * a).digest != with_inner(3 * a).digest
    assert with_inner(2 * a).is_complete
    assert described([x], [pt.diag(x)]).is_complete  # of a class of its own
    assert not with_inner(2 * a, pullback=lambda inputs, outputs, cotangents: [7 * cotangents[0]]).is_complete


def test_the_order_of_a_graph_belongs_to_the_digest() -> None:
    x, y = pt.vectors("x", "y")
    assert described([x, y], [x - y]).digest != described([x, y], [y - x]).digest
    assert described([x, y], [x, y]).digest != described([x, y], [y, x]).digest
    assert described([x, y], [pt.stack([x, y])]).digest != described([x, y], [pt.stack([x, x])]).digest
    assert described([x, y], [x[1:]]).digest != described([x, y], [x[2:]]).digest
    assert described([x, y], [x.astype("float32")]).digest != described([x, y], [x.astype("int32")]).digest
