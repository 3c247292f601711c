"""Callers in float32, and models that are not fitted: BoTorch's own tests of cached roots hold for ours as for SingleTaskGP."""

import pytest
import torch
from botorch.acquisition import qSimpleRegret
from botorch.acquisition.cached_cholesky import CachedCholeskyMCSamplerMixin
from botorch.models import SingleTaskGP
from botorch.sampling import IIDNormalSampler
from botorch.utils.low_rank import sample_cached_cholesky
from torch import Tensor

from pymc_botorch import PyMCGP

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model inputs are of type torch.float32", "ignore:Data .outcome observations. is not standardized"
)
TOLERANCE = {torch.float: {"rtol": 1e-2, "atol": 1e-4}, torch.double: {"rtol": 1e-5, "atol": 1e-8}}  # those of BoTorch's tests


def data(d: int = 2, dtype: torch.dtype = torch.double) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.rand(10, d, generator=draw).to(dtype), torch.randn(10, 1, generator=draw).to(dtype)


@pytest.mark.parametrize("d", [1, 6])
@pytest.mark.parametrize("known", [False, True])
def test_a_default_model_that_is_not_fitted_is_a_single_task_gp_that_is_not(d: int, known: bool) -> None:
    X, Y = data(d)
    noise = torch.full_like(Y, 0.02) if known else None
    ours, theirs = PyMCGP(X, Y, noise).posterior(X + 0.1), SingleTaskGP(X, Y, noise).posterior(X + 0.1)
    torch.testing.assert_close(ours.mean, theirs.mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.variance, theirs.variance, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("q", [1, 3, 9])
@pytest.mark.parametrize("batch", [(), (4, 2)], ids=str)
def test_samples_by_a_cached_root_are_those_of_the_joint_posterior(dtype: torch.dtype, q: int, batch: tuple[int, ...]) -> None:
    X, Y = data(dtype=dtype)
    model = PyMCGP(X, Y)
    with torch.no_grad():
        baseline = model.posterior(X[:-q])
        root = baseline.distribution.lazy_covariance_matrix.root_decomposition().root.to_dense()
    sampler, base_sampler = (IIDNormalSampler(torch.Size([3]), seed=1) for _ in range(2))
    base_sampler(baseline)
    whole, cached = (X.expand(*batch, *X.shape).clone().requires_grad_() for _ in range(2))
    posterior = model.posterior(whole)
    sampler._update_base_samples(posterior=posterior, base_sampler=base_sampler)
    expected = sampler(posterior)[..., -q:, :]
    base_samples = sampler.base_samples.detach().clone()
    got = sample_cached_cholesky(model.posterior(cached), root, q, base_samples, sampler.sample_shape)
    assert root.dtype == got.dtype == dtype
    for samples in (got, expected):
        samples.sum().backward()
    torch.testing.assert_close(got, expected, **TOLERANCE[dtype])
    assert whole.grad is not None
    assert cached.grad is not None
    torch.testing.assert_close(cached.grad[..., -q:, :], whole.grad[..., -q:, :], **TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_the_root_that_botorch_caches_is_that_of_linear_operator(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cached(qSimpleRegret, CachedCholeskyMCSamplerMixin):
        """As BoTorch's dummy."""

    model = PyMCGP(*data(dtype=dtype))
    acquisition = Cached(model=model, sampler=IIDNormalSampler(torch.Size([1])))
    root = torch.eye(2, dtype=dtype)
    monkeypatch.setattr("linear_operator.operators._linear_operator.psd_safe_cholesky", lambda *_, **__: root)
    posterior = model.posterior(torch.rand(2, 2, dtype=dtype))
    assert torch.equal(acquisition._compute_root_decomposition(posterior=posterior), root)
