"""Classes that Ax's storage finds in a fresh process, and a small campaign for them."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pymc as pm
from ax.api.client import Client
from ax.api.configs import RangeParameterConfig
from botorch.utils.types import DEFAULT

import pymc_botorch
import pymc_botorch.ax
from pymc_botorch.shape import MonotoneGP

OPTIMIZER = {"num_restarts": 1, "raw_samples": 8}
PARAMETERS = [
    RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160)),
    RangeParameterConfig("depth", parameter_type="float", bounds=(2, 4)),
]
KINDS: dict[str, tuple[str, list[str]]] = {
    "single": ("harvest", []),
    "multi": ("harvest, -cost", []),
    "scalarised": ("2*harvest - cost", []),
    "constrained": ("harvest", ["cost <= 1.8"]),
}


class AbstractTrialGP:
    """Priors for the unit cube and standardised outcomes."""

    def build_gp(self, X: Any, y: Any, sigma: Any = None) -> pm.gp.Marginal:
        reach = pm.LogNormal("reach", -0.5, 0.7, dims="feature")
        noise = pm.LogNormal("noise", -3, 1) if sigma is None else sigma
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
        gp.marginal_likelihood("observed", X, y, sigma=noise)
        return gp


class TrialGP(AbstractTrialGP, pymc_botorch.PyMCGP):
    """At a point."""


class SampledGP(AbstractTrialGP, pymc_botorch.FullyBayesianPyMCGP):
    """Over draws."""


FIT_OPTIONS: dict[type, dict[str, Any]] = {
    TrialGP: {},
    SampledGP: {"num_draws": 3, "draws": 10, "tune": 20, "chains": 1, "target_accept": 0.95},
}


class FieldGP(pymc_botorch.PyMCGP):
    """Priors for the units of the experiment."""

    units = "natural"

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        reach = pm.LogNormal("reach", np.log([60, 0.5]), 0.5, dims="feature")  # kg/ha, cm
        noise = pm.LogNormal("noise", np.log(0.2), 0.5)  # t/ha
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8), cov_func=3**2 * pm.gp.cov.Matern52(2, ls=reach))
        gp.marginal_likelihood("observed", X, y, sigma=noise)
        return gp


class RisingTrialGP(pymc_botorch.FullyBayesianPyMCGP):
    """Harvest does not fall with the dose."""

    def build_gp(self, X: Any, y: Any) -> MonotoneGP:
        reach = pm.LogNormal("reach", -0.5, 0.5, dims="feature")
        gp = MonotoneGP(cov_func=pm.gp.cov.ExpQuad(2, ls=reach), increasing=[0])
        gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
        return gp


class VarietyGP(pymc_botorch.PyMCGP):
    """One column is the index of a variety."""

    def __init__(
        self,
        train_X: Any,
        train_Y: Any,
        train_Yvar: Any = None,
        outcome_transform: Any = DEFAULT,
        input_transform: Any = None,
        *,
        categorical_features: tuple[int, ...] = (),
    ) -> None:
        (self.variety,) = categorical_features
        super().__init__(train_X, train_Y, train_Yvar, outcome_transform, input_transform)

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        reach, noise = pm.LogNormal("reach", -0.5, 0.7), pm.LogNormal("noise", -3, 1)
        likeness = pm.gp.cov.Coregion(2, W=pm.Normal("W", 0, 1, shape=(3, 1)), kappa=np.full(3, 0.1), active_dims=[self.variety])
        gp = pm.gp.Marginal(cov_func=likeness * pm.gp.cov.Matern52(2, ls=reach, active_dims=[1 - self.variety]))
        gp.marginal_likelihood("observed", X, y, sigma=noise)
        return gp


class AnyGP(pymc_botorch.PyMCGP):
    """Of any columns, in the units of the experiment, with nothing to fit; it remembers which of them Ax calls categories."""

    units, reach = "natural", 200.0

    def __init__(
        self,
        train_X: Any,
        train_Y: Any,
        train_Yvar: Any = None,
        outcome_transform: Any = DEFAULT,
        input_transform: Any = None,
        *,
        categorical_features: Sequence[int] = (),
    ) -> None:
        super().__init__(train_X, train_Y, train_Yvar, outcome_transform, input_transform)
        self.categories = tuple(categorical_features)

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.LogNormal("variance", 0, 1) * pm.gp.cov.Matern52(X.type.shape[1], ls=self.reach))
        gp.marginal_likelihood("observed", X, y, sigma=0.5)
        return gp

    def fit(self) -> Self:
        return self


class AnyScaledGP(AnyGP):
    units, reach = "scaled", 1.0


def after(rows: Sequence[dict[str, Any]], client: Client, surrogate: Any, **options: Any) -> Client:
    """The client after a fit to rows of a design."""
    options = {"initialization_budget": 0, "optimizer_kwargs": OPTIMIZER, **options}
    client.set_generation_strategy(pymc_botorch.ax.generation_strategy(surrogate, **options))
    metrics = list(client._experiment.metrics)
    for k, row in enumerate(rows):
        client.complete_trial(
            client.attach_trial(row), raw_data={m: round(float(np.sin(3 * k + i)), 3) for i, m in enumerate(metrics)}
        )
    return fitted(client)


def fitted(client: Client) -> Client:
    """The client with its surrogate fitted as for a trial, without the search for one."""
    client._generation_strategy.fit(experiment=client._experiment)
    return client


def observe(parameters: dict[str, Any], metrics: tuple[str, ...] = ("harvest", "cost")) -> dict[str, float]:
    dose, depth = float(parameters["dose"]), float(parameters["depth"])
    truth = {"harvest": 11 - ((dose - 110) / 60) ** 2 - (depth - 3.2) ** 2, "cost": 0.01 * dose + 0.2 * depth}
    return {metric: round(truth[metric], 3) for metric in metrics}  # Ax stores data to ten digits


def metrics_of(kind: str) -> tuple[str, ...]:
    return ("harvest",) if kind == "single" else ("harvest", "cost")


def client_of(kind: str, surrogate: Any, **options: Any) -> Client:
    client = Client(random_seed=0, storage_config=options.pop("storage_config", None))
    client.configure_experiment(PARAMETERS, name="clover")
    objective, constraints = KINDS[kind]
    client.configure_optimization(objective, outcome_constraints=constraints)
    options = {"initialization_budget": 3, "seed": 1, "optimizer_kwargs": OPTIMIZER, **options}
    if isinstance(surrogate, type):
        options["fit_options"] = {**FIT_OPTIONS.get(surrogate, {}), **options.get("fit_options", {})}
    client.set_generation_strategy(pymc_botorch.ax.generation_strategy(surrogate, **options))
    return client


def run(client: Client, kind: str, trials: int) -> Client:
    for _ in range(trials):
        for index, parameters in client.get_next_trials(max_trials=1).items():
            client.complete_trial(index, raw_data=observe(parameters, metrics_of(kind)))
    return client
