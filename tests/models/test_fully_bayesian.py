"""Draws of hyperparameters as a BoTorch ensemble: equal to a single model at each draw, and averaged as BoTorch averages."""

import copy
import io
import math
import pickle
import warnings
from collections.abc import Callable

import arviz as az
import botorch.models.fully_bayesian as botorch_models
import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.acquisition import (
    AcquisitionFunction,
    ExpectedImprovement,
    LogExpectedImprovement,
    PosteriorMean,
    UpperConfidenceBound,
    qExpectedImprovement,
    qKnowledgeGradient,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qNegIntegratedPosteriorVariance,
)
from botorch.acquisition.multi_objective import qNoisyExpectedHypervolumeImprovement
from botorch.acquisition.objective import IdentityMCObjective, ScalarizedPosteriorTransform
from botorch.exceptions.errors import BotorchTensorDimensionError, InputDataError, UnsupportedError
from botorch.models import ModelListGP
from botorch.models.fully_bayesian import SaasFullyBayesianSingleTaskGP
from botorch.models.transforms import Log, Normalize, Standardize
from botorch.optim import optimize_acqf
from botorch.posteriors.fully_bayesian import GaussianMixturePosterior
from botorch.posteriors.transformed import TransformedPosterior
from botorch.sampling import IIDNormalSampler, SobolQMCNormalSampler
from botorch.utils.context_managers import module_rollback_ctx
from botorch.utils.safe_math import logmeanexp
from torch import Tensor
from zoo import POINT, Case, data, marginal

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

pytestmark = pytest.mark.filterwarnings(
    "ignore::botorch.exceptions.warnings.NumericsWarning"
)  # EI and qNEHVI are wanted as they are

S = 3
SINGLE = {"rtol": 0, "atol": 1e-8}
AVERAGE = {"rtol": 0, "atol": 1e-10}
SAME = {"rtol": 0, "atol": 1e-12}
BOUNDS = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)


def inputs(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.double)


def posterior_draws(chains: int = 2, draws: int = 6, seed: int = 0) -> xr.Dataset:
    """Draws about the point of the zoo."""
    rng = np.random.default_rng(seed)
    values = {name: value * np.exp(0.3 * rng.normal(size=(chains, draws, *value.shape))) for name, value in POINT.items()}
    return xr.Dataset({name: (("chain", "draw", *(f"{name}_{i}" for i in range(v.ndim - 2))), v) for name, v in values.items()})


def of(case: Case, idata: object = None, num_draws: int | None = S, **options: object) -> FullyBayesianPyMCGP:
    idata = posterior_draws() if idata is None else idata
    return FullyBayesianPyMCGP.from_fitted(case.gp, idata, num_draws=num_draws, model=case.pm_model, **options)


def singles(case: Case, model: FullyBayesianPyMCGP, **options: object) -> list[PyMCGP]:
    points = [{name: value[s] for name, value in model.draws.items()} for s in range(model.num_mcmc_samples)]
    return [PyMCGP.from_fitted(case.gp, point, model=case.pm_model, **options) for point in points]


@pytest.fixture
def case() -> Case:
    return marginal()


@pytest.fixture
def model(case: Case) -> FullyBayesianPyMCGP:
    return of(case)


def with_gradients(read: Callable[[Tensor], Tensor], X: Tensor) -> tuple[Tensor, Tensor]:
    X = X.clone().requires_grad_()
    value = read(X)
    (gradient,) = torch.autograd.grad((value * torch.linspace(1, 2, value.numel()).reshape(value.shape)).sum(), X)
    return value.detach(), gradient


@pytest.mark.parametrize("shape", [(4, 2), (3, 2, 2), (2, 3, 1, 2), (40, 2), (2, 40, 2), (0, 2, 2), (3, 0, 2)], ids=str)
def test_draws_are_single_models_in_moments_and_gradients(case: Case, model: FullyBayesianPyMCGP, shape: tuple[int, ...]) -> None:
    X, alone = inputs(*shape), singles(case, model)
    posterior = model.posterior(X)
    assert type(posterior) is GaussianMixturePosterior
    assert posterior.mean.shape == (*shape[:-2], S, shape[-2], 1)
    for read in (lambda p: p.mean, lambda p: p.variance, lambda p: p.distribution.covariance_matrix):
        got = with_gradients(lambda X, read=read: read(model.posterior(X)), X)
        expected = with_gradients(lambda X, read=read: torch.stack([read(m.posterior(X)) for m in alone], -3), X)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, **SINGLE)


