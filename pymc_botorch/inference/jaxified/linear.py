"""Functions of JAX whose derivatives are PyTensor's: forwards, backwards and batched, to second order.

JAX's ``custom_jvp`` has one rule, whose tangent JAX transposes; what is computed on the way would be differentiated by JAX, from
PyTensor's expressions, which is silently wrong (they have zero steps of a Taylor polynomial). ``custom_vjp`` has no forward
mode. So a derivative at ``a`` is a primitive of JAX: a map that is linear in ``x``, with its transpose, its batches, and its own
derivative in ``a``, which is bilinear in ``x`` and a direction ``s``. With ``F`` the function, these are (see ``Levels``)::

    pushed(a; x),  derivative second_pushed(a; x, s),  transposed in x: pulled(a; c)
    pulled(a; x),  derivative second_pulled(a; x, s),  transposed in x: pushed(a; t)
    second_pushed(a; x, s), transposed in x: second_pulled(a; c, s), in s: second_pulled(a; c, x)
    second_pulled(a; x, s), transposed in x: second_pushed(a; t, s), in s: second_pulled(a; x, t)

A derivative of the last two in ``a`` is refused.
"""

__all__ = ["differentiable"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from pymc_botorch.inference.jaxified.levels import JaxFunction, Levels

type Arrays = Sequence[jax.Array]

THIRD = (
    "Third derivatives of a gp's density or predictions are asked for, and there are two. Keep what is not to be differentiated "
    "out of them by jax.lax.stop_gradient."
)


class _Arguments(NamedTuple):
    """Arguments of a map.

    Attributes:
        a: Where the derivative is taken: floats, then integers.
        x: What the map is linear in: tangents of the floats, or if it is transposed, cotangents of the outputs.
        s: Direction of the floats, of a second derivative; else empty.
    """

    a: Sequence[Any]
    x: Sequence[Any]
    s: Sequence[Any]


@dataclass(frozen=True)
class _Derivative:
    """First or second derivative of a function, as a map.

    Attributes:
        levels: The function.
        order: 1 or 2.
        is_transposed: Whether it maps cotangents.
        axes: For each batch dimension, the first that was added first, its position in each of ``a``, or None. Other arguments
            and what the map returns have it in front.
    """

    levels: Levels
    order: int = 1
    is_transposed: bool = False
    axes: tuple[tuple[int | None, ...], ...] = ()

    def split(self, arguments: Sequence[Any]) -> _Arguments:
        start = len(self.levels.inputs)
        end = len(arguments) - (len(self.levels.floats) if self.order == 2 else 0)
        return _Arguments(arguments[:start], arguments[start:end], arguments[end:])

    def __call__(self, *arguments: jax.Array) -> tuple[jax.Array, ...]:
        function = self._function()
        rest = len(arguments) - len(self.levels.inputs)
        for axes in self.axes:
            function = jax.vmap(function, in_axes=(*axes, *(0,) * rest))
        return tuple(function(*arguments))

    def shape_of_one(self, shape: Sequence[int], i: int) -> tuple[int, ...]:
        """Return the shape of the ``i``-th of ``a`` without its batch dimensions."""
        lengths = list(shape)
        for axes in reversed(self.axes):
            if (axis := axes[i]) is not None:
                del lengths[axis]
        return tuple(lengths)

    def batches_in_front(self, array: jax.Array, i: int, shape: Sequence[int]) -> jax.Array:
        """Return an array that is like the ``i``-th of ``a`` with batch dimensions as ``shape`` has them, in front."""
        for position, axes in enumerate(reversed(self.axes)):
            if (axis := axes[i]) is None:
                repeated = (*array.shape[:position], shape[position], *array.shape[position:])
                array = jnp.broadcast_to(jnp.expand_dims(array, position), repeated)
            else:
                array = jnp.moveaxis(array, position + axis, position)
        return array

    def _function(self) -> JaxFunction:
        if self.order == 2:
            return self.levels.second_pulled if self.is_transposed else self.levels.second_pushed
        return self.levels.pulled if self.is_transposed else self.levels.pushed


def _bind(derivative: _Derivative, *groups: Sequence[Any]) -> list[Any]:
    arrays = [ad.instantiate_zeros(array) for group in groups for array in group]
    found: list[Any] = _map.bind(*arrays, derivative=derivative)
    return found


@partial(jax.jit, static_argnames="derivative")
def _computed(*arguments: jax.Array, derivative: _Derivative) -> tuple[jax.Array, ...]:
    return derivative(*arguments)


def _shapes(*arguments: Any, derivative: _Derivative) -> list[Any]:
    """Return what the map returns in abstract, from the function alone: its derivatives are made only where they are computed."""
    a, x, _ = derivative.split(arguments)
    single = [jax.ShapeDtypeStruct(derivative.shape_of_one(one.shape, i), one.dtype) for i, one in enumerate(a)]
    like = (
        single[: len(derivative.levels.floats)] if derivative.is_transposed else jax.eval_shape(derivative.levels.value, *single)
    )
    lead = x[0].shape[: len(derivative.axes)]
    return [jax.core.ShapedArray((*lead, *one.shape), one.dtype) for one in like]


def _tangent(primals: Arrays, tangents: Sequence[Any], *, derivative: _Derivative) -> tuple[Any, Any]:
    a, x, s = derivative.split(primals)
    along = derivative.split(tangents)
    terms = []
    if _has_tangents(along.x):
        terms.append(_bind(derivative, a, along.x, s))
    if _has_tangents(along.s):
        terms.append(_bind(derivative, a, x, along.s))
    if _has_tangents(along.a):
        if derivative.order == 2:
            raise NotImplementedError(THIRD)
        floats = [ad.instantiate_zeros(one) for one in along.a[: len(derivative.levels.floats)]]
        direction = [derivative.batches_in_front(one, i, x[0].shape) for i, one in enumerate(floats)]
        terms.append(_bind(replace(derivative, order=2), a, x, direction))
    return _bind(derivative, primals), [sum(parts[1:], parts[0]) for parts in zip(*terms, strict=True)]


def _has_tangents(tangents: Sequence[Any]) -> bool:
    return any(type(tangent) is not ad.Zero for tangent in tangents)


def _transpose(bars: Sequence[Any], *arguments: Any, derivative: _Derivative) -> list[Any]:
    a, x, s = derivative.split(arguments)
    other = replace(derivative, is_transposed=not derivative.is_transposed)
    if not any(map(ad.is_undefined_primal, s)):
        return [*[None] * len(a), *_wanted(_bind(other, a, bars, s), x), *[None] * len(s)]
    found = _bind(derivative, a, x, bars) if derivative.is_transposed else _bind(other, a, bars, x)
    return [*[None] * (len(a) + len(x)), *_wanted(found, s)]


def _wanted(found: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    return [one if ad.is_undefined_primal(argument) else None for one, argument in zip(found, arguments, strict=True)]


def _batch(arguments: Arrays, axes: Sequence[int | None], *, derivative: _Derivative) -> tuple[Any, list[int]]:
    n = len(derivative.levels.inputs)
    size = next(one.shape[axis] for one, axis in zip(arguments, axes, strict=True) if axis is not None)
    in_front = [batching.bdim_at_front(one, axis, size) for one, axis in zip(arguments[n:], axes[n:], strict=True)]
    found = _bind(replace(derivative, axes=(*derivative.axes, tuple(axes[:n]))), arguments[:n], in_front)
    return found, [0] * len(found)


_map = Primitive("pytensor_derivative")
_map.multiple_results = True
_map.def_impl(_computed)
_map.def_abstract_eval(_shapes)
ad.primitive_jvps[_map] = _tangent
ad.primitive_transposes[_map] = _transpose
batching.primitive_batchers[_map] = _batch
mlir.register_lowering(_map, mlir.lower_fun(_computed, multiple_results=True))


def differentiable(levels: Levels) -> Callable[[Arrays, Arrays], tuple[jax.Array, ...]]:
    """Return ``floats, others -> outputs``, a function that JAX may differentiate twice, in the floats."""
    value = jax.jit(lambda *inputs: tuple(levels.value(*inputs)))

    def computed(floats: Arrays, others: Arrays) -> tuple[jax.Array, ...]:
        outputs: tuple[jax.Array, ...] = value(*floats, *others)
        return outputs

    def with_tangent(primals: tuple[Arrays, Arrays], tangents: tuple[Arrays, Arrays]) -> Any:
        return exported(primals[0], primals[1]), tuple(_bind(_Derivative(levels), *primals, tangents[0]))

    exported: Callable[[Arrays, Arrays], tuple[jax.Array, ...]] = (with_rule := jax.custom_jvp(computed))
    with_rule.defjvp(with_tangent)
    return exported
