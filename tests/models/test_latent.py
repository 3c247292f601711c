"""Latent gps over draws: equal to PyMC's own conditional at each draw, whatever the likelihood; the response is an objective."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.acquisition import (
    AcquisitionFunction,
    LogExpectedImprovement,
    UpperConfidenceBound,
    qExpectedImprovement,
    qKnowledgeGradient,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qSimpleRegret,
)
from botorch.acquisition.objective import GenericMCObjective
from botorch.cross_validation import efficient_loo_cv
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models import ModelListGP
from botorch.models.transforms import Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.posteriors import GPyTorchPosterior
from botorch.posteriors.fully_bayesian import GaussianMixturePosterior
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.context_managers import module_rollback_ctx
from botorch.utils.safe_math import logmeanexp
from gpytorch.distributions import MultivariateNormal
from scipy.spatial.distance import cdist
from torch import Tensor

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

pytestmark = pytest.mark.filterwarnings("ignore::botorch.exceptions.warnings.NumericsWarning")  # EI is wanted as it is

S = 3
REFERENCE = {"rtol": 0, "atol": 1e-8}
AVERAGE = {"rtol": 0, "atol": 1e-10}
SAME = {"rtol": 0, "atol": 0}
BOUNDS = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)
JITTER = pm.gp.util.JITTER_DEFAULT


class Latent(NamedTuple):
    """A latent gp in its PyMC model, with draws."""

    gp: pm.gp.Latent
    pm_model: pm.Model
    draws: xr.Dataset
    given: dict[str, Any] | None = None


def inputs(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.double)


def places(n: int = 9) -> np.ndarray:
    return np.random.default_rng(3).uniform(size=(n, 2))


def prior_draws(pm_model: pm.Model, draws: int = 6, **options: Any) -> xr.Dataset:
    """Draws of all parameters and of the function, as ``pm.sample`` names them."""
    with pm_model:
        return pm.sample_prior_predictive(draws, random_seed=1, var_names=options.get("var_names"))["prior"].dataset


def latent(likelihood: Callable[[Any], Any], n: int = 9, X: np.ndarray | None = None, draws: int = 6, **options: Any) -> Latent:
    """A constant mean, an ARD kernel, and any likelihood of its function ``f``."""
    with pm.Model() as pm_model:
        mu = pm.Normal("mu", 0.5, 0.5)
        kernel = pm.LogNormal("eta", 0, 0.3) ** 2 * pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", -0.7, 0.3, shape=2))
        gp = pm.gp.Latent(mean_func=pm.gp.mean.Constant(mu), cov_func=kernel)
        likelihood(gp.prior("f", places(n) if X is None else X, **options))
    names = [rv.name for rv in pm_model.free_RVs] + [d.name for d in pm_model.deterministics]
    return Latent(gp, pm_model, prior_draws(pm_model, draws, var_names=names))


def counts(f: Any) -> None:
    pm.Poisson("y", pm.math.exp(f), observed=np.arange(9) % 4)


def germination(f: Any) -> None:
    ceiling = pm.Beta("ceiling", 8, 2)
    pm.Deterministic("floor", 0.1 * ceiling)
    pm.Binomial("y", n=20, p=ceiling * pm.math.sigmoid(f), observed=2 * np.arange(9))


def robust(f: Any) -> None:
    pm.StudentT("y", nu=pm.Gamma("nu", 2, 0.1), mu=f, sigma=pm.HalfNormal("sigma"), observed=np.sin(np.arange(9.0)))


def partly_missing(f: Any) -> None:
    pm.Poisson("y", pm.math.exp(f[:6]), observed=np.arange(6))


def component() -> Latent:
    X = places()
    with pm.Model() as pm_model:
        slow = pm.gp.Latent(mean_func=pm.gp.mean.Constant(0.3), cov_func=pm.gp.cov.ExpQuad(2, ls=pm.LogNormal("ell")))
        total = slow + pm.gp.Latent(cov_func=0.4**2 * pm.gp.cov.Matern32(2, ls=0.2))
        counts(total.prior("f", X))
    return Latent(slow, pm_model, prior_draws(pm_model), {"gp": total, "X": total.X, "f": total.f})


LATENT: dict[str, Callable[[], Latent]] = {
    "Poisson": lambda: latent(counts),
    "binomial with a ceiling": lambda: latent(germination),
    "Student-t": lambda: latent(robust),
    "Student-t, f itself a random variable": lambda: latent(robust, reparameterize=False),
    "missing outcomes": lambda: latent(partly_missing),
    "another jitter": lambda: latent(counts, jitter=1e-3),
    "a component of a sum": component,
}


def of(case: Latent, draws: Any = None, num_draws: int | None = S, **options: Any) -> FullyBayesianPyMCGP:
    draws = case.draws if draws is None else draws
    options = {"given": case.given, **options}
    return FullyBayesianPyMCGP.from_fitted(case.gp, draws, num_draws=num_draws, model=case.pm_model, **options)


def by_pymc(case: Latent, model: FullyBayesianPyMCGP, X: Tensor, jitter: float = JITTER) -> tuple[Tensor, Tensor]:
    """Mean ``S x q`` and covariance ``S x q x q`` of PyMC's ``gp.conditional`` at the model's draws."""
    pm_model, draws = case.pm_model, model.draws
    with pm.Model():
        new = case.gp.conditional("new", X.numpy(), given=case.given, jitter=jitter)
    outputs = list(new.owner.op.dist_params(new.owner)[:2])
    f = pm_model["f"]
    names = [rv.name for rv in pm_model.free_RVs if rv.name in draws and rv is not f]
    moments = []
    for s in range(model.num_mcmc_samples):
        at = {f: draws["f"][s], **{pm_model[name]: draws[name][s] for name in names}}
        moments.append([torch.from_numpy(out.eval(at, on_unused_input="ignore")) for out in outputs])
    mean, cov = map(torch.stack, zip(*moments, strict=True))
    return mean, cov


@pytest.fixture
def case() -> Latent:
    return latent(germination)


@pytest.fixture
def model(case: Latent) -> FullyBayesianPyMCGP:
    return of(case)


@pytest.mark.parametrize("kind", LATENT)
def test_each_draw_is_the_conditional_of_pymc(kind: str) -> None:
    case = LATENT[kind]()
    model, X = of(case), inputs(4, 2)
    mean, cov = by_pymc(case, model, X, jitter=1e-3 if kind == "another jitter" else JITTER)
    posterior = model.posterior(X)
    assert type(posterior) is GaussianMixturePosterior
    torch.testing.assert_close(posterior.mean.squeeze(-1), mean, **REFERENCE)
    torch.testing.assert_close(posterior.distribution.covariance_matrix, cov, **REFERENCE)
    torch.testing.assert_close(posterior.mixture_mean.squeeze(-1), mean.mean(0), **REFERENCE)
    total = cov.diagonal(dim1=-2, dim2=-1).mean(0) + mean.var(0, correction=0)
    torch.testing.assert_close(posterior.mixture_variance.squeeze(-1), total, **REFERENCE)


def test_each_draw_is_the_closed_form(model: FullyBayesianPyMCGP) -> None:
    X, new = places(), inputs(40, 2)
    for s in range(S):
        mu, eta, ell, f = (model.draws[name][s] for name in ("mu", "eta", "ell", "f"))

        def kernel(A: np.ndarray, B: np.ndarray, eta: float = eta, ell: np.ndarray = ell) -> np.ndarray:
            r = np.sqrt(5) * cdist(A / ell, B / ell)
            return eta**2 * (1 + r + r**2 / 3) * np.exp(-r)

        weights = np.linalg.solve(kernel(X, X) + JITTER * np.eye(len(X)), kernel(X, new.numpy()))  # n x q
        mean = mu + weights.T @ (f - mu)
        cov = kernel(new.numpy(), new.numpy()) - kernel(new.numpy(), X) @ weights
        posterior = model.posterior(new)
        np.testing.assert_allclose(posterior.mean[s, :, 0].numpy(), mean, rtol=0, atol=1e-8)
        np.testing.assert_allclose(posterior.distribution.covariance_matrix[s].numpy(), cov, rtol=0, atol=1e-8)
        np.testing.assert_allclose(posterior.variance[s, :, 0].numpy(), cov.diagonal(), rtol=0, atol=1e-8)


def test_a_component_takes_the_data_of_its_total() -> None:
    case, X = component(), inputs(3, 2)
    short = of(case, given={"gp": case.given["gp"]})
    torch.testing.assert_close(short.posterior(X).mean, of(case).posterior(X).mean, **SAME)


def test_the_posterior_passes_through_the_function_of_each_draw(model: FullyBayesianPyMCGP) -> None:
    posterior = model.posterior(model.train_inputs[0])
    torch.testing.assert_close(posterior.mean.squeeze(-1), model.train_targets, rtol=0, atol=1e-3)
    assert posterior.variance.max() < 2 * JITTER
    assert posterior.mixture_variance.min() > 1e-3  # it is the draws that differ


def test_gradients_are_exact(model: FullyBayesianPyMCGP) -> None:
    X = inputs(2, 2, 2).requires_grad_()
    for read in (lambda p: p.mixture_mean, lambda p: p.mixture_variance, lambda p: p.distribution.covariance_matrix):
        assert torch.autograd.gradcheck(lambda X, read=read: read(model.posterior(X)), X)
    points, step = inputs(3, 2), 1e-5
    slopes = model.predictive_gradients(points).mean_gradient
    for i, shift in enumerate(step * torch.eye(2, dtype=torch.double)):
        up, down = (model.posterior(points + sign * shift).mixture_mean.squeeze(-1) for sign in (1, -1))
        torch.testing.assert_close(slopes[:, i], (up - down) / (2 * step), rtol=0, atol=1e-6)


def test_draws_and_sizes_share_one_compiled_structure(case: Latent) -> None:
    pymc_botorch.cache_clear()
    of(case).posterior(inputs(3, 2))
    assert pymc_botorch.cache_info().compilations == 1
    for n, num_draws in ((9, 6), (5, 2), (14, 1)):
        model = of(latent(lambda f: pm.Poisson("y", pm.math.exp(f), observed=np.zeros(n)), n), num_draws=num_draws)  # noqa: B023
        for shape in ((1, 2), (2, 3, 2), (40, 2)):
            assert model.posterior(inputs(*shape)).variance.shape == (*shape[:-2], num_draws, shape[-2], 1)
    assert pymc_botorch.cache_info().compilations == 1
    of(latent(robust, reparameterize=False)).posterior(inputs(3, 2))
    assert pymc_botorch.cache_info().compilations == 1


def test_what_pymc_samples_is_read_as_it_is() -> None:
    case = latent(robust)
    with case.pm_model:
        idata = pm.sample(draws=6, tune=6, chains=2, cores=1, progressbar=False, random_seed=1, compute_convergence_checks=False)
    model = of(case, idata, num_draws=4)
    for name in ("f", "nu", "sigma", "ell"):
        values = idata["posterior"][name].to_numpy()
        np.testing.assert_array_equal(model.draws[name], values.reshape(12, *values.shape[2:])[[1, 4, 7, 10]])
    X = inputs(3, 2)
    torch.testing.assert_close(model.posterior(X).mean.squeeze(-1), by_pymc(case, model, X)[0], **REFERENCE)


def test_draws_have_what_the_likelihood_took(model: FullyBayesianPyMCGP, case: Latent) -> None:
    assert set(model.draws) == {"ell", "eta", "mu", "f", "ceiling", "floor"}
    chosen = case.draws.isel(chain=0, draw=[1, 3, 5])
    for name, values in model.draws.items():
        np.testing.assert_array_equal(values, chosen[name].to_numpy())
    np.testing.assert_allclose(model.draws["floor"], 0.1 * model.draws["ceiling"])


def sampler(number: int = 16) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([number]), seed=1)


class OneGaussian(PyMCGP):
    """A single draw by hand, without this library's mixture."""

    def __init__(self, ensemble: FullyBayesianPyMCGP, s: int) -> None:
        torch.nn.Module.__init__(self)
        self.__dict__["draw"] = (ensemble, s)

    batch_shape = torch.Size()  # type: ignore[assignment]
    num_outputs = 1  # type: ignore[assignment]

    def posterior(self, X: Tensor, *_: Any, **__: Any) -> GPyTorchPosterior:  # type: ignore[override]
        ensemble, s = self.__dict__["draw"]
        posterior = ensemble.posterior(X)
        cov = posterior.distribution.covariance_matrix.select(-3, s)
        return GPyTorchPosterior(MultivariateNormal(posterior.mean.squeeze(-1).select(-2, s), cov))


