"""What the making, reshaping and indexing of arrays becomes."""

__all__: list[str] = []

from typing import Any

import numpy as np
from pytensor.compile.ops import DeepCopyOp
from pytensor.conditional.op import IfElse
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import (
    Alloc,
    AllocDiag,
    AllocEmpty,
    ARange,
    ExtractDiag,
    Eye,
    Join,
    MakeVector,
    ScalarFromTensor,
    TensorFromScalar,
)
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor, IncSubtensor, Subtensor

from pymc_botorch.graph.numpy_source.writer import Fresh, Writer, filled, is_scalar, is_whole, numpy_source


@numpy_source.register(DimShuffle)
def _dimshuffle(op: DimShuffle, node: Apply, write: Writer) -> None:
    (x,), (out,) = node.inputs, node.outputs

    def expression() -> str:
        name = write.name(x)
        if is_scalar(x):
            return f"{write.reference(filled)}({(1,) * out.type.ndim}, {name}, {out.type.dtype!r})"
        if is_scalar(out):
            return f"{name}.item()" if is_whole(out) else f"{name}[{', '.join('0' * x.type.ndim)}]"
        if op.drop:
            name = f"{name}[{', '.join('0' if i in op.drop else ':' for i in range(x.type.ndim))}]"
        kept = sorted(op.shuffle)
        order = tuple(kept.index(i) for i in op.shuffle)
        if order != tuple(range(len(order))):
            name = f"{name}.T" if order == (1, 0) else f"{name}.transpose{order}"
        if op.augment:
            name = f"{name}[{', '.join('None' if i == 'x' else ':' for i in op.new_order)}]"
        return name

    write.defer(out, expression)


@numpy_source.register(Shape_i)
def _shape_i(op: Shape_i, node: Apply, write: Writer) -> str:
    return f"{write.name(node.inputs[0])}.shape[{op.i}]"


@numpy_source.register(Shape)
def _shape(op: Shape, node: Apply, write: Writer) -> str:
    (x,) = node.inputs
    shape = "()" if is_scalar(x) else f"{write.name(x)}.shape"
    return f"{write.reference(np.array)}({shape}, 'int64')"


@numpy_source.register(MakeVector)
def _make_vector(op: MakeVector, node: Apply, write: Writer) -> None:
    (out,) = node.outputs
    entries = [write.name(v) for v in node.inputs]
    write.defer(out, lambda: f"{write.reference(np.array)}([{', '.join(entries)}], {out.type.dtype!r})")


def _lengths(vector: Variable, write: Writer) -> str:
    """Return the expression of a tuple of whole numbers."""
    if isinstance(vector, Constant):
        return repr(tuple(map(int, vector.data)))
    if vector.owner is not None and isinstance(vector.owner.op, MakeVector):
        return _tuple([write.name(v) for v in vector.owner.inputs])
    if vector.owner is not None and isinstance(vector.owner.op, Shape):
        return f"{write.name(vector.owner.inputs[0])}.shape"
    return f"{write.name(vector)}.tolist()"


def _tuple(names: list[str]) -> str:
    return f"({', '.join(names)}{',' * (len(names) == 1)})"


@numpy_source.register(Reshape)
def _reshape(op: Reshape, node: Apply, write: Writer) -> str:
    x, shape = node.inputs
    if op.ndim == 0:
        if is_scalar(x):
            return write.name(x)
        return f"{write.name(x)}.item()" if is_whole(x) else f"{write.name(x)}.reshape(())[()]"
    name = f"{write.reference(np.asarray)}({write.name(x)})" if is_scalar(x) else write.name(x)
    return f"{name}.reshape({_lengths(shape, write)})"


@numpy_source.register(SpecifyShape)
def _specify_shape(op: SpecifyShape, node: Apply, write: Writer) -> str:
    x, *lengths = node.inputs
    name = write.name(x)
    for i, length in enumerate(lengths):
        if not (isinstance(length, Constant) and length.data is None):
            write.lines.append(f"{write.reference(_check_length)}({name}.shape[{i}], {write.name(length)}, {i})")
    return name


def _check_length(length: int, expected: int, axis: int) -> None:
    if length != expected:
        raise AssertionError(f"Axis {axis} has length {length}. Pass an array in which it has {expected}, as was specified.")


@numpy_source.register(CheckAndRaise)
def _check(op: CheckAndRaise, node: Apply, write: Writer) -> str:
    x, *conditions = node.inputs
    kind, message = write.reference(op.exc_type), write.reference(op.msg)
    if conditions:
        write.lines.append(f"if not ({' and '.join(map(write.name, conditions))}): raise {kind}({message})")
    return write.name(x)


@numpy_source.register(ScalarFromTensor)
@numpy_source.register(TensorFromScalar)
def _same(op: Any, node: Apply, write: Writer) -> str:
    return write.name(node.inputs[0])


