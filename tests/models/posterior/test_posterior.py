"""The posterior of a fitted gp: gradients, laziness, noise, transforms, snapshots, dtypes."""

import copy

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import torch
from botorch.acquisition.objective import ScalarizedPosteriorTransform
from botorch.exceptions.errors import InputDataError, ModelFittingError, UnsupportedError
from botorch.models.transforms import Log, Normalize, Standardize
from botorch.posteriors import GPyTorchPosterior, TransformedPosterior
from linear_operator import LinearOperator
from zoo import POINT, ZOO, data, marginal

from pymc_botorch import PyMCGP
from pymc_botorch.graph.posterior.conditioned import ConditionedPosterior
from pymc_botorch.models.posterior.covariance import PosteriorCovariance

SAME = {"rtol": 0, "atol": 1e-12}  # one number by two routes through the same functions


@pytest.fixture
def model() -> PyMCGP:
    case = marginal()
    return PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)


def inputs(*shape: int, requires_grad: bool = False) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.double, requires_grad=requires_grad)


@pytest.mark.parametrize("kernel", ["Matern52", "Matern32", "ExpQuad"])
def test_gradients_of_mean_variance_and_covariance_are_right(kernel: str) -> None:
    case = marginal(kernel)
    model = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    for X in (
        inputs(4, 2, requires_grad=True),
        inputs(2, 3, 2, requires_grad=True),
        inputs(2, 1, 2, requires_grad=True),
    ):
        for read in (
            lambda X: model.posterior(X).mean,
            lambda X: model.posterior(X).variance,
            lambda X: model.posterior(X).distribution.covariance_matrix,
        ):
            assert torch.autograd.gradcheck(read, (X,))