def averaged(model: FullyBayesianPyMCGP, acquire: Callable[[Any, Any, Any], AcquisitionFunction], X: Tensor) -> Tensor:
    """Return what an acquisition function is at each draw alone, with the ensemble's base samples, ``S x b``."""
    ours = sampler()
    acquire(model, ours, None)(X)
    values = []
    for s in range(S):
        own = sampler()
        own.base_samples = ours.base_samples.select(-3, 0).contiguous()
        values.append(acquire(OneGaussian(model, s), own, s)(X))
    return torch.stack(values)


def test_a_link_is_an_objective_and_values_are_averaged_over_draws(model: FullyBayesianPyMCGP) -> None:
    response = GenericMCObjective(lambda Y, X=None: torch.sigmoid(Y[..., 0]))
    X = inputs(5, 2, 2)

    def acquire(m: Any, sampler: Any, s: int | None) -> AcquisitionFunction:
        return qLogExpectedImprovement(m, 0.5, sampler, response)

    expected = logmeanexp(averaged(model, acquire, X), dim=0)
    torch.testing.assert_close(qLogExpectedImprovement(model, 0.5, sampler(), response)(X), expected, **AVERAGE)


@pytest.mark.parametrize("name", ["qLogEI", "qEI", "qSimpleRegret"])
def test_a_link_takes_the_parameters_of_each_draw(model: FullyBayesianPyMCGP, name: str) -> None:
    ceiling = torch.from_numpy(model.draws["ceiling"])
    X = inputs(5, 2, 2)

    def acquire(m: Any, sampler: Any, s: int | None) -> AcquisitionFunction:
        height = ceiling[:, None] if s is None else ceiling[s]
        response = GenericMCObjective(lambda Y, X=None: height * torch.sigmoid(Y[..., 0]))
        if name == "qSimpleRegret":
            return qSimpleRegret(m, sampler, response)
        return {"qLogEI": qLogExpectedImprovement, "qEI": qExpectedImprovement}[name](m, 0.4, sampler, response)

    alone = averaged(model, acquire, X)
    expected = logmeanexp(alone, dim=0) if name == "qLogEI" else alone.mean(0)
    value = acquire(model, sampler(), None)
    torch.testing.assert_close(value(X), expected, **AVERAGE)
    assert torch.autograd.gradcheck(value, X[:2].clone().requires_grad_(), atol=1e-5)