def test_the_mixture_has_the_mean_and_the_total_variance_of_its_draws(case: Case, model: FullyBayesianPyMCGP) -> None:
    for q in (3, 40):
        X = inputs(2, q, 2)
        alone = [m.posterior(X) for m in singles(case, model)]
        means, variances = torch.stack([p.mean for p in alone]), torch.stack([p.variance for p in alone])
        posterior = model.posterior(X)
        torch.testing.assert_close(posterior.mixture_mean, means.mean(0), **SINGLE)
        total = variances.mean(0) + means.var(0, correction=0)
        torch.testing.assert_close(posterior.mixture_variance, total, **SINGLE)
        cov = posterior.mixture_covariance_matrix
        cov = cov if isinstance(cov, Tensor) else cov.to_dense()
        torch.testing.assert_close(cov.diagonal(dim1=-2, dim2=-1), total.squeeze(-1), **SINGLE)
        assert (posterior.quantile(torch.tensor(0.9, dtype=torch.double)) > posterior.mixture_mean).all()


def test_a_variance_at_many_points_makes_no_matrix_of_them(model: FullyBayesianPyMCGP, monkeypatch: pytest.MonkeyPatch) -> None:
    from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior

    sizes, call = [], ConditionedPosterior.__call__

    def spy(self: ConditionedPosterior, *args: object) -> list[np.ndarray]:
        outputs = call(self, *args)
        sizes.extend(array.size for array in outputs)
        return outputs

    monkeypatch.setattr(ConditionedPosterior, "__call__", spy)
    posterior = model.posterior(inputs(500, 2), observation_noise=True)
    assert posterior.mean.shape == posterior.variance.shape == (S, 500, 1)
    assert max(sizes) == 500


def test_observation_noise_is_that_of_each_draw(model: FullyBayesianPyMCGP) -> None:
    X = inputs(2, 3, 2)
    added = model.posterior(X, observation_noise=True).variance - model.posterior(X).variance
    expected = torch.from_numpy(model.draws["sigma"] ** 2)
    torch.testing.assert_close(added, expected.reshape(S, 1, 1).expand(2, S, 3, 1), **SAME)
    torch.testing.assert_close(model.likelihood.noise, expected.unsqueeze(-1), **SAME)
    own = torch.full((3, 1), 0.5, dtype=torch.double)
    assert model.posterior(X, observation_noise=own).variance.min() > 0.5


def test_one_compilation_serves_any_number_of_draws(case: Case) -> None:
    pymc_botorch.cache_clear()
    for num_draws in (1, 2, 12, None):
        of(case, num_draws=num_draws).posterior(inputs(2, 1, 2))
    assert pymc_botorch.cache_info().compilations == 1


def sampler(n: int = 16) -> SobolQMCNormalSampler:
    return SobolQMCNormalSampler(torch.Size([n]), seed=5)


BASELINE = torch.from_numpy(data()[0][:5])

ACQUISITIONS: dict[str, tuple[Callable[[object], AcquisitionFunction], int]] = {
    "PosteriorMean": (PosteriorMean, 1),
    "EI": (lambda m: ExpectedImprovement(m, 0.5), 1),
    "LogEI": (lambda m: LogExpectedImprovement(m, 0.5), 1),
    "UCB": (lambda m: UpperConfidenceBound(m, 2.0), 1),
    "qEI": (lambda m: qExpectedImprovement(m, 0.5, sampler()), 2),
    "qLogEI": (lambda m: qLogExpectedImprovement(m, 0.5, sampler()), 2),
    "qNIPV": (lambda m: qNegIntegratedPosteriorVariance(m, BOUNDS.flip(0) * 0.3 + 0.2), 2),
}


