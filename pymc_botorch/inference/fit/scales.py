"""Maps between the constrained and the unconstrained parameters of a PyMC model, and points to start from.

Constrained values are those of the random variables, as users of PyMC write them; unconstrained ones are those of the value
variables, of which the log density is a function.
"""

__all__ = ["Layout", "Scales"]

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import RLock
from typing import Any, Protocol

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.continuous import FlatRV, HalfFlatRV
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import collect_default_updates, reseed_rngs
from pytensor.compile.mode import Mode
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace, vectorize_graph
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.compiling.functions import AS_WRITTEN, QUICK
from pymc_botorch.graph.posterior.cut import batched
from pymc_botorch.graph.rewrites.plain import inline_inner_graphs
from pymc_botorch.inference.points import read_point

type Arrays = list[np.ndarray]

POINTS_AT_ONCE = 1000
"""Number of points that are recorded in one call: the intermediate values of more take memory."""


class Layout:
    """Positions of the unconstrained parameters in one vector of ``D`` numbers.

    Attributes:
        owners: Name of the parameter that each number belongs to, ``D``.
    """

    def __init__(self, names: Sequence[str], like: Sequence[np.ndarray]) -> None:
        self._shapes = [np.shape(part) for part in like]
        self._ends = np.cumsum([np.size(part) for part in like]).tolist()
        self.owners = [name for name, part in zip(names, like, strict=True) for _ in range(np.size(part))]

    def split(self, u: np.ndarray) -> Arrays:
        """Return the parameters in a vector, each in its own shape."""
        parts = zip(self._shapes, [0, *self._ends], self._ends, strict=False)
        return [u[start:end].reshape(shape) for shape, start, end in parts]

    def split_all(self, U: np.ndarray) -> Arrays:
        """Return the parameters in many vectors ``S x D``, each ``S x`` its own shape."""
        parts = zip(self._shapes, [0, *self._ends], self._ends, strict=False)
        return [U[:, start:end].reshape(len(U), *shape) for shape, start, end in parts]

    def join_all(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return parameters ``S x`` their own shape as vectors ``S x D``."""
        return np.column_stack([np.reshape(part, (len(part), -1)) for part in parts])


class HasParameters(Protocol):
    """Expressions of unconstrained parameters and data."""

    @property
    def parameters(self) -> Mapping[str, Variable]:
        """Unconstrained parameters, by the name of their random variable."""

    @property
    def data(self) -> Mapping[str, Variable]:
        """Symbolic data, by name."""


class Scales:
    """Maps between the scales of one model's parameters, compiled for Python when first used.

    Attributes:
        pm_model: The model.
        names: Names of its free random variables.
        transformed: Whether each of them has a transform.
        priors_need_data: Whether the prior of any of them depends on the training data.
        improper: Names of those with an improper prior.

    The argument ``data`` of the methods has one value for each of the objective's data.
    """

    def __init__(
        self, pm_model: pm.Model, graph: HasParameters, sources: Mapping[str, Variable], changing: Sequence[Variable]
    ) -> None:
        self.priors_need_data = not set(changing).isdisjoint(ancestors(pm_model.free_RVs))
        self.improper = tuple(rv.name for rv in pm_model.free_RVs if _is_improper(rv))
        self.transformed = [pm_model.rvs_to_transforms[rv] is not None for rv in pm_model.free_RVs]
        self.names = [rv.name for rv in pm_model.free_RVs]
        self.pm_model, self._data = pm_model, list(graph.data.values())
        self._leaves = {sources[name]: variable for name, variable in graph.data.items()}
        self._unconstrained = list(graph.parameters.values())
        self._lock = RLock()  # PyTensor functions share storage between threads

    def read(self, point: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return the constrained values of a point that is given in any form that :func:`read_point` takes.

        Raises:
            DataError: If the point does not fit the model.
        """
        if isinstance(point, dict) and set(point) == set(self.names):
            return {name: np.asarray(point[name], dtype=np.float64) for name in self.names}
        return read_point(self.pm_model, point, self.names)

    def constrained(self, unconstrained: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the constrained values of a point, by name."""
        with self._lock:
            return dict(zip(self.names, self._to_constrained(*unconstrained, *data), strict=True))

    def unconstrained(self, point: Mapping[str, np.ndarray], data: Sequence[np.ndarray]) -> Arrays:
        """Return the unconstrained values of a point of constrained ones."""
        with self._lock:
            return self._to_unconstrained(*(point[name] for name in self.names), *data)

    def unconstrained_all(self, draws: Mapping[str, np.ndarray], data: Sequence[np.ndarray]) -> Arrays:
        """Return the unconstrained values ``S x ...`` of draws of constrained ones, ``S x ...``."""
        with self._lock:
            return self._all_to_unconstrained(*(draws[name] for name in self.names), *data)

    def support_point(self, data: Sequence[np.ndarray]) -> Arrays:
        """Return PyMC's initial point, unconstrained."""
        with self._lock:
            return self._support_point(*data)

    def draws(self, k: int, seed: int, data: Sequence[np.ndarray]) -> list[Arrays]:
        """Return ``k`` prior draws, unconstrained; improper priors have no draws, and give PyMC's initial point."""
        with self._lock:
            function, rngs = self._draw
            reseed_rngs(rngs, seed)
            return [function(*data) for _ in range(k)]

    def recorded(self, unconstrained: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the constrained values of points ``S x ...`` and their deterministics, by name: what PyMC's samplers record."""
        count = len(unconstrained[0])
        blocks = [slice(i, i + POINTS_AT_ONCE) for i in range(0, count, POINTS_AT_ONCE)]
        with self._lock:
            found = [self._recorded(*(part[block] for part in unconstrained), *data) for block in blocks]
        arrays = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        return dict(zip([rv.name for rv in self._variables], arrays, strict=True))

    @cached_property
    def proper(self) -> frozenset[str]:
        """Names of what is recorded and has a prior that can be drawn from: no improper one is among its ancestors."""
        improper = {rv for rv in self.pm_model.free_RVs if _is_improper(rv)}
        return frozenset(rv.name for rv in self._variables if improper.isdisjoint(ancestors([rv])))

    @cached_property
    def _variables(self) -> list[TensorVariable]:
        """The parameters, and the deterministics that do not depend on the observations."""
        observed = set(self.pm_model.observed_RVs)
        deterministics = [rv for rv in self.pm_model.deterministics if observed.isdisjoint(ancestors([rv]))]
        return [*self.pm_model.free_RVs, *deterministics]

    @cached_property
    def _recorded(self) -> pytensor.compile.Function:
        outputs = [pt.as_tensor(one) for one in self.pm_model.replace_rvs_by_values(self._variables)]
        many = batched(self._unconstrained)
        count = next(iter(many.values())).shape[0]
        vectorized = [
            one if one.type.ndim > output.type.ndim else pt.stack([one]).repeat(count, axis=0)  # it depends on no parameter
            for one, output in zip(vectorize_graph(outputs, many), outputs, strict=True)
        ]
        return self.compile(vectorized, list(many.values()))

    @cached_property
    def _to_constrained(self) -> pytensor.compile.Function:
        constrained = self.pm_model.replace_rvs_by_values(list(self.pm_model.free_RVs))
        return self.compile(constrained, self._unconstrained)

    @cached_property
    def _to_unconstrained(self) -> pytensor.compile.Function:
        symbols = {rv: rv.type(rv.name) for rv in self.pm_model.free_RVs}
        forward = graph_replace(self._forward(), symbols, strict=False)
        return self.compile(forward, list(symbols.values()))

    @cached_property
    def _all_to_unconstrained(self) -> pytensor.compile.Function:
        symbols = {rv: rv.type(rv.name) for rv in self.pm_model.free_RVs}
        many = batched(list(symbols.values()))
        forward = graph_replace(self._forward(), symbols, strict=False)
        return self.compile(vectorize_graph(forward, many), list(many.values()))

    @cached_property
    def _support_point(self) -> pytensor.compile.Function:
        return self.compile(self._initial_point(transformed=True), [])

    @cached_property
    def _draw(self) -> tuple[pytensor.compile.Function, list[Variable]]:
        free_RVs = self.pm_model.free_RVs
        improper = [rv for rv in free_RVs if _is_improper(rv)]
        initial = dict(zip(free_RVs, self._initial_point(transformed=False), strict=True))
        outputs = self._forward()
        if improper:
            outputs = graph_replace(outputs, {rv: initial[rv] for rv in improper}, strict=False)
        rngs = [
            v for v in ancestors(outputs) if isinstance(v, pytensor.compile.SharedVariable) and isinstance(v.type, RandomType)
        ]
        updates = collect_default_updates(outputs=outputs, inputs=self._data)
        plain = inline_inner_graphs([*outputs, *updates.values()], all_kinds=True)  # PyTensor's rewrites need not do it then
        outputs, updates = plain[: len(outputs)], dict(zip(updates, plain[len(outputs) :], strict=True))
        return self.compile(outputs, [], updates, AS_WRITTEN), rngs

    def _forward(self) -> list[TensorVariable]:
        """Return the unconstrained values as expressions of the random variables."""
        transforms = self.pm_model.rvs_to_transforms
        return [rv if transforms[rv] is None else transforms[rv].forward(rv, *rv.owner.inputs) for rv in self.pm_model.free_RVs]

    def _initial_point(self, *, transformed: bool) -> list[TensorVariable]:
        """Return PyMC's initial point as expressions."""
        pm_model = self.pm_model
        return make_initial_point_expression(
            free_rvs=pm_model.free_RVs,
            rvs_to_transforms=pm_model.rvs_to_transforms,
            initval_strategies=pm_model.rvs_to_initial_values,
            return_transformed=transformed,
        )

    def compile(
        self,
        outputs: Sequence[Variable],
        inputs: Sequence[Variable],
        updates: Mapping[Variable, Variable] | None = None,
        mode: Mode = QUICK,
    ) -> pytensor.compile.Function:
        """Return the function of inputs and data that has these outputs of the PyMC model."""
        outputs = [pt.as_tensor(output).astype("float64") for output in outputs]
        replacements = {}
        for leaf in ancestors(outputs):
            for source, symbol in self._leaves.items():
                # PyMC clones data when it makes initial points: a clone shares the container of the original
                if leaf is source or getattr(leaf, "container", leaf) is getattr(source, "container", source):
                    replacements[leaf] = symbol
        if replacements:
            outputs = graph_replace(outputs, replacements, strict=False)
        return pytensor.function(
            [*inputs, *self._data], outputs, updates=updates, mode=mode, on_unused_input="ignore", allow_input_downcast=True
        )


def _is_improper(rv: TensorVariable) -> bool:
    return isinstance(rv.owner.op, FlatRV | HalfFlatRV)