@pytest.mark.parametrize("cache_root", [True, False])
@pytest.mark.parametrize("prune_baseline", [True, False])
def test_improvement_on_the_response_at_known_places(model: FullyBayesianPyMCGP, prune_baseline: bool, cache_root: bool) -> None:
    ceiling = torch.from_numpy(model.draws["ceiling"])
    response = GenericMCObjective(lambda Y, X=None: ceiling[:, None] * torch.sigmoid(Y[..., 0]))
    options = {"prune_baseline": prune_baseline, "cache_root": cache_root, "sampler": sampler(64), "objective": response}
    acquisition = qLogNoisyExpectedImprovement(model, model.train_inputs[0], **options)
    X = inputs(4, 2, 2)
    value = acquisition(X)
    assert value.shape == (4,)
    assert value.isfinite().all()
    candidates, _ = optimize_acqf(acquisition, BOUNDS, 2, 2, 8, options={"maxiter": 5})
    assert candidates.shape == (2, 2)


def test_noisy_improvement_is_averaged_over_draws(model: FullyBayesianPyMCGP) -> None:
    ceiling, X = torch.from_numpy(model.draws["ceiling"]), inputs(4, 2, 2)

    def acquire(m: Any, sampler: Any, s: int | None) -> AcquisitionFunction:
        height = ceiling[:, None] if s is None else ceiling[s]
        response = GenericMCObjective(lambda Y, X=None: height * torch.sigmoid(Y[..., 0]))
        known = torch.from_numpy(places())
        return qLogNoisyExpectedImprovement(m, known, sampler, response, prune_baseline=False, cache_root=False)

    expected = logmeanexp(averaged(model, acquire, X), dim=0)
    torch.testing.assert_close(acquire(model, sampler(), None)(X), expected, **AVERAGE)


