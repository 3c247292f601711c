"""Linker of PyTensor that makes one Python function of a graph."""

__all__ = ["NumpyLinker"]

from collections.abc import Callable, Sequence
from typing import Any

from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.link.basic import JITLinker

from pymc_botorch.graph.numpy_source import arrays, batches, elementwise, linalg  # noqa: F401  # they register what operations become
from pymc_botorch.graph.numpy_source.writer import Writer


class NumpyLinker(JITLinker):
    """A PyTensor linker that makes one Python function of a graph."""

    required_rewrites = ("minimum_compile",)
    incompatible_rewrites = ("cxx_only", "BlasOpt", "inplace", "fusion", "local_careduce_fusion")

    def fgraph_convert(self, fgraph: FunctionGraph, order: Sequence[Apply], **_: Any) -> Callable[..., list[Any]]:
        """Return the function of a graph."""
        return Writer(fgraph.inputs, fgraph.outputs, order).function()

    def create_thunk_inputs(self, storage_map: dict[Variable, list[Any]]) -> list[list[Any]]:
        """Return the storage of the graph's inputs."""
        return [storage_map[variable] for variable in self.fgraph.inputs]

    def jit_compile(self, fn: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """Return the function as it is."""
        return fn
