"""Columns of a builder by name."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import InputDataError

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
