"""The PyMC model behind a model that was made from data."""

from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Normalize
from test_repr import Told, two_terms

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP
from pymc_botorch.shape import MonotoneGP

X = torch.rand(10, 2, dtype=torch.double, generator=torch.Generator().manual_seed(1)) * torch.tensor([160.0, 3.0])
Y = 8 + (X / torch.tensor([80.0, 1.0])).sum(-1, keepdim=True).sin()


def model() -> Told:
    return Told(X, Y, input_transform=Normalize(d=2))


def test_its_mode_is_the_fit_and_a_gp_fitted_in_it_comes_back() -> None:
    fitted = model().fit()
    with pm.Model() as outer:
        pm_model = fitted.to_pymc()
    assert not outer.free_RVs
    posterior = pm.find_MAP(model=pm_model, progressbar=False, jitter=False, return_inferencedata=True)["posterior"]
    for name, value in fitted.point.items():
        np.testing.assert_allclose(posterior[name][0, 0], value, rtol=1e-3, atol=1e-3)
    transforms = {"input_transform": fitted.input_transform, "outcome_transform": fitted.outcome_transform}
    back = PyMCGP.from_fitted(pm_model.gp, fitted.point, model=pm_model, given=pm_model.given, **transforms)
    ours, theirs = fitted.posterior(X), back.posterior(X)
    torch.testing.assert_close(ours.mean, theirs.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours.variance, theirs.variance, rtol=1e-7, atol=1e-9)


def test_it_has_the_data_as_the_gp_sees_them_and_serves_pymcs_own_functions() -> None:
    unfitted = model()
    pm_model = unfitted.to_pymc()
    assert unfitted._state is None
    np.testing.assert_array_equal(pm_model["train_X"].get_value(), unfitted.eval().train_inputs[0].numpy())
    np.testing.assert_allclose(pm_model["train_Y"].get_value().std(ddof=1), 1.0)
    with pm_model:
        new = pm_model.gp.conditional("new", np.zeros((3, 2)))
    assert new.type.ndim == 1
    assert unfitted.to_pymc() is not pm_model


def test_its_prior_can_be_drawn_with_known_noise_and_components() -> None:
    known = PyMCGP(X, Y, torch.full_like(Y, 0.01), input_transform=Normalize(d=2), build_gp=two_terms)
    pm_model = known.to_pymc()
    assert "observed" in pm.model_to_mermaid(pm_model)
    drawn = pm.sample_prior_predictive(5, model=pm_model, random_seed=1)
    assert drawn["prior"]["reach"].shape == (1, 5)
    assert drawn["prior_predictive"]["observed"].shape == (1, 5, 10)
    np.testing.assert_allclose(pm_model["train_sd"].get_value(), 0.1 / float(Y.std()))
    assert set(pm_model.given) == {"trend", "field"}
    draws = xr.Dataset({"reach": (("chain", "draw"), np.full((1, 4), 0.4))})
    back = FullyBayesianPyMCGP.from_fitted(pm_model.gp, draws, num_draws=2, model=pm_model, given=pm_model.given)
    assert back.component("trend").num_mcmc_samples == 2


def test_derivatives_with_signs_are_variables_there() -> None:
    def rises(X: Any, y: Any) -> Any:
        gp = MonotoneGP(cov_func=pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("reach", -1, 1)), increasing=[0])
        gp.marginal_likelihood("crop", X, y, sigma=0.1)
        return gp

    line = torch.linspace(0, 1, 5, dtype=torch.double).unsqueeze(-1)
    pm_model = FullyBayesianPyMCGP(line, line, build_gp=rises).to_pymc()
    assert {"crop_slopes_rotated_", "reach"} == {rv.name for rv in pm_model.free_RVs}
    assert "crop_slopes" in pm_model.named_vars


def test_models_without_a_builder_or_with_observations_of_their_own_are_refused_in_words() -> None:
    fitted = model().fit(num_starts=1)
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        fitted.condition_on_observations(X[:1], Y[:1]).to_pymc()
    pm_model = fitted.to_pymc()
    with pytest.raises(UnsupportedError, match=r"Use the pm\.Model of that gp"):
        PyMCGP.from_fitted(pm_model.gp, fitted.point, model=pm_model).to_pymc()
    with pytest.raises(InputDataError, match="build_gp returned a NoneType"):
        PyMCGP(X, Y, input_transform=Normalize(d=2), build_gp=lambda X, y: None).to_pymc()
