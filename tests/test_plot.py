"""Figures: what their artists hold is what the model says, in raw units and by name; refusals before anything is drawn."""

import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.transforms import Log, Normalize
from botorch.sampling import SobolQMCNormalSampler
from matplotlib.figure import Figure
from quadrature import raw_data, two
from scipy.stats import norm

import pymc_botorch
from pymc_botorch import (
    FullyBayesianPyMCGP,
    PyMCGP,
    gradient_posterior,
    plot_contour,
    plot_leave_one_out,
    plot_priors,
    plot_slice,
    plot_slopes,
)

BOUNDS = [[0.0, 0.0], [100.0, 50.0]]


def field() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"nitrogen": rng.uniform(0, 100, 12), "depth": rng.uniform(0, 50, 12)})
    return frame, pd.Series(5 + np.sin(frame.nitrogen / 20) + 0.1 * rng.normal(size=12), name="crop")


def of_field(X: Any, y: Any) -> pm.gp.Marginal:
    ell, sigma = pm.LogNormal("ell", -1, 0.7, dims="feature"), pm.LogNormal("sigma", -2, 1)
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Flat("level")), cov_func=pm.gp.cov.Matern52(2, ls=ell))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


def in_field(kind: type) -> Any:
    bounds = torch.tensor(BOUNDS, dtype=torch.double)
    return kind(*field(), input_transform=Normalize(2, bounds=bounds), build_gp=of_field)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    point = in_field(PyMCGP).fit(num_starts=1)
    return {"point": point, "draws": in_field(FullyBayesianPyMCGP).fit("laplace", seed=1, num_proposals=2000)}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def lines(ax: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in ax.lines}


