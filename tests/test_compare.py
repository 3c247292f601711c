"""Comparison of models of the same data: evidences and weights, PSIS-LOO through ArviZ, and what cannot be compared."""

from collections.abc import Mapping
from typing import Any

import arviz as az
import numpy as np
import pymc as pm
import pytest
import torch
import xarray as xr
from botorch.exceptions.errors import InputDataError, UnsupportedError
from botorch.models.transforms import Normalize, Standardize
from quadrature import raw_data, two
from scipy.special import logsumexp, softmax
from scipy.stats import norm

from pymc_botorch import Comparison, FitWarning, FullyBayesianPyMCGP, PyMCGP, compare
from pymc_botorch.inference.comparison import Candidate, compare_candidates

LAPLACE: dict[str, Any] = {"method": "laplace", "seed": 1, "num_proposals": 3000}
FEW = {**LAPLACE, "num_proposals": 300}
N = 20
EVIDENCE = 0.03  # 3000 weighted draws
ELPD = 0.1  # 1000 draws, of a sum over twenty observations


def rough(X: Any, y: Any) -> pm.gp.Marginal:
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern12(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.7)))
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def with_flat_mean(X: Any, y: Any) -> pm.gp.Marginal:
    cov = pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.7))
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(pm.Flat("mu")), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=pm.LogNormal("sigma", -2, 1))
    return gp


def of(builder: Any, **options: Any) -> FullyBayesianPyMCGP:
    return FullyBayesianPyMCGP(*raw_data(N), build_gp=builder, **options)


@pytest.fixture(scope="module")
def models() -> dict[str, FullyBayesianPyMCGP]:
    return {"smooth": of(two).fit(**LAPLACE), "rough": of(rough).fit(**LAPLACE)}


@pytest.fixture(scope="module")
def compared(models: dict[str, FullyBayesianPyMCGP]) -> Comparison:
    return compare(models)


def log_marginal(kernel: str) -> tuple[float, float]:
    """Log evidence, and the sum of the log densities of observations given the others, by quadrature of two hyperparameters."""
    X, Y = raw_data(N)
    x, y = X.numpy(), ((Y - Y.mean()) / Y.std()).squeeze(-1).numpy()
    r = np.abs(x - x.T)
    log_joint, left_out, grid = [], [], np.linspace(-4.5, 4.5, 70)
    for a in grid:
        scaled = r / np.exp(-1 + 0.7 * a)
        smooth = np.sqrt(5) * scaled
        K = (1 + smooth + smooth**2 / 3) * np.exp(-smooth) if kernel == "smooth" else np.exp(-scaled)
        for b in grid:
            inverse = np.linalg.inv(K + (np.exp(-2 + b) ** 2 + 1e-6) * np.eye(len(x)))
            log_det = -np.linalg.slogdet(inverse)[1]
            prior = norm.logpdf(a) + norm.logpdf(b) + 2 * np.log(grid[1] - grid[0])
            log_joint.append(prior - 0.5 * (y @ inverse @ y + log_det + len(x) * np.log(2 * np.pi)))
            sd = 1 / np.sqrt(np.diag(inverse))
            left_out.append(norm.logpdf(inverse @ y * sd**2, scale=sd))  # y_i minus its mean given the others
    every, given = np.array(log_joint), np.stack(left_out)
    of_others = logsumexp(every[:, None] - given, axis=0)  # log p(y_-i)
    return float(logsumexp(every)), float((logsumexp(every) - of_others).sum())


@pytest.mark.parametrize("name", ["smooth", "rough"])
def test_evidence_and_elpd_are_those_of_quadrature(compared: Comparison, name: str) -> None:
    evidence, elpd = log_marginal(name)
    assert compared[name].log_evidence == pytest.approx(evidence, abs=EVIDENCE)
    assert compared[name].elpd_loo == pytest.approx(elpd, abs=ELPD)


def test_weights_are_posterior_probabilities_of_models(compared: Comparison) -> None:
    evidences = {model.name: model.log_evidence for model in compared.models}
    assert compared.weights == pytest.approx(dict(zip(evidences, softmax(list(evidences.values())), strict=True)))
    assert [model.name for model in compared.models] == ["smooth", "rough"]
    assert sum(compared.stacking_weights.values()) == pytest.approx(1)
    assert compared.num_observations == N


