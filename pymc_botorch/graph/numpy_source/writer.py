"""The source of one Python function that computes a graph: a line for an operation, shapes as Python integers.

PyTensor's own Python linker calls each operation through a thunk, with storage for its result, and half of the operations of a
small graph are arithmetic of shapes. Nothing here is shared between calls, so that any number of threads may call a function at
once (an operation that performs itself has a lock). What each operation becomes is registered with :func:`numpy_source` by the
other modules of this room::

    @numpy_source.register(Dot)
    def _dot(op, node, write):
        left, right = map(write.name, node.inputs)
        return Fresh(f"{write.reference(np.dot)}({left}, {right})")
"""

__all__ = ["Fresh", "Writer", "filled", "is_scalar", "is_whole", "numpy_source"]

import itertools
from collections.abc import Callable, Sequence
from functools import singledispatch
from threading import Lock
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_botorch.graph.numpy_source.lengths import Axis, Lengths, unequal

FILE_NAME = "<a graph as NumPy source>"


class Fresh(str):
    """Expression of an array that nothing else refers to, into which later lines may write."""

    __slots__ = ()


@singledispatch
def numpy_source(op: Op, node: Apply, write: "Writer") -> str | None:
    """Return the expression of a node's output, or None if the rule has written the outputs itself.

    Operations register what they become; one that has not is computed by its own ``perform``.
    """
    write.perform(node)
    return None


