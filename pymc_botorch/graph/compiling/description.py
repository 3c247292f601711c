"""What decides the compiled code of a graph, as a digest that is the same in each process."""

__all__ = ["Description"]

import hashlib
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.op import HasInnerGraph, Op
from pytensor.graph.traversal import io_toposort
from pytensor.graph.type import Type

VERSIONED = ("pytensor", "pymc", "pymc_botorch", "numpy", "builtins")
"""Packages whose code does not change without their version."""
DERIVED = {
    *("nfunc", "ufunc", "output_types_preference", "__epydoc_asRoutine", "fgraph", "kwargs", "_init_kwargs", "_fn"),
    *("pullback_overrides", "pushforward_overrides", "_connection_pattern", "_lop_op_cache", "_rop_op_cache"),
    *("_frozen_lop", "_frozen_rop", "_inner_shape_template", "_inner_shape_frozen"),
}
"""Attributes of operations that follow from others, from an inner graph or the types of outputs, or are looked at apart."""
SIMPLE = (bool, int, float, str, slice, type(None), np.dtype)
"""Values whose ``repr`` says all of them."""


class Description:
    """Digest of operations, how they are joined, their types and constants.

    Attributes:
        is_complete: Whether nothing that decides the code is missing: not where an operation is a user's own, whose code may
            change, or has attributes that are not numbers, names and their like.
    """

    def __init__(self, *texts: str) -> None:
        self.is_complete = True
        self._hash = hashlib.sha256()
        for text in texts:
            self._add(text)

    @property
    def digest(self) -> str:
        """The digest of what was added."""
        return self._hash.hexdigest()[:40]

    def add_name(self, named: Any) -> None:
        """Add a class or a function by its name."""
        self._add(f"{named.__module__}.{named.__qualname__}")
        self.is_complete &= named.__module__.partition(".")[0] in VERSIONED and "<" not in named.__qualname__

    def add_graph(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> None:
        """Add the graph of ``outputs`` given ``inputs``."""
        numbers: dict[Variable, int] = {}

        def add_new(variables: Sequence[Variable]) -> None:
            for variable in variables:
                numbers[variable] = len(numbers)
                self._add_value(variable.type)

        def add_known(variables: Sequence[Variable]) -> None:
            self._add(str([numbers.get(variable) for variable in variables]))
            for variable in variables:
                if isinstance(variable, Constant):
                    self._add_value(variable.type)
                    self._add_value(variable.data)
                self.is_complete &= variable in numbers or isinstance(variable, Constant)

        add_new(inputs)
        for node in io_toposort(inputs, outputs):
            self._add_value(node.op)
            add_known(node.inputs)
            add_new(node.outputs)
        add_known(outputs)

    def _add(self, text: str) -> None:
        self._hash.update(f"{len(text)} {text};".encode())

    def _add_value(self, value: Any) -> None:
        """Add an operation, a property of one or a constant."""
        match value:
            case Op():
                self._add_op(value)
            case np.ndarray() | np.generic() if not value.dtype.hasobject:
                self._add(f"{value.dtype} {value.shape} {value.tobytes().hex()}")
            case tuple() | list():
                self._add(f"{type(value)} {len(value)}")
                for item in value:
                    self._add_value(item)
            case Mapping():
                self._add_value(sorted(value.items(), key=repr))
            case type() | FunctionType():
                self.add_name(value)
            case Type():
                self.add_name(type(value))
                self._add(repr(value))
            case _ if isinstance(value, SIMPLE):
                self._add(repr(value))
            case _:  # whose repr may be of this process alone
                self.add_name(type(value))
                self.is_complete = False

    def _add_op(self, op: Op) -> None:
        self.add_name(type(op))
        for name in sorted({*vars(op), *getattr(op, "__props__", ())} - DERIVED):  # the bounds of grad_clip are no property of it
            self._add(name)
            self._add_value(getattr(op, name))
        if isinstance(op, HasInnerGraph):
            self.add_graph(op.fgraph.inputs, op.fgraph.outputs)
        if isinstance(op, OpFromGraph):  # whose gradients may be anybody's
            self.is_complete &= op.pullback_overrides is op.pushforward_overrides is None
