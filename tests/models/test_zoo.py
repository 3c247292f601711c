"""Every Gaussian conditional of PyMC, read and differentiated."""

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import UnsupportedError
from zoo import ZOO, Specimen

from pymc_botorch import PyMCGP

PREDICT = {"rtol": 0, "atol": 1e-9}
ROUGH = {"rtol": 0, "atol": 2e-8}  # kernels with a kink: a root of a rounded distance of zero


@pytest.fixture(params=list(ZOO))
def specimen(request: pytest.FixtureRequest) -> tuple[str, Specimen, PyMCGP]:
    specimen = ZOO[request.param]()
    model = PyMCGP.from_fitted(specimen.gp, specimen.point, model=specimen.pm_model, given=specimen.given)
    return request.param, specimen, model


def new_inputs(name: str, d: int, *shape: int) -> torch.Tensor:
    X = torch.rand(*shape, d, dtype=torch.double)
    if "Coregion" in name:
        X[..., 1] = (X[..., 1] > 0.5).double()
    return X


def test_a_conditional_is_predicted_differentiated_and_conditioned(specimen: tuple[str, Specimen, PyMCGP]) -> None:
    name, (gp, pm_model, point, given, d), model = specimen
    X = new_inputs(name, d, 6)
    tolerance = ROUGH if name in ("Matern12", "Exponential") else PREDICT

    # the moments are PyMC's
    options = {} if given is None else {"given": given}
    mean, variance = gp.predict(X.numpy(), point, diag=True, model=pm_model, **options)
    if tolerance is ROUGH:  # PyMC's diag=True takes k(x, x) from the formula, its covariance from a distance of 1e-6
        variance = np.diag(gp.predict(X.numpy(), point, model=pm_model)[1]) - pm.gp.util.JITTER_DEFAULT
    posterior = model.posterior(X)
    np.testing.assert_allclose(posterior.mean.squeeze(-1).numpy(), mean, **tolerance)
    np.testing.assert_allclose(posterior.variance.squeeze(-1).numpy(), variance, **tolerance)

    # so are the covariances, by any route
    cov = posterior.distribution.covariance_matrix
    torch.testing.assert_close(model.posterior(X[None, :, None]).variance.flatten(), cov.diagonal(), **tolerance)
    for k in (0, 2):
        torch.testing.assert_close(model.process.rows(X, k), cov[6 - k :], **tolerance)
    torch.testing.assert_close(model.process.mean(X), posterior.mean.squeeze(-1), **tolerance)

    # gradients, where there is a derivative
    smooth = [0] if "Coregion" in name else list(range(d))
    x = X[:3, smooth].clone().requires_grad_()

    def at(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, X[:3, len(smooth) :]], dim=-1)

    assert torch.autograd.gradcheck(lambda x: model.posterior(at(x)).mean, (x,))
    assert torch.autograd.gradcheck(lambda x: model.posterior(at(x)).distribution.covariance_matrix, (x,))
    assert torch.autograd.gradcheck(lambda x: model.process.rows(at(x), 2), (x,))

    # more observations: as a refit
    Y = torch.linspace(-1, 1, 2, dtype=torch.double).unsqueeze(-1)
    if name in ("correlated noise", "a component of a sum"):
        with pytest.raises(UnsupportedError, match=r"covariance function|component of a sum"):
            model.condition_on_observations(X[:2], Y)
        return
    conditioned = model.condition_on_observations(X[:2], Y).posterior(X)
    if name in ("VFE", "FITC", "DTC"):
        assert (conditioned.variance <= posterior.variance + 1e-12).all()
        with pytest.raises(UnsupportedError, match="sparse approximation"):
            model.forward(X)
        return
    if name == "noise for each observation":
        return
    refitted = PyMCGP.from_fitted(gp, point, model=pm_model)
    refitted.set_train_data(
        torch.cat([model.train_inputs[0], X[:2]]), torch.cat([model.train_targets, Y.squeeze(-1)]), strict=False
    )
    expected = refitted.posterior(X)
    torch.testing.assert_close(conditioned.mean, expected.mean, rtol=0, atol=1e-8)
    torch.testing.assert_close(
        conditioned.distribution.covariance_matrix, expected.distribution.covariance_matrix, rtol=0, atol=1e-8
    )


def test_the_prior_is_pymcs_mean_and_covariance_function() -> None:
    specimen = ZOO["own mean, priors on all"]()
    model = PyMCGP.from_fitted(specimen.gp, specimen.point, model=specimen.pm_model)
    X = new_inputs("", 2, 4)
    prior = model.forward(X)
    np.testing.assert_allclose(prior.mean.numpy(), 0.2 - (X[:, 0].numpy() - 0.5) ** 2, **PREDICT)
    r = (((X[:, None] - X) / torch.tensor([0.4, 0.8], dtype=torch.double)) ** 2).sum(-1).sqrt() * 5**0.5
    torch.testing.assert_close(prior.covariance_matrix, 1.2**2 * (1 + r + r**2 / 3) * torch.exp(-r), **PREDICT)