def share(sampler: SobolQMCNormalSampler, posterior: GaussianMixturePosterior) -> None:
    """Have all draws use the base samples of the first."""
    sampler._construct_base_samples(posterior)
    samples = sampler.base_samples
    sampler.base_samples = samples[..., :1, :, :].expand(samples.shape).contiguous()


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_an_acquisition_value_is_the_average_of_single_models(case: Case, model: FullyBayesianPyMCGP, name: str) -> None:
    make, q = ACQUISITIONS[name]
    X = inputs(4, q, 2)
    acquisition = make(model)
    sampled = name in ("qEI", "qLogEI")
    if sampled:
        share(acquisition.sampler, model.posterior(X))
    value, gradient = with_gradients(acquisition, X)
    expected, slopes = [], []
    for alone in singles(case, model):
        single = make(alone)
        if sampled:
            single.sampler.base_samples = acquisition.sampler.base_samples[..., 0, :, :].contiguous()
        v, g = with_gradients(single, X)
        expected.append(v)
        slopes.append(g)
    values = torch.stack(expected, -1)
    log = getattr(acquisition, "_log", False)
    torch.testing.assert_close(value, logmeanexp(values, -1) if log else values.mean(-1), **AVERAGE)
    if not log:
        torch.testing.assert_close(gradient, torch.stack(slopes).mean(0), **SINGLE)


@pytest.mark.parametrize("cache_root", [True, False])
def test_noisy_improvement_equals_finite_differences(model: FullyBayesianPyMCGP, cache_root: bool) -> None:
    acquisition = qLogNoisyExpectedImprovement(model, BASELINE, sampler(), prune_baseline=True, cache_root=cache_root)
    X = inputs(2, 2, 2).requires_grad_()
    assert acquisition(X).shape == (2,)
    assert torch.autograd.gradcheck(acquisition, X, atol=1e-4)


def test_the_optimiser_improves_and_proposes_a_batch(model: FullyBayesianPyMCGP) -> None:
    acquisition = qLogExpectedImprovement(model, 0.5, sampler())
    X, value = optimize_acqf(acquisition, BOUNDS, q=2, num_restarts=2, raw_samples=8, options={"maxiter": 10})
    assert X.shape == (2, 2)
    assert value > acquisition(inputs(5, 2, 2)).max() - 1e-6


def test_two_outcomes_are_one_mixture_and_have_a_hypervolume(case: Case, model: FullyBayesianPyMCGP) -> None:
    other = of(marginal("Matern32", seed=2), posterior_draws(seed=4))
    both = ModelListGP(model, other)
    X = inputs(3, 2, 2)
    posterior = both.posterior(X)
    assert type(posterior) is GaussianMixturePosterior
    assert posterior.mean.shape == (3, S, 2, 2)
    torch.testing.assert_close(posterior.mean[..., :1], model.posterior(X).mean, **SAME)
    for q in (2, 40):
        X = inputs(2, q, 2)
        expected = torch.cat([m.posterior(X).variance for m in (model, other)], -1)
        torch.testing.assert_close(both.posterior(X).variance, expected, **SINGLE)
    for cache_root in (True, False):
        acquisition = qNoisyExpectedHypervolumeImprovement(
            both, [-1.0, -1.0], BASELINE, sampler(), prune_baseline=True, cache_root=cache_root
        )
        value, gradient = with_gradients(acquisition, inputs(3, 2, 2))
        assert value.shape == (3,)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def saas(case: Case, model: FullyBayesianPyMCGP, monkeypatch: pytest.MonkeyPatch) -> SaasFullyBayesianSingleTaskGP:
    """BoTorch's own ensemble with the same draws; only its sampler needs JAX."""
    monkeypatch.setattr(botorch_models, "_check_jax_available", lambda: None)
    monkeypatch.setattr(botorch_models, "jnp", np, raising=False)
    theirs = SaasFullyBayesianSingleTaskGP(torch.from_numpy(case.X), torch.from_numpy(case.y).unsqueeze(-1))
    draws = {name: torch.from_numpy(value) for name, value in model.draws.items()}
    theirs.load_mcmc_samples(
        {
            "mean": draws["mu"],
            "lengthscale": draws["ell"],
            "outputscale": draws["eta"] ** 2,
            "noise": draws["sigma"] ** 2,
        }
    )
    return theirs.eval()