def test_gradients_through_the_lazy_covariance_are_right(model: PyMCGP, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pymc_botorch.models.posterior.normal.JOINT_UP_TO", 2)
    X = inputs(2, 3, 2, requires_grad=True)
    assert isinstance(model.posterior(X).distribution.lazy_covariance_matrix, PosteriorCovariance)
    for read in (lambda X: model.posterior(X).variance, lambda X: model.posterior(X).distribution.covariance_matrix):
        assert torch.autograd.gradcheck(read, (X,))


def test_it_is_exactly_a_gpytorch_posterior_with_a_linear_operator(model: PyMCGP) -> None:
    posterior = model.posterior(inputs(3, 2, 2))
    assert type(posterior) is GPyTorchPosterior
    assert isinstance(posterior.distribution.lazy_covariance_matrix, LinearOperator)
    assert posterior.rsample(torch.Size([5])).shape == (5, 3, 2, 1)


def test_values_alone_compute_no_gradient(model: PyMCGP, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a gradient was computed")

    monkeypatch.setattr(ConditionedPosterior, "vjp", fail)
    with torch.no_grad():
        posterior = model.posterior(inputs(3, 2, 2, requires_grad=True))
    assert not posterior.mean.requires_grad
    assert not model.posterior(inputs(3, 2, 2)).mean.requires_grad


@pytest.mark.parametrize("n", [2, 40])
@pytest.mark.parametrize("power", [1, 2])
def test_a_second_derivative_is_refused(model: PyMCGP, n: int, power: int) -> None:
    X = inputs(n, 2, requires_grad=True)
    for part in ("mean", "variance"):
        value = (getattr(model.posterior(X), part) ** power).sum() + (X**3).sum()
        (first,) = torch.autograd.grad(value, X, create_graph=True)
        with pytest.raises(UnsupportedError, match="Second derivatives"):
            torch.autograd.grad(first.sum(), X)


def test_an_input_changed_before_the_backward_pass_is_noticed(model: PyMCGP) -> None:
    X = inputs(2, 2, requires_grad=True)
    Z = X * 1.0
    mean = model.posterior(Z).mean.sum()
    with torch.no_grad():
        Z.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        mean.backward()


def test_a_variance_is_the_same_alone_and_from_the_covariance(model: PyMCGP) -> None:
    X = inputs(50, 2)
    alone = model.posterior(X.unsqueeze(-2)).variance.flatten()
    lazy = model.posterior(X).variance.flatten()
    dense = model.posterior(X).distribution.covariance_matrix.diagonal()
    torch.testing.assert_close(lazy, alone, rtol=1e-13, atol=1e-15)  # the same sums in another order
    torch.testing.assert_close(dense, alone, **SAME)


def test_4096_joint_points_build_no_square_matrix(model: PyMCGP, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    call = ConditionedPosterior.__call__

    def spy(self: ConditionedPosterior, *args: object) -> list[np.ndarray]:
        outputs = call(self, *args)
        sizes.extend(array.size for array in outputs)
        return outputs

    monkeypatch.setattr(ConditionedPosterior, "__call__", spy)
    posterior = model.posterior(inputs(4096, 2))
    assert posterior.variance.shape == posterior.mean.shape == (4096, 1)
    noisy = model.posterior(inputs(4096, 2), observation_noise=True)
    assert noisy.variance.shape == (4096, 1)
    assert max(sizes) <= 4096 * 12  # n = 12


def test_the_lazy_covariance_slices_expands_and_multiplies_like_its_matrix(model: PyMCGP) -> None:
    lazy = model.posterior(inputs(3, 40, 2)).distribution.lazy_covariance_matrix
    dense = lazy.to_dense()
    assert isinstance(lazy[..., :5, :5], PosteriorCovariance)
    assert isinstance(lazy[1], PosteriorCovariance)
    for read in (
        lambda c: c[..., :5, :5],
        lambda c: c[1],
        lambda c: c[..., -4:, :],
        lambda c: c[:2, 3, :],
        lambda c: c.mT,
        lambda c: c.unsqueeze(1),
        lambda c: c.expand(2, 3, 40, 40).permute(1, 0, 2, 3),
        lambda c: c.expand(2, 3, 40, 40),
        lambda c: c * 2.0,
        lambda c: c + torch.eye(40, dtype=torch.double),
        lambda c: c @ torch.ones(40, 2, dtype=torch.double),
    ):
        got, expected = read(lazy), read(dense)
        got = got.to_dense() if isinstance(got, LinearOperator) else got
        torch.testing.assert_close(got, expected, **SAME)
    rows = torch.tensor([0, 2]), torch.tensor([1, 5]), torch.tensor([7, 5])
    torch.testing.assert_close(lazy[rows], dense[rows], **SAME)
    torch.testing.assert_close(lazy.diagonal(dim1=-1, dim2=-2), dense.diagonal(dim1=-1, dim2=-2), **SAME)


def test_a_row_with_nan_gives_nan_in_that_row_only(model: PyMCGP) -> None:
    for q in (4, 40):
        X = inputs(2, q, 2)
        clean = model.posterior(X)
        X[1, 2, 0] = torch.nan
        posterior = model.posterior(X)
        spoilt = torch.zeros(2, q, dtype=torch.bool)
        spoilt[1, 2] = True
        for got, expected in ((posterior.mean, clean.mean), (posterior.variance, clean.variance)):
            assert torch.equal(got.squeeze(-1).isnan(), spoilt)
            torch.testing.assert_close(got.squeeze(-1)[~spoilt], expected.squeeze(-1)[~spoilt], **SAME)


def test_variance_stays_positive_without_noise_and_jitter() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(2, ls=0.2))
        gp.marginal_likelihood("y", X, y, sigma=0.0, jitter=0.0)
    model = PyMCGP.from_fitted(gp, {}, model=pm_model)
    x = torch.from_numpy(X).unsqueeze(1).requires_grad_()
    posterior = model.posterior(x)
    assert (posterior.distribution.covariance_matrix > 0).all()
    (gradient,) = torch.autograd.grad(posterior.rsample(torch.Size([3])).sum(), x)
    assert gradient.isfinite().all()


def test_float32_goes_in_and_comes_out_without_changing_the_model(model: PyMCGP) -> None:
    X = inputs(3, 2, 2)
    before = model.posterior(X).mean
    x = X.float().requires_grad_()
    model.to(x)
    posterior = model.posterior(x)
    assert posterior.mean.dtype == posterior.variance.dtype == torch.float32
    assert torch.autograd.grad(posterior.mean.sum(), x)[0].dtype == torch.float32
    torch.testing.assert_close(posterior.mean.double(), before, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)


def test_expanded_and_transposed_inputs_give_the_same_numbers(model: PyMCGP) -> None:
    X = inputs(1, 3, 2)
    expanded = model.posterior(X.expand(4, 3, 2)).mean
    torch.testing.assert_close(expanded, model.posterior(X).mean.expand(4, 3, 1), **SAME)
    turned = X[0].T.contiguous().T
    torch.testing.assert_close(model.posterior(turned).mean, model.posterior(X[0]).mean, **SAME)


def test_later_changes_of_the_data_do_not_reach_the_model_nor_does_the_model_change_them() -> None:
    case = marginal(as_data=True)
    before = {name: str(variable) for name, variable in case.pm_model.named_vars.items()}
    model = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    X = inputs(3, 2)
    mean = model.posterior(X).mean
    with case.pm_model:
        pm.set_data({"X": case.X + 1, "y": case.y * 2})
    torch.testing.assert_close(model.posterior(X).mean, mean, rtol=0, atol=0)
    assert {name: str(variable) for name, variable in case.pm_model.named_vars.items()} == before
    again = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    assert not torch.allclose(again.posterior(X).mean, mean)


def test_the_model_comes_from_the_context_without_being_extended() -> None:
    case = marginal()
    with case.pm_model:
        names = set(case.pm_model.named_vars)
        model = PyMCGP.from_fitted(case.gp, case.point)
        assert set(case.pm_model.named_vars) == names
    assert model.num_outputs == 1
    assert model.batch_shape == torch.Size()


def test_the_jitter_is_the_fitted_one() -> None:
    X = inputs(5, 2)
    case = marginal(jitter=1e-2)
    mean, _ = case.gp.predict(X.numpy(), case.point, diag=True, model=case.pm_model, jitter=1e-2)
    default, _ = case.gp.predict(X.numpy(), case.point, diag=True, model=case.pm_model)
    assert abs(mean - default).max() > 1e-4
    read = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model)
    np.testing.assert_allclose(read.posterior(X).mean.squeeze(-1).numpy(), mean, rtol=0, atol=1e-9)
    told = PyMCGP.from_fitted(case.gp, case.point, model=case.pm_model, jitter=pm.gp.util.JITTER_DEFAULT)
    np.testing.assert_allclose(told.posterior(X).mean.squeeze(-1).numpy(), default, rtol=0, atol=1e-9)


def noisy_model(sigma: object) -> tuple[PyMCGP, pm.gp.Marginal, pm.Model]:
    X, y = data()
    with pm.Model() as pm_model:
        if callable(sigma):
            sigma = sigma()
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", X, y, sigma=sigma)
    point = {rv.name: 0.2 for rv in pm_model.free_RVs}
    return PyMCGP.from_fitted(gp, point, model=pm_model), gp, pm_model


SIGMAS = {
    "a number": lambda: 0.2,
    "a random variable": lambda: pm.LogNormal("s", -1, 1),
    "a vector": lambda: np.linspace(0.1, 0.3, 12),
    "a vector in pm.Data": lambda: pm.Data("sd", np.linspace(0.1, 0.3, 12)),
    "a scaled vector": lambda: pm.LogNormal("s", -1, 1) * np.linspace(0.5, 1.5, 12),
    "a covariance": lambda: pm.gp.cov.WhiteNoise(0.1) + 0.3**2 * pm.gp.cov.Exponential(2, ls=0.2),
}


@pytest.mark.parametrize("kind", SIGMAS)
def test_noise_of_any_kind_enters_the_posterior_as_in_pymc(kind: str) -> None:
    model, gp, pm_model = noisy_model(SIGMAS[kind])
    point = {rv.name: 0.2 for rv in pm_model.free_RVs}
    X = inputs(7, 2)
    mean, variance = gp.predict(X.numpy(), point, diag=True, model=pm_model)
    posterior = model.posterior(X)
    np.testing.assert_allclose(posterior.mean.squeeze(-1).numpy(), mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(posterior.variance.squeeze(-1).numpy(), variance, rtol=0, atol=1e-9)
    noisy = model.posterior(X, observation_noise=True)
    added = noisy.distribution.covariance_matrix - posterior.distribution.covariance_matrix
    if kind == "a covariance":
        _, cov = gp.predict(X.numpy(), point, pred_noise=True, model=pm_model)
        np.testing.assert_allclose(noisy.distribution.covariance_matrix.numpy(), cov, rtol=0, atol=1e-9)
        assert added[0, 1] > 1e-4
    else:
        vector = np.linspace(0.5, 1.5, 12) * 0.2
        expected = np.mean(vector**2) if "vector" in kind else 0.04
        np.testing.assert_allclose(added.numpy(), expected * np.eye(7), rtol=0, atol=1e-12)


def test_a_tensor_of_observation_noise_is_added_as_it_is(model: PyMCGP) -> None:
    for q in (3, 40):
        X, noise = inputs(2, q, 2), torch.rand(2, q, 1, dtype=torch.double)
        added = model.posterior(X, observation_noise=noise).variance - model.posterior(X).variance
        torch.testing.assert_close(added, noise, **SAME)


def test_an_additive_component_is_predicted_given_the_total() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        slow = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(2, ls=1.0))
        quick = pm.gp.Marginal(cov_func=0.3**2 * pm.gp.cov.Matern32(2, ls=0.2))
        total = slow + quick
        total.marginal_likelihood("y", X, y, sigma=0.1)
    x = inputs(6, 2)
    given = {"gp": total, "X": X, "y": y, "sigma": 0.1}
    mean, variance = slow.predict(x.numpy(), {}, diag=True, given=given, model=pm_model)
    for told in (given, {"gp": total}):
        posterior = PyMCGP.from_fitted(slow, {}, model=pm_model, given=told).posterior(x)
        np.testing.assert_allclose(posterior.mean.squeeze(-1).numpy(), mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(posterior.variance.squeeze(-1).numpy(), variance, rtol=0, atol=1e-9)


@pytest.fixture
def raw() -> tuple[torch.Tensor, torch.Tensor]:
    X, y = data()
    return torch.from_numpy(100 * X + 50), torch.from_numpy(3 * y + 20).unsqueeze(-1)


def scaled_model(raw: tuple, outcome: object, inside: bool = False) -> tuple[PyMCGP, PyMCGP]:
    """A model in raw units through transforms, and the model without them."""
    normalize = Normalize(2, bounds=torch.tensor([[50.0, 50.0], [150.0, 150.0]], dtype=torch.double))
    x, (y, _) = normalize(raw[0]).numpy(), outcome(raw[1])
    with pm.Model() as pm_model:
        held = (pm.Data("X", raw[0].numpy()) - 50.0) / 100.0 if inside else x
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", held, y.squeeze(-1).numpy(), sigma=0.1)
    transforms = {"input_transform": normalize, "outcome_transform": outcome}
    plain_gp = pm.gp.Marginal(cov_func=gp.cov_func)
    with pm.Model() as plain:
        plain_gp.marginal_likelihood("y", x, y.squeeze(-1).numpy(), sigma=0.1)
    return PyMCGP.from_fitted(gp, {}, model=pm_model, **transforms), PyMCGP.from_fitted(plain_gp, {}, model=plain)


@pytest.mark.parametrize("inside", [False, True], ids=["scaled before the model", "scaled inside the model"])
def test_declared_transforms_make_the_posterior_one_in_raw_units(raw: tuple, inside: bool) -> None:
    outcome = Standardize(1)
    model, plain = scaled_model(raw, outcome, inside)
    for q in (3, 40):
        X = (50 + 100 * inputs(2, q, 2)).requires_grad_()
        scaled = plain.posterior((X.detach() - 50) / 100)
        posterior = model.posterior(X)
        assert type(posterior) is GPyTorchPosterior
        expected = outcome.untransform_posterior(scaled)
        torch.testing.assert_close(posterior.mean, expected.mean, rtol=1e-10, atol=0)
        torch.testing.assert_close(
            posterior.distribution.covariance_matrix, expected.distribution.covariance_matrix, rtol=1e-9, atol=1e-12
        )
        noisy = model.posterior(X, observation_noise=True).variance - posterior.variance
        torch.testing.assert_close(noisy, torch.full_like(noisy, 0.01 * float(outcome.stdvs) ** 2), rtol=1e-9, atol=0)
        tensor_noise = torch.full((2, q, 1), 0.01, dtype=torch.double)
        torch.testing.assert_close(
            model.posterior(X, observation_noise=tensor_noise).variance - posterior.variance,
            noisy,
            rtol=1e-9,
            atol=1e-12,
        )
    X = (50 + 100 * inputs(2, 3, 2)).requires_grad_()
    assert torch.autograd.gradcheck(lambda X: model.posterior(X).mean, (X,))
    torch.testing.assert_close(model.train_inputs[0], (raw[0] - 50) / 100)
    torch.testing.assert_close(model.train().train_inputs[0], raw[0])


def test_a_log_outcome_gives_botorchs_transformed_posterior(raw: tuple) -> None:
    outcome = Log()
    model, plain = scaled_model(raw, outcome)
    X = 50 + 100 * inputs(3, 2)
    posterior = model.posterior(X)
    assert type(posterior) is TransformedPosterior
    scaled = plain.posterior((X - 50) / 100)
    torch.testing.assert_close(posterior.mean, (scaled.mean + scaled.variance / 2).exp())


def test_a_posterior_transform_comes_last(model: PyMCGP) -> None:
    X = inputs(3, 2)
    transform = ScalarizedPosteriorTransform(torch.tensor([-2.0], dtype=torch.double), offset=1.0)
    torch.testing.assert_close(model.posterior(X, posterior_transform=transform).mean, 1 - 2 * model.posterior(X).mean)


def test_the_likelihood_carries_the_noise_variance(model: PyMCGP) -> None:
    torch.testing.assert_close(model.likelihood.noise, torch.tensor([float(POINT["sigma"]) ** 2], dtype=torch.double))
    vector, _, _ = noisy_model(SIGMAS["a vector"])
    torch.testing.assert_close(vector.likelihood.noise, torch.linspace(0.1, 0.3, 12, dtype=torch.double) ** 2)


def test_a_deep_copy_predicts_the_same(model: PyMCGP) -> None:
    X = inputs(3, 2)
    torch.testing.assert_close(copy.deepcopy(model).posterior(X).mean, model.posterior(X).mean, rtol=0, atol=0)


def test_the_users_transforms_are_copied_and_learn_no_more(raw: tuple) -> None:
    normalize, standardize = Normalize(2), Standardize(1)
    x, (y, _) = normalize(raw[0]).numpy(), standardize(raw[1])
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=[0.4, 0.7]))
        gp.marginal_likelihood("y", x, y.squeeze(-1).numpy(), sigma=0.1)
    model = PyMCGP.from_fitted(gp, {}, model=pm_model, input_transform=normalize, outcome_transform=standardize)
    X = 50 + 100 * inputs(3, 2)
    before = model.posterior(X).mean
    normalize.train()(3 * raw[0])
    standardize.train()(raw[1] ** 2)
    model.train()
    model.transform_inputs(2 * raw[0])
    torch.testing.assert_close(model.posterior(X).mean, before, rtol=0, atol=0)