def test_elpd_is_the_sum_of_the_models_own_leave_one_out_predictions(
    models: dict[str, FullyBayesianPyMCGP], compared: Comparison
) -> None:
    for name, model in models.items():
        own = model.leave_one_out(raw=False, num_draws=None).log_density
        assert compared[name].elpd_loo == pytest.approx(own.sum(), abs=0.02)  # it has no jitter in its variances
        assert compared[name].elpd_loo_se == pytest.approx(own.std() * np.sqrt(len(own)), rel=0.05)


def test_numbers_are_arviz_own(rng: np.random.Generator) -> None:
    log_likelihood = {name: rng.normal(-1, 0.3, size=(400, 12)) + shift for name, shift in (("a", 0.0), ("b", 0.1))}
    found = compare_candidates({name: Candidate(values, None) for name, values in log_likelihood.items()})
    data = {
        name: xr.DataTree.from_dict(
            {
                "log_likelihood": xr.Dataset({"y": (("chain", "draw", "i"), values[None])}),
                "posterior": xr.Dataset({"x": (("chain", "draw"), np.zeros((1, 400)))}),
            }
        )
        for name, values in log_likelihood.items()
    }
    table = az.compare(data, round_to="none")
    for name in data:
        assert found[name].elpd_loo == pytest.approx(table.loc[name, "elpd"])
        assert found[name].elpd_loo_se == pytest.approx(table.loc[name, "se"])
        assert found[name].stacking_weight == pytest.approx(table.loc[name, "weight"])


def test_a_comparison_prints_as_a_table_and_is_a_frame(compared: Comparison) -> None:
    title, header, first, second = repr(compared).splitlines()
    assert title == "2 models of 20 observations"
    assert header.split()[:4] == ["model", "log", "evidence", "weight"]
    assert first.split()[0] == "smooth"
    assert second.split()[-2:] == ["laplace", "yes"]
    frame = compared.to_frame()
    assert list(frame.index) == ["smooth", "rough"]
    assert frame.loc["smooth", "weight"] == compared["smooth"].weight
    with pytest.raises(KeyError, match="level"):
        compared["level"]


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning", "ignore:Pareto k:UserWarning")  # few draws
def test_draws_of_nuts_have_no_evidence_and_the_table_says_so(models: dict[str, FullyBayesianPyMCGP]) -> None:
    sampled = of(two).fit("nuts", draws=60, tune=100, chains=2, seed=1, progressbar=False)
    compared = compare({**models, "sampled": sampled})
    assert compared.weights is None
    assert compared["sampled"].log_evidence is None
    assert [model.weight for model in compared.models] == [None, None, None]
    assert compared["sampled"].elpd_loo == pytest.approx(compared["smooth"].elpd_loo, abs=1.0)
    assert "No weights by evidence: NUTS gives none of sampled." in repr(compared)


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning", "ignore:Pareto k:UserWarning")
def test_improper_priors_compare_with_the_same_only(models: dict[str, FullyBayesianPyMCGP]) -> None:
    flat = of(with_flat_mean).fit(**FEW)
    assert flat.fit_result.improper_priors == ("mu",)
    compared = compare({**models, "flat": flat})
    assert compared.weights is None
    assert compared["flat"].log_evidence is not None
    assert "(smooth: none, rough: none, flat: mu)" in " ".join(repr(compared).split())
    assert compare([flat, flat]).weights == pytest.approx({"FullyBayesianPyMCGP 0": 0.5, "FullyBayesianPyMCGP 1": 0.5})


@pytest.mark.filterwarnings("ignore:Pareto k:UserWarning")
def test_a_fit_that_is_not_trusted_warns(models: dict[str, FullyBayesianPyMCGP]) -> None:
    with pytest.warns(FitWarning, match="effective draws"):
        doubtful = of(rough).fit("laplace", seed=1, num_proposals=100)
    with pytest.warns(FitWarning, match=r"The fit of doubtful is not trusted\. The draws by Laplace's method may not represent"):
        compared = compare({"smooth": models["smooth"], "doubtful": doubtful})
    assert compared["doubtful"].trusted is False
    assert "  no" in repr(compared)


