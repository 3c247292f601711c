"""The structure of a graph: what decides its compiled code."""

__all__ = ["Graph"]

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from functools import cached_property

from pytensor.graph.basic import Variable
from pytensor.graph.fg import FrozenFunctionGraph


class Graph(ABC):
    """Expressions of symbols whose values are given at run time.

    Graphs of one structure (the same operations, joined alike, with the same types and constants) differ only in the values
    that their symbols will have, so that one set of compiled functions serves all of them.
    """

    @property
    @abstractmethod
    def symbols(self) -> Sequence[Variable]:
        """All inputs of the expressions."""

    @property
    @abstractmethod
    def outputs(self) -> Sequence[Variable]:
        """The expressions."""

    @cached_property
    def structure(self) -> Hashable:
        """The structure, computed once per graph, as every refit needs it."""
        return FrozenFunctionGraph.from_io(self.symbols, self.outputs)

    def __getstate__(self) -> dict:
        """Pickle without the structure: another process computes its own."""
        return {name: value for name, value in self.__dict__.items() if name != "structure"}