def test_integer_inputs_are_taken_as_numbers(model: PyMCGP) -> None:
    X = torch.tensor([[0, 1], [1, 1]])
    posterior = model.posterior(X)
    assert posterior.mean.dtype == torch.double
    torch.testing.assert_close(posterior.mean, model.posterior(X.double()).mean, rtol=0, atol=0)


def test_float32_inputs_in_numbers_can_be_sampled(model: PyMCGP) -> None:
    posterior = model.posterior(inputs(40, 2).float(), observation_noise=True)
    assert posterior.rsample(torch.Size([2])).dtype == torch.float32


def test_a_covariance_that_cannot_be_factorised_is_a_fitting_error() -> None:
    X, y = data()
    X[1] = X[0]
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.ExpQuad(2, ls=0.5))
        gp.marginal_likelihood("y", X, y, sigma=0.0, jitter=0.0)
    with pytest.raises(ModelFittingError, match=r"not positive definite.*larger jitter"):
        PyMCGP.from_fitted(gp, {}, model=pm_model)


def test_a_column_that_a_kernel_takes_as_an_index_may_be_nan_but_not_unknown() -> None:
    specimen = ZOO["ExpQuad * Coregion"]()
    model = PyMCGP.from_fitted(specimen.gp, specimen.point, model=specimen.pm_model)
    X = torch.tensor([[0.2, 1.0], [0.4, torch.nan], [0.6, 0.0]], dtype=torch.double, requires_grad=True)
    mean = model.posterior(X).mean
    assert mean.squeeze(-1).isnan().tolist() == [False, True, False]
    assert torch.autograd.grad(mean[0].sum(), X)[0].isnan().any(-1).tolist() == [False, True, False]
    many = X.detach().repeat(20, 1).requires_grad_()  # enough for the lazy covariance
    mean = model.posterior(many).mean
    assert mean.isnan().sum() == 20
    assert torch.autograd.grad(mean[::3].sum(), many)[0][::3].isfinite().all()
    for unknown in (torch.tensor([[0.2, 7.0]], dtype=torch.double), torch.full((40, 2), 7.0, dtype=torch.double)):
        with pytest.raises(InputDataError, match="Column 1 of X, which the gp uses as an index, is 7 in row"):
            model.posterior(unknown)