class Writer:
    """The source of a graph, as far as it is written.

    A variable without dimensions is a NumPy scalar if it is a real number and a Python number otherwise; all others are arrays.

    Attributes:
        lines: Lines of the function's body.
        scope: Its globals.
        fallbacks: Operations that are computed by their ``perform``.
        lengths: Axes of arrays that are known to have one length.
    """

    def __init__(self, inputs: Sequence[Variable], outputs: Sequence[Variable], order: Sequence[Apply]) -> None:
        self.lines: list[str] = []
        self.scope: dict[str, Any] = {}
        self.fallbacks: list[Op] = []
        self.lengths = Lengths()
        self._count = itertools.count()
        self._names: dict[Variable, str] = {}
        self._deferred: dict[Variable, Callable[[], str]] = {}
        self._fresh: set[Variable] = set()  # arrays that nothing else refers to
        self._roots: dict[Variable, Variable] = {}  # of views: what they are views of
        self._last_uses: dict[Variable, Apply | None] = {}  # of roots, their views' included; None where they are results
        for node in order:
            for i, (j, *_) in getattr(node.op, "view_map", {}).items():
                self._roots[node.outputs[i]] = self._root(node.inputs[j])
            self._last_uses.update(dict.fromkeys(map(self._root, node.inputs), node))
        self._last_uses.update(dict.fromkeys(map(self._root, outputs)))
        arguments = [self._new_name() for _ in inputs]
        for variable, argument in zip(inputs, arguments, strict=True):
            self._names[variable] = argument
            if is_scalar(variable):
                self.lines.append(f"{argument} = {self.as_number(argument, variable)}")
        for node in order:
            expression = numpy_source(node.op, node, self)
            if expression is not None:
                self.assign(node.outputs[0], expression)
        asarray = self.reference(np.asarray)
        results = [f"{asarray}({self.name(v)}, {v.type.dtype!r})" if is_scalar(v) else self.name(v) for v in outputs]
        body = "".join(f"        {line}\n" for line in [*self.lines, f"return [{', '.join(results)}]"])
        errstate = self.reference(np.errstate)
        self.source = f"def function({', '.join(arguments)}):\n    with {errstate}(all='ignore'):\n{body}"

    def function(self) -> Callable[..., list[Any]]:
        """Return the function; its attributes ``source`` and ``fallbacks`` are for whoever wants to know."""
        exec(compile(self.source, FILE_NAME, "exec"), self.scope)
        function: Any = self.scope["function"]
        function.source, function.fallbacks = self.source, tuple(self.fallbacks)
        return function

    def _root(self, variable: Variable) -> Variable:
        return self._roots.get(variable, variable)

    def _new_name(self) -> str:
        return f"v{next(self._count)}"

    def name(self, variable: Variable) -> str:
        """Return the name of a variable, or of a constant; that of a whole number is the number."""
        if variable in self._deferred:
            self.assign(variable, self._deferred.pop(variable)())
        elif variable not in self._names:
            data = variable.data
            if is_scalar(variable):
                data = np.asarray(data).item() if is_whole(variable) else np.asarray(data)[()]
            self._names[variable] = f"({data!r})" if isinstance(data, int) else self.reference(data)
        return self._names[variable]

    def reference(self, value: Any) -> str:
        """Return the name of an object in the source."""
        for name, known in self.scope.items():
            if known is value:
                return name
        own = getattr(value, "__name__", "")
        name = f"{own if own.isidentifier() else 'c'}_{len(self.scope)}"
        self.scope[name] = value
        return name

    def assign(self, variable: Variable, expression: str) -> None:
        """Write the line that computes a variable."""
        if isinstance(expression, Fresh):
            self._fresh.add(variable)
        self._names[variable] = expression if expression.isidentifier() else self.temporary(expression)

    def temporary(self, expression: str) -> str:
        """Write a line that gives an expression a name, and return that."""
        name = self._new_name()
        self.lines.append(f"{name} = {expression}")
        return name

    def defer(self, variable: Variable, expression: Callable[[], str]) -> None:
        """Write the line that computes a variable when it is asked for."""
        self._deferred[variable] = expression

    def check_lengths(self, arrays: Sequence[Variable], out: Variable) -> None:
        """Write checks that arrays, broadcast from the right, have one length along each axis on which none is stretched."""
        for i in range(-out.type.ndim, 0):
            axes: list[Axis] = [(v, v.type.ndim + i) for v in arrays if v.type.ndim >= -i and not v.type.broadcastable[i]]
            self.check_axes(axes)
            if axes:
                self.lengths.join((out, out.type.ndim + i), axes[0])

    def check_axes(self, axes: Sequence[Axis]) -> None:
        """Write the checks that axes have one length, but where that is known."""
        for axis in axes[1:]:
            if not self.lengths.join(axes[0], axis):
                self.check_equal(*(f"{self.name(variable)}.shape[{i}]" for variable, i in (axes[0], axis)))

    def check_equal(self, found: str, wanted: str) -> None:
        """Write the check that the expressions of two lengths are equal."""
        self.lines.append(f"if {found} != {wanted}: {self.reference(unequal)}({found}, {wanted})")

    def is_free(self, node: Apply, variable: Variable) -> bool:
        """Return whether a node may write into one of its inputs, as it is the last that needs it."""
        return variable in self._fresh and self._last_uses[variable] is node

    def perform(self, node: Apply) -> None:
        """Write the call of an operation's own ``perform``."""
        self.fallbacks.append(node.op)
        if hasattr(node.op, "prepare_node"):
            node.op.prepare_node(node, {}, {}, "py")
        asarray = self.reference(np.asarray)
        inputs = [f"{asarray}({self.name(v)}, {v.type.dtype!r})" if is_scalar(v) else self.name(v) for v in node.inputs]

        lock = Lock()  # an operation may have storage of its own, as the function inside a loop

        def performed(*values: Any) -> list[Any]:
            storage: list[list[Any]] = [[None] for _ in node.outputs]
            with lock:
                node.op.perform(node, list(values), storage)
            return [cell[0] for cell in storage]

        results = self.temporary(f"{self.reference(performed)}({', '.join(inputs)})")
        for i, variable in enumerate(node.outputs):
            self.assign(variable, self.as_number(f"{results}[{i}]", variable))

    def as_number(self, array: str, variable: Variable) -> str:
        """Return the expression of an array, or of the number in it where a variable has no dimensions."""
        return array if not is_scalar(variable) else f"{array}{'.item()' if is_whole(variable) else '[()]'}"


def is_scalar(variable: Variable) -> bool:
    """Return whether a variable has no dimensions."""
    return bool(getattr(variable.type, "ndim", None) == 0)


def is_whole(variable: Variable) -> bool:
    """Return whether a variable has whole numbers or truth values."""
    return np.dtype(variable.type.dtype).kind in "iub"


def filled(shape: tuple[int, ...], value: Any, dtype: str) -> np.ndarray:
    """Return a new array that is full of a value, which is broadcast."""
    array = np.empty(shape, dtype)
    array[...] = value
    return array
