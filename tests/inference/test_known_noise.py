"""Known arrays in the noise: tables of multipliers, sds of each observation, and arrays that cannot follow other data."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch.models.transforms import Standardize

from pymc_botorch import PyMCGP


class NaturalGP(PyMCGP):
    units = "natural"


TABLE = np.array([1.0, 2.0, 3.5])
BASE = 0.3
SD = np.linspace(0.1, 0.4, 12)
ROUNDING = 1e-12

type Noise = Callable[[Any, np.ndarray], Any]
"""Function of the model's ``X`` and the assay of each observation."""


def base() -> Any:
    return pm.HalfNormal("base", 1)


def data(n: int) -> tuple[np.ndarray, np.ndarray]:
    assay = np.arange(n) % 3
    X = np.column_stack([np.linspace(0, 1, n), assay])
    y = np.sin(5 * X[:, 0]) + 0.2 * assay
    return X, (y - y.mean()) / y.std(ddof=1)


def with_noise(write: Noise, n: int) -> Callable:
    assay = data(n)[0][:, 1].astype(int)

    def build_gp(X: Any, y: Any) -> pm.gp.Marginal:
        scale = pm.HalfNormal("scale")
        gp = pm.gp.Marginal(cov_func=scale * pm.gp.cov.Matern52(2, ls=0.5, active_dims=[0]))
        gp.marginal_likelihood("y", X, y, sigma=write(X, assay))
        return gp

    return build_gp


def assay_of(X: Any) -> Any:
    return X[:, 1].astype("int64")


@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize(
    "write",
    [
        lambda X, _: base() * pt.as_tensor(TABLE)[assay_of(X)],
        lambda X, _: base() * pt.as_tensor(TABLE, dtype="float32")[assay_of(X)],
        lambda X, _: base() * pm.Data("multipliers", TABLE)[assay_of(X)],
        lambda X, _: base() * pt.switch(pt.eq(X[:, 1], 0), TABLE[0], pt.switch(pt.eq(X[:, 1], 1), TABLE[1], TABLE[2])),
    ],
    ids=["table", "float32", "pm.Data", "switch"],
)
def test_multipliers_that_are_looked_up_follow_data_of_any_number(write: Noise, n: int) -> None:
    X, y = map(torch.from_numpy, data(n))
    model = NaturalGP(X, y[:, None], build_gp=with_noise(write, n))
    sd = float(model.point["base"])
    np.testing.assert_allclose(model.likelihood.noise, (sd * TABLE[X[:, 1].long()]) ** 2, rtol=ROUNDING)
    model.set_train_data(X[[1, 0]], y[:2], strict=False)
    np.testing.assert_allclose(model.likelihood.noise, (sd * TABLE[[1, 0]]) ** 2, rtol=ROUNDING)


FIXED: dict[str, Noise] = {
    "a table of another length": lambda X, _: pt.as_tensor(TABLE),
    "known sds": lambda X, _: pt.as_tensor(SD),
    "known sds, NumPy": lambda X, _: SD,
    "known sds, pm.Data": lambda X, _: pm.Data("sds", SD),
    "known sds in WhiteNoise": lambda X, _: pm.gp.cov.WhiteNoise(SD),
    "known sds times a parameter": lambda X, _: base() * pt.as_tensor(SD),
    "known sds plus a function of X": lambda X, _: 0.1 * X[:, 0] + SD,
    "a table looked up by a known index": lambda X, assay: base() * pt.as_tensor(TABLE)[assay],
    "multipliers computed in NumPy": lambda X, assay: base() * TABLE[assay],
    "a parameter for each": lambda X, _: pm.HalfNormal("sds", shape=12),
}