@pytest.mark.parametrize("pick", ["a new axis", "columns joined", "rows"])
def test_data_that_are_only_picked_or_joined_need_no_transform(pick: str) -> None:
    X, y = data()
    with pm.Model() as pm_model:
        held = pm.Data("X", X)
        columns = {
            "a new axis": lambda: held[:, 0][:, None],
            "columns joined": lambda: pt.stack([held[:, 1], held[:, 0]], axis=1),
            "rows": lambda: held[: len(y)],
        }[pick]()
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1 if pick == "a new axis" else 2, ls=0.5))
        gp.marginal_likelihood("y", columns, y, sigma=0.1)
    model = PyMCGP.from_fitted(gp, {}, model=pm_model)
    np.testing.assert_array_equal(model.train_inputs[0].numpy(), columns.eval())


def test_hyper_parents_that_the_gp_does_not_need_are_not_asked_for() -> None:
    X, y = data()
    with pm.Model() as pm_model:
        ell = pm.LogNormal("ell", pm.Normal("centre"), 1.0)
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=ell))
        gp.marginal_likelihood("y", X, y, sigma=0.1)
    assert set(PyMCGP.from_fitted(gp, {"ell": 1}, model=pm_model).point) == {"ell"}


def test_variances_of_many_points_are_those_of_each_and_their_gradients_too(model: PyMCGP) -> None:
    X = torch.rand(67, 2, dtype=torch.double, requires_grad=True)
    many = model.process.variance(X)
    few = torch.cat([model.process.joint(part.unsqueeze(-2))[1].flatten() for part in X.split(8)])
    assert torch.allclose(many, few, rtol=0, atol=1e-12)
    assert torch.allclose(torch.autograd.grad(many.sum(), X)[0], torch.autograd.grad(few.sum(), X)[0], rtol=1e-9, atol=1e-10)