@pytest.mark.filterwarnings("ignore:Data")  # outcomes that are not standardised
def test_it_is_botorchs_own_ensemble_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    case = marginal(jitter=0.0)
    ours = of(case, posterior_draws(2, 8), num_draws=16)
    theirs = saas(case, ours, monkeypatch)
    assert ours.batch_shape == theirs.batch_shape == (16,)
    assert ours.num_mcmc_samples == theirs.num_mcmc_samples
    assert (ours._is_ensemble, ours._is_fully_bayesian) == (theirs._is_ensemble, theirs._is_fully_bayesian)
    assert ours.likelihood.noise.shape == theirs.likelihood.noise.shape
    torch.testing.assert_close(ours.train_inputs[0], theirs.train_inputs[0])
    torch.testing.assert_close(ours.train_targets, theirs.train_targets)
    for shape in ((4, 2), (3, 2, 2), (2, 3, 1, 2)):
        X = inputs(*shape)
        for noise in (False, True):
            a, b = (m.posterior(X, observation_noise=noise) for m in (ours, theirs))
            assert type(a) is type(b)
            for name in ("mean", "variance", "mixture_mean", "mixture_variance"):
                torch.testing.assert_close(getattr(a, name), getattr(b, name), **SINGLE)
            torch.testing.assert_close(a.distribution.covariance_matrix, b.distribution.covariance_matrix, **SINGLE)
            samples = [sampler(4)(posterior) for posterior in (a, b)]
            torch.testing.assert_close(*samples, rtol=0, atol=1e-6)
    for make in (lambda m: LogExpectedImprovement(m, 0.5), lambda m: qLogExpectedImprovement(m, 0.5, sampler())):
        torch.testing.assert_close(make(ours)(X), make(theirs)(X), rtol=0, atol=1e-7)
    transform = ScalarizedPosteriorTransform(torch.tensor([-2.0], dtype=torch.double))
    a, b = (m.posterior(X, posterior_transform=transform) for m in (ours, theirs))
    assert type(a) is type(b) is GaussianMixturePosterior
    torch.testing.assert_close(a.mean, b.mean, **SINGLE)
    x, y = inputs(2, 2), inputs(2, 1)
    theirs.posterior(x)
    a, b = (m.condition_on_observations(x, y).posterior(inputs(3, 2) * 0 + 0.4) for m in (ours, theirs))
    assert a.mean.shape == b.mean.shape
    torch.testing.assert_close(a.mean, b.mean, **SINGLE)
    torch.testing.assert_close(a.variance, b.variance, **SINGLE)


def test_conditioning_is_that_of_each_draw(case: Case, model: FullyBayesianPyMCGP) -> None:
    X, Y, new = inputs(2, 2), inputs(2, 1), inputs(5, 2)
    alone = singles(case, model)
    whole = model.condition_on_observations(X, Y)
    expected = torch.stack([m.condition_on_observations(X, Y).posterior(new).mean for m in alone])
    torch.testing.assert_close(whole.posterior(new).mean, expected, **SINGLE)
    assert whole.batch_shape == (S,)
    assert LogExpectedImprovement(whole, 0.5)(inputs(4, 1, 2)).shape == (4,)
    own = inputs(S, 2, 1)  # observations of their own for each draw
    each = model.condition_on_observations(X.expand(S, 2, 2), own)
    expected = torch.stack([m.condition_on_observations(X, y).posterior(new).variance for m, y in zip(alone, own, strict=True)])
    torch.testing.assert_close(each.posterior(new).variance, expected, **SINGLE)
    places = inputs(S, 2, 2)
    each = model.condition_on_observations(places, own)
    triples = zip(alone, places, own, strict=True)
    expected = torch.stack([m.condition_on_observations(x, y).posterior(new).mean for m, x, y in triples])
    torch.testing.assert_close(each.posterior(new).mean, expected, **SINGLE)
    with pytest.raises(BotorchTensorDimensionError, match="do not broadcast"):
        model.condition_on_observations(inputs(S + 1, 2, 2), inputs(S + 1, 2, 1)).posterior(new)


@pytest.mark.parametrize("batch", [(), (4,), (2, 4)], ids=str)
def test_fantasies_condition_each_draw_and_nest(case: Case, model: FullyBayesianPyMCGP, batch: tuple[int, ...]) -> None:
    X, new = inputs(*batch, 2, 2), inputs(*batch, 3, 2)
    fantasy = model.fantasize(X, IIDNormalSampler(torch.Size([5]), seed=1))
    assert fantasy.batch_shape == (5, *batch, S)
    assert not fantasy._is_ensemble  # its average is taken by who holds the ensemble
    posterior = fantasy.posterior(new)
    assert posterior.mean.shape == (5, *batch, S, 3, 1)
    Y = fantasy.train_targets[..., 12:].unsqueeze(-1)
    for s, alone in enumerate(singles(case, model)):
        single = alone.condition_on_observations(X, Y.select(-3, s)).posterior(new)
        torch.testing.assert_close(posterior.mean.select(-3, s), single.mean, **SINGLE)
        torch.testing.assert_close(posterior.variance.select(-3, s), single.variance.expand_as(single.mean), **SINGLE)
    nested = fantasy.fantasize(inputs(5, *batch, 1, 2), sampler(2))
    assert nested.posterior(inputs(2, 5, *batch, 3, 2)).mean.shape == (2, 5, *batch, S, 3, 1)
    assert model.fantasize(inputs(*batch, 0, 2), sampler(5)).posterior(new).mean.shape == (5, *batch, S, 3, 1)