def ends_of_band(ax: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the only band, at the points of the line."""
    (band,) = (one for one in ax.collections if "interval" in str(one.get_label()))
    vertices, n = band.get_paths()[0].vertices, len(lines(ax)["mean"].get_xdata())
    return vertices[1 : n + 1, 1], vertices[n + 2 : 2 * n + 2, 1][::-1]


def at(x: np.ndarray, depth: float) -> torch.Tensor:
    return torch.stack([torch.as_tensor(x), torch.full((len(x),), depth, dtype=torch.double)], -1)


@pytest.mark.parametrize("name", ["point", "draws"])
def test_a_slice_is_the_posterior_with_its_quantiles(models: dict[str, Any], name: str) -> None:
    model, (frame, crop) = models[name], field()
    ax = plot_slice(model, "nitrogen", BOUNDS, {"depth": 20.0}, level=0.8, num_points=30, num_functions=3)
    line = lines(ax)["mean"]
    x = line.get_xdata()
    np.testing.assert_allclose(x, np.linspace(0, 100, 30))
    posterior, levels = model.posterior(at(x, 20.0)), torch.tensor([0.1, 0.9], dtype=torch.double)
    mean = posterior.mixture_mean if name == "draws" else posterior.mean
    np.testing.assert_allclose(line.get_ydata(), mean.squeeze(-1), rtol=1e-9)
    if name == "draws":
        expected = posterior.quantile(levels).squeeze(-1)
    else:
        expected = mean.squeeze(-1) + torch.tensor(norm.ppf([[0.1], [0.9]])) * posterior.variance.sqrt().squeeze(-1)
    np.testing.assert_allclose(np.stack(ends_of_band(ax)), expected.detach(), rtol=1e-6)
    assert len(ax.lines) == 1 + 3
    lower, upper = ends_of_band(ax)
    functions = np.stack([drawn.get_ydata() for drawn in ax.lines[1:]])
    assert 0.4 < np.mean((functions > lower) & (functions < upper)) <= 1
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("nitrogen", "crop", "depth = 20")
    seen = ax.collections[-1].get_offsets()
    np.testing.assert_allclose(seen, np.column_stack([frame.nitrogen, crop]))
    opacity = ax.collections[-1].get_alpha()
    assert np.argsort(opacity).tolist() == np.argsort(-np.abs(frame.depth - 20.0)).tolist()


def test_other_columns_are_at_medians_that_were_observed(models: dict[str, Any]) -> None:
    frame, _ = field()
    median = np.sort(frame.depth)[5]
    ax = plot_slice(models["point"])
    assert ax.get_title() == f"depth = {median:.3g}"
    margin = 0.05 * np.ptp(frame.nitrogen)
    assert ax.get_xlim() == pytest.approx((frame.nitrogen.min() - margin, frame.nitrogen.max() + margin))
    line = lines(ax)["mean"]
    np.testing.assert_allclose(line.get_ydata(), models["point"].posterior(at(line.get_xdata(), median)).mean.squeeze(-1))
    by_place = plot_slice(models["point"], 0, at=[0.0, 7.0], bounds=(0, 10))
    assert (by_place.get_title(), by_place.get_xlim()) == ("depth = 7", (0, 10))


def test_an_interval_of_observations_is_wider(models: dict[str, Any]) -> None:
    narrow, wide = (plot_slice(models["draws"], observation_noise=noise) for noise in (False, True))
    assert (np.diff(ends_of_band(wide), axis=0) > np.diff(ends_of_band(narrow), axis=0)).all()


def test_several_models_share_axes_with_the_observations_once(models: dict[str, Any]) -> None:
    _, (left, right) = plt.subplots(1, 2)
    for name, model in models.items():
        assert plot_slice(model, ax=right, label=name) is right
    assert not left.has_data()
    assert [text.get_text() for text in right.get_legend().get_texts()].count("observations") == 1
    drawn = lines(right)
    assert {"point", "draws"} <= set(drawn)
    assert drawn["point"].get_color() != drawn["draws"].get_color()


@pytest.mark.parametrize("quantity", ["mean", "sd"])
@pytest.mark.parametrize("name", ["point", "draws"])
def test_a_contour_is_the_posterior_over_two_inputs(models: dict[str, Any], name: str, quantity: Any) -> None:
    model, batch = models[name], torch.tensor([[20.0, 40.0], [90.0, 10.0]], dtype=torch.double)
    _, given = plt.subplots()
    ax = plot_contour(model, BOUNDS, ("depth", "nitrogen"), next=batch, quantity=quantity, ax=given, num_points=15)
    assert ax is given
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("depth", "nitrogen")
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 50), (0, 100))
    assert ax.figure.axes[1].get_ylabel() == f"{quantity} of crop"
    places = {tuple(point) for one in ax.collections for point in np.round(one.get_offsets(), 6)}
    assert {(40.0, 20.0), (10.0, 90.0)} <= places
    filled = next(one for one in ax.collections if hasattr(one, "levels"))
    grid = np.linspace(0, 100, 15)
    depth, nitrogen = np.meshgrid(grid / 2, grid)
    posterior = model.posterior(torch.tensor(np.column_stack([nitrogen.ravel(), depth.ravel()])))
    prefix = "mixture_" if name == "draws" else ""
    moment = getattr(posterior, f"{prefix}mean") if quantity == "mean" else getattr(posterior, f"{prefix}variance").sqrt()
    values = moment.detach().numpy().reshape(15, 15)
    np.testing.assert_allclose((filled.zmin, filled.zmax), (values.min(), values.max()), rtol=1e-6)
    for i, j in ((2, 3), (7, 11), (12, 5)):  # which level each point is within
        inside = [path.contains_point((depth[i, j], nitrogen[i, j])) for path in filled.get_paths()]
        (k,) = np.flatnonzero(inside)
        assert filled.levels[k] <= values[i, j] <= filled.levels[k + 1]


def test_a_contour_without_bounds_covers_the_next_points(models: dict[str, Any]) -> None:
    ax = plot_contour(models["point"], next=[[150.0, 20.0]], num_points=5)
    assert ax.get_xlim()[1] > 150


@pytest.mark.parametrize("name", ["point", "draws"])
def test_slopes_are_the_posterior_of_the_gradient(models: dict[str, Any], name: str) -> None:
    ax = plot_slopes(models[name], "nitrogen", BOUNDS, {"depth": 20.0}, num_points=23)
    x = lines(ax)["mean"].get_xdata()
    found = gradient_posterior(models[name], at(x, 20.0))
    np.testing.assert_allclose(lines(ax)["mean"].get_ydata(), found.mean[:, 0], rtol=1e-6, atol=1e-9)
    lower, upper = ends_of_band(ax)
    if name == "point":
        np.testing.assert_allclose(upper, found.mean[:, 0] + norm.ppf(0.975) * found.sd[:, 0], rtol=1e-6)
    else:
        each = gradient_posterior(models[name], at(x, 20.0), per_draw=True)
        below = norm.cdf(lower, each.mean[..., 0], each.sd[..., 0]).mean(0)
        np.testing.assert_allclose(below, 0.025, atol=1e-4)
    assert ax.get_ylabel() == "slope of crop in nitrogen"


def test_leave_one_out_is_drawn_from_a_model_or_its_result(models: dict[str, Any]) -> None:
    found = models["point"].leave_one_out()
    for one in (models["point"], found):
        left, _ = plot_leave_one_out(one)
        np.testing.assert_array_equal(left.lines[1].get_xdata(), found.mean)
        np.testing.assert_array_equal(left.lines[1].get_ydata(), found.observed)
        assert left.get_ylabel() == "observed crop"
    inside = models["point"].leave_one_out(raw=False)
    assert plot_leave_one_out(inside)[0].get_ylabel() == "observed crop, in the units of the gp"
    with pytest.raises(ValueError, match=r"ax has 1 axes\. Pass 2, for the observations and for the PIT, or None"):
        plot_leave_one_out(found, plt.gca())


@pytest.mark.parametrize("name", ["point", "draws"])
def test_priors_are_beside_what_the_data_leave_of_them(models: dict[str, Any], name: str) -> None:
    axes = plot_priors(models[name])
    titles = [ax.get_title() for ax in axes]
    assert titles == ["ell[nitrogen]", "ell[depth]", "sigma", "level (flat prior)"]
    for ax, (mean, sd) in zip(axes[:3], [(-1, 0.7)] * 2 + [(-2, 1)], strict=True):
        x, density = lines(ax)["before the data"].get_data()
        log = ax.get_xscale() == "log"
        expected = norm.pdf(np.log(x), mean, sd) / (1 if log else x)
        inside = (x > np.exp(mean - 1.5 * sd)) & (x < np.exp(mean + 1.5 * sd))
        np.testing.assert_allclose(density[inside], expected[inside], atol=0.25 * expected.max())
    if name == "point":
        assert axes[2].lines[1].get_xdata()[0] == models[name].point["sigma"]
    else:
        x, density = lines(axes[3])["after the data"].get_data()
        draws = models[name].idata["posterior"]["level"]
        assert np.trapezoid(x * density, x) / np.trapezoid(density, x) == pytest.approx(float(draws.mean()), abs=0.1)
    assert all(f"  {title.removesuffix(' (flat prior)')} " in repr(models[name]) for title in titles)
    (only,) = plot_priors(models[name], "sigma", plt.figure().gca())
    assert only.get_title() == "sigma"
    with pytest.raises(ValueError, match=r"ax has 1 axes\. Pass 4, one for each number"):
        plot_priors(models[name], ax=only)


def test_draws_of_pymc_have_the_prior_that_is_with_them() -> None:
    X, rng = np.linspace(0, 1, 6)[:, None], np.random.default_rng(0)
    groups = {
        name: xr.Dataset({"sigma": ("draw", np.exp(rng.normal(-2, sd, 400)))}) for name, sd in (("prior", 1), ("posterior", 0.3))
    }
    with pm.Model():
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        gp.marginal_likelihood("y", X, X[:, 0], sigma=pm.LogNormal("sigma", -2, 1))
        model = FullyBayesianPyMCGP.from_fitted(gp, xr.DataTree.from_dict(groups), num_draws=4)
    (ax,) = plot_priors(model)
    for name, sd in (("before the data", 1), ("after the data", 0.3)):
        x, density = lines(ax)[name].get_data()
        assert np.interp(np.exp(-2), x, density) == pytest.approx(norm.pdf(0, 0, sd), rel=0.2)


def test_outcomes_are_raw_through_a_transform_that_is_not_linear() -> None:
    X, Y = raw_data()
    model = PyMCGP(X, Y, outcome_transform=Log(), build_gp=two).fit(num_starts=1)
    ax = plot_slice(model, bounds=(0, 1), num_points=20)
    np.testing.assert_allclose(ax.collections[-1].get_offsets(), np.column_stack([X, Y]))
    with pytest.raises(UnsupportedError, match=r"model.leave_one_out\(raw=False\), which plot_leave_one_out draws"):
        plot_leave_one_out(model)
    assert plot_leave_one_out(model.leave_one_out(raw=False))[0].has_data()
    x = torch.as_tensor(lines(ax)["mean"].get_xdata()).unsqueeze(-1)
    normal = model(x)  # of log Y
    sd = normal.variance.sqrt().detach()
    for z, end in zip((-1.96, 1.96), ends_of_band(ax), strict=True):
        np.testing.assert_allclose(np.log(end), normal.mean.detach() + z * sd, atol=float(0.12 * sd.max()))


class Varieties(PyMCGP):
    units = "natural"
    columns = ("nitrogen", "variety")

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        along = pm.gp.cov.ExpQuad(2, ls=pm.LogNormal("reach", 0, 0.5), active_dims=[0])
        gp = pm.gp.Marginal(cov_func=along * pm.gp.cov.Coregion(2, B=np.eye(3) + 0.5, active_dims=[1]))
        gp.marginal_likelihood("crop", X, y, sigma=0.2)
        return gp


def test_an_index_is_drawn_category_by_category() -> None:
    X = torch.stack([torch.linspace(0, 1, 9, dtype=torch.double), 2 * (torch.arange(9) % 2)], -1)
    model = Varieties(X, X.sum(-1, keepdim=True))  # variety 1 was not observed
    ax = plot_slice(model, "variety", at={"nitrogen": 0.5})
    (marks,) = ax.containers
    np.testing.assert_array_equal(marks.lines[0].get_xdata(), [0, 1, 2])
    expected = model.posterior(torch.tensor([[0.5, 0.0], [0.5, 1.0], [0.5, 2.0]])).mean.squeeze(-1)
    np.testing.assert_allclose(np.array(marks.lines[0].get_ydata(), dtype=float), expected.detach(), rtol=1e-6)
    assert plot_slice(model, "nitrogen").get_title() == "variety = 0"
    assert plot_slice(model, "nitrogen", at={"variety": 1}).get_title() == "variety = 1"
    given = model.condition_on_observations(torch.tensor([[0.5, 1.0]]).double(), torch.tensor([[1.0]]).double())
    assert len(plot_slice(given, "variety").containers) == 1
    few = plot_slice(model, "variety", bounds=(0.5, 2)).containers[0]
    np.testing.assert_array_equal(few.lines[0].get_xdata(), [1, 2])
    with pytest.raises(InputDataError, match=r"No category of variety is within bounds 5 and 9\. It has 0, 1, 2"):
        plot_slice(model, "variety", bounds=(5, 9))
    for place in ({"variety": 0.5}, [0.0, 3.0]):
        with pytest.raises(InputDataError, match=r"for variety, which the gp takes as an index .*\. Pass one of 0, 1, 2"):
            plot_slice(model, "nitrogen", at=place)
    with pytest.raises(UnsupportedError, match=r"takes variety as an index of categories\. Hold it at one"):
        plot_contour(model)
    with pytest.raises(UnsupportedError, match="takes variety as an index of categories, in which there is no slope"):
        plot_slopes(model, "variety")


def test_a_latent_gp_is_drawn_without_outcomes() -> None:
    X = np.linspace(0, 1, 6)[:, None]
    with pm.Model():
        gp = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        pm.Poisson("count", pm.math.exp(gp.prior("f", X)), observed=[1, 2, 4, 3, 1, 0])
        draws = xr.Dataset({"f": (("chain", "draw", "i"), np.random.default_rng(0).normal(size=(1, 5, 6)))})
        model = FullyBayesianPyMCGP.from_fitted(gp, draws, num_draws=5)
    assert "observations" not in [text.get_text() for text in plot_slice(model).get_legend().get_texts()]
    with pytest.raises(UnsupportedError, match=r"made from a gp fitted in PyMC.*no draws of its prior"):
        plot_priors(model)


REFUSED: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "name": (plot_slice, {"column": "nitrogne"}, InputDataError, "no column 'nitrogne'. Did you mean 'nitrogen'"),
    "position": (plot_slice, {"column": 2}, InputDataError, "column is 2. Pass one of nitrogen, depth"),
    "bounds": (plot_slice, {"bounds": [[0.0, 0, 0], [1, 1, 1]]}, InputDataError, r"shape \(2, 3\). Pass 2 x 2.*two ends"),
    "order": (
        plot_slopes,
        {"bounds": (1.0, 0.0)},
        InputDataError,
        r"\[1.0, 0.0\]\. Pass two finite ends, the lower first",
    ),
    "at": (plot_slice, {"at": [1.0]}, InputDataError, "Pass a value for each of nitrogen, depth"),
    "level": (plot_slopes, {"level": 95}, InputDataError, "level is 95. Pass a probability"),
    "points": (plot_contour, {"num_points": 1}, InputDataError, "num_points is 1"),
    "two": (plot_contour, {"columns": (0,)}, InputDataError, "Pass two names or positions"),
    "same": (plot_contour, {"columns": (0, "nitrogen")}, InputDataError, "Pass 2 different ones"),
    "quantity": (plot_contour, {"quantity": "variance"}, InputDataError, "Pass 'mean' or 'sd'"),
    "next": (plot_contour, {"next": [1.0, 2.0, 3.0]}, InputDataError, r"next has shape \(3,\)\. Pass q x 2 points, one or more"),
    "no next": (plot_contour, {"next": np.zeros((0, 2))}, InputDataError, r"next has shape \(0, 2\)\. Pass q x 2 points, one or"),
    "next and NaN": (plot_contour, {"next": [np.nan, 2.0]}, InputDataError, r"next has values that are not finite\. Pass finite"),
    "next by name": (
        plot_contour,
        {"next": pd.DataFrame({"depth": [1.0]})},
        InputDataError,
        "next has the columns depth, but",
    ),
    "pairs": (plot_contour, {"bounds": [(0, 100), (0, 50)]}, InputDataError, "2 x 2 .* first all lower ends, then all upper"),
    "other pairs": (plot_slice, {"column": 1, "bounds": [(0, 50), (0, 100)]}, InputDataError, "first all lower ends, then all"),
    "letters": (plot_contour, {"bounds": [["a", "b"], ["c", "d"]]}, InputDataError, "bounds is not numeric.*Pass numbers"),
    "ragged": (plot_contour, {"bounds": [[0.0, 1.0], [2.0]]}, InputDataError, "rows of different lengths.*Pass numbers"),
    "at letters": (plot_slice, {"at": {"depth": "high"}}, InputDataError, "at has 'high' for depth. Pass a finite number"),
    "at None": (plot_slice, {"at": {"depth": None}}, InputDataError, "at has None for depth. Pass a finite number"),
    "at NaN": (plot_slice, {"at": [1.0, np.nan]}, InputDataError, r"at is \[1.0, nan\]\. Pass finite values"),
    "at number": (plot_slice, {"at": 3.0}, InputDataError, r"at is 3.0\. Pass a value .*, or some by name, \{'depth': ...\}"),
    "at varied": (plot_slice, {"at": {"nitrogen": 3}}, InputDataError, r"at has a value for nitrogen, which varies\. Leave it"),
    "ax": (plot_slice, {"ax": 3}, TypeError, r"ax is 3\. Pass axes of matplotlib, plt.subplots\(\)\[1\], or None"),
    "ax figure": (plot_contour, {"ax": Figure()}, TypeError, r"ax is <Figure .*>\. Pass its axes, figure.subplots\(\), or None"),
    "hyperparameter": (
        plot_priors,
        {"names": ["tau"]},
        InputDataError,
        "no hyperparameter 'tau'. Pass some of ell, sigma, level",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_mistakes_are_named_before_anything_is_drawn(models: dict[str, Any], case: str) -> None:
    plot, arguments, error, match = REFUSED[case]
    with pytest.raises(error, match=match):
        plot(models["point"], **arguments)
    assert not plt.get_fignums()


@pytest.mark.parametrize("plot", [plot_slice, plot_contour, plot_slopes, plot_priors, plot_leave_one_out])
def test_other_models_are_refused_by_name(models: dict[str, Any], plot: Any) -> None:
    X, Y = raw_data()
    with pytest.raises(TypeError, match="model is a SingleTaskGP"):
        plot(SingleTaskGP(X, Y))
    with pytest.raises(TypeError, match=r"model is a ModelListGP\. Pass one of its models"):
        plot(ModelListGP(models["point"]))
    with pytest.raises(TypeError, match=r"model is the class Varieties. Pass a model, such as Varieties\(train_X, train_Y\).fit"):
        plot(Varieties)


@pytest.mark.parametrize("name", ["point", "draws"])
def test_fantasies_are_refused_and_more_observations_drawn(models: dict[str, Any], name: str) -> None:
    X, Y = torch.tensor([[50.0, 20.0]]).double(), torch.tensor([[7.0]]).double()
    fantasies = models[name].fantasize(X, SobolQMCNormalSampler(torch.Size([3])))
    with pytest.raises(UnsupportedError, match="batches of observations"):
        plot_slice(fantasies)
    given = models[name].condition_on_observations(X, Y)
    for plot, places in ((plot_slice, (50.0, 7.0)), (plot_contour, (50.0, 20.0))):
        seen = plot(given, num_points=5).collections[-1].get_offsets()
        assert len(seen) == 13
        np.testing.assert_allclose(seen[-1], places)
    ax = plot_slice(given, bounds=(0, 100), at={"depth": 20.0}, num_points=3)
    posterior = given.posterior(at(np.array([50.0]), 20.0))
    mean = posterior.mixture_mean if name == "draws" else posterior.mean
    assert lines(ax)["mean"].get_ydata()[1] == pytest.approx(float(mean))


def test_observations_of_each_draw_alone_are_batches(models: dict[str, Any]) -> None:
    Y = torch.arange(16.0).double().reshape(16, 1, 1)
    with pytest.raises(UnsupportedError, match="batches of observations"):
        plot_slice(models["draws"].condition_on_observations(torch.tensor([[50.0, 20.0]]).double(), Y))


def test_names_of_a_data_frame_are_kept(models: dict[str, Any]) -> None:
    frame, _ = field()
    turned = frame[["depth", "nitrogen"]]
    ax = plot_slice(models["point"], "nitrogen", at=turned.iloc[3])
    assert ax.get_title() == f"depth = {frame.depth[3]:.3g}"
    assert plot_slice(models["point"], "nitrogen", at=turned[3:4]).get_title() == ax.get_title()
    bounds = pd.DataFrame({"depth": [1.0, 2.0], "nitrogen": [3.0, 4.0]})
    for batch in (turned[:2], turned.iloc[0], torch.tensor(frame.to_numpy()[0])):
        ax = plot_contour(models["point"], bounds, next=batch, num_points=3)
        assert (ax.get_xlim(), ax.get_ylim()) == ((3, 4), (1, 2))
        assert plot_slice(models["point"], "nitrogen", bounds).get_xlim() == (3, 4)
        ax = plot_contour(models["point"], next=batch, num_points=3)
        np.testing.assert_allclose(ax.collections[-1].get_offsets()[0], frame.to_numpy()[0])


def test_observations_of_a_sum_are_not_drawn_over_its_components() -> None:
    X = np.linspace(0, 1, 6)[:, None]
    with pm.Model():
        trend, rest = pm.gp.Marginal(cov_func=pm.gp.cov.Linear(1, c=0.5)), pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=0.3))
        total = trend + rest
        total.marginal_likelihood("crop", X, 5 + X[:, 0], sigma=0.1)
        models = [
            PyMCGP.from_fitted(rest, {}, given={"gp": total}),
            (named := PyMCGP.from_fitted(total, {}, given={"trend": trend, "rest": rest})).component("rest"),
            named,
        ]
    drawn = ["observations" in [text.get_text() for text in plot_slice(model).get_legend().get_texts()] for model in models]
    assert drawn == [False, False, True]
    with pytest.raises(InputDataError, match=r"The model has one input, x0\. Use plot_slice"):
        plot_contour(named)


def test_models_know_the_names_of_their_data(models: dict[str, Any]) -> None:
    assert (models["draws"].column_names, models["draws"].outcome_name) == (("nitrogen", "depth"), "crop")
    plain = PyMCGP(*raw_data(), build_gp=two)
    assert (plain.column_names, plain.outcome_name) == (("x0",), "outcome")
    assert "PyMC's initial point" in lines(plot_priors(plain)[0])
    assert plain.outcome_name == "y"  # of its likelihood, once that was built
    assert PyMCGP(*raw_data()).fit(num_starts=1).outcome_name == "outcome"
    assert (
        Varieties(torch.zeros(1, 2).double(), torch.ones(1, 1).double()).fit(num_starts=1).outcome_name == "crop"
    )  # of its likelihood
    assert pymc_botorch.plots.plot_slice is plot_slice


def test_without_matplotlib_the_extra_is_named(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for plot in (plot_slice, plot_contour, plot_slopes, plot_priors, plot_leave_one_out):
        with pytest.raises(ImportError, match=r'Install it by pip install "pymc_botorch\[plot\]"\.'):
            plot(models["point"])
