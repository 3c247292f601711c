"""What a model and a fit say of themselves, as text and in a notebook."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.models import ModelListGP
from botorch.models.transforms import Normalize, Standardize
from botorch.sampling import SobolQMCNormalSampler
from scipy.stats import lognorm

from pymc_botorch import FitWarning, FullyBayesianPyMCGP, PyMCGP
from pymc_botorch.inference.table import rounded, seconds_text

X = torch.linspace(0, 1, 12, dtype=torch.double).reshape(6, 2)
Y = (4 * X.sum(-1, keepdim=True)).sin() + 0.1 * torch.tensor([[1.0], [-1], [1], [1], [-1], [1]]).double()
QUANTILE_ERROR = 0.15  # four standard errors of a share of two hundred draws


class Told(PyMCGP):
    columns = ("nitrogen", "depth")

    def build_gp(self, X: Any, y: Any) -> Any:
        reach = pm.LogNormal("reach<m>", mu=-1, sigma=0.7, dims="feature")
        noise = pm.LogNormal("noise", mu=-2, sigma=1)
        mean = pm.Flat("mean")
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(mean), cov_func=pm.gp.cov.Matern52(X.type.shape[1], ls=reach))
        gp.marginal_likelihood("observed", X, y, sigma=noise)
        return gp


class ToldInUnits(Told):
    units = "natural"


class ToldOften(FullyBayesianPyMCGP):
    units = "natural"
    build_gp = Told.build_gp


def two_terms(X: Any, y: Any, sigma: Any) -> Any:
    trend = pm.gp.Marginal(cov_func=pm.gp.cov.Linear(2, c=0.5))
    field = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("reach", -1, 0.5)))
    total = trend + field
    total.marginal_likelihood("observed", X, y, sigma=sigma)
    return total, {"trend": trend, "field": field}


def lines(model: Any) -> dict[str, str]:
    """Names and texts of what is printed under the title; the same must be in the HTML."""
    title, *rest = repr(model).splitlines()
    found = dict(re.split(r" {2,}", line.strip(), maxsplit=1) for line in rest if not line.startswith("   "))
    tables = ElementTree.fromstring(f"<div>{model._repr_html_()}</div>")
    shown = [" ".join(cell.text or "" for cell in row) for row in tables.iter("tr")]
    assert [" ".join(line.split()) for line in shown] == [f"{name} {' '.join(text.split())}" for name, text in found.items()]
    assert tables.findtext("table/caption") == title
    return {"title": title, **found}


def test_a_model_that_is_not_fitted_says_so_and_computes_nothing_for_it() -> None:
    model = Told(X, Y, input_transform=Normalize(d=2))
    assert lines(model) == {
        "title": "Told (PyMCGP)",
        "data": "6 x 2 (nitrogen, depth)",
        "units": "scaled: priors are for inputs in the unit cube and a standardised outcome",
        "transforms": "Normalize, Standardize",
        "fit": "none: at PyMC's initial point until model.fit()",
    }
    assert model._state is None
    model.posterior(X)
    assert lines(model)["fit"] == "none: at PyMC's initial point until model.fit()"


def test_a_fitted_model_says_by_what_its_hyperparameters_and_where_in_their_priors_they_are() -> None:
    model = Told(X, Y).fit()
    told, point, quantiles = lines(model), model.point, model.fit_result.prior_quantiles
    assert re.fullmatch(r"map in [\d.]+ s", told["fit"])
    assert told["doubts"] == "none"
    assert told["hyperparameter"].split() == ["value", "prior", "quantile"]
    assert told["reach<m>[depth]"].split() == [rounded(point["reach<m>"][1]), f"{quantiles['reach<m>'][1]:.2f}"]
    assert told["mean"].split() == [rounded(point["mean"]), "-"]
    exact = lognorm(0.7, scale=np.exp(-1)).cdf(point["reach<m>"])
    np.testing.assert_allclose(quantiles["reach<m>"], exact, atol=QUANTILE_ERROR)
    assert quantiles.keys() == {"reach<m>", "noise"}  # a flat prior has none
    again = Told(X, Y + 1.0).fit()
    again.load_state_dict(model.state_dict())
    assert "quantile" not in repr(again)
    assert lines(again)["fit"] == "loaded"
    again.set_train_data(targets=again.train_targets + 1.0)
    assert lines(again)["fit"] == "loaded"


def test_draws_are_told_by_median_and_range() -> None:
    model = ToldOften(X, Y, input_transform=None).fit(seed=0, num_draws=8)
    told, draws = lines(model), model.draws["noise"]
    assert told["title"] == "ToldOften (FullyBayesianPyMCGP)"
    assert told["units"] == "natural: priors are in the units of the data"
    assert re.fullmatch(r"importance in [\d.]+ s, 8 draws", told["fit"])
    low, middle, high = (rounded(np.quantile(draws, share)) for share in (0.05, 0.5, 0.95))
    assert told["noise"].split() == [middle, low, "to", high, f"{model.fit_result.prior_quantiles['noise']:.2f}"]
    exact = lognorm(1.0, scale=np.exp(-2)).cdf(np.median(model.idata["weighted_posterior"]["noise"]))
    assert abs(model.fit_result.prior_quantiles["noise"] - exact) < QUANTILE_ERROR
    assert "transforms" not in told
    given = model.condition_on_observations(X[:1], Y[:1])
    assert lines(given)["data"] == "6 x 2, and 1 observation more"
    assert lines(given)["fit"] == told["fit"]
    fantasies = model.fantasize(X[:2], SobolQMCNormalSampler(torch.Size([3])))
    assert lines(fantasies)["data"] == "6 x 2, and 2 observations more in 3 batches"
    again = ToldOften(X, Y, input_transform=None)
    again.load_state_dict(given.state_dict())  # all of its draws
    assert lines(again)["fit"] == "loaded, 8 draws"
    assert lines(again)["noise"].split() == told["noise"].split()[:-1]


def test_doubts_are_told_in_the_words_of_the_warning() -> None:
    with pytest.warns(FitWarning, match="contradict") as caught:
        model = ToldInUnits(X, 1000 + 50 * Y).fit(num_starts=1)
    for text, name in ((repr(model), "doubts"), (repr(model.fit_result), "warning")):
        assert f"{name} {caught[0].message}" in " ".join(text.split())
        assert max(map(len, text.splitlines())) <= 100
    assert str(caught[0].message) in model._repr_html_().replace("&#x27;", "'")


def test_parts_of_a_sum_known_noise_and_fantasies_are_told() -> None:
    model = PyMCGP(X, Y, torch.full_like(Y, 0.01), build_gp=two_terms).fit(num_starts=1)
    told = lines(model)
    assert told["title"] == "PyMCGP"
    assert told["components"] == "trend, field"
    assert told["gp"] == "noise of each observation of its own"
    assert lines(model.component("trend"))["predicts"] == "trend"
    more = model.condition_on_observations(X[:3].expand(4, 3, 2), Y[:3].expand(4, 3, 1))
    assert lines(more)["data"] == "6 x 2, and 3 observations more in 4 batches"
    both = repr(ModelListGP(model, more))
    assert "(0): PyMCGP\n" in both
    assert "3 observations more" in both


def test_a_gp_that_was_fitted_in_pymc_is_told_without_a_prior() -> None:
    with pm.Model(coords={"nutrient": ["P", "S"], "field": ["East"]}):
        weights, reach = pm.Normal("weights", size=12), pm.HalfNormal("reach")
        share, gain = pm.Normal("share", dims="nutrient"), pm.Normal("gain", dims=("field", "nutrient"))
        plain = pm.Normal("plain", shape=(1, 2))
        mean = pm.gp.mean.Linear(weights[:2] + share + gain[0] + plain[0])
        gp = pm.gp.Marginal(mean_func=mean, cov_func=pm.gp.cov.Matern52(2, ls=reach))
        gp.marginal_likelihood("yield", X.numpy(), Y[:, 0].numpy(), sigma=0.1)
        point = {"weights": np.arange(12.0), "reach": 1234.5678, "share": np.array([0.25, 0.5])}
        model = PyMCGP.from_fitted(gp, {**point, "gain": np.array([[3.0, 4.0]]), "plain": np.array([[5.0, 6.0]])})
    told = lines(model)
    entries = ("share[P]", "share[S]", "gain[East, P]", "gain[East, S]", "plain[0, 0]", "plain[0, 1]")
    assert [told[name] for name in entries] == ["0.25", "0.5", "3", "4", "5", "6"]
    assert model.outcome_name == "yield"
    assert told["fit"] == "in PyMC"
    assert told["units"] == "those of the PyMC model"
    assert told["reach"] == "1235"
    assert told["weights (12)"] == "0 to 11"
    assert told["hyperparameter"] == "value"


def test_a_latent_function_is_not_listed_with_the_hyperparameters(rng: np.random.Generator) -> None:
    dims = ("chain", "draw", "plot")
    draws = xr.Dataset({"f": (dims, rng.normal(size=(1, 4, 6))), "reach": (dims[:2], rng.uniform(1, 2, size=(1, 4)))})
    with pm.Model():
        gp = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(2, ls=pm.HalfNormal("reach")))
        f = gp.prior("f", X.numpy())
        pm.Poisson("count", mu=pm.math.exp(f), observed=np.arange(6))
        model = FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=4)
    told = lines(model)
    assert model.outcome_name == "outcome"
    assert told["gp"] == "latent, with the function at the training inputs in each draw"
    assert told["fit"] == "in PyMC, 4 draws"
    assert not any(name.startswith("f") for name in told if name != "fit")
    assert "reach" in told


def test_a_model_that_is_made_only_in_part_has_a_name_all_the_same() -> None:
    part = Told.__new__(Told)
    assert repr(part) == "<Told>"
    assert part._repr_html_() is None


def test_the_report_of_a_fit_is_rounded_and_is_html_too() -> None:
    result = replace(Told(X, Y).fit(num_starts=1).fit_result, seconds=123.4567, evaluations=1500)
    told = lines(result)
    assert told["evaluations"] == "1500 in 123 s (numpy)"
    assert told["log posterior"] == f"{result.log_posterior:.2f}"
    assert [seconds_text(seconds) for seconds in (0.01234, 1.234, 12.34)] == ["0.012 s", "1.2 s", "12 s"]
    assert [rounded(number) for number in (1.23456, 1234.56, 1.2e7, -0.00123456)] == ["1.23", "1235", "1.2e+07", "-0.00123"]


def test_hyperparameters_that_are_the_same_in_all_draws_are_told_as_a_point() -> None:
    dims = ("chain", "draw")
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.HalfNormal("reach")))
        gp.marginal_likelihood("y", X.numpy(), Y[:, 0].numpy(), sigma=0.1)
        model = FullyBayesianPyMCGP.from_fitted(gp, xr.Dataset({"reach": (dims, np.full((1, 4), 0.5))}), num_draws=4)
    assert lines(model)["reach"] == "0.5"


def test_a_component_that_was_asked_for_is_told_as_one() -> None:
    with pm.Model():
        trend, field = pm.gp.Marginal(cov_func=pm.gp.cov.Linear(2, c=0.5)), pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.3))
        total = trend + field
        total.marginal_likelihood("y", X.numpy(), Y[:, 0].numpy(), sigma=pm.HalfNormal("noise"))
        model = PyMCGP.from_fitted(trend, {"noise": 0.1}, given={"gp": total})
    told = lines(model)
    assert told["predicts"] == "a component of the sum"
    assert "components" not in told
    assert lines(model.total)["predicts"] == "total"


def test_leave_one_out_predictions_are_told_in_a_table() -> None:
    found = Told(X, Y, outcome_transform=Standardize(1)).fit(num_starts=1).leave_one_out()
    told = lines(found)
    shares = ", ".join(f"{share:.0%} of {level:.0%}" for level, share in found.coverage.items())
    expected = {"observations": "6", "rmse": rounded(found.rmse), "coverage": shares}
    assert {name: told[name] for name in expected} == expected
    assert told["log density"] == f"{found.log_density.sum():.2f} in all"
    row = int(np.argmax(np.abs(found.standardised_residual)))
    parts = found.observed, found.mean, found.sd, found.standardised_residual
    assert told[str(row)].split() == [rounded(part[row]) for part in parts]
    assert "Pareto k" not in told
    k = np.array([0.1, 0.9, 0.5, np.nan, 0.2, 0.3])
    for limit, text in (
        (0.7, "not below 0.70 for 2 (row 1, 3), whose predictions are not to be trusted"),
        (-np.inf, "unknown: there are too few draws to leave an observation out of them by weights"),
    ):
        assert lines(replace(found, pareto_k=k, reliable_k=limit))["Pareto k"] == text
    assert lines(replace(found, pareto_k=k[:1], reliable_k=0.7))["Pareto k"] == "below 0.70 for all"
