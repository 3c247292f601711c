"""A PyMC model comes in, the ways between its natural and its unconstrained parameters go out, and points to start from."""

__all__ = ["Layout", "Scales"]

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.distributions.continuous import FlatRV, HalfFlatRV
from pymc.initial_point import make_initial_point_expression
from pymc.pytensorf import collect_default_updates, reseed_rngs
from pytensor.graph.basic import Variable
from pytensor.graph.replace import graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.likelihoods import QUICK
from pymc_botorch.inference.objective import ObjectiveGraph
from pymc_botorch.inference.points import read_point

type Arrays = list[np.ndarray]


class Layout:
    """How one vector of ``D`` numbers holds the unconstrained parameters.

    Attributes:
        owners: ``D``, the parameter that each number belongs to.
    """

    def __init__(self, names: Sequence[str], like: Sequence[np.ndarray]) -> None:
        self._shapes = [np.shape(part) for part in like]
        self._ends = np.cumsum([np.size(part) for part in like]).tolist()
        self.owners = [name for name, part in zip(names, like, strict=True) for _ in range(np.size(part))]

    def split(self, u: np.ndarray) -> Arrays:
        """Return the parameters of a vector, each in its shape."""
        parts = zip(self._shapes, [0, *self._ends], self._ends, strict=False)
        return [u[start:end].reshape(shape) for shape, start, end in parts]


class Scales:
    """Small functions of one model, compiled by Python when first asked for; each takes values of the objective's data.

    Natural are the values of the random variables, unconstrained those of the density's arguments.
    """

    def __init__(
        self, pm_model: pm.Model, graph: ObjectiveGraph, sources: Mapping[str, Variable], changing: Sequence[Variable]
    ) -> None:
        self.priors_need_data = not set(changing).isdisjoint(ancestors(pm_model.free_RVs))
        self.transformed = [pm_model.rvs_to_transforms[rv] is not None for rv in pm_model.free_RVs]
        self.names = [rv.name for rv in pm_model.free_RVs]
        self.pm_model, self._data = pm_model, list(graph.data.values())
        self._leaves = {sources[name]: variable for name, variable in graph.data.items()}
        self._unconstrained = list(graph.parameters.values())
        self._lock = RLock()  # PyTensor functions share storage between threads

    def read(self, point: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return a value for each parameter, from a point as people have it.

        Raises:
            DataError: If it does not fit the model.
        """
        if isinstance(point, dict) and set(point) == set(self.names):
            return {name: np.asarray(point[name], dtype=np.float64) for name in self.names}
        return read_point(self.pm_model, point, self.names)

    def natural(self, unconstrained: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the natural values of a point, by name."""
        with self._lock:
            return dict(zip(self.names, self._to_natural(*unconstrained, *data), strict=True))

    def unconstrained(self, natural: Mapping[str, np.ndarray], data: Sequence[np.ndarray]) -> Arrays:
        """Return the unconstrained values of a point."""
        with self._lock:
            return self._to_unconstrained(*(natural[name] for name in self.names), *data)

    def support_point(self, data: Sequence[np.ndarray]) -> Arrays:
        """Return PyMC's initial point, unconstrained."""
        with self._lock:
            return self._support_point(*data)

    def draws(self, k: int, seed: int, data: Sequence[np.ndarray]) -> list[Arrays]:
        """Return ``k`` prior draws, unconstrained; of variables that cannot be drawn, PyMC's initial point."""
        with self._lock:
            function, rngs = self._draw
            reseed_rngs(rngs, seed)
            return [function(*data) for _ in range(k)]

    def recorded(self, unconstrained: Sequence[np.ndarray], data: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return the natural values of a point and of the model's deterministics, by name: what PyMC's samplers record."""
        with self._lock:
            names, function = self._recorded
            return dict(zip(names, function(*unconstrained, *data), strict=True))

    @cached_property
    def _recorded(self) -> tuple[list[str], pytensor.compile.Function]:
        model = self.pm_model
        observed = set(model.observed_RVs)
        known = [rv for rv in model.deterministics if observed.isdisjoint(ancestors([rv]))]
        variables = [*model.free_RVs, *known]
        return [rv.name for rv in variables], self._compile(model.replace_rvs_by_values(variables), self._unconstrained)

    @cached_property
    def _to_natural(self) -> pytensor.compile.Function:
        natural = self.pm_model.replace_rvs_by_values(list(self.pm_model.free_RVs))
        return self._compile(natural, self._unconstrained)

    @cached_property
    def _to_unconstrained(self) -> pytensor.compile.Function:
        symbols = {rv: rv.type(rv.name) for rv in self.pm_model.free_RVs}
        forward = graph_replace(self._forward(), symbols, strict=False)
        return self._compile(forward, list(symbols.values()))

    @cached_property
    def _support_point(self) -> pytensor.compile.Function:
        return self._compile(self._start(transformed=True), [])

    @cached_property
    def _draw(self) -> tuple[pytensor.compile.Function, list[Variable]]:
        model = self.pm_model
        flat = [rv for rv in model.free_RVs if isinstance(rv.owner.op, FlatRV | HalfFlatRV)]
        support = dict(zip(model.free_RVs, self._start(transformed=False), strict=True))
        outputs = graph_replace(self._forward(), {rv: support[rv] for rv in flat}, strict=False) if flat else self._forward()
        rngs = [
            v for v in ancestors(outputs) if isinstance(v, pytensor.compile.SharedVariable) and isinstance(v.type, RandomType)
        ]
        updates = collect_default_updates(outputs=outputs, inputs=self._data)
        return self._compile(outputs, [], updates), rngs

    def _forward(self) -> list[TensorVariable]:
        """Return the unconstrained values as expressions of the random variables."""
        transforms = self.pm_model.rvs_to_transforms
        return [rv if transforms[rv] is None else transforms[rv].forward(rv, *rv.owner.inputs) for rv in self.pm_model.free_RVs]

    def _start(self, *, transformed: bool) -> list[TensorVariable]:
        model = self.pm_model
        return make_initial_point_expression(
            free_rvs=model.free_RVs,
            rvs_to_transforms=model.rvs_to_transforms,
            initval_strategies=model.rvs_to_initial_values,
            return_transformed=transformed,
        )

    def _compile(
        self, outputs: Sequence[Variable], inputs: Sequence[Variable], updates: Mapping[Variable, Variable] | None = None
    ) -> pytensor.compile.Function:
        outputs = [pt.as_tensor(output).astype("float64") for output in outputs]
        known = {}
        for leaf in ancestors(outputs):  # PyMC clones them where it makes initial points; what a clone holds is shared
            for source, symbol in self._leaves.items():
                if leaf is source or getattr(leaf, "container", leaf) is getattr(source, "container", source):
                    known[leaf] = symbol
        if known:
            outputs = graph_replace(outputs, known, strict=False)
        return pytensor.function(
            [*inputs, *self._data], outputs, updates=updates, mode=QUICK, on_unused_input="ignore", allow_input_downcast=True
        )
