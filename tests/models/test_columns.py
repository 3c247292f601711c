"""Columns of a builder by name."""

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import InputDataError
from botorch.models.transforms.input import AppendFeatures

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

X = torch.linspace(0, 1, 12).double().reshape(6, 2) ** 2
Y = torch.sin(5 * X[:, :1])


class NamedGP(PyMCGP):
    columns: Any = ("nitrogen", "depth")

    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        noise = 0.1 + 0.2 * self.column(X, "depth")
        kernel = pm.gp.cov.ExpQuad(2, ls=0.3, active_dims=self.active_dims("nitrogen"))
        gp = pm.gp.Marginal(cov_func=pm.LogNormal("variance", 0, 1) * kernel)
        gp.marginal_likelihood("y", X, y, sigma=noise)
        return gp


class PlainGP(NamedGP):
    def build_gp(self, X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.LogNormal("variance", 0, 1) * pm.gp.cov.ExpQuad(2, ls=0.3, active_dims=[0]))
        gp.marginal_likelihood("y", X, y, sigma=0.1 + 0.2 * X[:, 1])
        return gp


def mean(cls: type[PyMCGP], inputs: torch.Tensor = X) -> np.ndarray:
    return cls(inputs, Y).fit(num_starts=1).posterior(inputs).mean.detach().numpy()


def test_columns_by_name_are_columns_by_position() -> None:
    assert np.allclose(mean(NamedGP), mean(PlainGP), rtol=1e-6)


def test_other_names_build_another_gp(monkeypatch: pytest.MonkeyPatch) -> None:
    before = mean(NamedGP)
    builders = pymc_botorch.cache_info().builders
    assert np.array_equal(mean(NamedGP), before)
    assert pymc_botorch.cache_info().builders == builders
    monkeypatch.setattr(NamedGP, "columns", ("depth", "nitrogen"))
    assert np.allclose(mean(NamedGP, X.flip(-1)), before, rtol=1e-6)
    assert not np.allclose(mean(NamedGP), before, rtol=1e-3)


@pytest.mark.parametrize("base", [PyMCGP, FullyBayesianPyMCGP])
@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (("nitrogen",), r"has 1 columns \(nitrogen\), but the inputs that build_gp gets have 2\. Pass these columns"),
        (("a", "b", "c"), r"has 3 columns \(a, b, c\), but the inputs that build_gp gets have 2"),
        ("ab", "columns of Wrong are 'ab'. Write a tuple of different names"),
        (("a", "a"), r"columns of Wrong are \('a', 'a'\)"),
        ((0, 1), r"columns of Wrong are \(0, 1\)"),
    ],
)
def test_columns_that_are_not_those_of_the_inputs_are_refused(base: type, columns: Any, match: str) -> None:
    cls = type("Wrong", (base,), {"columns": columns, "__module__": "somewhere"})
    with pytest.raises(InputDataError, match=match):
        cls(X, Y)


@pytest.mark.parametrize(
    ("cls", "name", "match"),
    [
        (NamedGP, "nitrogn", "NamedGP has no column 'nitrogn'. Did you mean 'nitrogen'?"),
        (NamedGP, "sulphur", "It has columns nitrogen, depth"),
        (PyMCGP, "nitrogen", r"It has no columns; write columns = \(\.\.\.\) in the class"),
    ],
)
def test_names_that_are_no_columns_are_refused(cls: type[PyMCGP], name: str, match: str) -> None:
    with pytest.raises(InputDataError, match=match):
        cls.column(X, name)
    with pytest.raises(InputDataError, match=match):
        cls.active_dims(name)


# Data frames


@pytest.fixture(scope="module")
def named() -> NamedGP:
    return NamedGP(pd.DataFrame(X.numpy(), columns=list(NamedGP.columns)), Y)


def frame() -> pd.DataFrame:
    return pd.DataFrame({"nitrogen": [0.2, 0.9], "depth": [0.7, 0.1]})