def test_pruning_looks_at_the_average_over_draws_and_overstates_improvement(model: FullyBayesianPyMCGP) -> None:
    """Why the docstring asks for ``prune_baseline=False``; if it fails, BoTorch has mended it."""
    X, known = inputs(5, 1, 2), model.train_inputs[0]
    assert len(model.train_targets.argmax(-1).unique()) > 1
    pruned, whole = (
        qLogNoisyExpectedImprovement(model, known, sampler(), prune_baseline=prune, cache_root=False) for prune in (True, False)
    )
    assert pruned.X_baseline.shape == (1, 2)
    assert (pruned(X) > whole(X)).all()


def test_acquisition_functions_take_it_as_any_ensemble(model: FullyBayesianPyMCGP) -> None:
    X = inputs(4, 1, 2)
    draw = model.posterior(X)
    expected = (draw.mean + 2 * draw.variance.sqrt()).squeeze((-1, -2)).mean(-1)
    torch.testing.assert_close(UpperConfidenceBound(model, 4.0)(X), expected, **AVERAGE)
    assert LogExpectedImprovement(model, 0.5)(X).shape == (4,)
    assert qExpectedImprovement(model, 0.5, sampler(), X_pending=inputs(1, 2))(X).shape == (4,)
    assert optimize_acqf(LogExpectedImprovement(model, 0.5), BOUNDS, 1, 2, 4, options={"maxiter": 3})[0].shape == (1, 2)
    both = ModelListGP(model, of(latent(counts)))
    assert both.posterior(inputs(3, 2)).mean.shape == (S, 3, 2)
    product = GenericMCObjective(lambda Y, X=None: torch.sigmoid(Y[..., 0]) * Y[..., 1].exp())
    assert qLogExpectedImprovement(both, 0.5, sampler(), product)(inputs(4, 2, 2)).shape == (4,)