@numpy_source.register(Alloc)
def _alloc(op: Alloc, node: Apply, write: Writer) -> str:
    (value, *lengths), dtype = node.inputs, node.outputs[0].type.dtype
    shape = _tuple([write.name(v) for v in lengths])
    for i, length in enumerate(lengths, start=-len(lengths)):
        axis = None if value.type.ndim < -i or value.type.broadcastable[i] else (value, value.type.ndim + i)
        if length.owner is not None and isinstance(length.owner.op, Shape_i):
            known = (length.owner.inputs[0], length.owner.op.i)
            write.lengths.join((node.outputs[0], len(lengths) + i), known)
            if axis is not None:
                write.check_axes([axis, known])
        elif axis is not None:
            write.check_equal(f"{write.name(value)}.shape[{i}]", write.name(length))
    if isinstance(value, Constant) and not np.any(value.data):
        return Fresh(f"{write.reference(np.zeros)}({shape}, {dtype!r})")
    return Fresh(f"{write.reference(filled)}({shape}, {write.name(value)}, {dtype!r})")


@numpy_source.register(AllocEmpty)
def _alloc_empty(op: AllocEmpty, node: Apply, write: Writer) -> str:
    return Fresh(f"{write.reference(np.empty)}({_tuple([write.name(v) for v in node.inputs])}, {op.dtype!r})")


@numpy_source.register(ARange)
def _arange(op: ARange, node: Apply, write: Writer) -> str:
    return f"{write.reference(np.arange)}({', '.join(map(write.name, node.inputs))}, dtype={op.dtype!r})"


@numpy_source.register(Eye)
def _eye(op: Eye, node: Apply, write: Writer) -> str:
    n, m, k = map(write.name, node.inputs)
    return f"{write.reference(np.eye)}({n}, {m}, {k}, {op.dtype!r})"


@numpy_source.register(Join)
def _join(op: Join, node: Apply, write: Writer) -> str:
    return Fresh(f"{write.reference(np.concatenate)}([{', '.join(map(write.name, node.inputs))}], {op.axis})")


@numpy_source.register(ExtractDiag)
def _extract_diag(op: ExtractDiag, node: Apply, write: Writer) -> str:
    return f"{write.name(node.inputs[0])}.diagonal({op.offset}, {op.axis1}, {op.axis2}).copy()"


@numpy_source.register(AllocDiag)
def _alloc_diag(op: AllocDiag, node: Apply, write: Writer) -> str | None:
    (x,) = node.inputs
    if x.type.ndim > 1 or (op.axis1, op.axis2) != (0, 1):
        write.perform(node)
        return None
    return Fresh(f"{write.reference(np.diag)}({write.name(x)}, {op.offset})")


@numpy_source.register(DeepCopyOp)
def _copy(op: DeepCopyOp, node: Apply, write: Writer) -> str:
    (x,) = node.inputs
    return write.name(x) if is_scalar(x) else f"{write.name(x)}.copy()"


@numpy_source.register(IfElse)
def _if_else(op: IfElse, node: Apply, write: Writer) -> None:
    condition, *values = node.inputs
    for i, out in enumerate(node.outputs):
        yes, no = values[i], values[i + op.n_outs]
        chosen = f"({write.name(yes)} if {write.name(condition)} else {write.name(no)})"
        write.assign(out, chosen if is_scalar(out) else Fresh(f"{chosen}.copy()"))


def _index(idx_list: tuple, indices: list[Variable], write: Writer) -> str:
    """Return what stands between the brackets of a subscript."""
    rest = iter(indices)

    def part(entry: Any) -> str:
        return "" if entry is None else write.name(next(rest))

    found = []
    for entry in idx_list:
        if isinstance(entry, slice):
            start, stop, step = part(entry.start), part(entry.stop), part(entry.step)
            found.append(f"{start}:{stop}" + (f":{step}" if step else ""))
        else:
            found.append(write.name(next(rest)))
    return ", ".join(found) or "..."


@numpy_source.register(Subtensor)
@numpy_source.register(AdvancedSubtensor)
def _subtensor(op: Any, node: Apply, write: Writer) -> str:
    x, *indices = node.inputs
    (out,) = node.outputs
    expression = f"{write.name(x)}[{_index(op.idx_list, indices, write)}]"
    if isinstance(op, AdvancedSubtensor) and all(v.type.ndim == 0 for v in indices):
        return f"{expression}.copy()"
    return f"{expression}.item()" if is_scalar(out) and is_whole(out) else expression


@numpy_source.register(IncSubtensor)
@numpy_source.register(AdvancedIncSubtensor)
def _inc_subtensor(op: Any, node: Apply, write: Writer) -> str:
    x, y, *indices = node.inputs
    index = _index(op.idx_list, indices, write)
    for i in range(x.type.ndim):
        write.lengths.join((node.outputs[0], i), (x, i))
    name = write.name(x) if write.is_free(node, x) else write.temporary(f"{write.name(x)}.copy()")
    if op.set_instead_of_inc:
        write.lines.append(f"{name}[{index}] = {write.name(y)}")
    elif isinstance(op, IncSubtensor) or op.ignore_duplicates:
        write.lines.append(f"{name}[{index}] += {write.name(y)}")
    else:
        slices = write.reference(np.index_exp)
        write.lines.append(f"{write.reference(np.add)}.at({name}, {slices}[{index}], {write.name(y)})")
    return Fresh(name)
