"""Known variances that are zero, or nearly: rounded up, with a warning that says of what."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.warnings import InputDataWarning

from pymc_botorch import PyMCGP


def build_gp(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Normal("mu")), cov_func=pm.gp.cov.ExpQuad(1, ls=0.3))
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


class NaturalOutcomeGP(PyMCGP):
    units = "natural"


X = torch.linspace(0, 1, 6, dtype=torch.double).repeat_interleave(2)[:, None]
Y = 8000 + 500 * (5 * X).sin() + 20 * torch.randn(12, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("cls", [PyMCGP, NaturalOutcomeGP])
@pytest.mark.parametrize("builder", [build_gp, None], ids=["own model", "default model"])
@pytest.mark.parametrize("variance", [0.0, 1e-8])
def test_variances_of_zero_are_a_millionth_of_the_outcomes(cls: type[PyMCGP], builder: Any, variance: float) -> None:
    with pytest.warns(InputDataWarning, match=r"12 of 12 rows.*same inputs differ \(rows \[0, 1, .*rounded up to 1e-06.*leave"):
        model = cls(X, Y, torch.full_like(Y, variance), build_gp=builder)
    sigma = model._prepared.data.sigma
    np.testing.assert_allclose((sigma / model._prepared.data.y.std()) ** 2, 1e-6)


def test_the_warning_speaks_of_replicates_only_where_they_differ_and_other_variances_are_kept() -> None:
    Yvar = torch.full_like(Y, 400.0)
    Yvar[3] = 0.0
    with pytest.warns(InputDataWarning, match=r"in 1 of 12 rows, the smallest 0.0e\+00 of it; these"):
        model = NaturalOutcomeGP(X, Y, Yvar, build_gp=build_gp)
    np.testing.assert_allclose(np.delete(model._prepared.data.sigma, 3), 20.0)
    assert NaturalOutcomeGP(X, Y, torch.full_like(Y, 400.0), build_gp=build_gp)._prepared.data.sigma == pytest.approx(20.0)


def test_one_observation_has_no_variance_to_compare_with() -> None:
    assert NaturalOutcomeGP(X[:1], Y[:1], torch.zeros_like(Y[:1]), build_gp=build_gp)._prepared.data.sigma == 0.0
