"""The number whose expectation is asked for, as an expression of a model's value variables, its data and its new inputs."""

__all__ = ["ASKED_AT", "PlacedQuantity", "Quantity"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.replace import clone_replace, graph_replace
from pytensor.graph.traversal import ancestors
from pytensor.tensor.variable import TensorVariable

from pymc_botorch.errors import DataError
from pymc_botorch.graph.compiling.functions import QUICK
from pymc_botorch.graph.gps.values import constant_value, is_data
from pymc_botorch.graph.posterior.new_inputs import find_new_inputs, mark_new_inputs
from pymc_botorch.graph.posterior.symbolic import SymbolicPosterior

type PosteriorAt = Callable[[Any], SymbolicPosterior]
"""Returns mean and covariance at new inputs ``q x d``."""

type AskedAt = Literal["fixed", "moves"]

ASKED_AT = ("fixed", "moves")


@dataclass(frozen=True)
class PlacedQuantity:
    """A quantity whose new inputs are told from the training inputs.

    Attributes:
        expression: A scalar, of the model's value variables, its data and ``symbols``.
        symbols: Symbols for new inputs that stay where they are, by name.
        values: Their values, ``q x d`` each.
        leaves: The model's own data that are new inputs.
    """

    expression: TensorVariable
    symbols: Mapping[str, TensorVariable]
    values: Mapping[str, np.ndarray]
    leaves: Sequence[Variable]


@dataclass(frozen=True)
class Quantity:
    """A number that a user asks about.

    Attributes:
        f: Name of a variable of the model, a scalar expression of its variables, or a function that returns one, given a function
            of new inputs (None for the training inputs) that returns the posterior there.
        asked_at: Whether new inputs that are the training inputs stay where they are (``"fixed"``) or move with them.
        units: Symbols that ``f`` has of its own, by name.
        values: Their values.
    """

    f: str | TensorVariable | Callable[[PosteriorAt], TensorVariable]
    asked_at: AskedAt = "fixed"
    units: Mapping[str, TensorVariable] = field(default_factory=dict)
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.asked_at not in ASKED_AT:
            raise DataError(f"X_new is {self.asked_at!r}. Pass 'fixed', or 'moves' for new inputs that are the training inputs.")
        if not (isinstance(self.f, str | TensorVariable) or callable(self.f)):
            raise DataError(
                f"f is a {type(self.f).__name__}. Pass the name of a variable of the model, a scalar expression of its "
                "variables, or a function f(posterior) that returns one."
            )

    def placed(
        self,
        pm_model: pm.Model,
        posterior_at: PosteriorAt,
        X: Variable | None,
        asked: Sequence[Variable],
        known: Mapping[Variable, np.ndarray],
    ) -> PlacedQuantity:
        """Return the expression with new inputs as it is to have them.

        Args:
            pm_model: The model.
            posterior_at: Returns the posterior at symbolic new inputs, as expressions of the model's value variables.
            X: Training inputs in the model; None where it has no single matrix of them.
            asked: Data that derivatives are taken with respect to.
            known: Values of data in place of those that the model holds.

        Raises:
            DataError: If ``f`` is no scalar of real numbers, or nothing moves.
        """
        expression = self._expression(pm_model, posterior_at, X)
        replaced, symbols, values = dict[Variable, Variable](), dict[str, TensorVariable](), dict[str, np.ndarray]()
        leaves, moving = list[Variable](), False
        asked = [leaf for leaf in asked if leaf is not X]
        for marked in find_new_inputs([expression]):
            (source,) = marked.owner.inputs
            if not is_data(source):
                continue  # where parameters say
            if source in asked:
                leaves.append(source)
                continue
            if X is not None and _is_at(source, X, known):
                moving = True
                if self.asked_at == "moves":
                    replaced |= {} if _depends_on(source, [X]) else {marked: X.astype("float64")}
                    continue
            elif _depends_on(source, asked):
                continue
            name = f"X_new_{len(symbols)}"
            values[name] = _value(source, known)
            symbols[name] = replaced[marked] = pt.tensor(name, dtype="float64", shape=_static(source, values[name]))
        if self.asked_at == "moves" and not moving:
            raise DataError(
                "X_new is 'moves', but f asks for no prediction at the training inputs. Pass 'fixed', or predict at the X of the "
                "gp's likelihood by pymc_botorch.symbolic_posterior."
            )
        if replaced:  # not strict: a symbol of any number of points takes the place of an array of some
            (expression,) = clone_replace([expression], replaced, rebuild_strict=False)
        return PlacedQuantity(expression, symbols, values, leaves)

    def _expression(self, pm_model: pm.Model, posterior_at: PosteriorAt, X: Variable | None) -> TensorVariable:
        """Return ``f`` as a scalar expression of value variables and data."""
        if isinstance(self.f, str):
            found = pm_model.named_vars.get(self.f)
            if found is None:
                raise DataError(f"f is {self.f!r}, but the PyMC model has {', '.join(pm_model.named_vars)} only.")
        elif isinstance(self.f, TensorVariable):
            found = self.f
        else:
            found = _called(self.f, posterior_at, X)
        if found.type.ndim or found.type.dtype not in ("float32", "float64"):
            raise DataError(
                f"f is of type {found.type}. Pass one real number, for example the mean at one point, "
                "symbolic_posterior(gp, X_new).mean[0]; of what is true or false or a count, a smooth version."
            )
        (expression,) = pm_model.replace_rvs_by_values([found.astype("float64")])
        return expression


def _called(f: Callable[[PosteriorAt], Any], posterior_at: PosteriorAt, X: Variable | None) -> TensorVariable:
    def at(X_new: Any = None) -> SymbolicPosterior:
        if X_new is None and X is None:
            raise DataError("The gp has no single matrix of training inputs. Pass new inputs to posterior(X_new), q x d.")
        new = pt.as_tensor_variable(X if X_new is None else X_new)
        if new.type.ndim != 2:
            raise DataError(f"posterior(X_new) has X_new of type {new.type}. Pass a q x d matrix.")
        try:
            return posterior_at(mark_new_inputs(new.astype("float64")))
        except TypeError as error:  # of a replacement with another number of columns
            raise DataError(f"posterior(X_new) has X_new of type {new.type}. Pass as many columns as the gp's X.") from error

    found = f(at)
    if not isinstance(found, TensorVariable):
        raise DataError(
            f"f(posterior) returned a {type(found).__name__}. Return one PyTensor number, for example "
            "lambda posterior: posterior(X_new).mean[0]."
        )
    return found


def _is_at(source: Variable, X: Variable, known: Mapping[Variable, np.ndarray]) -> bool:
    """Return whether new inputs are, or are computed from, the training inputs."""
    return _depends_on(source, [X]) or np.array_equal(_value(source, known), _value(X, known))


def _depends_on(source: Variable, leaves: Sequence[Variable]) -> bool:
    """Return whether an expression depends on data that others depend on too; equal arrays are told from each other."""
    needed = {leaf for leaf in ancestors(list(leaves)) if leaf.owner is None and not isinstance(leaf, Constant)}
    return not needed.union(leaves).isdisjoint(ancestors([source]))


def _value(source: Variable, known: Mapping[Variable, np.ndarray]) -> np.ndarray:
    """Return the value of an expression of data."""
    if source in known:
        return np.asarray(known[source], dtype=np.float64)
    if (held := constant_value(source)) is None:
        given = {
            leaf: pt.constant(value, dtype=leaf.type.dtype) for leaf, value in known.items() if isinstance(value, np.ndarray)
        }
        (source,) = graph_replace([source], given, strict=False)
        held = source.eval(mode=QUICK)
    return np.array(held, dtype=np.float64)


def _static(source: Variable, value: np.ndarray) -> tuple[int | None, ...]:
    """Return the static shape of a symbol for new inputs, of any number unless it is one for sure."""
    return 1 if source.type.shape[0] == 1 else None, value.shape[1]
