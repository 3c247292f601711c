"""A posterior graph comes in, three compiled functions go out, cut where the new inputs enter.

Pay once for what the new inputs ``X`` do not change (the Cholesky factor, the weights)::

    posterior = compiled.condition(values)

and use often, for ``b`` batches of ``q`` points at a time::

    mean, cov, saved = posterior.moments(X)                # b x q, b x q x q
    X_bar = posterior.vjp(X, mean_bar, cov_bar, saved)     # b x q x d

If ``s = <mean_bar, mean(X)> + <cov_bar, cov(X)>``, then ``X_bar = ds/dX``. PyTensor differentiates the matrix graph of one
batch; the result is then vectorised. ``saved`` are the triangular solves of the moments, which the gradient needs again.
``n``, ``b`` and ``q`` are dynamic: new sizes compile nothing.
"""

__all__ = ["CompiledPosterior", "ConditionedPosterior", "CutPosterior", "boundary_of", "compile_posterior"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Self

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.config import Linker, Tier
from pymc_botorch.errors import FitError
from pymc_botorch.graph.functions import Arrays, Compiled, as_input, compile_function
from pymc_botorch.graph.posterior import PosteriorGraph
from pymc_botorch.graph.rewrites import (
    fold_batches,
    lift_subscripts,
    solve_smaller_side,
    weights_before_solves,
)
from pymc_botorch.graph.traversal import descendants, is_solve, nodes_between

_rows_lock = Lock()


@dataclass(frozen=True)
class CutPosterior:
    """Posterior mean and covariance as expressions of new inputs ``X`` and of the frozen arrays only."""

    X: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    frozen: Sequence[TensorVariable]


@dataclass(eq=False)
class CompiledPosterior:
    """The compiled functions of one posterior graph; models, refits and threads share it.

    Attributes:
        graph: What was compiled.
        linker: How.
        tier: How it was asked for.
        answered: Called with the values of the graph's inputs after moments were computed, where someone wants to know.
    """

    graph: PosteriorGraph
    linker: Linker
    _condition: Compiled
    _moments: Compiled
    _vjp: Compiled
    _cut: "CutPosterior"
    tier: Tier | None = None
    answered: Callable[[Sequence[np.ndarray]], None] | None = None

    @cached_property
    def _rows(self) -> tuple[Compiled, Compiled]:
        """The functions of :meth:`ConditionedPosterior.rows` and its pullback, compiled when first asked for."""
        with _rows_lock:  # one thread compiles, others find what it left
            if "_rows" not in self.__dict__:
                self.__dict__["_rows"] = compile_rows(self._cut, self.linker)
            return self.__dict__["_rows"]

    def condition(self, values: Sequence[np.ndarray]) -> "ConditionedPosterior":
        """Return the posterior for a value of each of ``graph.inputs``.

        Raises:
            FitError: If the training covariance cannot be factorised.
        """
        inputs = [as_input(value, variable.type.dtype) for value, variable in zip(values, self.graph.inputs, strict=True)]
        noise, *frozen = self._condition(*inputs)
        if not all(np.isfinite(array).all() for array in frozen):
            raise FitError(
                "The training covariance is not positive definite with these hyperparameters. Pass a larger jitter (1e-6 is "
                "PyMC's default) or noise, or a point whose scales are not zero or infinite."
            )
        frozen = [as_input(array, array.dtype.name) for array in frozen]
        return ConditionedPosterior(self, noise, tuple(frozen), tuple(inputs))

    def exercise(self, values: Sequence[np.ndarray]) -> None:
        """Call each function once, on values of ``graph.inputs``: Numba compiles at the first call."""
        posterior = self.condition(values)
        X = np.zeros((1, 1, self.graph.X.type.shape[1]))
        mean, cov, saved = posterior.moments(X)
        posterior.vjp(X, mean, cov, saved)
        mean, rows = posterior.rows(X, 1)
        posterior.rows_vjp(X, 1, mean, rows)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: compiled functions hold no state of a model."""
        return self


@dataclass(frozen=True)
class ConditionedPosterior:
    """A posterior given data and parameters: moments at any new inputs, and their pullback.

    Attributes:
        compiled: The compiled functions.
        noise: Variance of the training observations: a scalar, or ``n`` where it differs between them.
        frozen: What the new inputs do not change; None computes it at each call, for who has too many posteriors to keep it.
        values: The data and parameters, as the compiled functions take them.
        offset: With ``scale``, the affine map of the outcome that means and covariances are reported in.
        scale: See ``offset``; ``noise`` is not scaled.
    """

    compiled: CompiledPosterior
    noise: np.ndarray
    frozen: Arrays | None
    values: Arrays
    offset: float = 0.0
    scale: float = 1.0

    @property
    def nbytes(self) -> int:
        """Memory of what is kept for new inputs."""
        return sum(array.nbytes for array in self.frozen or ())

    def without_frozen(self) -> Self:
        """Return the posterior that keeps data and parameters only: a small one, whose calls factorise."""
        return replace(self, frozen=None)

    @property
    def _frozen(self) -> Arrays:
        return self.compiled.condition(self.values)._frozen if self.frozen is None else self.frozen

    def moments(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray, Arrays]:
        """Return mean ``b x q``, covariance ``b x q x q`` and the solves that :meth:`vjp` needs, for ``X`` ``b x q x d``."""
        mean, cov, *saved = self.compiled._moments(as_input(X), *self._frozen)
        if self.compiled.answered is not None:
            self.compiled.answered(self.values)
        if self.scale != 1.0 or self.offset != 0.0:
            mean, cov = self.offset + self.scale * mean, self.scale**2 * cov
        return mean, cov, tuple(saved)

    def vjp(self, X: np.ndarray, mean_bar: np.ndarray, cov_bar: np.ndarray, saved: Arrays) -> np.ndarray:
        """Return ``X_bar``, ``b x q x d``: the gradient of ``<mean_bar, mean(X)> + <cov_bar, cov(X)>``."""
        if self.scale != 1.0:
            mean_bar, cov_bar = self.scale * mean_bar, self.scale**2 * cov_bar
        bars = as_input(mean_bar), as_input(cov_bar)
        return self.compiled._vjp(as_input(X), *bars, *map(as_input, saved), *self._frozen)[0]

    def rows(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean ``b x q`` and the last ``k`` rows of the covariance, ``b x k x q``, for ``X`` ``b x q x d``."""
        mean, rows = self.compiled._rows[0](as_input(X), np.asarray(k), *self._frozen)
        return self.offset + self.scale * mean, self.scale**2 * rows

    def rows_vjp(self, X: np.ndarray, k: int, mean_bar: np.ndarray, rows_bar: np.ndarray) -> np.ndarray:
        """Return ``X_bar``, ``b x q x d``: the gradient of ``<mean_bar, mean(X)> + <rows_bar, rows(X, k)>``."""
        bars = as_input(self.scale * mean_bar), as_input(self.scale**2 * rows_bar)
        return self.compiled._rows[1](as_input(X), np.asarray(k), *bars, *self._frozen)[0]

    def __deepcopy__(self, memo: dict) -> Self:
        """Return itself: it is never changed."""
        return self


def compile_posterior(graph: PosteriorGraph, linker: Linker) -> CompiledPosterior:
    """Return the compiled functions of a posterior graph.

    Args:
        graph: Posterior mean and covariance at symbolic inputs.
        linker: See :class:`pymc_botorch.config.Config`.
    """
    X, mean_bar, cov_bar = graph.X, pt.vector("mean_bar", dtype="float64"), pt.matrix("cov_bar", dtype="float64")
    mean, cov = weights_before_solves([graph.mean, graph.cov], X)
    X_bar = _pull_back(X, {mean: mean_bar, cov: cov_bar})

    boundary = boundary_of([X, mean_bar, cov_bar], [mean, cov, X_bar])
    frozen = [variable.type(f"frozen_{i}") for i, variable in enumerate(boundary)]
    mean, cov, X_bar = graph_replace([mean, cov, X_bar], dict(zip(boundary, frozen, strict=True)), strict=False)
    solves = [node.outputs[0] for node in nodes_between([mean, cov]) if is_solve(node) and node.outputs[0].type.ndim == 2]
    # LAPACK returns them in Fortran order, so it is their transposes that are C-contiguous without a copy
    saved = [pt.matrix(f"saved_{i}", dtype="float64", shape=solve.type.shape[::-1]) for i, solve in enumerate(solves)]
    X_bar = graph_replace(X_bar, {solve: kept.mT for solve, kept in zip(solves, saved, strict=True)}, strict=False)

    batch = _batched([X, mean_bar, cov_bar, *saved])
    outputs = fold_batches(vectorize_graph([mean, cov, *(solve.mT for solve in solves)], {X: batch[X]}))
    (gradient,) = fold_batches(vectorize_graph([X_bar], batch))
    return CompiledPosterior(
        graph,
        linker,
        compile_function(graph.inputs, [graph.noise, *boundary], linker),
        compile_function([batch[X], *frozen], outputs, linker),
        compile_function([*batch.values(), *frozen], [gradient], linker),
        CutPosterior(X, mean, cov, frozen),
    )


def compile_rows(cut: CutPosterior, linker: Linker) -> tuple[Compiled, Compiled]:
    """Return ``(X, k, *frozen) -> mean, rows`` and its pullback ``(X, k, mean_bar, rows_bar, *frozen) -> X_bar``.

    ``rows`` are the last ``k`` rows of the covariance, ``b x k x q``. The subscript is moved to the inputs before anything
    is differentiated, and ``(L⁻¹ B)ᵀ (L⁻¹ A)`` becomes ``(L⁻ᵀ L⁻¹ B)ᵀ A``, so that the cost is that of ``k`` columns, not
    of ``q``; with ``k = 0`` it is that of the mean alone.
    """
    k, mean_bar, rows_bar = pt.lscalar("k"), pt.vector("mean_bar", dtype="float64"), pt.matrix("rows_bar", dtype="float64")
    X = cut.X
    mean, rows = solve_smaller_side(lift_subscripts([cut.mean, cut.cov[X.shape[0] - k :, :]]))
    X_bar = _pull_back(X, {mean: mean_bar, rows: rows_bar})
    batch = _batched([X, mean_bar, rows_bar])
    outputs = fold_batches(vectorize_graph([mean, rows], {X: batch[X]}))
    (gradient,) = fold_batches(vectorize_graph([X_bar], batch))
    forward = compile_function([batch[X], k, *cut.frozen], outputs, linker)
    return forward, compile_function([batch[X], k, batch[mean_bar], batch[rows_bar], *cut.frozen], [gradient], linker)


def _pull_back(X: TensorVariable, known: Mapping[Variable, Variable]) -> TensorVariable:
    """Return the gradient in ``X``, given those in the outputs."""
    return pt.grad(None, X, known_grads=known, return_disconnected="zero", disconnected_inputs="ignore")


def _batched(variables: Sequence[Variable]) -> dict[Variable, Variable]:
    """Return a variable with a leading batch dimension for each."""
    return {v: pt.tensor(v.name, dtype=v.type.dtype, shape=(None, *v.type.shape)) for v in variables}


def boundary_of(sources: Sequence[Variable], outputs: Sequence[Variable]) -> list[Variable]:
    """Return what the part of the graph that depends on ``sources`` reads from the part that does not.

    Views are left on the live side, so that a matrix and its transpose are one variable.
    """
    live = descendants(sources, outputs)
    nodes = nodes_between(outputs)
    constant: set[Variable] = set()
    for node in nodes:
        if all(isinstance(v, Constant) or v in constant for v in node.inputs):
            constant.update(node.outputs)
    found: dict[Variable, None] = {}
    for node in nodes:
        for variable in node.inputs if not live.isdisjoint(node.outputs) else ():
            while variable not in live and variable.owner is not None and isinstance(variable.owner.op, DimShuffle):
                variable = variable.owner.inputs[0]
            if variable not in live and variable not in constant and not isinstance(variable, Constant):
                found[variable] = None
    return list(found)