def test_columns_of_a_data_frame_are_read_by_name(named: NamedGP) -> None:
    points = torch.tensor(frame().to_numpy())
    expected = named.posterior(points).mean
    turned = frame()[["depth", "nitrogen"]]
    for given in (frame(), turned, turned.astype(object), turned.to_numpy()[:, ::-1], pd.DataFrame(points.numpy())):
        assert torch.equal(named.posterior(given).mean, expected)
    slopes = named.predictive_gradients(points).mean_gradient
    assert np.array_equal(named.predictive_gradients(turned).mean_gradient, slopes)
    assert np.array_equal(named.predictive_gradients(turned.iloc[1]).mean_gradient, slopes[1])
    one, other = (named.condition_on_observations(given, Y[:2]) for given in (points, turned))
    assert torch.equal(one.train_inputs[0], other.train_inputs[0])


def test_names_are_those_of_the_class_or_of_the_data_frame_or_none(named: NamedGP) -> None:
    points, turned = frame().to_numpy(), frame()[["depth", "nitrogen"]]

    def posterior(model: PyMCGP, given: Any) -> torch.Tensor:
        return model.posterior(given).mean

    by_class, by_nothing = NamedGP(X, Y), PlainGP(X, Y)
    assert torch.equal(posterior(by_class, turned), posterior(by_class, points))
    by_nothing.columns = None
    assert torch.equal(posterior(by_nothing, turned), posterior(by_nothing, points[:, ::-1].copy()))
    by_frame = PlainGP(pd.DataFrame(X.numpy(), columns=["nitrogen", "depth"]), Y)
    by_frame.columns = None
    assert torch.equal(posterior(by_frame, turned), posterior(by_frame, points))
    counted = PlainGP(pd.DataFrame(X.numpy()), Y)
    counted.columns = None
    assert torch.equal(posterior(counted, pd.DataFrame(points)[[1, 0]]), posterior(counted, points))
    others = [frame().rename(columns={"depth": "date"}), frame()[["depth"]], frame().assign(day=1.0)]
    match = r"X has the columns .*, but the model has nitrogen, depth\. Pass these, or an array"
    for given in (*others, pd.DataFrame(points, columns=["depth", "depth"]), others[0].iloc[0]):
        with pytest.raises(InputDataError, match=match):
            named.predictive_gradients(given)


def test_a_class_with_columns_is_given_a_data_frame_in_their_order() -> None:
    data = pd.DataFrame(X.numpy(), columns=["depth", "nitrogen"])
    match = r"train_X has the columns depth, nitrogen, .* nitrogen, depth, in this order\. Pass frame\[\['nitrogen', 'depth'\]\]"
    with pytest.raises(InputDataError, match=match):
        NamedGP(data, Y)
    assert NamedGP(data[["nitrogen", "depth"]], Y).column_names == ("nitrogen", "depth")
    with pytest.raises(InputDataError, match="train_X has the columns N, D, but the model has nitrogen, depth"):
        NamedGP(data.set_axis(["N", "D"], axis=1), Y)


def test_columns_that_a_transform_appends_are_missing_in_new_data_frames() -> None:
    append = AppendFeatures(torch.zeros(1, 1).double(), transform_on_train=False)
    model = PlainGP(pd.DataFrame(X.numpy(), columns=["nitrogen", "depth"]), Y, input_transform=append)
    assert torch.equal(model.posterior(frame()[["nitrogen"]]).mean, model.posterior(frame().to_numpy()[:, :1]).mean)
    with pytest.raises(InputDataError, match="X has the columns day, but the model has nitrogen, depth"):
        model.posterior(pd.DataFrame({"day": [1.0]}))


def test_other_training_data_are_read_by_name() -> None:
    model = NamedGP(X, Y)
    model.set_train_data(pd.DataFrame(X.numpy(), columns=list(NamedGP.columns))[["depth", "nitrogen"]] + 0.5)
    assert torch.equal(model.train_inputs[0], X + 0.5)
