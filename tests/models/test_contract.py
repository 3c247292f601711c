"""What BoTorch and Ax expect of a model: conditioning, fantasies, data, state, copies, lists, threads."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.acquisition.thompson_sampling import PathwiseThompsonSampling
from botorch.cross_validation import loo_cv
from botorch.exceptions.errors import BotorchTensorDimensionError, InputDataError, UnsupportedError
from botorch.fit import fit_gpytorch_mll
from botorch.generation import MaxPosteriorSampling
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.transforms import Log, Normalize, Standardize
from botorch.models.transforms.input import ChainedInputTransform, InputPerturbation
from botorch.optim.fit import fit_gpytorch_mll_scipy
from botorch.optim.utils.acquisition_utils import get_X_baseline
from botorch.sampling import SobolQMCNormalSampler
from botorch.sampling.pathwise.posterior_samplers import get_matheron_path_model
from botorch.utils.context_managers import module_rollback_ctx
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor
from zoo import POINT, Case, data, marginal, single_task_gp

from pymc_botorch import PyMCGP

REFIT = {"rtol": 0, "atol": 1e-8}
SAME = {"rtol": 0, "atol": 1e-12}


def of(case: Case, **options: object) -> PyMCGP:
    return PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, **options)


@pytest.fixture
def case() -> Case:
    return marginal()


@pytest.fixture
def model(case: Case) -> PyMCGP:
    return of(case)


def inputs(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.double)


def refitted(X: Tensor, Y: Tensor, kernel: str = "Matern52") -> PyMCGP:
    """A new PyMC model of all data, at the same point."""
    case = marginal(kernel)
    with case.pm_model:
        gp = pm.gp.Marginal(mean_func=case.gp.mean_func, cov_func=case.gp.cov_func)
        everything = np.vstack([case.X, X.numpy()]), np.concatenate([case.y, Y.numpy().ravel()])
        gp.marginal_likelihood("all", *everything, sigma=case.pm_model["sigma"])
    return PyMCGP.from_fitted(gp, case.point, model=case.pm_model)


def test_it_is_a_gpytorch_model_of_one_outcome(model: PyMCGP) -> None:
    assert isinstance(model, GPyTorchModel)
    assert model.num_outputs == 1
    assert model.batch_shape == torch.Size()
    assert model.subset_output([0]) is model
    with pytest.raises(UnsupportedError, match="one outcome"):
        model.subset_output([1])
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert list(model.parameters())  # Ax looks for one


def test_conditioning_equals_a_refit(model: PyMCGP) -> None:
    X, Y, new = inputs(3, 2), inputs(3, 1), inputs(6, 2)
    conditioned, whole = model.condition_on_observations(X, Y), refitted(X, Y)
    for q in (6, 50):
        new = inputs(q, 2)
        a, b = conditioned.posterior(new), whole.posterior(new)
        torch.testing.assert_close(a.mean, b.mean, **REFIT)
        torch.testing.assert_close(a.variance, b.variance, **REFIT)
        torch.testing.assert_close(a.distribution.covariance_matrix, b.distribution.covariance_matrix, **REFIT)
    assert conditioned.train_inputs[0].shape == (15, 2)
    assert conditioned.train_targets.shape == (15,)
    assert model.train_targets.shape == (12,)
    twice = model.condition_on_observations(X[:1], Y[:1]).condition_on_observations(X[1:], Y[1:])
    torch.testing.assert_close(twice.posterior(new).mean, conditioned.posterior(new).mean, **REFIT)


def test_conditioning_has_exact_gradients_to_new_points_and_observations(model: PyMCGP) -> None:
    X, Y, new = (tensor.requires_grad_() for tensor in (inputs(2, 2, 2), inputs(3, 2, 2, 1), inputs(3, 2, 1, 2)))
    for read in (lambda p: p.mean, lambda p: p.variance):
        assert torch.autograd.gradcheck(
            lambda X, Y, new, read=read: read(model.condition_on_observations(X, Y).posterior(new)), (X, Y, new)
        )


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)], ids=str)
def test_fantasies_are_those_of_single_task_gp_and_nest(batch: tuple[int, ...]) -> None:
    case = marginal(jitter=0.0)
    ours, theirs = of(case), single_task_gp(case, jitter=0.0)
    X, X2 = inputs(*batch, 2, 2), inputs(4, *batch, 1, 2)
    theirs.posterior(X)
    new = inputs(2, 4, *batch, 5, 2)
    results = []
    for model in (ours, theirs):
        first = model.fantasize(X, SobolQMCNormalSampler(torch.Size([4]), seed=1))
        assert first.batch_shape == (4, *batch)
        second = first.fantasize(X2, SobolQMCNormalSampler(torch.Size([2]), seed=2))
        assert second.batch_shape == (2, 4, *batch)
        a, b = first.posterior(new[0]), second.posterior(new)
        results.append((a.mean, a.variance, b.mean, b.variance, first.train_targets, second.train_inputs[0]))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, **REFIT)


def test_observations_may_have_a_noise_of_their_own(case: Case, model: PyMCGP) -> None:
    X, Y, new = inputs(2, 2), inputs(2, 1), inputs(5, 2)
    certain = model.condition_on_observations(X, Y, noise=torch.full((2, 1), 1e-12, dtype=torch.double))
    assert (certain.posterior(X).mean - Y).abs().max() < 1e-4
    vague = model.condition_on_observations(X, Y, noise=torch.full((2, 1), 1e12, dtype=torch.double))
    torch.testing.assert_close(vague.posterior(new).mean, model.posterior(new).mean, rtol=0, atol=1e-8)
    own = torch.full((2, 1), float(POINT["sigma"]) ** 2, dtype=torch.double)
    same = model.condition_on_observations(X, Y, noise=own)
    torch.testing.assert_close(same.posterior(new).mean, model.condition_on_observations(X, Y).posterior(new).mean, **SAME)


def test_known_noise_of_new_observations_is_the_mean_and_is_kept() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=np.linspace(0.1, 0.3, 12))
    model = PyMCGP.from_fitted(gp, {}, model=pm_model)
    fantasy = model.fantasize(inputs(2, 2), SobolQMCNormalSampler(torch.Size([3]), seed=1))
    known = np.linspace(0.1, 0.3, 12) ** 2
    assert fantasy.likelihood.noise.shape == (3, 14)
    torch.testing.assert_close(fantasy.likelihood.noise[0, 12:], torch.full((2,), known.mean(), dtype=torch.double))
    new = model.condition_on_observations(inputs(1, 2), inputs(1, 1), noise=torch.full((1, 1), 0.5, dtype=torch.double))
    x = inputs(1, 2)
    added = new.posterior(x, observation_noise=True).variance - new.posterior(x).variance
    torch.testing.assert_close(added.flatten(), torch.tensor([(known.sum() + 0.5) / 13], dtype=torch.double))


def test_no_fantasy_points_change_nothing(model: PyMCGP) -> None:
    fantasy = model.fantasize(inputs(2, 0, 2), SobolQMCNormalSampler(torch.Size([3]), seed=1))
    X = inputs(3, 2, 4, 2)
    torch.testing.assert_close(fantasy.posterior(X).mean, model.posterior(X).mean, **SAME)


def test_get_fantasy_model_takes_what_gpytorch_passes(model: PyMCGP) -> None:
    X, Y, new = inputs(2, 2), inputs(2), inputs(3, 2)
    expected = model.condition_on_observations(X, Y.unsqueeze(-1)).posterior(new).mean
    torch.testing.assert_close(model.get_fantasy_model([X], Y).posterior(new).mean, expected, **SAME)


def test_options_and_shapes_of_observations_are_checked(model: PyMCGP) -> None:
    with pytest.raises(UnsupportedError, match="takes no bogus"):
        model.condition_on_observations(inputs(2, 2), inputs(2, 1), bogus=True)
    with pytest.raises(BotorchTensorDimensionError, match=r"Y has shape \(2, 3\)"):
        model.condition_on_observations(inputs(2, 2), inputs(2, 3))
    with pytest.raises(BotorchTensorDimensionError, match=r"X has shape \(2, 3\)"):
        model.condition_on_observations(inputs(2, 3), inputs(2, 1))


def transformed(outcome: object) -> tuple[PyMCGP, SingleTaskGP, Tensor, Tensor]:
    X, y = data()
    raw_X, raw_Y = torch.from_numpy(10 * X + 5), torch.from_numpy(np.exp(y / 2)).unsqueeze(-1)
    normalize = Normalize(2, bounds=torch.tensor([[5.0, 5.0], [15.0, 15.0]], dtype=torch.double))
    x, (z, _) = normalize(raw_X).numpy(), outcome(raw_Y)
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", x, z.squeeze(-1).numpy(), sigma=0.1, jitter=0.0)
    model = PyMCGP.from_fitted(gp, {}, model=pm_model, input_transform=normalize, outcome_transform=outcome)
    return model, raw_X, raw_Y


@pytest.mark.parametrize("outcome", [Standardize(1), Log()], ids=["Standardize", "Log"])
def test_conditioning_is_in_raw_units_and_gpytorchs_in_those_of_the_gp(outcome: object) -> None:
    model, raw_X, raw_Y = transformed(outcome)
    X, new = 5 + 10 * inputs(2, 2), 5 + 10 * inputs(4, 2)
    Y = raw_Y[:2] * 1.1
    conditioned = model.condition_on_observations(X, Y)
    inside = model.get_fantasy_model((X - 5) / 10, model.outcome_transform(Y)[0].squeeze(-1))
    torch.testing.assert_close(conditioned.posterior(new).mean, inside.posterior(new).mean, **SAME)
    torch.testing.assert_close(conditioned.train_targets[12:], model.outcome_transform(Y)[0].squeeze(-1), **SAME)
    torch.testing.assert_close(get_X_baseline_of(conditioned), torch.cat([raw_X, X]), **SAME)
    mvn = model((new - 5) / 10)
    if isinstance(outcome, Standardize):
        scaled = mvn.mean * outcome.stdvs.squeeze() + outcome.means.squeeze()
        torch.testing.assert_close(model.posterior(new).mean.squeeze(-1), scaled, **SAME)
    else:
        torch.testing.assert_close(model.posterior(new).mean.squeeze(-1), (mvn.mean + mvn.variance / 2).exp())


def get_X_baseline_of(model: PyMCGP) -> Tensor:
    """The raw training inputs, as BoTorch's initialisers find them."""

    class Acquisition(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

    return get_X_baseline(Acquisition())


def test_one_to_many_inputs_multiply_the_points() -> None:
    case = marginal()
    perturb = InputPerturbation(torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1]], dtype=torch.double))
    X = inputs(2, 4, 2)
    model = of(case, input_transform=perturb)
    assert model.posterior(X).mean.shape == (2, 12, 1)
    plain = of(case).posterior(X)
    torch.testing.assert_close(model.posterior(X).mean[:, ::3], plain.mean, **SAME)
    unit = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.double)
    chained = of(case, input_transform=ChainedInputTransform(n=Normalize(2, bounds=2 * unit), p=perturb))
    torch.testing.assert_close(chained.train().train_inputs[0], 2 * torch.from_numpy(case.X))