def test_outcomes_are_refused_with_the_reason(model: FullyBayesianPyMCGP) -> None:
    X, Y = inputs(2, 2), inputs(2, 1)
    refused: dict[str, Callable[[], object]] = {
        "noise": lambda: model.posterior(X, observation_noise=True),
        "given noise": lambda: model.posterior(X, observation_noise=torch.full((S, 2, 1), 0.1)),
        "fantasies": lambda: model.fantasize(X, sampler()),
        "observations": lambda: model.condition_on_observations(X, Y),
        "GPyTorch's fantasies": lambda: model.get_fantasy_model(X, Y.squeeze(-1)),
        "its variance": lambda: model.noise_variance,
        "the likelihood": lambda: model.likelihood(model(X)),
        "leave-one-out": lambda: efficient_loo_cv(model),
        "knowledge gradient": lambda: qKnowledgeGradient(model, 2)(inputs(1, 3, 2)),
    }
    for attempt in refused.values():
        with pytest.raises(UnsupportedError, match=r"not the function plus Gaussian noise.*as an objective"):
            attempt()


def test_the_gradient_of_a_latent_function_has_the_moments_of_its_draws(model: FullyBayesianPyMCGP) -> None:
    X = inputs(2, 2)
    draws, mixture = (pymc_botorch.gradient_posterior(model, X, per_draw=flag) for flag in (True, False))
    torch.testing.assert_close(mixture.mean, model.predictive_gradients(X).mean_gradient, **REFERENCE)
    between = torch.cov(draws.mean.reshape(S, -1).T, correction=0)
    torch.testing.assert_close(mixture.covariance, draws.covariance.mean(0) + between, rtol=1e-9, atol=1e-9)