@pytest.mark.parametrize("kind", FIXED)
def test_noise_of_fixed_length_in_a_builder_is_refused_and_told_what_to_write(kind: str) -> None:
    X, y = map(torch.from_numpy, data(12))
    model = NaturalGP(X, y[:, None], build_gp=with_noise(FIXED[kind], 12))
    with pytest.raises(ValueError, match=r"(?s)noise.*Pass known sds as their squares, train_Yvar.*look multipliers up"):
        _ = model.point


def from_fitted(write: Noise, point: dict[str, float], n: int) -> PyMCGP:
    X, y = data(n)
    standardize = Standardize(1)
    standardize(torch.from_numpy(y)[:, None])
    with pm.Model():
        gp = with_noise(write, n)(pm.Data("X", X), pm.Data("y_data", y))
        return PyMCGP.from_fitted(gp, {"scale": 1.0, **point}, outcome_transform=standardize.eval())


def sds_of(assay: np.ndarray) -> np.ndarray:
    """Known sds of as many observations."""
    return SD[: len(assay)]


AMBIGUOUS = r"known array times parameters \(base\)"

IN_OTHER_UNITS: dict[str, tuple[Noise, dict[str, float], float, str | None]] = {
    "known sds": (lambda X, assay: sds_of(assay), {}, 0.5, None),
    "a table of known sds": (lambda X, assay: pt.as_tensor(TABLE)[assay], {}, 0.5, None),
    "a table of known sds by a column": (lambda X, _: pt.as_tensor(TABLE)[assay_of(X)], {}, 0.5, None),
    "known sds, and multipliers by a column": (lambda X, assay: pt.as_tensor(TABLE)[assay_of(X)] * sds_of(assay), {}, 0.5, None),
    "a table of multipliers": (lambda X, assay: base() * pt.as_tensor(TABLE)[assay], {"base": BASE}, 1.0, None),
    "a table of multipliers by a column": (lambda X, _: base() * pt.as_tensor(TABLE)[assay_of(X)], {"base": BASE}, 1.0, None),
    "an array times a parameter": (lambda X, assay: base() * sds_of(assay), {"base": BASE}, 0.5, AMBIGUOUS),
}


@pytest.mark.parametrize("n", [3, 12])
@pytest.mark.parametrize("kind", IN_OTHER_UNITS)
def test_known_sds_have_the_units_of_the_outcome_and_multipliers_have_none(kind: str, n: int) -> None:
    write, point, factor, warning = IN_OTHER_UNITS[kind]
    model = from_fitted(write, point, n)
    before = model.likelihood.noise.numpy()
    state = model.state_dict()
    state["outcome_transform.stdvs"] = 2 * state["outcome_transform.stdvs"]
    state["outcome_transform._stdvs_sq"] = 4 * state["outcome_transform._stdvs_sq"]
    with pytest.warns(UserWarning, match=warning) if warning else nullcontext():
        model.load_state_dict(state)
    np.testing.assert_allclose(model.likelihood.noise, factor**2 * before, rtol=ROUNDING)


def test_known_sds_beside_a_parameter_have_its_units() -> None:
    model = from_fitted(lambda X, assay: pt.sqrt(sds_of(assay) ** 2 + base() ** 2), {"base": BASE}, 12)
    state = model.state_dict()
    state["outcome_transform.stdvs"] = 2 * state["outcome_transform.stdvs"]
    state["outcome_transform._stdvs_sq"] = 4 * state["outcome_transform._stdvs_sq"]
    model.load_state_dict(state)
    np.testing.assert_allclose(model.likelihood.noise, (SD / 2) ** 2 + BASE**2, rtol=ROUNDING)


def test_fewer_data_than_known_sds_are_refused_in_words() -> None:
    model = from_fitted(lambda X, assay: base() * X[:, 0] + sds_of(assay), {"base": BASE}, 12)
    X, y = model.train_inputs[0], model.train_targets
    with pytest.raises(ValueError, match=r"noise cannot be computed for 11 observations .*Pass data of the same length"):
        model.set_train_data(X[1:], y[1:], strict=False)
