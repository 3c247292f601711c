"""Columns of categories: no advice and no transform may merge them, and an optimiser that walks between them is warned of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.acquisition import LogExpectedImprovement
from botorch.exceptions.errors import InputDataError
from botorch.exceptions.warnings import InputDataWarning, OptimizationWarning
from botorch.models.transforms.input import ChainedInputTransform, Normalize, Round
from botorch.optim import optimize_acqf, optimize_acqf_mixed
from test_categories import coregion, mean, noise, own_kernel
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

BUILDERS = [coregion, mean, own_kernel, noise]
BOTH = pytest.mark.parametrize("of", [PyMCGP, FullyBayesianPyMCGP])


def trial(factor: float = 1.0) -> tuple[Tensor, Tensor]:
    """A column of doses and one of varieties 0, 1, 2; a standardized outcome."""
    X = torch.stack([factor * torch.linspace(0, 1, 12), torch.tensor([0.0, 1.0, 2.0]).repeat(4)], dim=-1).double()
    Y = (4 * X[:, :1] / factor).sin() + 0.3 * X[:, 1:]
    return X, (Y - Y.mean()) / Y.std()


def smooth(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=pm.LogNormal("ell")))
    gp.marginal_likelihood("y", X, y, sigma=0.2)
    return gp


@pytest.mark.parametrize("builder", BUILDERS)
@BOTH
def test_indices_alone_are_no_cause_for_the_warning_to_normalise(of: Any, builder: Callable) -> None:
    model = of(*trial(), build_gp=builder, outcome_transform=None)
    assert model.posterior(trial()[0]).mean.isfinite().all()
    assert model.state.index_columns == {1}


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_warning_to_normalise_leaves_indices_out(builder: Callable) -> None:
    X, Y = trial(factor=50.0)
    with pytest.warns(
        InputDataWarning, match=r"Columns \[0\] of train_X .*Normalize\(d=2, indices=\[0\].*Columns \[1\] are left"
    ):
        PyMCGP(X, Y, build_gp=builder, outcome_transform=None)
    followed = PyMCGP(X, Y, build_gp=builder, outcome_transform=None, input_transform=Normalize(d=2, indices=[0]))
    posterior = followed.posterior(torch.tensor([[25.0, 0.0], [25.0, 1.0], [25.0, 2.0]]).double())
    if builder is coregion:  # others have no levels yet
        assert len(posterior.mean.unique()) == 3


@BOTH
def test_whole_numbers_that_the_gp_does_not_use_as_an_index_are_warned_of_when_it_is_built(of: Any) -> None:
    model = of(*trial(), build_gp=smooth, outcome_transform=None)
    with pytest.warns(InputDataWarning, match=r"Columns \[1\] of train_X are outside \[0, 1\].*does not use them as indices"):
        model.posterior(trial()[0])
    model.posterior(trial()[0])  # once
    with pytest.warns(InputDataWarning, match=r"Columns \[1\] of train_X are outside"):
        of(*trial(), outcome_transform=None)  # the default has no indices
    X, Y = trial()
    with pytest.warns(InputDataWarning, match=r"Columns \[1\] of train_X are outside .*Normalize\(d=2, bounds"):
        of(X * torch.tensor([1.0, 40.0]), Y, build_gp=smooth, outcome_transform=None)  # doses do not count from 0


TRANSFORMS: dict[str, Any] = {
    "all columns": lambda: Normalize(d=2),
    "its bounds": lambda: Normalize(d=2, bounds=torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.double)),
    "in a chain": lambda: ChainedInputTransform(first=Normalize(d=2, indices=[0]), then=Normalize(d=2, indices=[1])),
}


@pytest.mark.parametrize("kind", TRANSFORMS)
@pytest.mark.parametrize("builder", BUILDERS)
def test_a_transform_that_makes_fractions_of_indices_is_refused_before_a_fit(builder: Callable, kind: str) -> None:
    message = r"column 1 of its inputs as an index, but the input_transform makes 0, 0\.5, 1 .*Normalize\(d=2, indices=\[0\]\)"
    model = PyMCGP(*trial(), build_gp=builder, outcome_transform=None, input_transform=TRANSFORMS[kind]())
    for ask in (model.fit, lambda: model.posterior(trial()[0])):
        with pytest.raises(InputDataError, match=message):
            ask()


def test_a_transform_that_keeps_indices_whole_is_taken() -> None:
    X, Y = trial()
    for transform in (Normalize(d=2, indices=[0]), Round(integer_indices=[1])):
        PyMCGP(X, Y, build_gp=coregion, outcome_transform=None, input_transform=transform).posterior(X)


def test_normalised_indices_of_a_gp_fitted_in_pymc_are_refused_too() -> None:
    X, Y = trial()
    normalize = Normalize(d=2)
    with pm.Model() as pm_model:
        gp = coregion(normalize(X).numpy(), Y.squeeze(-1).numpy())
    with pytest.raises(InputDataError, match="uses column 1 of its inputs as an index"):
        PyMCGP.from_fitted(gp, {"kappa": np.ones(3)}, model=pm_model, input_transform=normalize.eval())


@pytest.mark.filterwarnings("ignore::botorch.exceptions.InputDataWarning")
def test_a_continuous_column_that_is_cut_off_on_purpose_is_taken() -> None:
    X, Y = trial()
    X[:, 1] = torch.linspace(0, 2.9, 12)  # days, with an effect of each
    PyMCGP(X, Y, build_gp=coregion, outcome_transform=None).posterior(X)


@BOTH
def test_an_optimiser_between_two_categories_is_warned_of_once(of: Any) -> None:
    model = of(*trial(), build_gp=coregion, outcome_transform=None)
    bounds = torch.tensor([[0.0, 0.0], [1.0, 2.0]], dtype=torch.double)
    acquisition = LogExpectedImprovement(model, best_f=1.0)
    options: dict[str, Any] = {"q": 1, "num_restarts": 1, "raw_samples": 4, "options": {"maxiter": 2}}
    optimize_acqf_mixed(acquisition, bounds, fixed_features_list=[{1: 0.0}, {1: 2.0}], **options)
    with pytest.warns(RuntimeWarning, match=r"in column 1, which the gp uses as an index.*Use optimize_acqf_mixed with a fixed"):
        optimize_acqf(acquisition, bounds, **options)  # in which BoTorch wraps ours
    optimize_acqf(acquisition, bounds, **options)  # once
    again = of(*trial(), build_gp=coregion, outcome_transform=None)
    X = torch.tensor([[0.5, 0.12]], dtype=torch.double)
    again.posterior(X)
    again.posterior(X.round().requires_grad_())
    with pytest.warns(OptimizationWarning, match=r"gradients at 0\.12 in column 1, .* cut off to 0"):
        again.posterior(X.requires_grad_())
