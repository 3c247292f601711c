"""The README's example with annotations, and what mypy must know of it; it is checked, never run."""

from typing import Any, assert_type

import numpy as np
import pymc as pm
import torch
from botorch.acquisition import qLogExpectedImprovement
from botorch.optim import optimize_acqf
from pytensor.tensor.variable import TensorVariable

from pymc_botorch import FitResult, FullyBayesianPyMCGP, PyMCGP, SamplingResult


class Trial(PyMCGP):
    units = "natural"  # the priors are in kg/ha and t/ha

    def build_gp(self, X: TensorVariable[Any, Any], y: TensorVariable[Any, Any]) -> pm.gp.Marginal:
        reach = pm.LogNormal("reach", np.log(60), 0.5)  # kg/ha
        noise = pm.LogNormal("noise", np.log(0.4), 0.4)  # t/ha
        gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(8), cov_func=3**2 * pm.gp.cov.Matern52(1, ls=reach))
        gp.marginal_likelihood("yield", X, y, sigma=noise)
        return gp


class TrialWithKnownNoise(FullyBayesianPyMCGP):
    def build_gp(
        self, X: TensorVariable[Any, Any], y: TensorVariable[Any, Any], sigma: TensorVariable[Any, Any]
    ) -> tuple[pm.gp.Marginal, dict[str, pm.gp.Marginal]]:
        parts = [pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=reach)) for reach in (20, 60)]
        total = parts[0] + parts[1]
        total.marginal_likelihood("yield", X, y, sigma=sigma)
        return total, {"short": parts[0], "long": parts[1]}


dose, yields = torch.tensor([[0.0], [40], [80], [160]]).double(), torch.tensor([[5.8], [8.2], [11.2], [10.5]]).double()
model = Trial(dose, yields).fit()
assert_type(model, Trial)
assert isinstance(model.fit_result, FitResult)
assert_type(model.fit_result.trusted, bool)
bounds = torch.tensor([[0.0], [160.0]], dtype=torch.double)
batch, _ = optimize_acqf(qLogExpectedImprovement(model, best_f=11.2), bounds, q=2, num_restarts=8, raw_samples=64)

draws = TrialWithKnownNoise(dose, yields, torch.full_like(yields, 0.1)).fit("laplace", seed=1)
assert_type(draws, TrialWithKnownNoise)
assert isinstance(draws.fit_result, SamplingResult)
draws.fit("metropolis")  # type: ignore[arg-type]  # an error if it is not refused