def test_training_data_can_be_read_set_and_baselined(case: Case, model: PyMCGP) -> None:
    torch.testing.assert_close(get_X_baseline_of(model), torch.from_numpy(case.X))
    other, new = marginal(n=9, seed=5), inputs(4, 2)
    expected = of(other).posterior(new).mean
    X, y = torch.from_numpy(other.X), torch.from_numpy(other.y)
    with pytest.raises(InputDataError, match="strict=False"):
        model.set_train_data(X, y)
    model.set_train_data(X, y, strict=False)
    torch.testing.assert_close(model.posterior(new).mean, expected, **SAME)
    before = model.posterior(new).mean
    for bad in (y * torch.nan, y[:-1]):
        with pytest.raises(InputDataError, match=r"NaN|the same number"):
            model.set_train_data(targets=bad, strict=False)
        torch.testing.assert_close(model.posterior(new).mean, before, rtol=0, atol=0)
    model.train_targets = y + 1
    assert (model.posterior(new).mean - before).abs().max() > 0.1
    model.train_inputs = (X + 0.1,)
    torch.testing.assert_close(model.train_inputs[0], X + 0.1)


def test_prior_and_posterior_are_what_gpytorch_calls(case: Case, model: PyMCGP) -> None:
    theirs = single_task_gp(case)
    X = inputs(5, 2)
    data, jitter = model.train_inputs[0], pm.gp.util.JITTER_DEFAULT
    for got, expected, added in (
        (model(X), theirs(X), 0.0),
        (model.forward(X), theirs.forward(X), 0.0),
        (model.forward(data), theirs.forward(data), jitter),  # what PyMC factorises
        (model.train()(X), theirs.forward(X), 0.0),
    ):
        torch.testing.assert_close(got.mean, expected.mean, **REFIT)
        cov = expected.covariance_matrix + added * torch.eye(len(expected.mean), dtype=torch.double)
        torch.testing.assert_close(got.covariance_matrix, cov, **REFIT)


