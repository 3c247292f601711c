"""How expectations under the posterior draws of a model made from data move with the raw data."""

__all__ = ["expectation_gradient_of_model"]

from collections.abc import Sequence
from typing import Any

import numpy as np

from pymc_botorch.inference.sampling.idata import SampleRecord
from pymc_botorch.inference.sensitivity.columns import Columns
from pymc_botorch.inference.sensitivity.control_variates import Order
from pymc_botorch.inference.sensitivity.derivatives import Derivatives, read_derivatives_of_built
from pymc_botorch.inference.sensitivity.draws import PosteriorDraws, read_weights
from pymc_botorch.inference.sensitivity.expectation import expectation_gradient_over
from pymc_botorch.inference.sensitivity.quantity import AskedAt, Quantity
from pymc_botorch.inference.sensitivity.result import ExpectationGradient
from pymc_botorch.inference.sensitivity.units import NewInputs, quantity_in_units
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.errors import InvalidDataError, botorch_errors
from pymc_botorch.models.fully_bayesian import FullyBayesianPyMCGP
from pymc_botorch.models.sensitivity.raw_data import RawData


def expectation_gradient_of_model(
    model: FullyBayesianPyMCGP, f: Any, wrt: Sequence[str], asked_at: AskedAt, order: Order
) -> ExpectationGradient:
    """Return the derivatives of an expectation under all draws of a model's last fit, with their weights, in its raw data.

    Raises:
        UnsupportedError: If the model was made by ``from_fitted`` or conditioned on more observations, or its outcomes are
            transformed by other than offset and scale.
        InputDataError: If it has no draws of these data, there are no data of a name in ``wrt``, or ``f`` is no number.
    """
    built, data = model.read_built()
    sample, raw = _sample(model, data), RawData(model)
    raw.check(wrt, built.function.graph.rough)
    new_inputs = NewInputs(raw.inputs, raw.num_inputs, [(raw.values["X"], data.X)])
    with botorch_errors():
        if callable(f):
            quantity = quantity_in_units(f, asked_at, new_inputs, *raw.units)
        elif isinstance(f, str):
            quantity = Quantity(f, asked_at)
        else:
            raise InvalidDataError(
                f"f is a {type(f).__name__}. Pass the name of a variable of the model, or a function f(posterior) that returns a "
                "number, for example lambda posterior: posterior(X_new).mean[0]."
            )
        seen = [*(name for name in ("X", "y", "sigma") if name in raw.values), *quantity.units]
        derivatives = read_derivatives_of_built(built, data, seen, jacobian=True, quantity=quantity)
        columns = _columns(raw, wrt, derivatives, new_inputs)
        return expectation_gradient_over(derivatives, _draws(sample), order, columns)


def _sample(model: FullyBayesianPyMCGP, data: TrainingData) -> SampleRecord:
    sample = model.state.sample
    if sample is None:
        raise InvalidDataError("The model has no draws of a fit. Call model.fit() first.")
    given = zip((sample.data.X, sample.data.y, sample.data.sigma), (data.X, data.y, data.sigma), strict=True)
    if not all(np.array_equal(one, two) if one is not None and two is not None else one is two for one, two in given):
        raise InvalidDataError("The draws are of other training data than the model has now. Call model.fit() again.")
    return sample


def _draws(sample: SampleRecord) -> PosteriorDraws:
    """Return the draws of a fit; runs that are independent are chains."""
    draws = sample.draws
    count, chains = len(draws.log_weights), max(draws.chains, draws.runs)
    weights = None if np.ptp(draws.log_weights) == 0 else read_weights(np.exp(draws.log_weights), count)
    sizes = {"chain": chains, "draw": count // chains}
    return PosteriorDraws(draws.unconstrained, weights, chains, sizes, draws.efficiency)


def _columns(raw: RawData, wrt: Sequence[str], derivatives: Derivatives, new_inputs: NewInputs) -> Columns:
    """Return the raw data and new inputs, and the derivatives in these of what the gp sees."""
    new = [new_inputs.raw(seen) for seen in derivatives.new_inputs]
    known = [X for X in new if X is not None]
    seen = {name: derivatives.values[name] for name in derivatives.wrt}
    X_new = np.concatenate(known) if known else None
    rows = []
    for name, values in seen.items():
        for k in range(values.size):
            rows.append(_pulled(raw, wrt, {name: _unit(values.shape, k)}, X_new))
    start = 0
    for X, values in zip(new, derivatives.new_inputs, strict=True):
        for k in range(values.size):
            if X is None or X_new is None:
                rows.append(np.zeros_like(rows[0]))
                continue
            bar = np.zeros((len(X_new), values.shape[1]))
            bar[start : start + len(X)].flat[k] = 1.0
            rows.append(_pulled(raw, wrt, {"X_new": bar}, X_new))
        start += 0 if X is None else len(X)
    shapes = [raw.values[name].shape for name in wrt]
    return Columns(tuple(wrt), shapes, [X.shape for X in known], "X" if "X" in wrt else None, np.stack(rows))


def _pulled(raw: RawData, wrt: Sequence[str], bars: dict[str, np.ndarray], X_new: np.ndarray | None) -> np.ndarray:
    no_change = {"X": np.zeros(raw.values["X"].shape)}  # units of an outcome that is not transformed depend on nothing
    pulled = raw.pull({**no_change, **bars}, X_new)
    return np.concatenate([np.ravel(pulled[name]) for name in (*wrt, *(["X_new"] if X_new is not None else []))])


def _unit(shape: tuple[int, ...], k: int) -> np.ndarray:
    unit = np.zeros(shape)
    unit.flat[k] = 1.0
    return unit