def test_conditioning_has_exact_gradients(model: FullyBayesianPyMCGP) -> None:
    X, Y, new = (tensor.requires_grad_() for tensor in (inputs(2, 2, 2), inputs(3, 2, S, 2, 1), inputs(3, 2, 1, 2)))
    for read in (lambda p: p.mixture_mean, lambda p: p.mixture_variance):
        assert torch.autograd.gradcheck(
            lambda X, Y, new, read=read: read(model.condition_on_observations(X, Y).posterior(new)), (X, Y, new)
        )


def test_knowledge_gradient_works_and_is_differentiable(model: FullyBayesianPyMCGP) -> None:
    acquisition = qKnowledgeGradient(model, num_fantasies=4, sampler=sampler(4))
    X = inputs(2, 5, 2).requires_grad_()
    assert acquisition(X).shape == (2,)
    assert torch.autograd.gradcheck(acquisition, X, atol=1e-5)
    assert optimize_acqf(acquisition, BOUNDS, 1, 2, 4, options={"maxiter": 3})[0].shape == (1, 2)


@pytest.mark.parametrize("objective", [None, IdentityMCObjective()], ids=["mean", "samples"])
def test_knowledge_gradient_is_the_average_of_single_models(case: Case, model: FullyBayesianPyMCGP, objective: object) -> None:
    X, expected = inputs(2, 5, 2), []
    ours = qKnowledgeGradient(model, 4, sampler(4), objective, inner_sampler=objective and sampler(8))
    share(ours.sampler, model.posterior(X[:, :1]))
    ours(X)
    if objective is not None:
        samples = ours.inner_sampler.base_samples
        ours.inner_sampler.base_samples = samples[..., :1, :, :].expand(samples.shape).contiguous()
    for alone in singles(case, model):
        single = qKnowledgeGradient(alone, 4, sampler(4), objective, inner_sampler=objective and sampler(8))
        single.sampler.base_samples = ours.sampler.base_samples[..., 0, :, :].contiguous()
        if objective is not None:
            single.inner_sampler.base_samples = ours.inner_sampler.base_samples[..., 0, :, :].contiguous()
        expected.append(single(X))
    torch.testing.assert_close(ours(X), torch.stack(expected).mean(0), **AVERAGE)


def known_noise() -> Case:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", shape=2)))
        gp.marginal_likelihood("y", X, y, sigma=np.linspace(0.1, 0.3, 12))
    return Case(pm_model, gp, {}, X, y)


def test_known_noise_is_kept_for_each_draw() -> None:
    model = of(known_noise(), posterior_draws()[["ell"]])
    assert model.likelihood.noise.shape == (S, 12)
    fantasy = model.fantasize(inputs(4, 2, 2), sampler(2))
    assert fantasy.likelihood.noise.shape == (2, 4, S, 14)
    added = model.posterior(inputs(1, 2), observation_noise=True).variance.min()
    assert added > np.mean(np.linspace(0.1, 0.3, 12) ** 2)


def test_correlated_noise_is_read_for_each_draw() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        noise = pm.gp.cov.WhiteNoise(0.1) + pm.LogNormal("eta") ** 2 * pm.gp.cov.Exponential(2, ls=0.2)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=noise)
    case = Case(pm_model, gp, {}, X, y)
    model = of(case, posterior_draws()[["eta"]])
    x = inputs(3, 2)
    expected = torch.stack([m.posterior(x, observation_noise=True).variance for m in singles(case, model)])
    torch.testing.assert_close(model.posterior(x, observation_noise=True).variance, expected, **SINGLE)