def test_leave_one_out_is_that_of_single_task_gp_and_of_refits(case: Case, model: PyMCGP) -> None:
    ours, theirs = loo_cv(model), loo_cv(single_task_gp(case))
    torch.testing.assert_close(ours.posterior.mean, theirs.posterior.mean, **REFIT)
    without = of(case)
    without.set_train_data(torch.from_numpy(case.X[1:]), torch.from_numpy(case.y[1:]), strict=False)
    expected = without.posterior(torch.from_numpy(case.X[:1])).mean.item()
    assert abs(ours.posterior.mean[0].item() - expected) < 1e-8


def test_state_is_hyperparameters_only_and_fits_any_number_of_data(model: PyMCGP) -> None:
    state = model.state_dict()
    assert isinstance(state["_extra_state"], Tensor)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    other = marginal(n=7, seed=9)
    other.point["eta"] = np.array(3.0)
    loaded, X = of(other), inputs(4, 2)
    before = loaded.posterior(X).mean
    loaded.load_state_dict(state)
    assert float(loaded.point["eta"]) == float(POINT["eta"])
    other.point["eta"] = POINT["eta"]
    torch.testing.assert_close(loaded.posterior(X).mean, of(other).posterior(X).mean, **SAME)
    assert (loaded.posterior(X).mean - before).abs().max() > 1e-3
    with pytest.raises(InputDataError, match="hyperparameters have shapes"):
        loaded.set_extra_state(of(marginal_without_mean()).get_extra_state())


