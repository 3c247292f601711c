"""What elementwise operations and reductions become: ufuncs of NumPy and SciPy, for numbers Python's operators."""

__all__: list[str] = []

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor.scalar as ps
from pytensor.graph.basic import Apply, Variable
from pytensor.scalar.math import Log1mexp, Softplus
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.utils import import_func_from_string

from pymc_botorch.graph.numpy_source.writer import Fresh, Writer, filled, is_scalar, is_whole, numpy_source

FUNCTIONS: dict[type[ps.ScalarOp], Callable[..., Any]] = {
    ps.Switch: np.where,
    ps.Clip: lambda x, low, high: np.minimum(np.maximum(x, low), high),
    Softplus: lambda x: np.logaddexp(0.0, x),
    Log1mexp: lambda x: np.where(x < -np.log(2.0), np.log1p(-np.exp(x)), np.log(-np.expm1(x))),
}
"""Functions of arrays for operations on numbers that name none."""
OPERATORS = {
    ps.Add: "+",
    ps.Mul: "*",
    ps.Sub: "-",
    ps.GT: ">",
    ps.LT: "<",
    ps.GE: ">=",
    ps.LE: "<=",
    ps.EQ: "==",
    ps.NEQ: "!=",
    ps.AND: "&",
    ps.OR: "|",
}
"""Operators of Python for numbers."""


TERMS_IN_A_LINE = 20
"""Of a sum of numbers: Python takes so many parentheses in one expression, and no more than 200."""


@numpy_source.register(Elemwise)
def _elemwise(op: Elemwise, node: Apply, write: Writer) -> str | None:
    (out, *others), kind = node.outputs, op.scalar_op
    is_real = all(np.dtype(v.type.dtype).kind in "fiub" for v in (*node.inputs, *node.outputs))
    if is_real and isinstance(kind, ps.Second | ps.Cast | ps.Identity):
        return _copied_number(kind, node, write) if is_scalar(out) else _copied(kind, node, write)
    function = _function(kind)
    if others or function is None or not is_real:
        write.perform(node)
        return None
    if is_scalar(out):
        return _number(kind, function, node, write)
    operands, dtype = _operands(node), out.type.dtype
    write.check_lengths(operands, out)
    names = [write.name(v) for v in operands]
    called = write.reference(function)
    if not _has_dtype(function, node):
        names = _converted(kind, operands, node, write)
        if _is_chain(kind):
            return _chain(called, operands, names, None, out, write)
        return Fresh(f"{called}({', '.join(names)}).astype({dtype!r})")
    into = next((n for v, n in zip(operands, names, strict=True) if _fits(v, out) and write.is_free(node, v)), None)
    if _is_chain(kind):
        return _chain(called, operands, names, into, out, write)
    last = f", out={into}" if into is not None and isinstance(function, np.ufunc) else ""
    return Fresh(f"{called}({', '.join(names)}{last})")


def _copied(op: ps.ScalarOp, node: Apply, write: Writer) -> str:
    """Return the expression of an array of the same values, or of those of the second operand in the shape of both."""
    operands, dtype = _operands(node), node.outputs[0].type.dtype
    write.check_lengths(operands, node.outputs[0])
    names = [write.name(v) for v in operands]
    if isinstance(op, ps.Second):
        return Fresh(f"{write.reference(filled)}({_shape(operands, names, node.outputs[0], write)}, {names[1]}, {dtype!r})")
    return Fresh(f"{names[0]}.astype({dtype!r})")


def _copied_number(op: ps.ScalarOp, node: Apply, write: Writer) -> str:
    """Return the expression of the same number, or of the second operand."""
    (out,), names = node.outputs, [write.name(v) for v in node.inputs]
    if isinstance(op, ps.Second):
        return names[1]
    known = node.inputs[0].type.dtype
    if out.type.dtype == "float64" or (known, out.type.dtype) in {("bool", "int64"), ("int64", "int64")}:
        return _typed(names[0], out, write)
    return write.as_number(f"{write.reference(np.asarray)}({names[0]}, {known!r}).astype({out.type.dtype!r})", out)


def _is_chain(op: ps.ScalarOp) -> bool:
    return isinstance(op, ps.Add | ps.Mul)


def _shape(operands: list[Variable], names: list[str], out: Variable, write: Writer) -> str:
    """Return the expression of the shape that operands are broadcast to."""
    for variable, name in zip(operands, names, strict=True):
        if variable.type.broadcastable == out.type.broadcastable:
            return f"{name}.shape"
    shapes = [f"{write.reference(np.shape)}({name})" for name in names]
    return f"{write.reference(np.broadcast_shapes)}({', '.join(shapes)})"


def _converted(op: ps.ScalarOp, operands: list[Variable], node: Apply, write: Writer) -> list[str]:
    """Return operands in the dtype that is computed in: the result's for real ones and sums, else the common one of all."""
    kept, (out,) = isinstance(op, ps.Switch), node.outputs  # its condition
    if np.dtype(out.type.dtype).kind == "f" or _is_chain(op):  # or a sum of truth values would be one
        common = out.type.dtype
    else:
        common = np.result_type(*(v.type.dtype for v in node.inputs[kept:])).name

    def converted(v: Variable) -> str:
        has_dtype = v.type.dtype == common and not (is_scalar(v) and is_whole(v))
        return write.name(v) if has_dtype else f"{write.reference(np.asarray)}({write.name(v)}, {common!r})"

    return [*map(write.name, operands[:kept]), *map(converted, operands[kept:])]