def transformed(outcome: object) -> tuple[Case, dict[str, object], Tensor]:
    X, y = data()
    raw_X, raw_Y = torch.from_numpy(10 * X + 5), torch.from_numpy(np.exp(y / 2)).unsqueeze(-1)
    normalize = Normalize(2, bounds=torch.tensor([[5.0, 5.0], [15.0, 15.0]], dtype=torch.double))
    x, (z, _) = normalize(raw_X).numpy(), outcome(raw_Y)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell", shape=2)))
        gp.marginal_likelihood("y", x, z.squeeze(-1).numpy(), sigma=0.1)
    options = {"input_transform": normalize, "outcome_transform": outcome}
    return Case(pm_model, gp, {}, X, y), options, raw_X


@pytest.mark.parametrize("outcome", [Standardize(1), Log()], ids=["Standardize", "Log"])
def test_transforms_are_applied_to_each_draw(outcome: object) -> None:
    case, options, raw_X = transformed(outcome)
    model = of(case, posterior_draws()[["ell"]], **options)
    alone = singles(case, model, **options)
    X = 5 + 10 * inputs(3, 2, 2)
    posterior = model.posterior(X)
    assert type(posterior) is (GaussianMixturePosterior if isinstance(outcome, Standardize) else TransformedPosterior)
    torch.testing.assert_close(posterior.mean, torch.stack([m.posterior(X).mean for m in alone], -3), **SINGLE)
    torch.testing.assert_close(model.train().train_inputs[0], raw_X)
    value = qLogExpectedImprovement(model, 1.0, sampler())(X)
    assert value.shape == (3,)
    Y = 1 + inputs(2, 1)
    conditioned = model.condition_on_observations(X[0], Y).posterior(X).mean
    expected = torch.stack([m.condition_on_observations(X[0], Y).posterior(X).mean for m in alone], -3)
    torch.testing.assert_close(conditioned, expected, **SINGLE)


def test_float32_inputs_are_answered_in_float32_and_leave_the_model_as_it_was(model: FullyBayesianPyMCGP) -> None:
    X = inputs(2, 1, 2)
    before = model.posterior(X).mean
    assert LogExpectedImprovement(model, 0.5)(X.float()).dtype is torch.float32
    assert model.posterior(X.float()).mean.dtype is torch.float32
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)


def test_nan_in_a_row_gives_nan_in_that_row_only(model: FullyBayesianPyMCGP) -> None:
    X = inputs(2, 3, 2)
    X[1, 2, 0] = torch.nan
    X.requires_grad_()
    mean = model.posterior(X).mean
    (gradient,) = torch.autograd.grad(mean.nansum(), X)
    assert mean.isnan().sum() == S
    assert gradient.isnan().any(-1).sum() == 1


def test_copies_and_pickles_predict_the_same_and_compile_nothing(model: FullyBayesianPyMCGP) -> None:
    X = inputs(3, 2)
    before = pymc_botorch.cache_info().compilations
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.posterior(X).mean, model.posterior(X).mean, rtol=0, atol=0)
    assert pymc_botorch.cache_info().compilations == before


def test_a_state_is_loaded_with_other_draws_and_other_data(case: Case, model: FullyBayesianPyMCGP) -> None:
    buffer = io.BytesIO()
    torch.save(of(case, num_draws=7).state_dict(), buffer)
    buffer.seek(0)
    other = of(marginal(n=9), num_draws=2)
    other.load_state_dict(torch.load(buffer))
    assert other.batch_shape == (7,)
    assert other.train_targets.shape == (9,)
    assert other.posterior(inputs(3, 2)).mean.shape == (7, 3, 1)
    assert other.likelihood.noise.shape == (7, 1)
    X = inputs(3, 2)
    before = model.posterior(X).mean
    with module_rollback_ctx(model, checkpoint=None) as checkpoint:
        assert checkpoint
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)
    model.set_extra_state(of(case, num_draws=None).get_extra_state())
    assert model.num_mcmc_samples == 12
    with pytest.raises(InputDataError, match="draws have shapes"):
        model.set_extra_state(of(known_noise(), posterior_draws()[["ell"]]).get_extra_state())
    assert model.num_mcmc_samples == 12


def test_training_data_are_botorchs_and_can_be_set(case: Case, model: FullyBayesianPyMCGP) -> None:
    X, y = torch.from_numpy(case.X), torch.from_numpy(case.y)
    model.set_train_data(X[:8], y[:8], strict=False)
    shorter = Case(case.pm_model, case.gp, {}, case.X, case.y)
    expected = []
    for alone in singles(shorter, model):
        alone.set_train_data(X[:8], y[:8], strict=False)
        expected.append(alone.posterior(X).mean)
    torch.testing.assert_close(model.posterior(X).mean, torch.stack(expected), **SINGLE)