def marginal_without_mean() -> Case:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell")))
        gp.marginal_likelihood("y", X, y, sigma=0.1)
    return Case(pm_model, gp, {"ell": 0.5}, X, y)


def test_a_rollback_restores_the_model(model: PyMCGP) -> None:
    X = inputs(3, 2)
    before = model.posterior(X).mean
    with module_rollback_ctx(model, checkpoint=None) as checkpoint:
        assert checkpoint
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)


def test_loading_keeps_raw_data_and_transforms_them_anew() -> None:
    model, _, raw_Y = transformed(Standardize(1))
    other, _, _ = transformed(Standardize(1))
    X = 5 + 10 * inputs(3, 2)
    other.outcome_transform.means.fill_(0.0)
    other.outcome_transform.stdvs.fill_(2.0)
    state = other.state_dict()
    model.load_state_dict(state, keep_transforms=True)
    torch.testing.assert_close(model.train_targets, raw_Y.squeeze(-1) / 2, rtol=1e-12, atol=0)
    torch.testing.assert_close(model.posterior(X).mean, 2 * model((X - 5) / 10).mean.unsqueeze(-1), **SAME)


def test_copies_predict_the_same_and_compile_nothing(model: PyMCGP) -> None:
    from pymc_botorch.graph.compiling import cache as structures

    X = inputs(3, 2)
    before = structures.cache_info().compilations
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(twin.posterior(X).mean, model.posterior(X).mean, rtol=0, atol=0)
    assert structures.cache_info().compilations == before