def test_other_data_are_refused_and_the_same_change_nothing(model: FullyBayesianPyMCGP) -> None:
    X, f, new = model.train_inputs[0], model.train_targets, inputs(3, 2)
    before = model.posterior(new).mean
    assert f.shape == (S, 9)
    for attempt in (
        lambda: model.set_train_data(X + 0.1, f),
        lambda: model.set_train_data(X, f + 0.1),
        lambda: model.set_train_data(X[:4], f[:, :4], strict=False),
        lambda: setattr(model, "train_inputs", (X[:4],)),
        lambda: setattr(model, "train_targets", f[0]),
    ):
        with pytest.raises(UnsupportedError, match=r"cannot have other data\. Sample the"):
            attempt()
    model.set_train_data(X, f)
    model.train_inputs = (X,)
    torch.testing.assert_close(model.posterior(new).mean, before, **SAME)


def test_the_prior_is_that_of_the_function_at_each_draw(model: FullyBayesianPyMCGP) -> None:
    prior = model.forward(inputs(3, 2))
    mu, eta = (torch.from_numpy(model.draws[name])[:, None].expand(S, 3) for name in ("mu", "eta"))
    torch.testing.assert_close(prior.mean, mu, **REFERENCE)
    torch.testing.assert_close(prior.variance, eta**2, **REFERENCE)
    torch.testing.assert_close(model(model.train_inputs[0]).mean, model.posterior(model.train_inputs[0]).mean.squeeze(-1), **SAME)
    with pytest.raises(UnsupportedError, match="component of a sum"):
        of(component()).forward(inputs(3, 2))


def test_copies_and_pickles_predict_the_same(model: FullyBayesianPyMCGP) -> None:
    X = inputs(3, 2)
    before = pymc_botorch.cache_info().compilations
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.posterior(X).mean, model.posterior(X).mean, **SAME)
        assert set(twin.draws) == set(model.draws)
    assert pymc_botorch.cache_info().compilations == before


def test_a_state_is_the_draws_with_their_function(case: Latent, model: FullyBayesianPyMCGP) -> None:
    buffer, X = io.BytesIO(), inputs(3, 2)
    whole = of(case, num_draws=None)
    torch.save(whole.state_dict(), buffer)
    buffer.seek(0)
    model.load_state_dict(torch.load(buffer))
    assert model.batch_shape == (6,)
    torch.testing.assert_close(model.posterior(X).mean, whole.posterior(X).mean, **SAME)
    for name, values in whole.draws.items():
        np.testing.assert_array_equal(model.draws[name], values)
    with module_rollback_ctx(model, checkpoint=None) as checkpoint:
        assert checkpoint
    torch.testing.assert_close(model.posterior(X).mean, whole.posterior(X).mean, **SAME)
    for other in (latent(counts, X=places() + 0.1), latent(lambda f: pm.Normal("y", f, observed=np.zeros(5)), 5)):
        for load in (model.load_state_dict, lambda state: model.set_extra_state(state["_extra_state"])):
            with pytest.raises(InputDataError, match="at the training inputs of this model"):
                load(of(other).state_dict())
    assert model.batch_shape == (6,)