def test_prior_and_posterior_by_call_are_those_of_each_draw(case: Case, model: FullyBayesianPyMCGP) -> None:
    alone = singles(case, model)
    X = inputs(4, 2)
    prior = torch.stack([m.forward(X).covariance_matrix for m in alone])
    torch.testing.assert_close(model.forward(X).covariance_matrix, prior, **SINGLE)
    torch.testing.assert_close(model(X).mean, torch.stack([m(X).mean for m in alone]), **SINGLE)


def test_gradients_of_predictions_are_those_of_the_mixture(case: Case, model: FullyBayesianPyMCGP) -> None:
    X = inputs(5, 2)
    idata = xr.Dataset({name: (("draw", *"abc"[: v.ndim - 1]), v) for name, v in model.draws.items()})
    expected = pymc_botorch.compile_predict(case.gp, idata, model=case.pm_model).gradients(X.numpy())
    got = model.predictive_gradients(X)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, torch.from_numpy(b), **SINGLE)
    fantasy = model.fantasize(inputs(4, 1, 2), sampler(2))
    assert fantasy.predictive_gradients(X).sd_gradient.shape == (2, 4, 5, 2)
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        pymc_botorch.gradient_posterior(fantasy, X)


@pytest.mark.parametrize("transformed", [False, True])
def test_the_posterior_of_a_gradient_has_the_moments_of_the_mixture(case: Case, transformed: bool) -> None:
    options: dict[str, object] = {}
    if transformed:
        outcome = Standardize(m=1)
        outcome(10 + 3 * inputs(5, 1))
        bounds = torch.tensor([[0.0, -1.0], [3.0, 1.0]], dtype=torch.double)
        options = {"input_transform": Normalize(2, bounds=bounds), "outcome_transform": outcome.eval()}
    model, X = of(case, **options), inputs(4, 2)
    alone = [pymc_botorch.gradient_posterior(m, X) for m in singles(case, model, **options)]
    means, covariances = torch.stack([one.mean for one in alone]), torch.stack([one.covariance for one in alone])
    flat = means.reshape(S, -1)
    found = pymc_botorch.gradient_posterior(model, X)
    torch.testing.assert_close(found.mean, means.mean(0), **SINGLE)
    expected = covariances.mean(0) + torch.cov(flat.T, correction=0)
    torch.testing.assert_close(found.covariance, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.sd, expected.diagonal().sqrt().reshape(4, 2))
    torch.testing.assert_close(found.mean, model.predictive_gradients(X).mean_gradient, **SINGLE)
    parts = pymc_botorch.gradient_posterior(model, X.numpy(), per_draw=True)
    assert parts.mean.shape == parts.sd.shape == (S, 4, 2)
    np.testing.assert_allclose(parts.covariance, covariances.numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(parts.sd[1], alone[1].sd.numpy())
    with pytest.raises(UnsupportedError, match="per_draw is True, but the model has one point"):
        pymc_botorch.gradient_posterior(singles(case, model, **options)[0], X, per_draw=True)


def test_draws_are_spread_evenly_over_all_chains(case: Case) -> None:
    posterior = posterior_draws(4, 50)
    model = of(case, posterior, num_draws=8)
    np.testing.assert_array_equal(model.draws["eta"], posterior["eta"].to_numpy()[:, [12, 37]].ravel())
    everything = of(case, posterior.isel(draw=slice(3)), num_draws=None)
    np.testing.assert_array_equal(everything.draws["ell"], posterior["ell"].to_numpy()[:, :3].reshape(12, 2))
    everything.draws["eta"][:] = 0
    assert everything.draws["eta"].min() > 0


def test_what_pymc_samples_is_read_as_it_is(case: Case) -> None:
    with case.pm_model:
        idata = pm.sample(draws=4, tune=4, chains=2, cores=1, progressbar=False, random_seed=1, compute_convergence_checks=False)
    model = of(case, idata, num_draws=8)
    np.testing.assert_array_equal(model.draws["sigma"], idata["posterior"]["sigma"].to_numpy().ravel())
    assert model.idata["posterior"].identical(idata["posterior"])
    for posterior in (idata["posterior"], idata["posterior"].dataset):
        alone = of(case, posterior, num_draws=8)
        np.testing.assert_array_equal(alone.draws["sigma"], model.draws["sigma"])
        assert set(alone.idata["posterior"].data_vars) == set(idata["posterior"].data_vars)
    tree = az.from_dict({"posterior": {name: v.to_numpy() for name, v in posterior_draws().data_vars.items()}})
    np.testing.assert_array_equal(of(case, tree).draws["ell"], of(case).draws["ell"])


def test_arviz_leaves_out_observations_of_a_gp_sampled_in_pymc(case: Case) -> None:
    draws = posterior_draws(2, 100)
    tree = az.from_dict({"posterior": {name: values.to_numpy() for name, values in draws.data_vars.items()}})
    model = of(case, tree)
    assert set(tree.children) == {"posterior"}  # what was given is not changed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of weights: these draws are not from the posterior
        expected, found = model.leave_one_out(num_draws=None), az.loo(model.idata, pointwise=True)
    np.testing.assert_allclose(found.elpd_i, expected.log_density, rtol=0.05, atol=0.05)
    first = of(case, draws.isel(chain=[0], draw=[0]), num_draws=1)
    likelihood = model.idata["log_likelihood"]["y"][0, 0].to_numpy()
    np.testing.assert_allclose(likelihood, first.idata["log_likelihood"]["y"][0, 0], rtol=1e-10)
    replicates = model.idata["posterior_predictive"]["y"]
    assert replicates.shape == (2, 100, len(case.y))
    given = of(case, model.idata)
    assert given.idata is model.idata  # nothing that was given is computed anew


def test_a_gp_without_parameters_has_equal_draws() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=0.1)
    posterior = of(Case(pm_model, gp, {}, X, y), xr.Dataset(coords={"chain": range(2), "draw": range(3)})).posterior(inputs(2, 2))
    assert posterior.mean.shape == (S, 2, 1)