def test_threads_share_a_model(model: PyMCGP) -> None:
    points = [inputs(3, 2, 2) for _ in range(40)]
    expected = [model.posterior(X).variance for X in points]
    with ThreadPoolExecutor(4) as pool:
        for got, alone in zip(pool.map(lambda X: model.posterior(X).variance, points), expected, strict=True):
            torch.testing.assert_close(got, alone, rtol=0, atol=0)


def test_a_model_list_of_ours_and_theirs_is_one_gpytorch_posterior(case: Case, model: PyMCGP) -> None:
    both = ModelListGP(model, single_task_gp(case))
    X = inputs(3, 2, 2)
    posterior = both.posterior(X, observation_noise=False)
    assert posterior.mean.shape == (3, 2, 2)
    torch.testing.assert_close(posterior.mean[..., 0], posterior.mean[..., 1], **REFIT)
    conditioned = both.condition_on_observations([inputs(2, 2), inputs(2, 2)], inputs(2, 2))
    assert conditioned.posterior(X).mean.shape == (3, 2, 2)


def test_a_gpytorch_likelihood_of_the_model_is_refused(model: PyMCGP) -> None:
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    with pytest.raises(UnsupportedError, match="leave out the priors of the PyMC model"):
        mll(model(model.train_inputs[0]), model.train_targets)
    with pytest.raises(UnsupportedError, match="leave out the priors of the PyMC model"):
        fit_gpytorch_mll(mll)
    with pytest.raises(RuntimeError, match="No parameters to get state from"):  # BoTorch's own words
        fit_gpytorch_mll_scipy(mll)


def test_matheron_paths_are_refused_by_name_and_candidates_can_be_sampled(model: PyMCGP) -> None:
    for paths in (get_matheron_path_model, lambda m: PathwiseThompsonSampling(m)(inputs(1, 1, 2))):
        with pytest.raises(UnsupportedError, match=r"Matheron paths .*MaxPosteriorSampling"):
            paths(model)
    assert MaxPosteriorSampling(model)(inputs(50, 2), num_samples=3).shape == (3, 2)


def test_a_posterior_of_correlated_observations_follows_new_data_and_hyperparameters() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        noise = pm.gp.cov.WhiteNoise(0.1) + pm.LogNormal("level") ** 2 * pm.gp.cov.Exponential(2, ls=0.2)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=noise)
    model, other = (PyMCGP.from_fitted(gp, {"level": level}, model=pm_model) for level in (0.3, 0.6))
    x = inputs(3, 2)
    model.posterior(x, observation_noise=True)
    for change in (lambda m: m.set_train_data(targets=m.train_targets + 5), lambda m: m.load_state_dict(other.state_dict())):
        change(model)
        noisy, plain = model.posterior(x, observation_noise=True), model.posterior(x)
        torch.testing.assert_close(noisy.mean, plain.mean, **SAME)
    assert (noisy.variance - plain.variance).min() > 0.36


def test_parent_and_fantasy_do_not_share_modes() -> None:
    case = marginal()
    unit = torch.tensor([[0.0, 0.0], [2.0, 2.0]], dtype=torch.double)
    model = of(case, input_transform=Normalize(2, bounds=unit, transform_on_train=False))
    X = inputs(3, 2)
    before = model.posterior(X).mean
    fantasy = model.condition_on_observations(inputs(1, 2), inputs(1, 1))
    after = fantasy.posterior(X).mean
    fantasy.train()
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)
    model.train()
    torch.testing.assert_close(fantasy.posterior(X).mean, after, rtol=0, atol=0)


def test_loading_transforms_scales_known_noise_with_the_outcome() -> None:
    X, y = data()
    raw_Y = torch.from_numpy(3 * y + 20).unsqueeze(-1)
    models = []
    for sd_factor in (1.0, 2.0):
        standardize = Standardize(1)
        standardize(raw_Y * sd_factor)
        z, _ = standardize.eval()(raw_Y)
        with pm.Model() as pm_model:
            gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
            sigma = np.linspace(0.3, 0.9, 12) / float(standardize.stdvs)
            gp.marginal_likelihood("y", X, z.squeeze(-1).numpy(), sigma=sigma)
        models.append(PyMCGP.from_fitted(gp, {}, model=pm_model, outcome_transform=standardize))
    model, reference = models
    model.load_state_dict(reference.state_dict())
    x = inputs(3, 2)
    torch.testing.assert_close(model.posterior(x).mean, reference.posterior(x).mean, rtol=1e-10, atol=0)
    torch.testing.assert_close(model.likelihood.noise, reference.likelihood.noise, rtol=1e-10, atol=0)


