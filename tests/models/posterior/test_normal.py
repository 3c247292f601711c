"""The quick multivariate normal is GPyTorch's."""

import pytest
import torch
from gpytorch.distributions import MultivariateNormal
from linear_operator.operators import DenseLinearOperator
from linear_operator.utils.warnings import NumericalWarning

from pymc_botorch.models.posterior.normal import PosteriorNormal


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("q", [1, 4])
def test_all_that_is_asked_of_it_is_what_gpytorchs_own_answers(batch: tuple[int, ...], q: int) -> None:
    root = torch.rand(*batch, q, q, dtype=torch.double)
    mean, cov = torch.rand(*batch, q, dtype=torch.double), root @ root.mT + torch.eye(q, dtype=torch.double)
    ours, theirs = (kind(mean, DenseLinearOperator(cov.requires_grad_())) for kind in (PosteriorNormal, MultivariateNormal))
    assert ours.batch_shape == theirs.batch_shape
    assert ours.event_shape == theirs.event_shape
    for name in ("mean", "variance", "stddev", "covariance_matrix", "scale_tril"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    slopes = [torch.autograd.grad(mvn.variance.square().sum(), cov)[0] for mvn in (ours, theirs)]
    torch.testing.assert_close(*slopes)
    noise = torch.randn(5, *batch, q, dtype=torch.double)
    torch.testing.assert_close(ours.rsample(torch.Size([5]), noise), theirs.rsample(torch.Size([5]), noise))
    for change in (lambda m: m.expand(torch.Size([2, *batch])), lambda m: m.add_jitter(0.1), lambda m: m * 2.0 + 1.0):
        torch.testing.assert_close(change(ours).covariance_matrix, change(theirs).covariance_matrix)
    torch.testing.assert_close(ours.log_prob(mean + 0.1), theirs.log_prob(mean + 0.1))


def test_shapes_that_differ_and_small_variances_are_left_to_gpytorch() -> None:
    wide = PosteriorNormal(torch.zeros(3, 2), DenseLinearOperator(torch.eye(2)))
    assert wide.variance.shape == (3, 2)
    with pytest.warns(NumericalWarning, match="Negative variance"):
        assert PosteriorNormal(torch.zeros(1), DenseLinearOperator(-torch.eye(1))).variance > 0