BAD: dict[str, tuple[Callable[[xr.Dataset], object], object, str]] = {
    "too few": (lambda p: p, 13, "has 12 draws, but num_draws is 13"),
    "no draws": (lambda p: p.isel(draw=slice(0)), None, "has 0 draws"),
    "a number below one": (lambda p: p, 0, "num_draws is 0"),
    "no number": (lambda p: p, 2.5, "num_draws is 2.5"),
    "a parameter missing": (lambda p: p.drop_vars("eta"), 3, r"no draws of eta \(it has"),
    "not finite": (lambda p: p.where(p.draw != 5), None, r"ell is \[nan nan\] at chain 0, draw 5"),
    "of another shape": (lambda p: p.assign(eta=p.ell), 3, "eta"),
    "a point": (lambda p: POINT, 3, "is a dict without a posterior"),
    "one draw without dimensions": (lambda p: p.isel(chain=0, draw=0), 1, "dimensions chain and draw"),
    "of another model": (lambda p: p.assign(elll=p.eta), 3, "elll"),
}


@pytest.mark.parametrize("kind", BAD)
def test_draws_that_do_not_fit_are_refused_before_anything_is_compiled(case: Case, kind: str) -> None:
    change, num_draws, message = BAD[kind]
    pymc_botorch.cache_clear()
    posterior = posterior_draws().assign_coords(draw=range(6))
    with pytest.raises(InputDataError, match=message):
        of(case, change(posterior), num_draws=num_draws)
    assert pymc_botorch.cache_info().compilations == 0


def test_what_it_cannot_do_is_refused_by_name(case: Case, model: FullyBayesianPyMCGP) -> None:
    with pytest.raises(TypeError, match="no PyMC model in context"):
        FullyBayesianPyMCGP.from_fitted(case.gp, posterior_draws())
    with pytest.raises(UnsupportedError, match="made from a gp fitted in PyMC"):
        model.fit()
    with pytest.raises(BotorchTensorDimensionError, match=r"X has shape \(3, 5\)"):
        model.posterior(inputs(3, 5))
    gradient = qKnowledgeGradient(model, num_fantasies=2)
    with pytest.raises(UnsupportedError, match="Draws share their inputs"):
        gradient.evaluate(inputs(3, 1, 2), bounds=BOUNDS, num_restarts=2, raw_samples=4)
    fantasy = model.fantasize(inputs(1, 2), sampler(2))
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        fantasy.set_train_data(fantasy.train_inputs[0], fantasy.train_targets)
    assert math.prod(fantasy.batch_shape) == 2 * S