def test_transforms_are_those_of_the_data(case: Latent) -> None:
    low, high = torch.tensor([[5.0, 5.0], [15.0, 15.0]], dtype=torch.double)
    normalize, standardize = Normalize(2, bounds=torch.stack([low, high])), Standardize(1)
    standardize(3 + 2 * inputs(20, 1))
    standardize.eval()
    plain, X = of(case), inputs(2, 3, 2)
    model = of(case, input_transform=normalize, outcome_transform=standardize)
    got, own = model.posterior(low + (high - low) * X), plain.posterior(X)
    torch.testing.assert_close(got.mean, standardize.means + standardize.stdvs * own.mean, **REFERENCE)
    torch.testing.assert_close(got.variance, standardize.stdvs**2 * own.variance, **REFERENCE)
    twin = of(case, num_draws=2, input_transform=normalize, outcome_transform=standardize)
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(twin.posterior(low + (high - low) * X).mean, got.mean, **REFERENCE)
    torch.testing.assert_close(twin.train_targets, plain.train_targets, **SAME)


def test_the_data_of_the_model_may_be_pm_data() -> None:
    X = places()
    with pm.Model() as pm_model:
        gp = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell")))
        counts(gp.prior("f", pm.Data("X", X, shape=(None, 2))))
    case = Latent(gp, pm_model, prior_draws(pm_model, var_names=["ell", "f"]))
    model = of(case)
    mean, cov = by_pymc(case, model, X_new := inputs(3, 2))
    torch.testing.assert_close(model.posterior(X_new).mean.squeeze(-1), mean, **REFERENCE)
    torch.testing.assert_close(model.posterior(X_new).distribution.covariance_matrix, cov, **REFERENCE)
    with pm_model:
        pm.set_data({"X": X[:4]})
    with pytest.raises(InputDataError, match=r"f has shape \(9,\) at chain 0, draw 1, but the gp has 4 inputs"):
        of(case)


BAD: dict[str, tuple[Callable[[xr.Dataset], xr.Dataset], str]] = {
    "without the function": (lambda p: p.drop_vars("f"), "no draws of the function f itself.*Keep f when"),
    "another length": (lambda p: p.isel(f_dim_0=slice(4)), r"f has shape \(4,\).*but the gp has 9 inputs"),
    "not finite": (lambda p: p.assign(f=p.f.where(p.draw != 1)), r"f is \[nan.*at chain 0, draw 1"),
    "a parameter missing": (lambda p: p.drop_vars("eta"), "no draws of eta"),
    "of another model": (lambda p: p.assign(other=p.eta), "other"),
}


@pytest.mark.parametrize("kind", BAD)
def test_draws_that_do_not_fit_are_refused_before_anything_is_compiled(case: Latent, kind: str) -> None:
    change, message = BAD[kind]
    pymc_botorch.cache_clear()
    with pytest.raises(InputDataError, match=message):
        of(case, change(case.draws.assign_coords(draw=range(6))))
    assert pymc_botorch.cache_info().compilations == 0


def unusual(make: Callable[[], pm.gp.gp.Base], prior: Callable[[Any], object] = lambda gp: None, given: Any = None) -> Latent:
    with pm.Model() as pm_model:
        gp = make()
        prior(gp)
    draws = xr.Dataset({"f": (("chain", "draw", "obs"), np.zeros((1, 4, 9)))})
    return Latent(gp, pm_model, draws, given)


def matern(d: int = 2) -> pm.gp.cov.Covariance:
    return pm.gp.cov.Matern52(d, ls=0.5)


def elsewhere() -> Latent:
    case = latent(counts)
    return case._replace(pm_model=latent(counts).pm_model)


def nan_place() -> np.ndarray:
    X = places()
    X[3, 0] = np.nan
    return X


