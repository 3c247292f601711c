"""Claims: an ensemble of 16 draws with gradient at least 4 times as fast as BoTorch's SAAS model with the same draws (n = 100, d
= 6, b = 20), and not slower at n = 500, b = 1; a refit that weighs old draws anew at least 10 times as fast as BoTorch's NUTS;
our NUTS gives at least twice as many effective draws a second at n = 30, with compilation and without, and the default fit three
times as many warm; the default fit takes under 1 s at n = 30 and under 4 s at n = 100, and at most three times that without
Numba. Equal to single models within 1e-8, to averages of acquisition functions within 1e-10, and to quadrature within 2 %.

Run by ``make bench``. The model is BoTorch's SAAS on both sides, with the same data and priors, but for the seconds of the
default fit, which are those of the default model; one thread; medians of interleaved pairs. Effective draws are those of all
draws after tuning, before any are thinned, the least over bulk and tail, for each parameter; weighted draws have one over the sum
of squared weights. Prints the table with its bars, writes docs/draws.json and, with what the other benchmarks of draws have
written, docs/draws.md; ends with an error where a bar is missed.
"""

import json
import pathlib
import sys
import warnings
from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from botorch.acquisition import LogExpectedImprovement, qExpectedImprovement
from botorch.models.model import Model
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.safe_math import logmeanexp
from draws_fits import first_fits, fits
from draws_page import write_page
from draws_seconds import default_efficiency, default_seconds
from quadrature import by_quadrature, raw_data, two
from rows import Row, deviation, line
from saas import ours, saas, with_draws_of
from threadpoolctl import threadpool_limits
from timing import compare
from torch import Tensor

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, config
from pymc_botorch.models.state_dict import pack

DOCS = pathlib.Path(__file__).parent.parent / "docs"
REPEATS = 9
POSTERIOR = {(100, 6, 20): 4.0, (500, 6, 1): 1.0}  # n, d, b: floor


def main() -> None:
    """Measure, print, write, and fail where a bar is missed."""
    torch.set_num_threads(1)
    rows = []
    with config.change_flags(linker="numba"), threadpool_limits(1):
        for row in chain(agreement(), posteriors(), fits(), first_fits(), default_seconds(), default_efficiency()):
            rows.append(row)
            print(line(row), flush=True)
    (DOCS / "draws.json").write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    write_page()
    if missed := [row.work for row in rows if row.missed]:
        sys.exit(f"bar missed: {', '.join(missed)}")


def single(model: FullyBayesianPyMCGP, s: int) -> PyMCGP:
    """One draw as a model of its own."""
    twin = PyMCGP(model.train_inputs[0], model.train_targets.unsqueeze(-1), outcome_transform=None, build_gp=saas)
    twin.set_extra_state(pack({name: value[s] for name, value in model.draws.items()}))
    return twin.eval()


def agreement() -> Iterator[Row]:
    """Compare draws with single models, acquisition functions with averages, and all draws with quadrature."""
    model = ours(30).fit("laplace", seed=0)
    singles = [single(model, s) for s in range(model.num_mcmc_samples)]
    X = torch.rand(8, 2, 6, dtype=torch.double)
    posterior, alone = model.posterior(X), [one.posterior(X) for one in singles]
    off = max(
        (posterior.mean - torch.stack([p.mean for p in alone], 1)).abs().max().item(),
        (posterior.distribution.covariance_matrix - torch.stack([p.distribution.covariance_matrix for p in alone], 1))
        .abs()
        .max(),
    )
    yield deviation("16 draws against 16 single models, mean and covariance", off, 1e-8)
    one = X[:, :1]
    log_ei = LogExpectedImprovement(model, 0.5)(one)
    expected = logmeanexp(torch.stack([LogExpectedImprovement(m, 0.5)(one) for m in singles]), dim=0)
    yield deviation("LogEI against the logmeanexp of single models", (log_ei - expected).abs().max().item(), 1e-10)
    sampler = _fixed_sampler()
    ei = qExpectedImprovement(model, 0.5, sampler)(X)
    expected = torch.stack([qExpectedImprovement(m, 0.5, _fixed_sampler())(X) for m in singles]).mean(0)
    yield deviation("qEI against the mean of single models, same base samples", (ei - expected).abs().max().item(), 1e-10)
    X, Y = raw_data(10)
    at = np.linspace(-0.1, 1.1, 25)[:, None]
    mean, sd = by_quadrature(X, Y, at)
    options = {"num_draws": None, "seed": 3, "progressbar": False, "draws": 1000, "tune": 500, "num_proposals": 4000}
    before = FullyBayesianPyMCGP(*raw_data(8), build_gp=two).fit("laplace", **options)
    for method, warm in (("nuts", None), ("laplace", None), ("auto", before)):
        fitted = FullyBayesianPyMCGP(X, Y, build_gp=two).fit(method, warm, **options)
        found = fitted.posterior(torch.from_numpy(at))
        off = max(
            np.abs(found.mixture_mean.squeeze(-1).numpy() - mean).max(),
            np.abs(found.mixture_variance.sqrt().squeeze(-1).numpy() - sd).max(),
        )
        yield deviation(
            f"{fitted.fit_result.method} against quadrature, mean and sd, relative to the range", off / np.ptp(mean), 0.02
        )


def _fixed_sampler() -> object:
    return SobolQMCNormalSampler(torch.Size([32]), seed=5)


def posteriors() -> Iterator[Row]:
    """Time mean and variance with gradient, 16 draws on both sides."""
    for (n, d, b), floor in POSTERIOR.items():
        model = ours(n, d).fit("laplace", seed=0)
        twin = with_draws_of(model)
        X = torch.rand(b, 1, d, dtype=torch.double, requires_grad=True)
        off = (model.posterior(X).mean - twin.posterior(X).mean).abs().max().item()
        assert off < 1e-7, off
        result = compare(lambda m=model, X=X: _pull(m, X), lambda m=twin, X=X: _pull(m, X), repeats=REPEATS, seconds=0.2)
        yield Row(f"16 draws, posterior and gradient, n = {n}, d = {d}, b = {b}", result.ratio, result.low, result.high, floor)


def _pull(model: Model, X: Tensor) -> None:
    posterior = model.posterior(X)
    (posterior.mean.sum() + posterior.variance.sum()).backward()


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # BoTorch's and JAX's; ours are in fit_result
    main()
