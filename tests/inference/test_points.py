"""Points as people have them."""

import arviz as az
import numpy as np
import pymc as pm
import pytest
from zoo import POINT, marginal

from pymc_botorch.errors import DataError
from pymc_botorch.inference.points import read_point

NAMES = ["ell", "eta", "mu", "sigma"]


@pytest.fixture(scope="module")
def pm_model() -> pm.Model:
    pm_model = marginal().pm_model
    with pm_model:
        pm.Deterministic("twice", 2 * pm_model["eta"])
    return pm_model


def same(got: dict, expected: dict = POINT) -> None:
    assert set(got) == set(NAMES)
    for name in NAMES:
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-12)


def test_what_find_map_returns_is_a_point(pm_model: pm.Model) -> None:
    tree = pm.find_MAP(model=pm_model, progressbar=False, jitter=False, return_inferencedata=True)
    with pytest.warns(FutureWarning, match="return an `InferenceData`"):
        found = pm.find_MAP(model=pm_model, progressbar=False, jitter=False)
    assert {"ell_log__", "twice"} <= set(found)
    same(read_point(pm_model, found, NAMES), found)
    same(read_point(pm_model, tree, NAMES), found)


def test_transformed_values_alone_are_a_point(pm_model: pm.Model) -> None:
    point = {"ell_log__": np.log(POINT["ell"]), "eta_log__": np.log(1.3), "sigma_log__": np.log(0.15), "mu": 0.6}
    same(read_point(pm_model, point, NAMES))


def test_an_interval_whose_ends_are_parameters_is_transformed_back() -> None:
    with pm.Model() as pm_model:
        upper = pm.LogNormal("upper")
        pm.Uniform("u", 0, upper)
    got = read_point(pm_model, {"upper": 4.0, "u_interval__": 0.0}, ["u"])
    np.testing.assert_allclose(got["u"], 2.0)


def test_one_posterior_draw_is_a_point(pm_model: pm.Model) -> None:
    draws = {name: np.asarray(value)[None, None] for name, value in POINT.items()}
    same(read_point(pm_model, az.from_dict({"posterior": draws}), NAMES))
    several = {name: np.repeat(value, 3, axis=1) for name, value in draws.items()}
    with pytest.raises(DataError, match=r"3 draws.*isel"):
        read_point(pm_model, az.from_dict({"posterior": several}), NAMES)


BAD = {
    "a parameter is missing": ({"eta": None}, "no value for eta"),
    "a shape is wrong": ({"ell": np.ones(3)}, r"ell has shape \(3,\).*shape \(2,\)"),
    "a scalar is a vector": ({"eta": np.ones(1)}, r"eta has shape \(1,\).*shape \(\)"),
    "a value is not finite": ({"eta": np.nan}, "eta is nan.*finite"),
    "a value is text": ({"eta": "big"}, "eta is big"),
    "two values contradict": ({"eta_log__": np.array(3.0)}, "contradicts itself: eta is 1.3, but eta_log__"),
    "a transformed shape is wrong": ({"ell_log__": np.zeros(3)}, r"ell_log__ has shape \(3,\)"),
    "a name is misspelt": ({"lenghtscale": 1.0, "elll": 1.0}, "'lenghtscale', which the PyMC model does not know"),
    "a name is nearly right": ({"sigmaa": 1.0}, "Did you mean 'sigma'"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_point_is_refused_with_advice(pm_model: pm.Model, kind: str) -> None:
    change, message = BAD[kind]
    point = {name: value for name, value in {**POINT, **change}.items() if value is not None}
    with pytest.raises(DataError, match=message):
        read_point(pm_model, point, NAMES)


def test_a_point_that_is_no_mapping_is_refused(pm_model: pm.Model) -> None:
    with pytest.raises(DataError, match=r"point is a list.*find_MAP"):
        read_point(pm_model, [1.0, 2.0], NAMES)