plain = lambda: pm.gp.Latent(cov_func=matern())  # noqa: E731
UNUSUAL: dict[str, tuple[Callable[[], Latent], type[Exception], str]] = {
    "no prior": (lambda: unusual(plain), InputDataError, r"has no prior \(no X, f\)"),
    "another model": (elsewhere, InputDataError, "'f' is no variable of the PyMC model"),
    "several outputs": (
        lambda: unusual(plain, lambda gp: gp.prior("f", places(), n_outputs=2)),
        UnsupportedError,
        "f has 2 dimensions: a function of several outputs",
    ),
    "NaN in X": (lambda: unusual(plain, lambda gp: gp.prior("f", nan_place())), InputDataError, r"NaN.*rows \[3\]"),
    "too many columns": (
        lambda: unusual(plain, lambda gp: gp.prior("f", pm.Data("X", np.ones((9, 3))))),
        InputDataError,
        "has 3 columns.*input_dim=2",
    ),
    "scaled in the model": (
        lambda: unusual(plain, lambda gp: gp.prior("f", pm.Data("X", places()) / 2)),
        InputDataError,
        "computed inside the PyMC model",
    ),
    "Student-t process": (
        lambda: unusual(lambda: pm.gp.TP(scale_func=matern(), nu=3), lambda gp: gp.prior("f", places())),
        UnsupportedError,
        "TP cannot be used here",
    ),
    "LatentKron": (
        lambda: unusual(lambda: pm.gp.LatentKron(cov_funcs=[matern(1), matern(1)])),
        UnsupportedError,
        r"LatentKron cannot be used here.*pm.gp.cov.Kron\(cov_funcs\)",
    ),
    "given of another class": (
        lambda: unusual(plain, given={"gp": pm.gp.Marginal(cov_func=pm.gp.cov.Constant(1.0))}),
        UnsupportedError,
        "gp is a Marginal. Pass a pm.gp.Latent",
    ),
    "given unknown": (lambda: unusual(plain, given={"y": 1}), InputDataError, r"unknown entries \['y'\]"),
    "given no dict": (lambda: unusual(plain, given=3), InputDataError, "given is a int"),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_gps_that_cannot_be_used_are_refused_before_anything_is_compiled(kind: str) -> None:
    make, error, message = UNUSUAL[kind]
    pymc_botorch.cache_clear()
    with pytest.raises(error, match=message):
        of(make())
    assert pymc_botorch.cache_info().compilations == 0


def test_a_point_of_a_latent_gp_is_refused_with_what_to_use(case: Latent) -> None:
    with pytest.raises(UnsupportedError, match=r"sample the PyMC model and use FullyBayesianPyMCGP.from_fitted"):
        PyMCGP.from_fitted(case.gp, {}, model=case.pm_model)


def test_noise_in_the_kernel_warns() -> None:
    case = unusual(lambda: pm.gp.Latent(cov_func=matern() + pm.gp.cov.WhiteNoise(0.1)), lambda gp: gp.prior("f", places()))
    with pytest.warns(UserWarning, match="WhiteNoise in cov_func.*into the likelihood"):
        of(case)


def test_a_kronecker_grid_is_a_latent_gp_with_a_kronecker_kernel() -> None:
    grid = pm.math.cartesian(np.linspace(0, 1, 3)[:, None], np.linspace(0, 1, 3)[:, None])
    kernel = lambda: pm.gp.cov.Kron([matern(1), pm.gp.cov.ExpQuad(1, ls=0.4)])  # noqa: E731
    case = unusual(lambda: pm.gp.Latent(cov_func=kernel()), lambda gp: gp.prior("f", grid))
    draws = case.draws.assign(f=case.draws.f + np.sin(np.arange(9)))
    X = inputs(3, 2)
    model = of(case, draws)
    torch.testing.assert_close(model.posterior(X).mean.squeeze(-1), by_pymc(case, model, X)[0], **REFERENCE)
