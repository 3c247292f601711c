"""Both posteriors of one fit: the sum and its components, by name, equal to PyMC's conditionals at the same point."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.acquisition import qLogExpectedImprovement
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Normalize
from zoo import inputs, outcomes

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

cov = pm.gp.cov
SAME = {"rtol": 0, "atol": 1e-8}
X, Y = torch.from_numpy(inputs()), torch.from_numpy(outcomes(inputs()))[:, None]
NEW = torch.from_numpy(np.random.default_rng(7).uniform(size=(5, 2)))


def gps() -> tuple[pm.gp.Marginal, pm.gp.Marginal, pm.gp.Marginal]:
    """A trend with a mean, a field, and a second field."""
    trend = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Normal("level", 0, 1)), cov_func=cov.ExpQuad(2, ls=1.0))
    field = pm.gp.Marginal(cov_func=pm.HalfNormal("eta") ** 2 * cov.Matern32(2, ls=pm.LogNormal("reach", -1, 0.5)))
    return trend, field, pm.gp.Marginal(mean_func=pm.gp.mean.Constant(0.2), cov_func=0.3**2 * cov.Matern52(2, ls=0.1))


def two(X: Any, y: Any) -> Any:
    trend, field, _ = gps()
    total = trend + field
    total.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
    return total, {"trend": trend, "field": field}


def three(X: Any, y: Any) -> Any:
    trend, field, patches = gps()
    total = trend + field + patches
    total.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 0.5))
    return total, {"trend": trend, "field": field, "patches": patches}


def a_component_first(X: Any, y: Any) -> Any:
    total, parts = two(X, y)
    return parts["trend"], {"gp": total, "field": parts["field"]}


def correlated(X: Any, y: Any) -> Any:
    trend, field, _ = gps()
    total = trend + field
    total.marginal_likelihood("observed", X, y, sigma=cov.WhiteNoise(0.2) + 0.3**2 * cov.Exponential(2, ls=0.3))
    return total, {"trend": trend, "field": field}


def at_a_point(builder: Callable[..., Any], cls: type = PyMCGP, **options: Any) -> Any:
    options = {"outcome_transform": None, **options}
    model = cls(X, Y, build_gp=builder, **options)
    return model.fit(num_starts=1) if cls is PyMCGP else model.fit("laplace", num_draws=3, num_proposals=100, seed=1)


pytestmark = [
    pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning"),  # twelve observations leave much open
    pytest.mark.filterwarnings("ignore::botorch.exceptions.warnings.InputDataWarning"),  # outcomes are as they are
]


@pytest.mark.parametrize("builder", [a_component_first, correlated])
def test_each_part_has_the_conditional_of_pymc_and_components_add_up(builder: Callable[..., Any]) -> None:
    model = PyMCGP(X, Y, build_gp=builder, outcome_transform=None)  # at PyMC's initial point
    with pm.Model(coords={"feature": range(2)}):
        gp, given = builder(X.numpy(), Y.numpy()[:, 0])
        total = given.get("gp", gp)
        parts = {name: part for name, part in given.items() if name != "gp"}
        if total is not gp:
            parts["gp"] = gp
        data = {"X": total.X, "y": total.y, "sigma": total.sigma}
        for name, part in parts.items():
            mean, variance = part.predict(NEW.numpy(), point=model.point, given={"gp": total, **data}, diag=True)
            posterior = model.component(name).posterior(NEW)
            np.testing.assert_allclose(posterior.mean.squeeze(-1), mean, **SAME)
            np.testing.assert_allclose(posterior.variance.squeeze(-1), variance, **SAME)
        mean, variance = total.predict(NEW.numpy(), point=model.point, diag=True)
    found = model.total.posterior(NEW)
    np.testing.assert_allclose(found.mean.squeeze(-1), mean, **SAME)
    np.testing.assert_allclose(found.variance.squeeze(-1), variance, **SAME)
    added = sum(model.component(name).posterior(NEW).mean for name in parts)
    torch.testing.assert_close(added, found.mean, **SAME)


def test_a_part_knows_the_others_and_the_fit() -> None:
    model = at_a_point(two)
    trend = model.component("trend")
    assert type(trend) is type(model)
    assert trend.fit_result is model.fit_result
    assert trend.point.keys() == model.point.keys()
    assert model.total is model
    assert trend.component("trend") is trend
    torch.testing.assert_close(trend.total.posterior(NEW).mean, model.posterior(NEW).mean, **SAME)
    torch.testing.assert_close(trend.component("field").posterior(NEW).mean, model.component("field").posterior(NEW).mean, **SAME)
    first = at_a_point(a_component_first)
    torch.testing.assert_close(first.posterior(NEW).mean, trend.posterior(NEW).mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(first.component("gp").posterior(NEW).mean, first.posterior(NEW).mean, **SAME)
    torch.testing.assert_close(first.total.posterior(NEW).mean, model.posterior(NEW).mean, rtol=0, atol=1e-6)


def test_a_part_is_a_model_like_any_other() -> None:
    model = at_a_point(two)
    field = model.component("field")
    again = field.fit(num_starts=1)  # the sum is fitted, and the part stays the part
    torch.testing.assert_close(again.posterior(NEW).mean, model.component("field").posterior(NEW).mean, rtol=0, atol=1e-4)
    torch.testing.assert_close(copy.deepcopy(field).posterior(NEW).mean, field.posterior(NEW).mean, **SAME)
    assert qLogExpectedImprovement(field, 0.0)(NEW[None, :2]).shape == (1,)
    fewer = at_a_point(two)
    fewer.set_train_data(X[:7], Y[:7, 0], strict=False)
    expected = sum(fewer.component(name).posterior(NEW).mean for name in ("trend", "field"))
    torch.testing.assert_close(expected, fewer.posterior(NEW).mean, **SAME)
    before = model.component("trend").posterior(NEW).mean
    fewer.load_state_dict(model.state_dict())
    torch.testing.assert_close(fewer.component("trend").train_inputs[0], X[:7])
    fewer.set_train_data(X, Y[:, 0], strict=False)
    torch.testing.assert_close(fewer.component("trend").posterior(NEW).mean, before, **SAME)
    more = model.total.condition_on_observations(NEW[:1], torch.zeros(1, 1).double())
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        more.component("trend")
    with pytest.raises(UnsupportedError, match="Condition the model of the sum"):
        model.component("trend").condition_on_observations(NEW[:1], torch.zeros(1, 1).double())


def test_draws_and_transforms_have_their_parts() -> None:
    # not fitted: one draw
    model = FullyBayesianPyMCGP(X, Y, build_gp=three, outcome_transform=None, input_transform=Normalize(2))
    parts = [model.component(name).posterior(NEW) for name in ("trend", "field", "patches")]
    assert parts[0].mean.shape == (1, 5, 1)
    torch.testing.assert_close(sum(part.mean for part in parts), model.total.posterior(NEW).mean, **SAME)
    scaled = PyMCGP(X, 5 + 3 * Y, build_gp=two).fit(num_starts=1)  # standardised: each component includes the mean
    means = [scaled.component(name).posterior(NEW).mean - scaled.outcome_scale.offset for name in ("trend", "field")]
    torch.testing.assert_close(sum(means), scaled.posterior(NEW).mean - scaled.outcome_scale.offset, **SAME)


def test_known_noise_and_fitted_gps_have_their_parts() -> None:
    def known(X: Any, y: Any, sigma: Any) -> Any:
        trend, field, _ = gps()
        total = trend + field
        total.marginal_likelihood("observed", X, y, sigma=sigma)
        return total, {"trend": trend, "field": field}

    model = PyMCGP(X, Y, torch.full_like(Y, 0.04), build_gp=known, outcome_transform=None).fit(num_starts=1)
    parts = [model.component(name).posterior(NEW).mean for name in ("trend", "field")]
    torch.testing.assert_close(sum(parts), model.posterior(NEW).mean, **SAME)
    with pm.Model() as pm_model:
        total, named = two(X.numpy(), Y.numpy()[:, 0])
    point = {"level": 0.3, "eta": 0.8, "reach": 0.4, "noise": 0.1}
    fitted = PyMCGP.from_fitted(total, point, model=pm_model, given=named)
    alone = PyMCGP.from_fitted(named["field"], point, model=pm_model, given={"gp": total})
    for of in (fitted.component("field"), alone, alone.component("gp"), fitted.component("trend").component("field")):
        torch.testing.assert_close(of.posterior(NEW).mean, alone.posterior(NEW).mean, **SAME)
    torch.testing.assert_close(alone.total.posterior(NEW).mean, fitted.posterior(NEW).mean, **SAME)
    assert alone.point.keys() == point.keys()
    draws = xr.Dataset({name: ("draw", value + 0.1 * np.arange(3)) for name, value in point.items()})
    ensemble = FullyBayesianPyMCGP.from_fitted(named["trend"], draws, num_draws=3, model=pm_model, given={"gp": total})
    at_first = PyMCGP.from_fitted(total, point, model=pm_model).posterior(NEW)
    torch.testing.assert_close(ensemble.total.posterior(NEW).mean[0], at_first.mean, **SAME)


def test_a_latent_sum_has_its_parts() -> None:
    with pm.Model() as pm_model:
        slow = pm.gp.Latent(mean_func=pm.gp.mean.Constant(0.3), cov_func=cov.ExpQuad(2, ls=pm.LogNormal("ell")))
        fast = pm.gp.Latent(cov_func=0.4**2 * cov.Matern32(2, ls=0.2))
        total = slow + fast
        pm.Poisson("y", pm.math.exp(total.prior("f", X.numpy())), observed=np.arange(12) % 4)
        draws = pm.sample_prior_predictive(3, random_seed=1, var_names=["ell", "f"])["prior"].dataset
    for gp, given in ((total, {"slow": slow, "fast": fast}), (slow, {"gp": total, "slow": slow, "fast": fast})):
        model = FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=3, model=pm_model, given=given)
        parts = [model.component(name).posterior(NEW).mean for name in ("slow", "fast")]
        torch.testing.assert_close(sum(parts), model.total.posterior(NEW).mean, rtol=0, atol=1e-6)


def stranger(X: Any, y: Any) -> Any:
    total, parts = two(X, y)
    return total, {**parts, "soil": pm.gp.Marginal(cov_func=cov.ExpQuad(2, ls=1.0))}


def called_total(X: Any, y: Any) -> Any:
    total, parts = two(X, y)
    return total, {"total": parts["trend"]}


def no_sum(X: Any, y: Any) -> Any:
    return two(X, y)[0]


def a_dict(X: Any, y: Any) -> Any:
    return two(X, y)[1]


@pytest.mark.parametrize(
    ("builder", "name", "message"),
    [
        (stranger, "trend", "The component 'soil' is no part of the sum.*total = trend"),
        (called_total, "trend", "called 'total', which is the name of the sum.*another name"),
        (no_sum, "trend", "no component 'trend'.*Return .total, {'trend': trend"),
        (two, "soil", "no component 'soil'. Pass one of 'trend', 'field'"),
        (a_dict, "trend", "build_gp returned a dict.*'field': field"),
    ],
)
def test_what_is_no_component_is_refused_with_advice(builder: Callable[..., Any], name: str, message: str) -> None:
    model = PyMCGP(X, Y, build_gp=builder, outcome_transform=None)
    with pytest.raises(InputDataError, match=message):
        model.component(name)