def test_a_refused_state_leaves_the_model_as_it_was(model: PyMCGP) -> None:
    X = inputs(3, 2)
    before = model.posterior(X).mean
    other = marginal()
    other.point["eta"] = np.array(3.0)
    state = of(other).state_dict()
    with pytest.raises(RuntimeError, match=r"unexpected \['junk'\]"):
        model.load_state_dict({**state, "junk": torch.ones(1)})
    scaled, _, _ = transformed(Standardize(1))
    bad = {**scaled.state_dict(), "outcome_transform.means": torch.ones(1, 3)}
    kept = scaled.posterior(5 + X).mean
    with pytest.raises(RuntimeError, match="size mismatch"):
        scaled.load_state_dict(bad)
    torch.testing.assert_close(scaled.posterior(5 + X).mean, kept, rtol=0, atol=0)
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)


BAD_OBSERVATIONS = {
    "fewer observations": ((3, 2), (1, 1), None, BotorchTensorDimensionError, "3 inputs, 1 observations"),
    "too few observations": ((3, 2), (2, 1), None, BotorchTensorDimensionError, "3 inputs, 2 observations"),
    "no outcome dimension": ((3, 2), (3,), None, BotorchTensorDimensionError, "Y has shape"),
    "batches that do not fit": ((2, 3, 2), (4, 3, 1), None, BotorchTensorDimensionError, "do not broadcast"),
    "noise of another length": ((3, 2), (3, 1), (2, 1), BotorchTensorDimensionError, "2 noise variances"),
    "noise without an outcome": ((3, 2), (3, 1), (3,), BotorchTensorDimensionError, "noise has shape"),
}


@pytest.mark.parametrize("kind", BAD_OBSERVATIONS)
def test_observations_that_do_not_fit_are_refused(model: PyMCGP, kind: str) -> None:
    X, Y, noise, error, message = BAD_OBSERVATIONS[kind]
    with pytest.raises(error, match=message):
        model.condition_on_observations(inputs(*X), inputs(*Y), noise=None if noise is None else inputs(*noise))


@pytest.mark.parametrize(("y", "noise"), [(np.nan, 0.1), (1.0, np.nan), (1.0, -0.01), (np.inf, 0.1)])
def test_observations_that_are_no_numbers_are_refused(model: PyMCGP, y: float, noise: float) -> None:
    Y, variances = torch.full((1, 1), y, dtype=torch.double), torch.full((1, 1), noise, dtype=torch.double)
    with pytest.raises(InputDataError, match="not finite"):
        model.condition_on_observations(inputs(1, 2), Y, noise=variances)


def test_a_batch_of_fantasies_takes_unbatched_observations_and_its_data_are_fixed() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=np.linspace(0.1, 0.3, 12))
    model = PyMCGP.from_fitted(gp, {}, model=pm_model)
    fantasy = model.fantasize(inputs(3, 2, 2), SobolQMCNormalSampler(torch.Size([4]), seed=1))
    assert fantasy.condition_on_observations(inputs(2, 2), inputs(2, 1)).batch_shape == (4, 3)
    for change in (
        lambda: fantasy.set_train_data(fantasy.train_inputs[0], fantasy.train_targets),
        lambda: fantasy.load_state_dict(fantasy.state_dict()),
        lambda: fantasy.set_extra_state(model.get_extra_state()),
    ):
        with pytest.raises(UnsupportedError, match="conditioned on more observations"):
            change()
    x = inputs(4, 3, 2, 2).requires_grad_()
    asked = model.condition_on_observations(x, inputs(4, 3, 2, 1))
    torch.testing.assert_close(copy.deepcopy(asked).posterior(x).mean, asked.posterior(x).mean, rtol=0, atol=0)
