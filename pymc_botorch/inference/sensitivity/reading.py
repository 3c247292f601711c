"""A gp of a PyMC model, or a built gp, as expressions of its parameters and data."""

__all__ = ["Expressions", "read_built_gp", "read_gp"]

import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.variable import TensorConstant

from pymc_botorch.errors import DataError
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fitted import read_fitted_graphs
from pymc_botorch.inference.points import model_in_context
from pymc_botorch.inference.sensitivity.graph import SensitivityGraph, SensitivityInputs, read_sensitivity_graph
from pymc_botorch.inference.sensitivity.kinks import check_kinks
from pymc_botorch.inference.sensitivity.quantity import Quantity
from pymc_botorch.inference.training_data import TrainingData


class Expressions(NamedTuple):
    """A model as expressions, and where their data come from.

    Attributes:
        pm_model: The PyMC model.
        graph: Its expressions.
        inputs: Their data.
    """

    pm_model: pm.Model
    graph: SensitivityGraph
    inputs: SensitivityInputs


_known: weakref.WeakKeyDictionary[BuiltGP, dict[tuple[str, ...], tuple[SensitivityGraph, SensitivityInputs]]] = (
    weakref.WeakKeyDictionary()
)


def read_gp(gp: pm.gp.Marginal, wrt: Sequence[str], *, model: pm.Model | None, quantity: Quantity | None = None) -> Expressions:
    """Return the expressions of a gp's model.

    Args:
        gp: A gp whose ``marginal_likelihood`` was called in ``model``.
        wrt: What derivatives will be taken with respect to: names of ``pm.Data``; ``"X"`` and ``"y"`` are the gp's own.
        model: The PyMC model; None takes the one in context.
        quantity: A number that is asked about, or None.

    Raises:
        UnsupportedGPError: If ``gp`` is of a class that has no Gaussian marginal likelihood.
        DataError: If gp and model do not fit together, there are no data of a name in ``wrt``, or no derivatives in ``X``.
    """
    pm_model = model_in_context(model)
    if isinstance(gp, pm.gp.Marginal) and getattr(gp, "X", None) is None:
        raise DataError(
            "The gp has no likelihood. Call gp.marginal_likelihood(...) in the PyMC model first; of a sum of gps, pass "
            "the one that has it."
        )
    (fitted, known), *_ = read_fitted_graphs(gp, pm_model, None, inputs_transformed=True)
    named = {name: pt.as_tensor_variable(getattr(gp, name)) for name in ("X", "y") if hasattr(gp, name)}
    for name, variable in named.items():
        if isinstance(variable, TensorConstant) and variable.data.size == 1 and (name in wrt or not wrt):
            raise DataError(f"The model has {name} as an array of one number, which counts as part of it. Make it pm.Data.")
    sources = {**known, **named}
    named |= {"sigma": known["sigma"]} if "sigma" in known else {}
    graph, inputs = read_sensitivity_graph(pm_model, fitted.graph, fitted.data, sources, named, wrt, quantity)
    if inputs.X in graph.wrt:
        check_kinks(fitted.graph.rough, fitted.X)
    return Expressions(pm_model, graph, replace(inputs, computes_inputs=fitted.raw_X is not None))


def read_built_gp(built: BuiltGP, data: TrainingData, wrt: Sequence[str], *, quantity: Quantity | None = None) -> Expressions:
    """Return the expressions of a built gp given data, of which ``wrt`` are ``"X"``, ``"y"`` or ``"sigma"``, the known sds."""
    pm_model, function = built.scales.pm_model, built.function
    leaves: dict[str, Variable] = {"X": pm_model["train_X"], "y": pm_model["train_Y"]}
    if data.sigma is not None:
        leaves["sigma"] = pm_model["train_sd"]
    every: dict[str, Variable] = {**leaves, "n": pm_model.dim_lengths["obs_id"], "d": pm_model.dim_lengths["feature"]}
    sources = {name: every[role] for name, role in function.roles.items()}
    values = {every[role]: data.value(role) for role in {*function.roles.values(), *built.objective_roles.values()}}
    arguments = pm_model, function.graph, function.data, sources, leaves, wrt
    known = _known.setdefault(built, {})
    if quantity is not None:
        graph, inputs = read_sensitivity_graph(*arguments, quantity, values)
    else:
        if tuple(wrt) not in known:
            known[tuple(wrt)] = read_sensitivity_graph(*arguments)
        graph, inputs = known[tuple(wrt)]
    given = {key: values[leaf] for key, leaf in inputs.leaves.items() if leaf in values}
    return Expressions(pm_model, graph, replace(inputs, values={**inputs.values, **given}))