def test_draws_of_pymc_are_compared_by_what_they_predict(models: dict[str, FullyBayesianPyMCGP]) -> None:
    X, Y = raw_data(N)
    scale = Standardize(m=1)
    y = scale(Y)[0].squeeze(-1).numpy()
    draws = models["smooth"].idata["posterior"].dataset.isel(draw=slice(None, None, 3)).drop_vars("reach")
    with pm.Model() as pm_model:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("ell", -1, 0.7)))
        gp.marginal_likelihood("y", X.numpy(), y, sigma=pm.LogNormal("sigma", -2, 1))
    read = FullyBayesianPyMCGP.from_fitted(gp, draws, model=pm_model, num_draws=400, outcome_transform=scale.eval())
    compared = compare({"read": read, **models})
    assert compared["read"].method == "pymc"
    assert compared["read"].elpd_loo == pytest.approx(compared["smooth"].elpd_loo, abs=3 * ELPD)  # a third of the draws
    assert compared.reason == "the draws of read were not made here."


def differing() -> Mapping[str, tuple[Any, str]]:
    X, Y = raw_data(N)
    known = torch.full_like(Y, 0.01)
    return {
        "rows": (FullyBayesianPyMCGP(X[:-1], Y[:-1], build_gp=two), "they have 20 and 19 observations"),
        "columns": (FullyBayesianPyMCGP(torch.cat([X, X**2], -1), Y, build_gp=two), "their inputs have 1 and 2 columns"),
        "inputs": (FullyBayesianPyMCGP(1 - X, Y, build_gp=two), "their inputs differ"),
        "outcomes": (FullyBayesianPyMCGP(X, Y + X, build_gp=two), "their outcomes differ"),
        "units": (FullyBayesianPyMCGP(X, Y, known, None, build_gp=with_known), "their outcomes are in different units"),
    }


def with_known(X: Any, y: Any, sigma: Any) -> pm.gp.Marginal:
    cov = pm.LogNormal("size", 1, 1) ** 2 * pm.gp.cov.Matern52(X.type.shape[1], ls=pm.LogNormal("ell", -1, 0.7))
    gp = pm.gp.Marginal(mean_func=pm.gp.mean.Constant(3), cov_func=cov)
    gp.marginal_likelihood("y", X, y, sigma=sigma)
    return gp


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning", "ignore::botorch.exceptions.warnings.InputDataWarning")
@pytest.mark.parametrize("what", ["rows", "columns", "inputs", "outcomes", "units"])
def test_other_data_are_refused_by_what_differs(models: dict[str, FullyBayesianPyMCGP], what: str) -> None:
    model, match = differing()[what]
    with pytest.raises(InputDataError, match=f"smooth and other can't be compared: {match}"):
        compare({"smooth": models["smooth"], "other": model.fit(**FEW)})


@pytest.mark.filterwarnings("ignore::pymc_botorch.FitWarning")
def test_the_same_data_through_other_input_transforms_are_the_same(models: dict[str, FullyBayesianPyMCGP]) -> None:
    other = of(two, input_transform=Normalize(1, bounds=torch.tensor([[0.0], [2.0]]).double())).fit(**FEW)
    assert set(compare({"smooth": models["smooth"], "other": other}).weights) == {"smooth", "other"}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda model: compare([model]), "There are 1 models. Pass two or more"),
        (lambda model: compare(model), "Pass fitted models by name, or a list"),
        (lambda model: compare([model, PyMCGP(*raw_data(N), build_gp=two)]), "PyMCGP is a PyMCGP, which has no draws"),
        (lambda model: compare({"a": model, "new": of(two)}), "new has 1 draws, too few .* Call its fit"),
        (lambda model: compare([model, model], num_draws=10), "num_draws is 10. Pass a whole number from 25 up"),
    ],
    ids=["one", "a model", "a point", "not fitted", "few draws"],
)
def test_what_cannot_be_compared_is_refused(models: dict[str, FullyBayesianPyMCGP], call: Any, match: str) -> None:
    with pytest.raises(InputDataError, match=match):
        call(models["smooth"])


def test_a_model_given_more_is_refused(models: dict[str, FullyBayesianPyMCGP]) -> None:
    more = models["smooth"].condition_on_observations(torch.rand(1, 1).double(), torch.rand(1, 1).double())
    with pytest.raises(UnsupportedError, match="conditioned on more observations"):
        compare([models["smooth"], more])