def _chain(called: str, operands: list[Variable], names: list[str], into: str | None, out: Variable, write: Writer) -> str:
    """Return a sum or product of any number of operands, which is taken two by two, small ones first."""
    if len(names) == 1:
        return Fresh(f"{names[0]}.copy()")
    sizes = [(v.type.ndim, v.type.broadcastable.count(False)) for v in operands]  # an operand may lack dimensions in front
    order = sorted(range(len(names)), key=lambda i: sizes[i][1])
    full = (out.type.ndim, out.type.broadcastable.count(False))
    result, ndim, longest = names[order[0]], *sizes[order[0]]
    for i in order[1:-1]:
        is_full = result not in names and (ndim, longest) == full
        ndim, longest = max(ndim, sizes[i][0]), max(longest, sizes[i][1])
        result = write.temporary(f"{called}({result}, {names[i]}{f', out={result}' * is_full})")
    is_full = result not in names and (ndim, longest) == full
    into = result if is_full else into
    return Fresh(f"{called}({result}, {names[order[-1]]}{'' if into is None else f', out={into}'})")


def _fits(variable: Variable, out: Variable) -> bool:
    """Return whether an elementwise result can be written over an operand."""
    return variable.type.dtype == out.type.dtype and variable.type.broadcastable == out.type.broadcastable


def _operands(node: Apply) -> list[Variable]:
    """Return an elementwise node's inputs, without dimensions that NumPy's broadcasting puts in front."""
    if any(v.type.dtype not in ("float64", "int64", "bool") for v in node.inputs):
        return list(node.inputs)  # Python's numbers would take the dtype of others
    plain = [_unexpanded(v) for v in node.inputs]
    if all(v.type.ndim < node.outputs[0].type.ndim for v in plain):
        plain[0] = node.inputs[0]
    return plain


def _unexpanded(variable: Variable) -> Variable:
    owner = variable.owner
    is_expanded = owner is not None and isinstance(owner.op, DimShuffle) and owner.op.is_left_expand_dims
    return owner.inputs[0] if is_expanded else variable


def _function(op: ps.ScalarOp) -> Callable[..., Any] | None:
    """Return a function of arrays for an operation on numbers, or None if NumPy and SciPy have none."""
    for kind, function in FUNCTIONS.items():
        if isinstance(op, kind):
            return function
    name, *_ = getattr(op, "nfunc_spec", None) or (None,)
    return None if name is None else import_func_from_string(name if "." in name else f"numpy.{name}")


def _has_dtype(function: Callable[..., Any], node: Apply) -> bool:
    """Return whether a function has results of the dtype that PyTensor says, which computes on small integers in float32."""
    if _is_chain(node.op.scalar_op):
        return {v.type.dtype for v in node.inputs} == {node.outputs[0].type.dtype}  # in each part of it
    with np.errstate(all="ignore"):
        result = function(*(np.ones(1, v.type.dtype) for v in node.inputs))
    return bool(result.dtype == node.outputs[0].type.dtype)


def _number(op: ps.ScalarOp, function: Callable[..., Any], node: Apply, write: Writer) -> str:
    """Return the expression of a number that is computed from numbers."""
    (out,), names = node.outputs, [write.name(v) for v in node.inputs]
    dtypes = {v.type.dtype for v in node.inputs}
    if isinstance(op, ps.Switch):
        expression = f"({names[1]} if {names[0]} else {names[2]})"
        return expression if node.inputs[1].type.dtype == node.inputs[2].type.dtype else _typed(expression, out, write)
    if isinstance(op, ps.Invert) and out.type.dtype == "bool":
        return f"(not {names[0]})"
    is_plain = dtypes <= {"float64", "int64"} or (dtypes == {"bool"} == {out.type.dtype} and not _is_chain(op))
    if is_plain and type(op) in OPERATORS and len(names) > 1:
        sign = f" {OPERATORS[type(op)]} "
        while len(names) > TERMS_IN_A_LINE:
            names = [write.temporary(sign.join(names[:TERMS_IN_A_LINE])), *names[TERMS_IN_A_LINE:]]
        return f"({sign.join(names)})"
    called = write.reference(function)
    if isinstance(op, ps.TrueDiv) and is_plain:
        return f"({names[0]} / {names[1]})" if dtypes == {"float64"} else f"{called}({', '.join(names)})"
    if dtypes == {"float64"} == {out.type.dtype} and not _is_chain(op):
        return f"{called}({', '.join(names)})"
    names = _converted(op, node.inputs, node, write)
    if _is_chain(op):
        while len(names) > 1:
            names = [write.temporary(f"{called}({names[0]}, {names[1]})"), *names[2:]]
        return _typed(names[0], out, write)
    return _typed(f"{called}({', '.join(names)})", out, write)


def _typed(expression: str, out: Variable, write: Writer) -> str:
    """Return a number as it stands for a variable without dimensions."""
    dtype = np.dtype(out.type.dtype)
    return f"{write.reference({'b': bool, 'i': int, 'u': int}.get(dtype.kind, dtype.type))}({expression})"


@numpy_source.register(CAReduce)
def _reduce(op: CAReduce, node: Apply, write: Writer) -> str | None:
    (x,), (out,) = node.inputs, node.outputs
    if all(loop.startswith("O") for loop in op.ufunc.types):  # not NumPy's own
        write.perform(node)
        return None
    dtype = getattr(op, "acc_dtype", None) or out.type.dtype
    axis = op.axis[0] if op.axis is not None and len(op.axis) == 1 else op.axis
    expression = f"{write.reference(op.ufunc)}.reduce({write.name(x)}, {axis!r}{'' if dtype == x.type.dtype else f', {dtype!r}'})"
    if is_scalar(out):
        return expression if dtype == out.type.dtype == "float64" else _typed(expression, out, write)
    for i, j in enumerate(j for j in range(x.type.ndim) if j not in op.axis):
        write.lengths.join((out, i), (x, j))
    return Fresh(expression if dtype == out.type.dtype else f"{expression}.astype({out.type.dtype!r})")
