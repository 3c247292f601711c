"""What operations over batches become: one call where NumPy has batches itself, otherwise a loop."""

__all__: list[str] = []

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.tensor.basic import AllocDiag
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.linalg.solvers.triangular import SolveTriangular
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.type import tensor

from pymc_botorch.graph.compiling.ops import FactorPullback, Product, pulled_back_through_factor
from pymc_botorch.graph.numpy_source.linalg import all_solved, factors
from pymc_botorch.graph.numpy_source.writer import Fresh, Writer, numpy_source


@numpy_source.register(Blockwise)
def _blockwise(op: Blockwise, node: Apply, write: Writer) -> str | None:
    names = [write.name(v) for v in node.inputs]
    _check_batches(op, node, write)
    if isinstance(op.core_op, Dot | Product):
        return Fresh(f"{write.reference(np.matmul)}({', '.join(names)})")
    if isinstance(op.core_op, Cholesky) and node.inputs[0].type.dtype == "float64":
        return Fresh(f"{write.reference(factors)}({names[0]}, {op.core_op.lower})")
    if isinstance(op.core_op, SolveTriangular) and {v.type.dtype for v in node.inputs} == {"float64"}:
        options = f"{op.core_op.lower}, {op.core_op.unit_diagonal}, {op.core_op.b_ndim}"
        return Fresh(f"{write.reference(all_solved)}({', '.join(names)}, {options})")
    if isinstance(op.core_op, FactorPullback):
        return Fresh(f"{write.reference(pulled_back_through_factor)}({', '.join(names)})")
    if isinstance(op.core_op, AllocDiag) and (op.core_op.offset, len(op.inputs_sig[0])) == (0, 1):
        return Fresh(f"{write.reference(_diagonal_matrices)}({names[0]})")
    dimensions = [len(signature) for signature in op.inputs_sig]
    if isinstance(op.core_op, AdvancedSubtensor) and _is_one_table(op.core_op, node, dimensions):
        batches = node.inputs[0].type.ndim - dimensions[0]
        return Fresh(f"{names[0]}[{', '.join(['0'] * batches + names[1:])}]")
    loop = write.reference(_batched(_core_function(op, node, write), dimensions))
    results = write.temporary(f"{loop}({', '.join(names)})")
    for i, out in enumerate(node.outputs):
        write.assign(out, write.as_number(f"{results}[{i}]", out))
    return None


def _diagonal_matrices(x: np.ndarray) -> np.ndarray:
    """Return matrices ``... x m x m`` with the diagonals ``x``."""
    matrices = np.zeros((*x.shape, x.shape[-1]), x.dtype)
    np.einsum("...ii->...i", matrices)[...] = x
    return matrices


def _check_batches(op: Blockwise, node: Apply, write: Writer) -> None:
    """Write checks that batches have equal lengths where they are not to be broadcast."""
    for i in range(op.batch_ndim(node)):
        write.check_axes([(v, i) for v in node.inputs if not v.type.broadcastable[i]])


def _is_one_table(op: AdvancedSubtensor, node: Apply, dimensions: Sequence[int]) -> bool:
    """Return whether entries of one array without batches are looked up, each by indices of all its dimensions."""
    table, *indices = node.inputs
    batches = table.type.ndim - dimensions[0]
    looked_up = len(op.idx_list) == dimensions[0] and all(isinstance(entry, int) for entry in op.idx_list)
    return looked_up and all(table.type.broadcastable[:batches]) and len({index.type.ndim for index in indices}) == 1


def _core_function(op: Blockwise, node: Apply, write: Writer) -> Callable[..., list[Any]]:
    """Return the function of one element of a batch."""
    inputs: list[Variable] = [
        tensor(dtype=v.type.dtype, shape=v.type.shape[v.type.ndim - len(signature) :])
        for v, signature in zip(node.inputs, op.inputs_sig, strict=True)
    ]
    outputs = op.core_op.make_node(*inputs).outputs
    core = Writer(inputs, outputs, FunctionGraph(inputs, outputs, clone=False).toposort())
    write.fallbacks += core.fallbacks
    return core.function()


def _batched(function: Callable[..., list[Any]], dimensions: Sequence[int]) -> Callable[..., list[np.ndarray]]:
    """Return a function that calls another for each element of a batch.

    Args:
        function: Takes arrays with these numbers of dimensions.
        dimensions: For each argument.
    """

    def batched(*arrays: np.ndarray) -> list[np.ndarray]:
        shapes = [array.shape[: array.ndim - k] for array, k in zip(arrays, dimensions, strict=True)]
        batches = np.broadcast_shapes(*shapes)
        full = [
            np.broadcast_to(array, (*batches, *array.shape[len(shape) :])) for array, shape in zip(arrays, shapes, strict=True)
        ]
        results = [function(*(array[index] for array in full)) for index in np.ndindex(batches)]
        if not results:  # the shapes of no results are those of one
            results = [function(*(np.zeros(array.shape[len(batches) :], array.dtype) for array in full))]
            return [np.empty((*batches, *np.shape(result)), result.dtype) for result in results[0]]
        return [np.stack(each).reshape((*batches, *np.shape(each[0]))) for each in zip(*results, strict=True)]

    return batched
