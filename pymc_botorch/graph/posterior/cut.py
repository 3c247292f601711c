"""Posterior graph cut where the new inputs enter: frozen arrays, and moments as functions of these and the new inputs."""

__all__ = [
    "CutPosterior",
    "batched",
    "boundary_of",
    "cut_posterior",
    "frozen_arrays",
    "noise_of_data",
    "pull_back",
    "signs_of_data",
    "subscripts_at",
    "subscripts_of_data",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import graph_replace
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compiling.functions import Compilable
from pymc_botorch.graph.gps.posterior_graph import PosteriorGraph
from pymc_botorch.graph.posterior.subscripts import Subscript, read_subscripts
from pymc_botorch.graph.rewrites.cost import weights_before_solves
from pymc_botorch.graph.rewrites.differentiable import differentiable, with_marked_distances, without_zero_steps
from pymc_botorch.graph.rewrites.distance import expand_distances
from pymc_botorch.graph.rewrites.subscripts import slice_columns
from pymc_botorch.graph.traversal import descendants, nodes_between


@dataclass(frozen=True)
class CutPosterior:
    """Posterior mean and covariance at new inputs ``X``, as expressions of ``X`` and the frozen arrays only.

    Builds first say how distances are computed, by :meth:`expanded`.

    Attributes:
        X: New inputs, ``q x d``.
        mean: Posterior mean, ``q``.
        cov: Posterior covariance, ``q x q``.
        frozen: Symbols of what ``X`` does not change: the Cholesky factor, the weights.
        boundary: The expressions of data, noise and parameters that ``frozen`` stand for.
        inputs: Symbols of data and parameters.
        noise: The noise of the training observations, as an expression of ``inputs``.
        given_noise: The symbol that stands for its value in ``boundary``.
        subscripts: Subscripts that are taken from ``X``, as expressions of ``X`` and ``inputs``.
        data_subscripts: Those that are taken from data.
        signs: Mean, covariance and prior sds of derivatives that have a sign, as expressions of ``inputs`` and ``given_noise``.
    """

    X: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    frozen: Sequence[TensorVariable]
    boundary: Sequence[Variable]
    inputs: Sequence[Variable]
    noise: TensorVariable
    given_noise: TensorVariable
    subscripts: Sequence[Subscript]
    data_subscripts: Sequence[Subscript]
    signs: Sequence[TensorVariable] = ()

    def expanded(self, *, exact: bool) -> Self:
        """Return the same with distances written out.

        Args:
            exact: Whether second derivatives are right; else values and first ones are, in less time.
        """
        mean, cov = expand_distances([self.mean, self.cov], exact=exact)
        return replace(self, mean=mean, cov=cov)


def cut_posterior(graph: PosteriorGraph) -> CutPosterior:
    """Return a posterior graph in two parts: one evaluated once for data and parameters, one at each set of new inputs."""
    outputs = weights_before_solves(slice_columns(with_marked_distances([graph.mean, graph.cov])), graph.X)
    boundary = boundary_of([graph.X], outputs)
    frozen = [variable.type(f"frozen_{i}") for i, variable in enumerate(boundary)]
    mean, cov = graph_replace(outputs, dict(zip(boundary, frozen, strict=True)), strict=False)
    (noise,) = differentiable([graph.noise])
    exact = expand_distances(boundary, exact=True)
    return CutPosterior(
        graph.X,
        mean,
        cov,
        frozen,
        exact,
        graph.inputs,
        noise,
        graph.given_noise,
        read_subscripts([graph.mean, graph.cov], [graph.X]),
        read_subscripts(graph.outputs, list(graph.data.values())),
        () if graph.signs is None else differentiable([graph.signs.mean, graph.signs.cov, graph.signs.scale]),
    )


def noise_of_data(cut: CutPosterior) -> Compilable:
    """Build ``data, parameters -> noise`` of the training observations: one sd, ``n`` sds or a covariance ``n x n``."""
    return cut.inputs, [cut.noise]


def frozen_arrays(cut: CutPosterior) -> Compilable:
    """Build ``data, parameters, noise -> frozen arrays``, which holds the one factorisation."""
    return [*cut.inputs, cut.given_noise], cut.boundary


def signs_of_data(cut: CutPosterior) -> Compilable:
    """Build ``data, parameters, noise -> mean, covariance, prior sds`` of the derivatives that have a sign, times it."""
    return [*cut.inputs, cut.given_noise], without_zero_steps(cut.signs)


def subscripts_at(cut: CutPosterior) -> Compilable:
    """Build ``X, data, parameters -> subscripts, lengths`` of what they go along, at new inputs ``N x d``."""
    return [cut.X, *cut.inputs], [*(s.index for s in cut.subscripts), *(s.length for s in cut.subscripts)]


def subscripts_of_data(cut: CutPosterior) -> Compilable:
    """Build ``data, parameters -> subscripts, lengths`` of what they go along, of the training data."""
    return cut.inputs, [*(s.index for s in cut.data_subscripts), *(s.length for s in cut.data_subscripts)]


def pull_back(X: TensorVariable, known: Mapping[Variable, Variable]) -> TensorVariable:
    """Return the gradient with respect to ``X``, given those with respect to the outputs."""
    return pt.grad(None, X, known_grads=known, return_disconnected="zero", disconnected_inputs="ignore")


def batched(variables: Sequence[Variable]) -> dict[Variable, Variable]:
    """Return, for each variable, one with a leading batch dimension."""
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
