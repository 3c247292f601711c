"""What we lean on in other libraries still holds: each test is an entry of docs/ledger.md, and its name says what no longer does.

The objects are those of the libraries. The package is imported inside the tests, so that these run where it no longer can be:
``pytest --noconftest tests/test_ledger.py``.
"""

import ast
import copy
import functools
import importlib
import inspect
import io
import itertools
import pathlib
import pkgutil
import re
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import torch
from botorch.acquisition import (
    LogExpectedImprovement,
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qUpperConfidenceBound,
)
from botorch.acquisition.cached_cholesky import supports_cache_root
from botorch.acquisition.objective import IdentityMCObjective, LinearMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelListGP, SingleTaskGP
from botorch.models.gpytorch import GPyTorchModel
from botorch.models.model import FantasizeMixin, Model
from botorch.models.transforms.input import Normalize
from botorch.models.transforms.outcome import Standardize
from botorch.posteriors import GPyTorchPosterior, TransformedPosterior
from botorch.posteriors.fully_bayesian import MCMC_DIM, GaussianMixturePosterior
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood
from gpytorch.models import GP
from linear_operator import LinearOperator, to_linear_operator
from linear_operator.operators import DenseLinearOperator, DiagLinearOperator
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.mode import Mode, get_mode
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.fg import FrozenFunctionGraph, FunctionGraph
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.traversal import ancestors, io_toposort
from pytensor.scalar.basic import Clip
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.linalg.decomposition.cholesky import Cholesky
from pytensor.tensor.linalg.solvers.core import SolveBase
from pytensor.tensor.math import Dot
from pytensor.tensor.random.basic import MvNormalRV
from pytensor.tensor.random.type import RandomType
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor
from torch import Tensor
from zoo import ZOO, Specimen

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / "docs" / "ledger.md"
PACKAGE = ROOT / "pymc_botorch"
QUICK = Mode(linker="py", optimizer="fast_compile")
DOUBLE: dict[str, Any] = {"dtype": torch.double}
VALUE = 1e-9
"""Relative: PyMC adds 1e-12 to squared distances, the package does not."""

cov = pm.gp.cov

# What tests share: expressions


def matrix(name: str, d: int | None = 2) -> pt.TensorVariable:
    return pt.matrix(name, dtype="float64", shape=(None, d))


def core(node: Apply) -> Any:
    return getattr(node.op, "core_op", node.op)


def nodes(*outputs: Variable) -> list[Apply]:
    return list(io_toposort([], list(outputs)))


def of_scalar(name: str, *outputs: Variable) -> list[Apply]:
    return [n for n in nodes(*outputs) if isinstance(n.op, Elemwise) and type(n.op.scalar_op).__name__ == name]


def parameters_of(rv: Variable) -> tuple[pt.TensorVariable, pt.TensorVariable]:
    """Mean and covariance of a multivariate normal."""
    return rv.owner.op.dist_params(rv.owner)[:2]


def value(expression: Variable, **given: np.ndarray) -> np.ndarray:
    by_name = {v.name: v for v in ancestors([expression]) if v.owner is None and v.name in given}
    return np.asarray(expression.eval({by_name[name]: array for name, array in given.items()}, mode=QUICK))


def conditional(specimen: Specimen, X: pt.TensorVariable, **options: Any) -> pt.TensorVariable:
    gp, given = specimen.gp, dict(specimen.given or {})
    if isinstance(gp, pm.gp.MarginalKron):  # read as the Marginal that it equals, on the whole grid
        given = {"X": pt.as_tensor(pm.math.cartesian(*gp.Xs)), "y": pt.as_tensor(gp.y), "sigma": gp.sigma}
        gp = pm.gp.Marginal(mean_func=gp.mean_func, cov_func=gp.cov_func)
        given["gp"] = gp
    given.update({name: pt.as_tensor(array) for name, array in given.items() if isinstance(array, np.ndarray)})
    with specimen.pm_model, pm.Model(model=None):
        return gp.conditional("new", X, given=given, **options)


def data() -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(3).uniform(size=(6, 2))
    return X, X.sum(1)


def latent(*, reparameterize: bool = True) -> Specimen:
    with pm.Model() as pm_model:
        gp = pm.gp.Latent(cov_func=cov.Matern52(2, ls=0.4))
        gp.prior("f", data()[0], reparameterize=reparameterize)
    return Specimen(gp, pm_model, {})


# PyMC: kernels

OTHERS = {"alpha": 1.5, "period": 0.7, "tau": 4, "c": 0.3, "d": 2, "offset": 0.5}
DISTANT = {
    name: kind
    for name, kind in vars(cov).items()
    if isinstance(kind, type)
    and issubclass(kind, cov.Stationary)
    and kind.full is cov.Stationary.full
    and kind is not cov.Stationary
}
SCALES: dict[str, Callable[[], dict[str, Any]]] = {
    "one lengthscale": lambda: {"ls": 0.4},
    "a lengthscale for each input": lambda: {"ls": [0.4, 0.7]},
    "inverse lengthscales": lambda: {"ls_inv": [2.5, 1.4]},
    "random lengthscales": lambda: {"ls": pm.LogNormal.dist(shape=2)},
    "active columns": lambda: {"ls": 0.4, "active_dims": [1]},
}
MATERNS = {"Matern52": cov.Matern52, "Matern32": cov.Matern32}
HOLDERS: dict[str, Callable[[cov.Covariance], cov.BaseCovariance]] = {
    "a sum": lambda kernel: kernel + cov.Linear(1, c=0.1),
    "a product": lambda kernel: 2.0 * kernel * cov.ExpQuad(1, ls=2.0),
    "a power": lambda kernel: kernel**2,
    "ScaledCov": lambda kernel: cov.ScaledCov(1, kernel, lambda x: 1 + x),
    "WarpedInput": lambda kernel: cov.WarpedInput(1, kernel, pt.log1p),
    "WrappedPeriodic": lambda kernel: cov.WrappedPeriodic(kernel, period=0.9),
    "Kron": lambda kernel: cov.Kron([kernel, cov.ExpQuad(1, ls=2.0)]),
}


def make(kind: type, **options: Any) -> cov.Covariance:
    others = {name: OTHERS[name] for name in inspect.signature(kind).parameters if name in OTHERS}
    return kind(2, **others, **options)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", DISTANT)
def test_pymc_writes_squared_distances_as_a_clipped_sum(kernel: str, scale: str) -> None:
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances

    for others in ([], [matrix("Z")]):
        written = make(DISTANT[kernel], **SCALES[scale]())(matrix("X"), *others)
        assert len(of_scalar("Clip", written)) == 1
        assert not of_scalar("Clip", *expand_distances(mark_distances([written]), exact=True)), (
            f"not recognised, with {len(others)} other inputs"
        )


@pytest.mark.parametrize("others", ["Xs", "no Xs"])
def test_pymc_writes_squared_distances_of_gibbs_as_a_clipped_sum(others: str) -> None:
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances

    kernel = cov.Gibbs(1, lengthscale_func=lambda x: 0.3 + x)
    written = kernel(matrix("X", 1), *([matrix("Z", 1)] if others == "Xs" else []))
    assert len(of_scalar("Clip", written)) == 1
    assert not of_scalar("Clip", *expand_distances(mark_distances([written]), exact=True))


@pytest.mark.parametrize("holder", HOLDERS)
def test_pymc_writes_squared_distances_inside_other_kernels_as_a_clipped_sum(holder: str) -> None:
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances

    d = 2 if holder == "Kron" else 1
    written = HOLDERS[holder](cov.ExpQuad(1, ls=0.4))(matrix("X", d), matrix("Z", d))
    assert bool(of_scalar("Clip", written)) is (holder != "WrappedPeriodic")  # which has a distance of its own
    assert not of_scalar("Clip", *expand_distances(mark_distances([written]), exact=True))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kernel", MATERNS)
def test_pymc_writes_matern_kernels_as_functions_of_one_squared_distance(kernel: str, scale: str) -> None:
    for others in ([], [matrix("Z")]):
        assert is_ours(MATERNS[kernel](2, **SCALES[scale]())(matrix("X"), *others)), f"with {len(others)} other inputs"


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("kernel", MATERNS)
def test_pymc_writes_matern_kernels_alike_inside_other_kernels(kernel: str, holder: str) -> None:
    d = 2 if holder == "Kron" else 1
    assert is_ours(HOLDERS[holder](MATERNS[kernel](1, ls=0.4))(matrix("X", d), matrix("Z", d)))


def is_ours(written: pt.TensorVariable) -> bool:
    """Say whether the one Matern kernel of an expression is replaced by the package's formula."""
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances
    from pymc_botorch.graph.rewrites.materns import differentiable_materns

    def steps(expression: pt.TensorVariable) -> int:
        return sum(type(node.op).__name__ == "DisconnectedGrad" for node in nodes(expression))

    (found,) = differentiable_materns(expand_distances(mark_distances([written]), exact=True))
    return steps(written) == 0 and steps(found) > 0


@pytest.mark.parametrize("kernel", MATERNS)
def test_the_matern_formulas_have_the_values_of_pymc(kernel: str) -> None:
    from pymc_botorch.graph.rewrites.materns import differentiable_materns

    X = data()[0]
    written = MATERNS[kernel](2, ls=[0.4, 0.7])(matrix("X"), matrix("Z"))
    (ours,) = differentiable_materns([written])
    np.testing.assert_allclose(value(ours, X=X, Z=X[::-1] + 0.1), value(written, X=X, Z=X[::-1] + 0.1), rtol=VALUE)


def test_pymc_has_no_kernel_that_was_not_judged_smooth_or_rough() -> None:
    from pymc_botorch.graph.gps.kernels import ROUGH

    smooth = {"ExpQuad", "RatQuad", "Matern52", "Matern32", "Cosine", "Periodic", "Linear", "Polynomial", "Gibbs", "Coregion"}
    holders = {"Add", "Prod", "Exponentiated", "Kron", "ScaledCov", "WarpedInput", "WrappedPeriodic", "Combination"}
    bases = {"BaseCovariance", "Covariance", "Stationary", "Constant", "WhiteNoise"}
    kernels = {name for name, kind in vars(cov).items() if isinstance(kind, type) and issubclass(kind, cov.BaseCovariance)}
    assert kernels == smooth | holders | bases | {kind.__name__ for kind in ROUGH}


@pytest.mark.parametrize("holder", HOLDERS)
def test_kernels_hold_their_parts_as_attributes(holder: str) -> None:
    from pymc_botorch.graph.gps.kernels import kernels_in

    part = cov.Matern12(1, ls=0.4)
    assert any(found is part for found in kernels_in(HOLDERS[holder](part)))


@pytest.mark.parametrize("holder", HOLDERS)
def test_kernels_know_their_number_of_columns(holder: str) -> None:
    assert HOLDERS[holder](cov.Matern52(1, ls=0.4)).input_dim == (2 if holder == "Kron" else 1)


@pytest.mark.parametrize("active", [[0], [1], [0, 1], [2, 3]], ids=str)
def test_kernels_pick_active_columns_by_a_vector_of_indices(active: list[int]) -> None:
    from pymc_botorch.graph.rewrites.subscripts import slice_columns

    written = cov.Linear(4, c=0.1, active_dims=active)(matrix("X", 4))
    picked = [node for node in nodes(written) if isinstance(node.op, AdvancedSubtensor)]
    assert [node.op.idx_list for node in picked] == [(slice(None), 0)]
    assert not any(isinstance(node.op, AdvancedSubtensor) for node in nodes(*slice_columns([written])))


def test_white_noise_keeps_its_sigma_and_joins_no_two_points() -> None:
    sigma = pt.scalar("sigma")
    assert cov.WhiteNoise(sigma).sigma is sigma
    assert not value(cov.WhiteNoise(0.2)(matrix("X"), matrix("Z")), X=data()[0], Z=data()[0]).any()


# PyMC: gps and models

JITTERED: dict[str, Callable[[pt.TensorVariable], list[pt.TensorVariable]]] = {
    "conditional of a Marginal": lambda jitter: [parameters_of(conditional(ZOO["Matern52"](), matrix("X"), jitter=jitter))[1]],
    "conditional of a MarginalApprox": lambda jitter: [parameters_of(conditional(ZOO["VFE"](), matrix("X"), jitter=jitter))[1]],
    "conditional of a component": lambda jitter: [
        parameters_of(conditional(ZOO["a component of a sum"](), matrix("X"), jitter=jitter))[1]
    ],
    "likelihood of a Marginal": lambda jitter: [parameters_of(likelihood(jitter))[1]],
    "potential of a MarginalApprox": lambda jitter: factorised(approximate(jitter).potentials[0]),
    "prior of a Latent": lambda jitter: factorised(prior(jitter, reparameterize=True)),
    "prior of a Latent, not reparameterised": lambda jitter: [parameters_of(prior(jitter, reparameterize=False))[1]],
}


def likelihood(jitter: Any) -> pt.TensorVariable:
    with pm.Model():
        return pm.gp.Marginal(cov_func=cov.Matern52(2, ls=0.4)).marginal_likelihood("y", *data(), sigma=0.1, jitter=jitter)


def approximate(jitter: Any) -> pm.Model:
    X, y = data()
    with pm.Model() as pm_model:
        pm.gp.MarginalApprox(cov_func=cov.Matern52(2, ls=0.4)).marginal_likelihood("y", X, X[::2], y, sigma=0.1, jitter=jitter)
    return pm_model


def prior(jitter: Any, *, reparameterize: bool) -> pt.TensorVariable:
    with pm.Model():
        gp = pm.gp.Latent(cov_func=cov.Matern52(2, ls=0.4))
        return gp.prior("f", data()[0], jitter=jitter, reparameterize=reparameterize)


def factorised(expression: pt.TensorVariable) -> list[pt.TensorVariable]:
    return [node.inputs[0] for node in nodes(expression) if isinstance(core(node), Cholesky)]


@pytest.mark.parametrize("where", JITTERED)
def test_pymc_adds_jitter_as_k_plus_jitter_times_eye(where: str) -> None:
    from pymc_botorch.graph.gps.likelihoods import split_jitter

    jitter = pt.scalar("jitter", dtype="float64")
    split = [split_jitter(matrix) for matrix in JITTERED[where](jitter)]
    (found,) = [parts for parts in split if parts is not None]
    assert found[1] is jitter


@pytest.mark.parametrize("kind", ["Matern52", "VFE"])
def test_pymc_adds_no_jitter_where_it_adds_noise(kind: str) -> None:
    from pymc_botorch.graph.gps.likelihoods import split_jitter

    jitter = pt.scalar("jitter", dtype="float64")
    _, covariance = parameters_of(conditional(ZOO[kind](), matrix("X"), pred_noise=True, jitter=jitter))
    last = split_jitter(covariance)
    assert last is None or last[1] is not jitter


def test_pymc_adds_no_jitter_to_the_conditional_of_a_latent_gp() -> None:
    from pymc_botorch.graph.gps.likelihoods import split_jitter

    _, covariance = parameters_of(conditional(latent(), matrix("X")))
    assert split_jitter(covariance) is None


def test_the_default_jitter_is_1e_6() -> None:
    assert pm.gp.util.JITTER_DEFAULT == 1e-6
    assert value(likelihood_jitter()) == 1e-6


def likelihood_jitter() -> Variable:
    from pymc_botorch.graph.gps.likelihoods import split_jitter

    with pm.Model():
        y = pm.gp.Marginal(cov_func=cov.Matern52(2, ls=0.4)).marginal_likelihood("y", *data(), sigma=0.1)
    return split_jitter(parameters_of(y)[1])[1]


@pytest.mark.parametrize("kind", ["Matern52", "VFE", "MarginalKron", "latent"])
def test_conditionals_are_multivariate_normals(kind: str) -> None:
    specimen = latent() if kind == "latent" else ZOO[kind]()
    assert isinstance(conditional(specimen, matrix("X")).owner.op, MvNormalRV)


def test_mvnormal_wraps_its_mean_in_a_second_of_its_covariance() -> None:
    from pymc_botorch.graph.gps.posterior_graph import without_broadcast

    mu, K = pt.vector("mu"), pt.matrix("K")
    mean, covariance = parameters_of(pm.MvNormal.dist(mu=mu, cov=K))
    assert K in ancestors([mean])
    assert without_broadcast(mean) is mu
    assert covariance is K


@pytest.mark.parametrize("kind", ["Matern52", "VFE", "latent"])
def test_conditional_means_need_no_covariance_of_new_inputs(kind: str) -> None:
    from pymc_botorch.graph.gps.posterior_graph import without_broadcast

    mean, covariance = parameters_of(conditional(latent() if kind == "latent" else ZOO[kind](), matrix("X")))
    assert covariance in ancestors([mean])
    assert covariance not in ancestors([without_broadcast(mean)])


@pytest.mark.parametrize("kind", ["Marginal", "MarginalApprox", "MarginalKron", "Latent"])
def test_gps_remember_what_they_were_conditioned_on(kind: str) -> None:
    made = {"Marginal": ZOO["Matern52"], "MarginalApprox": ZOO["VFE"], "MarginalKron": ZOO["MarginalKron"], "Latent": latent}
    remembered = {"Marginal": "X y sigma", "MarginalApprox": "X Xu y sigma", "MarginalKron": "Xs y sigma", "Latent": "X f"}
    for name in (*remembered[kind].split(), "mean_func", "cov_func"):
        assert getattr(made[kind]().gp, name) is not None


def test_marginal_kron_observes_a_kronecker_normal_with_the_kernel_of_the_grid() -> None:
    from pymc.distributions.multivariate import KroneckerNormalRV

    gp, pm_model, *_ = ZOO["MarginalKron"]()
    (observed,) = pm_model.observed_RVs
    assert isinstance(observed.owner.op, KroneckerNormalRV)
    assert np.array_equal(value(pm_model.rvs_to_values[observed]), gp.y)
    assert isinstance(gp.cov_func, cov.Kron)


def test_marginal_kron_adds_no_jitter_to_its_covariances() -> None:
    from pymc_botorch.graph.gps.likelihoods import split_jitter

    (observed,) = ZOO["MarginalKron"]().pm_model.observed_RVs
    _, _, *covariances = observed.owner.op.dist_params(observed.owner)
    assert len(covariances) == 2
    assert all(split_jitter(covariance) is None for covariance in covariances)
    assert "jitter" not in inspect.signature(pm.gp.MarginalKron.marginal_likelihood).parameters


def test_marginal_approx_adds_a_potential_called_marginalapprox_loglik() -> None:
    (potential,) = approximate(1e-6).potentials
    assert potential.name == "marginalapprox_loglik_y"


def test_latent_gps_call_their_whitened_values_rotated() -> None:
    assert [rv.name for rv in latent().pm_model.free_RVs] == ["f_rotated_"]
    assert [variable.name for variable in latent().pm_model.deterministics] == ["f"]


def test_a_model_without_parent_leaves_the_one_in_context_alone() -> None:
    with pm.Model() as outer:
        with pm.Model(model=None) as scratch:
            pm.Normal("x")
        assert pm.modelcontext(None) is outer
    assert (scratch.parent, len(outer.named_vars)) == (None, 0)


class Parameters(NamedTuple):
    """A model with each kind of parameter that the package treats in its own way."""

    pm_model: pm.Model
    datum: Any


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    with pm.Model(coords={"plot": range(3)}) as pm_model:
        datum = pm.Data("datum", np.arange(1.0, 4.0), dims="plot")
        scale = pm.LogNormal("scale", datum.mean(), 1)
        pm.Uniform("bounded", 0, scale)
        pm.Truncated("truncated", pm.LogNormal.dist(0, 1, shape=2), lower=0.025)
        pm.Dirichlet("shares", np.ones(3))
        pm.Flat("flat")
        pm.HalfFlat("half_flat")
        pm.Normal("effect", dims="plot")
    return Parameters(pm_model, datum)


def test_models_have_these_tables(parameters: Parameters) -> None:
    model = parameters.pm_model
    tables = (model.rvs_to_values, model.rvs_to_transforms, model.rvs_to_initial_values)
    assert all(rv in table for rv in model.free_RVs for table in tables)
    assert tuple(model.named_vars_to_dims["effect"]) == ("plot",)
    assert list(model.value_vars) == [model.rvs_to_values[rv] for rv in model.free_RVs]
    assert model.discrete_value_vars == []
    assert model.data_vars == [parameters.datum]
    assert list(model.coords["plot"]) == [0, 1, 2]


def test_lengths_of_dims_are_variables_of_the_graph(parameters: Parameters) -> None:
    model = parameters.pm_model
    assert model.dim_lengths["plot"] in ancestors([model["effect"]])


def test_initial_points_share_the_containers_of_the_data(parameters: Parameters) -> None:
    from pymc.initial_point import make_initial_point_expression

    model = parameters.pm_model
    for transformed in (True, False):
        found = make_initial_point_expression(
            free_rvs=model.free_RVs,
            rvs_to_transforms=model.rvs_to_transforms,
            initval_strategies=model.rvs_to_initial_values,
            return_transformed=transformed,
        )
        assert any(getattr(leaf, "container", None) is parameters.datum.container for leaf in ancestors(found[:1]))


TRANSFORMED: dict[str, Callable[[], Any]] = {
    "LogNormal": lambda: pm.LogNormal("x"),
    "Uniform": lambda: pm.Uniform("x", 0, pm.LogNormal("above")),
    "Truncated": lambda: pm.Truncated("x", pm.LogNormal.dist(0, 1, shape=2), lower=0.025),
}


@pytest.mark.parametrize("prior", TRANSFORMED)
def test_transforms_take_a_value_and_the_inputs_of_its_variable(prior: str) -> None:
    with pm.Model() as model:
        x = TRANSFORMED[prior]()
    transform, inputs, unconstrained = model.rvs_to_transforms[x], x.owner.inputs, model.rvs_to_values[x]
    volume = sum(
        pt.sum(model.rvs_to_transforms[rv].log_jac_det(model.rvs_to_values[rv], *rv.owner.inputs)) for rv in model.free_RVs
    )
    there_and_back = transform.forward(transform.backward(unconstrained, *inputs), *inputs)
    outputs = [*model.replace_rvs_by_values([there_and_back, volume]), model.logp(jacobian=True), model.logp(jacobian=False)]
    point = [0.3 * np.ones_like(model.initial_point()[v.name]) for v in model.value_vars]
    again, total, with_volume, without = pytensor.function(model.value_vars, outputs, mode=QUICK)(*point)
    np.testing.assert_allclose(again, point[-1], rtol=1e-12)
    assert with_volume - without == pytest.approx(total, rel=1e-12)


def test_truncated_priors_have_bounds_and_can_be_drawn(parameters: Parameters) -> None:
    from pymc.distributions.distribution import SymbolicRandomVariable
    from pymc.distributions.transforms import Interval

    rv = parameters.pm_model["truncated"]
    assert isinstance(rv.owner.op, SymbolicRandomVariable)
    assert isinstance(parameters.pm_model.rvs_to_transforms[rv], Interval)
    assert (pm.draw(rv, 20, random_seed=1, mode=QUICK) > 0.025).all()


@pytest.mark.parametrize("name", ["flat", "half_flat"])
def test_improper_priors_are_recognised_and_cannot_be_drawn(parameters: Parameters, name: str) -> None:
    from pymc.distributions.continuous import FlatRV, HalfFlatRV

    assert isinstance(parameters.pm_model[name].owner.op, FlatRV | HalfFlatRV)
    with pytest.raises(NotImplementedError, match="Cannot sample"):
        pm.draw(parameters.pm_model[name], mode=QUICK)


def test_random_generators_are_found_and_seeded() -> None:
    from pymc.pytensorf import collect_default_updates, reseed_rngs

    x = pm.Normal.dist()
    generators = [leaf for leaf in ancestors([x]) if isinstance(leaf.type, RandomType) and leaf.owner is None]
    draw = pytensor.function([], [x], updates=collect_default_updates(outputs=[x], inputs=[]), mode=QUICK)
    drawn = []
    for _ in range(2):
        reseed_rngs(generators, 1)
        drawn.append([float(draw()[0]) for _ in range(2)])
    assert drawn[0] == drawn[1]
    assert drawn[0][0] != drawn[0][1]


def test_invalid_parameters_raise_parameter_value_errors() -> None:
    from pymc.logprob.utils import ParameterValueError

    with pm.Model() as pm_model:
        pm.Normal("y", 0, pm.Flat("sigma"), observed=1.0)
    density = pytensor.function(pm_model.value_vars, pm_model.logp(), mode=QUICK)
    with pytest.raises(ParameterValueError, match="sigma > 0"):
        density(-1.0)


@pytest.mark.parametrize("as_tree", [True, False], ids=["as a tree", "as a dict"])
def test_find_map_returns_natural_values_and_names_of_transformed_ones(as_tree: bool) -> None:
    with pm.Model() as pm_model:
        pm.LogNormal("scale")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a dict is what PyMC 6.4 returns by default, not what a later one will
        found = pm.find_MAP(model=pm_model, progressbar=False, jitter=False, return_inferencedata=as_tree)
    if as_tree:
        assert list(found["posterior"].data_vars) == ["scale"]
        assert dict(found["posterior"].sizes) == {"chain": 1, "draw": 1}
    else:
        assert set(found) == {"scale", "scale_log__"}


def test_pymc_samples_with_these_options_and_statistics() -> None:
    with pytensor.config.change_flags(mode=QUICK), pm.Model():
        pm.Normal("x")
        idata = pm.sample(
            3,
            tune=3,
            chains=2,
            cores=1,
            random_seed=1,
            initvals=[{"x": np.array(0.0)}] * 2,
            init="adapt_diag",
            progressbar=False,
            quiet=True,
            compute_convergence_checks=False,
            nuts_sampler="pymc",
            nuts={"target_accept": 0.8},
        )
    assert {"lp", "diverging", "tree_depth"} <= set(idata["sample_stats"].dataset)
    assert dict(idata["posterior"].dataset.sizes) == {"chain": 2, "draw": 3}


def test_constant_fold_returns_lengths_that_are_known_as_numbers() -> None:
    from pymc.pytensorf import constant_fold

    known, unknown = constant_fold([matrix("X").shape[1], matrix("X", None).shape[1]], raise_not_constant=False)
    assert int(known) == 2
    assert isinstance(unknown, Variable)


# PyTensor

NAMES: dict[str, Callable[[Any, Any], Any]] = {
    "Add": pt.add,
    "Cast": lambda x, _: pt.cast(x, "float32"),
    "Clip": lambda x, y: pt.clip(x, 0.0, y),
    "Mul": pt.mul,
    "Second": pt.second,
    "Sqr": lambda x, _: pt.square(x),
    "Sub": pt.sub,
}


@pytest.mark.parametrize("name", NAMES)
def test_scalar_operations_have_these_names(name: str) -> None:
    x = pt.matrix("x", dtype="float64")
    assert type(NAMES[name](x, x).owner.op.scalar_op).__name__ == name


def test_the_gradient_of_a_clip_is_zero_below_its_bound() -> None:
    x = pt.vector("x", dtype="float64")
    gradient = pt.grad(pt.clip(x, 0.0, np.inf).sum(), x)
    assert value(gradient, x=np.array([-1e-18, 0.0, 1.0])).tolist() == [0.0, 1.0, 1.0]


def test_clips_and_others_have_no_function_of_numpy() -> None:
    from pytensor.scalar.math import Log1mexp, Softplus

    x = pt.vector("x", dtype="float64")
    for expression, kind in ((pt.clip(x, 0.0, 1.0), Clip), (pt.softplus(x), Softplus), (pt.log1mexp(x), Log1mexp)):
        assert type(expression.owner.op.scalar_op) is kind
        assert getattr(expression.owner.op.scalar_op, "nfunc_spec", None) is None
    assert pt.exp(x).owner.op.scalar_op.nfunc_spec == ("exp", 1, 1)


def test_a_jit_linker_gets_the_nodes_in_order_and_views_are_declared() -> None:
    from pymc_botorch.graph.numpy_source.linker import NumpyLinker

    x = pt.vector("x", dtype="float64")
    function = pytensor.function([x], pt.tan(pt.exp(x))[None], mode=Mode(NumpyLinker(), "fast_run"))
    assert function.vm.jit_fn(np.zeros(2))[0].shape == (1, 2)
    assert NumpyLinker().incompatible_rewrites
    assert not any(node.op.destroy_map for node in function.maker.fgraph.toposort())
    assert x[None].owner.op.view_map == {0: [0]}
    assert x[1:].owner.op.view_map == {0: [0]}
    assert x.reshape((1, -1)).owner.op.view_map == {0: [0]}


def test_rewritten_graphs_can_be_made_into_functions_again() -> None:
    from pymc_botorch.graph.compiling.rewritten import from_bytes, to_bytes

    x = pt.matrix("x", dtype="float64")
    y = pt.exp(x)  # overwritten by its tangent, which must come after its sum
    mode = Mode("py", RewriteDatabaseQuery(include=["fast_run"], exclude=["fusion"]))
    first = pytensor.function([x], [pt.tan(y), y.sum()], mode=mode)
    assert any(node.op.destroy_map for node in first.maker.fgraph.toposort())
    inputs, outputs = from_bytes(to_bytes(first.maker.fgraph))
    order = Mode("py", RewriteDatabaseQuery(include=["add_destroy_handler"]))
    again = pytensor.function(inputs, outputs, mode=order, accept_inplace=True)
    for got, expected in zip(again(np.eye(2)), first(np.eye(2)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert again(np.zeros((2, 2)))[1] == 4


def test_properties_say_what_decides_an_operation() -> None:
    x, A = pt.vector("x"), pt.matrix("A")
    for one, other in (
        (A.sum(axis=0), A.sum(axis=1)),
        (x[1:], x[:1]),
        (A.T, A[None, 0].squeeze(0)[:, None]),
        (pt.linalg.cholesky(A, lower=True), pt.linalg.cholesky(A, lower=False)),
    ):
        assert one.owner.op.__props__
        assert [getattr(one.owner.op, name) for name in one.owner.op.__props__] != [
            getattr(other.owner.op, name) for name in other.owner.op.__props__
        ]
    inner = OpFromGraph([x], [2 * x])
    assert inner.pullback_overrides is inner.pushforward_overrides is None
    assert OpFromGraph([x], [2 * x], pullback=lambda *_: []).pullback_overrides is not None
    assert len(inner.fgraph.inputs) == len(inner.fgraph.outputs) == 1


def test_inner_graphs_can_be_written_out() -> None:
    from pytensor.compile.builders import OpFromGraph
    from pytensor.compile.rewriting import inline_ofg_node

    diagonal = pt.diag(pt.vector("x", dtype="float64"))
    assert isinstance(diagonal.owner.op, OpFromGraph)  # else there is nothing to write out
    (written,) = inline_ofg_node(diagonal.owner)
    assert np.array_equal(value(written, x=np.array([2.0, 3.0])), np.diag([2.0, 3.0]))


def test_function_graphs_copy_the_expressions_that_they_are_given() -> None:
    x = pt.vector("x")
    y = pt.exp(x)
    fgraph = FunctionGraph(outputs=[y], copy_inputs=False, copy_orphans=False)
    assert fgraph.outputs[0] is not y
    assert fgraph.outputs[0].owner.inputs[0] is x
    fgraph.replace(fgraph.outputs[0], pt.log(x), import_missing=True)
    assert y.owner.inputs == [x]


def test_equal_expressions_are_one_frozen_graph() -> None:
    def structure(ls: float) -> FrozenFunctionGraph:
        X = matrix("X")
        return FrozenFunctionGraph.from_io([X], parameters_of(conditional(marginal(ls), X)))

    def marginal(ls: float) -> Specimen:
        X, y = data()
        with pm.Model() as pm_model:
            gp = pm.gp.Marginal(cov_func=cov.Matern52(2, ls=ls))
            gp.marginal_likelihood("y", X, y, sigma=0.1)
        return Specimen(gp, pm_model, {})

    one, again, other = structure(0.4), structure(0.4), structure(0.5)
    assert one == again
    assert hash(one) == hash(again)
    assert one != other


def test_canonical_rewrites_lift_subscripts_above_products() -> None:
    from pymc_botorch.graph.rewrites.subscripts import lift_subscripts

    X, S, k = matrix("X", 1), matrix("S", None), pt.lscalar("k")
    kernel = pt.exp(-pt.square(X - X.T)) - S.mT @ S
    (rows,) = lift_subscripts([kernel[X.shape[0] - k :, :]])
    picked = [node.inputs[0].owner for node in nodes(rows) if isinstance(node.op, Subtensor)]
    assert picked
    assert not any(node is not None and isinstance(node.op, Dot | Elemwise) for node in picked)


def test_vectorising_a_subscript_forgets_lengths_of_one() -> None:
    from pymc_botorch.graph.rewrites.subscripts import lift_subscripts

    X, batch, k = matrix("X"), pt.tensor3("batch", dtype="float64", shape=(None, None, 2)), pt.lscalar("k")
    column = X[X.shape[0] - k :, 0:1]
    assert column.type.shape == (None, 1)
    assert vectorize_graph(column, {X: batch}).type.shape == (None, None, None)  # else the workaround may go
    assert vectorize_graph(lift_subscripts([column])[0], {X: batch}).type.shape == (None, None, 1)


@pytest.mark.parametrize("kind", ["Matern52", "VFE", "FITC", "a component of a sum", "latent"])
def test_posterior_means_cost_no_solve_of_new_inputs(kind: str) -> None:
    from pymc_botorch.graph.gps.posterior_graph import without_broadcast
    from pymc_botorch.graph.rewrites.cost import weights_before_solves

    specimen = latent() if kind == "latent" else ZOO[kind]()
    X = matrix("X", specimen.d)
    mean, covariance = parameters_of(conditional(specimen, X))
    written = weights_before_solves([without_broadcast(mean), covariance], X)

    def live_solves(expression: pt.TensorVariable) -> int:
        return sum(isinstance(core(node), SolveBase) and X in ancestors(node.outputs) for node in nodes(expression))

    assert live_solves(mean) > 0
    assert live_solves(written[0]) == 0
    assert live_solves(written[1]) in (1, 2)


BATCHED: dict[str, Callable[[Any, Any], Any]] = {
    "a solve": lambda A, B: pt.linalg.solve_triangular(A, B, lower=True, b_ndim=2),
    "a product from the left": lambda A, B: A @ B,
    "a product from the right": lambda A, B: B @ A,
}


@pytest.mark.parametrize("what", BATCHED)
def test_vectorised_solves_and_products_can_be_folded(what: str) -> None:
    from pymc_botorch.graph.rewrites.cost import fold_batches

    A, B = matrix("A", None), matrix("B", None)
    vectorised = vectorize_graph(BATCHED[what](A, B), {B: pt.tensor3("batch", dtype="float64")})

    def batched(expression: pt.TensorVariable) -> list[Apply]:
        solves_and_products = [node for node in nodes(expression) if isinstance(core(node), SolveBase | Dot)]
        assert solves_and_products
        return [node for node in solves_and_products if node.outputs[0].type.ndim > 2]

    assert batched(vectorised)
    assert not batched(*fold_batches([vectorised]))


def test_stacks_of_diagonal_and_identity_matrices_can_be_written_out() -> None:
    from pytensor.tensor.basic import AllocDiag, Eye
    from pytensor.tensor.blockwise import Blockwise

    from pymc_botorch.graph.rewrites.plain import write_out_diagonals

    x = pt.vector("x", dtype="float64")
    K = pt.outer(x, x)
    stack = pt.matrix("stack", dtype="float64")
    vectorised = vectorize_graph([pt.diag(x) + K, K + pt.identity_like(K)], {x: stack})

    def stacked(expressions: list[pt.TensorVariable]) -> set[type]:
        found = (core(node) for expression in expressions for node in nodes(expression) if isinstance(node.op, Blockwise))
        return {type(op) for op in found} & {AllocDiag, Eye}

    assert stacked(vectorised) == {AllocDiag, Eye}
    written = write_out_diagonals(vectorised)
    assert not stacked(written)
    values = np.array([[1.0, 2.0], [3.0, 5.0]])
    products = values[:, :, None] * values[:, None, :]
    diagonals = np.eye(2) * values[:, None, :]
    for one, expected in zip(written, (diagonals + products, products + np.eye(2)), strict=True):
        np.testing.assert_allclose(one.eval({stack: values}), expected)


def test_checks_of_parameters_have_a_density_and_conditions() -> None:
    from pymc.logprob.utils import CheckParameterValue

    spread = pt.scalar("spread", dtype="float64")
    log_density = pm.logp(pm.Normal.dist(0, spread), 0.3)
    (check,) = (node for node in nodes(log_density) if isinstance(node.op, CheckParameterValue))
    value, *conditions = check.inputs
    assert value.type.dtype == check.outputs[0].type.dtype == "float64"
    assert [condition.type.dtype for condition in conditions] == ["bool"]


def test_rows_of_a_covariance_cost_solves_of_their_columns_only() -> None:
    from pymc_botorch.graph.rewrites.cost import solve_smaller_side
    from pymc_botorch.graph.rewrites.subscripts import lift_subscripts

    L, B, k = matrix("L", None), matrix("B", None), pt.lscalar("k")
    half = pt.linalg.solve_triangular(L, B, lower=True, b_ndim=2)
    lifted = lift_subscripts([(half.mT @ half)[B.shape[1] - k :, :]])

    def solves_of_all(expression: pt.TensorVariable) -> int:
        return sum(isinstance(core(node), SolveBase) and node.inputs[1] is B for node in nodes(expression))

    assert solves_of_all(*lifted) == 1
    assert solves_of_all(*solve_smaller_side(lifted)) == 0


KERNELS = [name for name in ZOO if not any(word in name for word in ("noise", "mean", "SAAS", "component", "VFE", "FITC", "DTC"))]


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_diagonal_of_a_kernel_is_found_without_the_rest(kernel: str) -> None:
    from pymc_botorch.graph.rewrites.diagonal import diagonal
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances
    from pymc_botorch.graph.rewrites.materns import differentiable_materns

    specimen = ZOO[kernel]()
    (written,) = differentiable_materns(
        expand_distances(mark_distances([specimen.gp.cov_func(matrix("X", specimen.d))]), exact=True)
    )
    assert diagonal(written) is not None


@pytest.mark.parametrize("kind", ["ExpQuad", "VFE", "FITC"])
def test_the_diagonal_of_a_posterior_covariance_is_found_without_the_rest(kind: str) -> None:
    from pymc_botorch.graph.gps.likelihoods import split_jitter
    from pymc_botorch.graph.rewrites.diagonal import diagonal
    from pymc_botorch.graph.rewrites.distance import expand_distances, mark_distances

    covariance, _ = split_jitter(parameters_of(conditional(ZOO[kind](), matrix("X")))[1])
    assert diagonal(*expand_distances(mark_distances([covariance]), exact=True)) is not None


def test_disconnected_gradients_are_zero_forwards_and_backwards() -> None:
    from pytensor.gradient import disconnected_grad, pushforward

    x = pt.vector("x", dtype="float64")
    y = disconnected_grad(x) * x
    backwards = pt.grad(y.sum(), x)
    forwards = pushforward(y, x, pt.ones_like(x), disconnected_outputs="ignore")
    for derivative in (backwards, forwards):
        assert value(derivative, x=np.array([3.0])).tolist() == [3.0]


@pytest.mark.parametrize("kernel", MATERNS)
@pytest.mark.parametrize("of", ["values", "derivatives backwards", "derivatives forwards"])
def test_zero_steps_of_matern_kernels_can_be_taken_out(of: str, kernel: str) -> None:
    from pytensor.gradient import pushforward

    from pymc_botorch.graph.rewrites.differentiable import differentiable, without_zero_steps

    def steps(expression: pt.TensorVariable) -> int:
        pairs = [(node.inputs[0], node.inputs[1].owner) for node in of_scalar("Sub", expression)]
        held = [(whole, node) for whole, node in pairs if node and type(node.op).__name__ == "DisconnectedGrad"]
        return sum(node.inputs[0] is whole for whole, node in held)

    X = matrix("X")
    (written,) = differentiable([MATERNS[kernel](2, ls=0.4)(X, matrix("Z"))])
    if of == "derivatives backwards":
        written = pt.grad(written.sum(), X)
    elif of == "derivatives forwards":
        written = pushforward(written, X, pt.ones_like(X), disconnected_outputs="ignore")
    assert steps(written) > 0
    assert steps(*without_zero_steps([written])) == 0


def test_pushforwards_can_be_taken_twice() -> None:
    from pytensor.gradient import pushforward

    a, b = matrix("a", 1), matrix("b", 1)
    first = pushforward(pt.exp(a * b.T), b, pt.ones_like(b), disconnected_outputs="ignore")
    second = pushforward(first, a, pt.ones_like(a), disconnected_outputs="ignore")
    found = value(second, a=np.array([[0.3]]), b=np.array([[0.5]]))
    np.testing.assert_allclose(found, (1 + 0.15) * np.exp(0.15), rtol=1e-12)


def test_a_matrix_that_is_not_positive_definite_has_a_factor_of_nan() -> None:
    K = matrix("K", None)
    assert np.isnan(value(pt.linalg.cholesky(K, lower=True), K=-np.eye(2))).all()


def test_random_generators_are_shared_variables_of_random_type() -> None:
    from pytensor.compile.sharedvalue import SharedVariable

    generators = [leaf for leaf in ancestors([pm.Normal.dist()]) if isinstance(leaf, SharedVariable)]
    assert generators
    assert all(isinstance(leaf.type, RandomType) for leaf in generators)


@pytest.mark.numba
def test_an_identity_of_our_own_is_an_identity() -> None:
    from pymc_botorch.graph.posterior.new_inputs import mark_new_inputs

    X = pt.matrix("X")
    outputs = [pt.square(mark_new_inputs(X)), pt.grad(pt.square(mark_new_inputs(X)).sum(), X)]
    values = np.arange(6.0).reshape(2, 3)
    for mode in ("NUMBA", "FAST_COMPILE", "FAST_RUN"):
        square, slope = pytensor.function([X], outputs, mode=mode)(values)
        np.testing.assert_array_equal(square, values**2)
        np.testing.assert_array_equal(slope, 2 * values)


@pytest.mark.numba
def test_numba_functions_have_jit_fn() -> None:
    x = pt.vector("x", dtype="float64")
    function = pytensor.function([x], [2.0 * x], mode="NUMBA", trust_input=True)
    (doubled,) = function.vm.jit_fn(np.array([1.5]))
    assert doubled.tolist() == [3.0]


def test_call_cached_ptr_takes_these_arguments() -> None:
    from pytensor.link.numba.cache import _call_cached_ptr

    takes = list(inspect.signature(_call_cached_ptr._defn).parameters)
    assert takes == ["typingctx", "get_ptr_func", "func_type_ref", "unique_func_name_lit"]


def test_the_lapack_module_of_pytensor_finds_potri() -> None:
    from numba.core import types as numba_types
    from pytensor.link.numba.dispatch.linalg import _LAPACK

    assert _LAPACK.get_lapack_ptr(numba_types.float64, "potri") != 0
    assert callable(_LAPACK.val_to_int_ptr)
    assert callable(_LAPACK.int_ptr_to_val)
    assert callable(_LAPACK.numba.objmode)


def test_our_operations_are_kept_in_the_numba_cache() -> None:
    from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

    from pymc_botorch.graph.compiling import numba_ops  # noqa: F401  # which registers them
    from pymc_botorch.graph.compiling.ops import FactorPullback, InverseFromFactor, Product

    L = matrix("L", None)
    for node in (Product()(matrix("A"), matrix("B")).owner, InverseFromFactor()(L).owner, FactorPullback()(L, L).owner):
        keys = [numba_funcify_and_cache_key(node.op, node=node)[1] for _ in range(2)]
        assert keys[0] is not None  # None is compiled anew in each process
        assert keys[0] == keys[1]


def test_the_numba_cache_is_below_base_compiledir() -> None:
    from pytensor.link.numba.cache import NUMBA_CACHE_PATH

    assert pathlib.Path(NUMBA_CACHE_PATH).is_relative_to(pytensor.config.base_compiledir)
    assert pytensor.config.numba__cache


# BoTorch


class Stub(GPyTorchModel, GP):
    """A BoTorch model by its interface only, as the package's are: a standard normal that is independent between points."""

    _num_outputs = 1
    _supports_batched_models = False

    def __init__(
        self,
        train_X: Tensor | None = None,
        train_Y: Tensor | None = None,
        input_transform: Any = None,
        outcome_transform: Any = None,
    ) -> None:
        super().__init__()
        self.likelihood = GaussianLikelihood().double()

    @property
    def batch_shape(self) -> torch.Size:
        return torch.Size()

    def posterior(self, X: Tensor, *_: Any, **__: Any) -> GPyTorchPosterior:
        return GPyTorchPosterior(normal(*X.shape[:-1]))


def normal(*shape: int) -> MultivariateNormal:
    mean = torch.zeros(*shape, **DOUBLE)
    return MultivariateNormal(mean, to_linear_operator(torch.eye(shape[-1], **DOUBLE).expand(*shape, shape[-1])))


OVERRIDDEN: dict[str, tuple[type, str]] = {
    name: (base, name)
    for base, names in {
        Model: ["_has_transformed_inputs", "_is_ensemble", "_is_fully_bayesian", "_original_train_inputs"],
        LinearOperator: ["_diagonal", "_expand_batch", "_get_indices", "_getitem", "_matmul", "_permute_batch", "_size"],
        pm.gp.Marginal: ["_build_conditional"],
        torch.nn.Module: ["_apply", "_buffers", "_modules", "_parameters"],
    }.items()
    for name in names
} | {
    name: (base, name)
    for base, names in {
        Model: ["_revert_to_original_inputs", "_set_transformed_inputs"],
        LinearOperator: ["_transpose_nonbatch", "_unsqueeze_batch"],
    }.items()
    for name in names
}


@pytest.mark.parametrize("name", sorted(OVERRIDDEN))
def test_private_names_that_we_override_are_there(name: str) -> None:
    base, _ = OVERRIDDEN[name]
    assert hasattr(base, name) or name in inspect.get_annotations(base)


def test_conditionals_and_predictions_of_pymc_are_built_by_one_method() -> None:
    built = []

    class Built(pm.gp.Marginal):
        def _build_conditional(
            self,
            Xnew: Any,
            pred_noise: bool,
            diag: bool,
            X: Any,
            y: Any,
            noise_func: Any,
            cov_total: Any,
            mean_total: Any,
            jitter: Any,
        ) -> Any:
            built.append((pred_noise, diag, X is given["X"], y is given["y"], noise_func is given["sigma"], cov_total is kernel))
            n = len(Xnew)
            return pt.zeros(n), pt.ones(n) if diag else pt.eye(n)

    kernel, new = cov.ExpQuad(1, ls=0.5), np.zeros((2, 1))
    given = {"X": np.zeros((3, 1)), "y": np.zeros(3), "sigma": cov.WhiteNoise(0.1)}
    with pm.Model():
        gp = Built(cov_func=kernel)
        gp.conditional("f", new, given=given)
        gp.predict(new, {}, given=given, diag=True, pred_noise=True)
    assert built == [(False, False, True, True, True, True), (True, True, True, True, True, True)]


def test_sums_and_products_hold_their_factors_in_factor_list() -> None:
    a, b = cov.ExpQuad(2, ls=1, active_dims=[0]), cov.Coregion(2, B=np.eye(2), active_dims=[1])
    assert (a * b)._factor_list == [a, b]
    assert (a + 2.0 * b)._factor_list[0] is a
    assert [list(kernel.active_dims) for kernel in (a, b)] == [[0], [1]]
    assert (a**2).kernel is a


def test_elliptical_slices_of_botorch_stay_inside_and_have_chains_last() -> None:
    from botorch.utils.probability.lin_ess import LinearEllipticalSliceSampler

    mean, size = torch.tensor([[-0.5], [1.0]], **DOUBLE), torch.tensor([[1.0, 0.6], [0.6, 1.0]], **DOUBLE)
    torch.manual_seed(0)
    sampler = LinearEllipticalSliceSampler(
        inequality_constraints=(-torch.eye(2, **DOUBLE), torch.zeros(2, 1, **DOUBLE)),
        interior_point=torch.full((2, 1), 0.5, **DOUBLE),
        mean=mean,
        covariance_matrix=size,
        burnin=20,
        thinning=3,
        num_chains=3,
    )
    drawn = sampler.draw(1500)
    assert drawn.shape == (4500, 2)
    assert (drawn > 0).all()
    every = torch.distributions.MultivariateNormal(mean[:, 0], size).sample((200_000,))
    kept = every[(every > 0).all(1)]
    torch.testing.assert_close(drawn.mean(0), kept.mean(0), rtol=0, atol=0.06)
    chains = drawn.reshape(3, 1500, 2)  # draws of a chain follow each other
    follows = [np.corrcoef(chain[1:, 0], chain[:-1, 0])[0, 1] for chain in chains]
    beside = np.corrcoef(drawn.reshape(1500, 3, 2)[1:, 0, 0], drawn.reshape(1500, 3, 2)[:-1, 0, 0])[0, 1]
    assert min(follows) > beside - 0.2


def test_models_follow_their_mode_by_two_hooks() -> None:
    called = []

    class Hooked(Stub):
        def _set_transformed_inputs(self) -> None:
            called.append("set")

        def _revert_to_original_inputs(self) -> None:
            called.append("revert")

    Hooked().train().eval().train(False)
    assert called[:2] == ["revert", "set"]
    assert set(called[2:]) == {"set"}


@pytest.mark.parametrize("transformed", [True, False])
def test_baselines_are_read_from_original_inputs(transformed: bool) -> None:
    from botorch.optim.utils import get_X_baseline

    model = types.SimpleNamespace(
        _has_transformed_inputs=transformed, _original_train_inputs=torch.ones(3, 2), train_inputs=(torch.zeros(3, 2),)
    )
    found = get_X_baseline(types.SimpleNamespace(model=model))
    assert torch.equal(found, torch.full((3, 2), float(transformed)))


def test_ensembles_are_recognised_by_two_attributes() -> None:
    from botorch.utils.transforms import is_ensemble, is_fully_bayesian

    class Ensemble(Stub):
        _is_ensemble = _is_fully_bayesian = True

    assert (is_ensemble(Ensemble()), is_fully_bayesian(Ensemble())) == (True, True)
    assert (is_ensemble(Stub()), is_fully_bayesian(Stub())) == (False, False)


def test_draws_of_a_mixture_are_last_but_two() -> None:
    posterior = GaussianMixturePosterior(normal(5, 4, 2))
    assert MCMC_DIM == -3
    assert posterior.mean.shape == (5, 4, 2, 1)
    assert posterior.mixture_mean.shape == (5, 2, 1)


def test_models_have_the_number_of_outputs_in_an_attribute() -> None:
    assert Stub().num_outputs == 1


def test_cached_roots_are_for_gpytorch_models_only() -> None:
    assert supports_cache_root(Stub())

    class Plain(Model):
        def posterior(self, *_: Any, **__: Any) -> NoReturn:
            raise NotImplementedError

    assert not supports_cache_root(Plain())  # else the interface need not be that of a GPyTorch model


def test_posteriors_are_recognised_by_their_exact_type() -> None:
    class Own(GPyTorchPosterior):
        pass

    standardize = Standardize(m=1)
    standardize(torch.rand(5, 1, **DOUBLE))
    kinds = [type(standardize.untransform_posterior(kind(normal(2)))) for kind in (GPyTorchPosterior, Own)]
    assert kinds == [GPyTorchPosterior, TransformedPosterior]
    assert type(standardize.untransform_posterior(GaussianMixturePosterior(normal(4, 2)))) is GaussianMixturePosterior


def test_samplers_are_chosen_by_the_class_of_the_distribution() -> None:
    from botorch.sampling.get_sampler import get_sampler

    from pymc_botorch.models.posterior.normal import PosteriorNormal

    posterior = GPyTorchPosterior(PosteriorNormal(torch.zeros(2, **DOUBLE), to_linear_operator(torch.eye(2, **DOUBLE))))
    assert type(get_sampler(posterior, torch.Size([4]))) is SobolQMCNormalSampler


def test_fit_gpytorch_mll_calls_custom_fit() -> None:
    from gpytorch.mlls import ExactMarginalLogLikelihood

    class Fitted(Stub):
        def custom_fit(self, mll: Any, **options: Any) -> str:
            assert not any(options.values())
            return f"fitted with {type(mll).__name__}"

    model = Fitted()
    assert fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model)) == "fitted with ExactMarginalLogLikelihood"


def test_fantasies_are_drawn_under_a_flag_and_observed_without_options() -> None:
    from botorch.models.utils import fantasize
    from botorch.sampling.normal import IIDNormalSampler

    seen: dict[str, Any] = {}

    class Fantasizing(Stub, FantasizeMixin):
        def posterior(self, X: Tensor, observation_noise: Any = False, **_: Any) -> GPyTorchPosterior:
            seen["noise"], seen["flag"] = observation_noise, fantasize.on()
            return super().posterior(X)

        def condition_on_observations(self, X: Tensor, Y: Tensor, **options: Any) -> Any:
            seen["options"], seen["shape"] = options, Y.shape
            return self

    Fantasizing().fantasize(torch.zeros(3, 2, 1, **DOUBLE), IIDNormalSampler(torch.Size([4])), propagate_grads=True)
    assert seen == {"noise": True, "flag": True, "options": {}, "shape": (4, 3, 2, 1)}
    assert fantasize.off()


def test_matheron_paths_are_dispatched_on_the_model() -> None:
    from botorch.exceptions.errors import UnsupportedError
    from botorch.sampling.pathwise import draw_matheron_paths

    import pymc_botorch

    model = pymc_botorch.PyMCGP.__new__(pymc_botorch.PyMCGP)
    with pytest.raises(UnsupportedError, match="which a PyMC gp does not have"):
        draw_matheron_paths(model, torch.Size([2]))


def test_default_is_of_default_type() -> None:
    from botorch.utils.types import DEFAULT, _DefaultType

    assert isinstance(DEFAULT, _DefaultType)
    assert inspect.signature(SingleTaskGP).parameters["outcome_transform"].default is DEFAULT


def test_validate_tensor_args_refuses_other_shapes() -> None:
    from botorch.exceptions.errors import BotorchTensorDimensionError

    X = torch.rand(5, 2, **DOUBLE)
    assert GPyTorchModel._validate_tensor_args(X=X, Y=X[:, :1], Yvar=X[:, :1]) is None
    for Y, Yvar in ((X[:, 0], None), (X[:, :1], X[:, 0])):
        with pytest.raises(BotorchTensorDimensionError):
            GPyTorchModel._validate_tensor_args(X=X, Y=Y, Yvar=Yvar)


def test_standardize_says_whether_it_is_trained_and_is_affine() -> None:
    standardize, Y = Standardize(m=1), torch.rand(5, 1, **DOUBLE)
    assert not standardize._is_trained
    transformed, _ = standardize(Y)
    assert standardize._is_trained
    torch.testing.assert_close(standardize.means + standardize.stdvs * transformed, Y)


def test_normalize_is_the_identity_until_it_has_learned_its_bounds() -> None:
    normalize, X = Normalize(d=2), 5 + torch.rand(5, 2, **DOUBLE)
    assert normalize.learn_coefficients
    assert (normalize._coefficient == 1).all()
    assert (normalize._offset == 0).all()
    normalize(X)
    assert not (normalize._offset == 0).any()
    assert not Normalize(d=2, bounds=torch.tensor([[0.0, 0.0], [1.0, 1.0]])).learn_coefficients


def test_learned_bounds_have_gradients_in_training_mode() -> None:
    X = torch.tensor([[1.0], [3.0], [2.0]], dtype=torch.double, requires_grad=True)
    normalize = Normalize(1).train()
    normalize(X)
    vars(normalize)["_update_coefficients"] = lambda X: None
    new = normalize.transform(torch.tensor([[2.0]], dtype=torch.double))  # (x - low) / (high - low)
    assert new.item() == 0.5
    (gradient,) = torch.autograd.grad(new.sum(), X)
    assert gradient.flatten().tolist() == [-0.25, -0.25, 0.0]


@pytest.mark.parametrize("by_flag", [True, False], ids=["told not to", "in evaluation mode"])
def test_transforms_can_be_kept_from_learning_again(by_flag: bool) -> None:
    normalize = Normalize(d=1)
    normalize(torch.rand(5, 1, **DOUBLE))
    learned = normalize._coefficient.clone()
    if by_flag:
        normalize.learn_coefficients = False
    else:
        normalize.eval()
    normalize(7 * torch.rand(5, 1, **DOUBLE))
    assert torch.equal(normalize._coefficient, learned)


def test_a_state_of_one_tensor_is_rolled_back_and_loaded_safely() -> None:
    from botorch.utils.context_managers import module_rollback_ctx

    class Stateful(torch.nn.Module):
        state = torch.zeros(3, dtype=torch.uint8)

        def get_extra_state(self) -> Tensor:
            return self.state

        def set_extra_state(self, state: Tensor) -> None:
            self.state = state

    module, file = Stateful(), io.BytesIO()
    with module_rollback_ctx(module):
        module.state = torch.ones(3, dtype=torch.uint8)
    assert module.state.tolist() == [0, 0, 0]
    torch.save(module.state_dict(), file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=True)["_extra_state"], module.state)


def test_load_state_dict_takes_these_arguments_and_returns_incompatible_keys() -> None:
    from torch.nn.modules.module import _IncompatibleKeys

    takes = list(inspect.signature(GPyTorchModel.load_state_dict).parameters)
    assert takes == ["self", "state_dict", "strict", "keep_transforms", "assign"]
    found = torch.nn.Linear(1, 1).load_state_dict({"another": torch.zeros(1)}, strict=False)
    assert found == _IncompatibleKeys(["weight", "bias"], ["another"])


def test_single_task_gp_has_the_priors_that_our_default_model_copies() -> None:
    model = SingleTaskGP(torch.rand(5, 3, **DOUBLE), torch.rand(5, 1, **DOUBLE))
    kernel, noise = model.covar_module, model.likelihood.noise_covar
    assert {name for name, *_ in model.named_priors()} == {
        "covar_module.lengthscale_prior",
        "likelihood.noise_covar.noise_prior",
    }
    assert (type(kernel).__name__, type(model.mean_module).__name__) == ("RBFKernel", "ConstantMean")
    assert float(kernel.lengthscale_prior.loc) == pytest.approx(np.sqrt(2) + np.log(3) / 2)
    assert float(kernel.lengthscale_prior.scale) == pytest.approx(np.sqrt(3))
    assert float(kernel.raw_lengthscale_constraint.lower_bound) == pytest.approx(0.025)
    assert (float(noise.noise_prior.loc), float(noise.noise_prior.scale)) == (-4, 1)
    assert float(noise.raw_noise_constraint.lower_bound) == pytest.approx(1e-4)


def test_model_lists_ask_for_a_likelihood() -> None:
    assert ModelListGP(Stub(), Stub()).num_outputs == 2
    bare = Stub()
    del bare.likelihood
    with pytest.raises(ValueError, match="likelihood"):
        ModelListGP(bare)


def test_acquisition_functions_move_their_model_by_apply() -> None:
    moved = []

    class Immovable(Stub):
        def _apply(self, *_: Any, **__: Any) -> Any:
            moved.append(True)
            return self

    model = Immovable()
    acquisition = LogExpectedImprovement(model, best_f=0.0)
    acquisition(torch.zeros(1, 1, 1, dtype=torch.float32))
    assert moved
    assert model.likelihood.raw_noise.dtype == torch.double


# GPyTorch


def test_lazy_normals_have_these_attributes() -> None:
    from pymc_botorch.models.posterior.normal import PosteriorNormal

    mean, covariance = torch.zeros(3, 2, **DOUBLE), to_linear_operator(torch.eye(2, **DOUBLE).expand(3, 2, 2))
    theirs, ours = vars(MultivariateNormal(mean, covariance)), vars(PosteriorNormal(mean, covariance))
    assert set(ours) == set(theirs)
    assert {name: v for name, v in ours.items() if name not in ("loc", "_covar")} == {
        name: v for name, v in theirs.items() if name not in ("loc", "_covar")
    }
    assert "_MultivariateNormal__unbroadcasted_scale_tril" in theirs


def test_normals_are_made_again_of_a_mean_and_a_covariance() -> None:
    from pymc_botorch.models.posterior.normal import PosteriorNormal

    made = PosteriorNormal(torch.zeros(2, **DOUBLE), to_linear_operator(torch.eye(2, **DOUBLE)))
    for again in (made.expand(torch.Size([3])), made + 1.0, made * 2.0, made.add_jitter()):
        assert isinstance(again, MultivariateNormal)
        assert again.variance.shape == again.mean.shape


def test_variances_are_not_below_min_variance() -> None:
    from gpytorch.settings import min_variance
    from gpytorch.utils.warnings import NumericalWarning

    least = min_variance.value(torch.double)
    with pytest.warns(NumericalWarning, match="Negative variance|Rounding"):
        variance = MultivariateNormal(torch.zeros(2, **DOUBLE), to_linear_operator(0 * torch.eye(2, **DOUBLE))).variance
    assert (variance == least).all()


def test_samples_factorise_a_covariance_by_its_cholesky_with_an_absolute_jitter() -> None:
    from linear_operator.utils.warnings import NumericalWarning

    class Counted(DenseLinearOperator):
        calls = 0

        def _cholesky(self, upper: bool = False) -> LinearOperator:
            Counted.calls += 1
            return super()._cholesky(upper)

    singular = Counted(1e-14 * torch.ones(2, 2, **DOUBLE))
    with pytest.warns(NumericalWarning, match="added jitter"):
        root = singular.root_decomposition().root.to_dense()
    assert Counted.calls == 1
    assert root[0, 0] ** 2 > 1e-9  # else ours need no relative jitter


def test_known_noise_is_kept_below_its_floor_under_min_fixed_noise() -> None:
    from gpytorch.settings import min_fixed_noise
    from gpytorch.utils.warnings import NumericalWarning

    tiny = torch.full((2,), 1e-12, **DOUBLE)
    with min_fixed_noise(double_value=0.0):
        assert torch.equal(FixedNoiseGaussianLikelihood(noise=tiny).noise, tiny)
    with pytest.warns(NumericalWarning, match="Very small noise"):
        assert (FixedNoiseGaussianLikelihood(noise=tiny).noise == 1e-6).all()  # as our default model rounds it


@pytest.mark.parametrize("batch", [(), (3,)], ids=["one", "of draws"])
def test_raw_noise_without_a_transform_is_the_noise(batch: tuple[int, ...]) -> None:
    from gpytorch.constraints import GreaterThan

    noise = torch.full(batch, 1e-9, **DOUBLE)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(0.0, transform=None), batch_shape=noise.shape).double()
    likelihood.noise_covar.raw_noise.data.copy_(noise.unsqueeze(-1))
    assert torch.equal(likelihood.noise, noise.unsqueeze(-1))


def test_likelihoods_of_known_noise_have_no_parameter_of_their_own() -> None:
    from pymc_botorch.models.likelihoods import gaussian_likelihood

    assert not list(FixedNoiseGaussianLikelihood(noise=torch.ones(2, **DOUBLE)).parameters())
    for known in (True, False):
        assert next(gaussian_likelihood(torch.ones(2, **DOUBLE), known=known).parameters()).dtype == torch.double


def test_marginal_likelihoods_ask_for_a_gp_and_its_added_loss_terms() -> None:
    from gpytorch.mlls import ExactMarginalLogLikelihood

    class Refusing(Stub):
        def added_loss_terms(self) -> NoReturn:
            raise LookupError("asked for")

    model = Refusing()
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    with pytest.raises(LookupError, match="asked for"):
        mll(normal(2), torch.zeros(2, **DOUBLE))
    with pytest.raises(RuntimeError, match="GP"):
        ExactMarginalLogLikelihood(model.likelihood, torch.nn.Linear(1, 1))


# linear_operator

READ: dict[str, Callable[[LinearOperator], Any]] = {
    "a diagonal": lambda K: K.diagonal(dim1=-1, dim2=-2),
    "last rows": lambda K: K[..., -2:, :].to_dense(),
    "a diagonal of some points": lambda K: K[..., 1:3, 1:3].diagonal(dim1=-1, dim2=-2),
    "a diagonal of one batch": lambda K: K[0].diagonal(dim1=-1, dim2=-2),
    "a diagonal, expanded": lambda K: K.expand(2, *K.shape).diagonal(dim1=-1, dim2=-2),
    "a diagonal, unsqueezed": lambda K: K.unsqueeze(0).diagonal(dim1=-1, dim2=-2),
    "a diagonal, permuted": lambda K: K.unsqueeze(0).permute(1, 0, -2, -1).diagonal(dim1=-1, dim2=-2),
    "a diagonal, transposed": lambda K: K.mT.diagonal(dim1=-1, dim2=-2),
    "a diagonal, scaled": lambda K: (K * 4.0).diagonal(dim1=-1, dim2=-2),
    "a diagonal with noise": lambda K: (K + DiagLinearOperator(torch.ones(K.shape[:-1], **DOUBLE))).diagonal(dim1=-1, dim2=-2),
    "variances": lambda K: MultivariateNormal(torch.zeros(K.shape[:-1], **DOUBLE), K).variance,
    "variances of several outcomes": lambda K: (
        MultitaskMultivariateNormal.from_independent_mvns(
            [MultivariateNormal(torch.zeros(K.shape[:-1], **DOUBLE), K)] * 2
        ).variance
    ),
}


@pytest.mark.parametrize("what", READ)
def test_a_covariance_computes_no_more_than_what_is_read(what: str) -> None:
    from pymc_botorch.models.posterior.covariance import PosteriorCovariance
    from pymc_botorch.models.posterior.process import AbstractProcess

    class Reluctant(AbstractProcess):
        batch_shape = torch.Size()

        def joint(self, X: Tensor) -> NoReturn:
            raise AssertionError("the whole covariance was computed")

        def variance(self, X: Tensor) -> Tensor:
            return X[..., 0]

        def rows(self, X: Tensor, k: int) -> Tensor:
            return X[..., -k:, :1].expand(*X.shape[:-2], k, X.shape[-2])

    X = torch.rand(3, 5, 2, **DOUBLE)
    assert READ[what](PosteriorCovariance(X, X, Reluctant())).isfinite().all()


def test_dense_operators_hold_their_tensor() -> None:
    covariance = torch.eye(2, **DOUBLE)
    operator = to_linear_operator(covariance)
    assert type(operator) is DenseLinearOperator
    assert operator.tensor is covariance


def test_the_root_of_one_variance_has_no_jitter_and_no_floor() -> None:
    root = to_linear_operator(torch.tensor([[-1e-17]], **DOUBLE)).root_decomposition().root.to_dense()
    assert root.isnan().all()  # else ours need no VARIANCE_FLOOR


def test_psd_safe_cholesky_adds_jitter_where_it_must() -> None:
    from linear_operator.utils.cholesky import psd_safe_cholesky
    from linear_operator.utils.warnings import NumericalWarning

    assert torch.equal(psd_safe_cholesky(4 * torch.eye(2, **DOUBLE)), 2 * torch.eye(2, **DOUBLE))
    with pytest.warns(NumericalWarning, match="jitter"):
        assert psd_safe_cholesky(torch.ones(2, 2, **DOUBLE)).isfinite().all()


def test_torch_says_whether_a_transform_is_at_work() -> None:
    active = torch._C._are_functorch_transforms_active
    assert not active()
    seen = []
    torch.func.grad(lambda x: (seen.append(active()), x)[1])(torch.tensor(1.0))
    torch.func.vmap(lambda x: (seen.append(active()), x)[1])(torch.ones(2))
    assert seen == [True, True]
    assert not active()


def test_vectorised_jacobians_use_tensors_of_an_older_vmap() -> None:
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, bar: Tensor) -> Tensor:
            assert torch._C._functorch.is_legacy_batchedtensor(bar)
            level = torch._C._vmapmode_increment_nesting() - 1
            torch._C._vmapmode_decrement_nesting()
            plain = torch._remove_batch_dim(bar, level, 0, 0)
            assert torch.equal(plain, torch.eye(3))
            assert torch.equal(torch._remove_batch_dim(torch.ones(2), level, 4, 0), torch.ones(4, 2))  # it has no batches
            return torch._add_batch_dim(2 * plain, 0, level)

    jacobian = torch.autograd.functional.jacobian(Twice.apply, torch.ones(3), vectorize=True)
    assert torch.equal(jacobian, 2 * torch.eye(3))


# Ax


class Received(NamedTuple):
    """What Ax passes to its dispatchers."""

    configs: dict[str, Any]
    options: list[dict[str, Any]]
    surrogate: Any


@pytest.fixture(scope="module")
def received() -> Received:
    from ax.core.search_space import SearchSpaceDigest
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate, SurrogateSpec, submodel_input_constructor
    from ax.generators.torch.botorch_modular.utils import fit_botorch_model
    from botorch.utils.datasets import SupervisedDataset

    class Asked(Stub):
        pass

    configs: dict[str, Any] = {}
    options: list[dict[str, Any]] = []

    @submodel_input_constructor.register(Asked)
    def construct(cls: type, model_config: Any, dataset: Any, search_space_digest: Any, surrogate: Any) -> dict[str, Any]:
        configs[dataset.outcome_names[0]] = model_config
        base = submodel_input_constructor.dispatch(Model)
        return base(cls, model_config, dataset, search_space_digest, surrogate)

    @fit_botorch_model.register(Asked)
    def fit(model: Any, mll_class: Any = None, mll_options: Any = None) -> None:
        options.append(mll_options)

    X = torch.rand(4, 1, **DOUBLE)
    sets = [SupervisedDataset(X=X, Y=X, feature_names=["x"], outcome_names=[name]) for name in ("crop", "cost")]
    config = ModelConfig(Asked, mll_options={"warm_start": False})
    surrogate = Surrogate(surrogate_spec=SurrogateSpec(model_configs=[config]))
    assert surrogate._training_data is None
    surrogate.fit(datasets=sets, search_space_digest=SearchSpaceDigest(feature_names=["x"], bounds=[(0.0, 2.0)]))
    return Received(configs, options, surrogate)


def test_ax_makes_and_fits_each_model_with_one_copy_of_its_configuration(received: Received) -> None:
    assert [received.configs[metric].mll_options for metric in ("crop", "cost")] == received.options
    for metric, options in zip(("crop", "cost"), received.options, strict=True):
        assert received.configs[metric].mll_options is options
    assert received.options[0] is not received.options[1]


def test_ax_joins_gpytorch_models_of_several_metrics_in_their_order(received: Received) -> None:
    assert type(received.surrogate.model) is ModelListGP
    assert received.surrogate.outcomes == ["crop", "cost"]


def test_surrogates_of_ax_hold_their_training_data(received: Received) -> None:
    assert [dataset.outcome_names for dataset in received.surrogate.training_data] == [["crop"], ["cost"]]
    assert received.surrogate._training_data is received.surrogate.training_data


@pytest.mark.parametrize("supported", [False, True])
def test_ax_reads_whether_models_support_batches(supported: bool) -> None:
    from ax.core.search_space import SearchSpaceDigest
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig
    from ax.generators.torch.botorch_modular.utils import use_model_list
    from botorch.utils.datasets import SupervisedDataset

    class Asked(Stub):
        _supports_batched_models = supported

    X = torch.rand(4, 2, **DOUBLE)
    both = SupervisedDataset(X=X, Y=X, feature_names=["x", "z"], outcome_names=["crop", "cost"])
    digest = SearchSpaceDigest(feature_names=["x", "z"], bounds=[(0.0, 1.0)] * 2)
    assert use_model_list([both], digest, model_configs=[ModelConfig(Asked)]) is not supported


def test_ax_passes_transforms_by_names_of_positional_arguments() -> None:
    from ax.core.search_space import SearchSpaceDigest
    from ax.exceptions.core import UserInputError
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig, submodel_input_constructor
    from botorch.utils.datasets import SupervisedDataset

    class Named(Stub):
        pass

    class Hidden(Stub):
        def __init__(self, train_X: Tensor, train_Y: Tensor, *, input_transform: Any = None) -> None:
            super().__init__()

    X = torch.rand(4, 1, **DOUBLE)
    dataset = SupervisedDataset(X=X, Y=X, feature_names=["x"], outcome_names=["crop"])
    digest = SearchSpaceDigest(feature_names=["x"], bounds=[(0.0, 2.0)])
    base = submodel_input_constructor.dispatch(Model)

    def inputs_of(cls: type) -> dict[str, Any]:
        return base(cls, ModelConfig(cls, input_transform_classes=[Normalize]), dataset, digest, None)

    found = inputs_of(Named)
    assert isinstance(found["input_transform"], Normalize)
    assert found["outcome_transform"] is None
    with pytest.raises(UserInputError, match="does not support the input input_transform"):
        inputs_of(Hidden)


def test_the_default_of_input_transforms_is_the_object_default() -> None:
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig
    from botorch.utils.types import DEFAULT

    assert ModelConfig().input_transform_classes is DEFAULT
    assert ModelConfig().outcome_transform_classes is None


def test_dispatchers_of_ax_find_our_functions() -> None:
    from ax.generators.torch.botorch_modular.surrogate import submodel_input_constructor
    from ax.generators.torch.botorch_modular.utils import fit_botorch_model

    import pymc_botorch.ax

    for dispatcher, cls in itertools.product(
        (submodel_input_constructor, fit_botorch_model), (pymc_botorch.PyMCGP, pymc_botorch.FullyBayesianPyMCGP)
    ):
        assert dispatcher.dispatch(cls).__module__.startswith("pymc_botorch.")
        assert not dispatcher.dispatch(SingleTaskGP).__module__.startswith("pymc_botorch.")


def test_ax_keeps_model_classes_by_name_in_two_tables() -> None:
    from ax.storage.botorch_modular_registry import CLASS_TO_REGISTRY, CLASS_TO_REVERSE_REGISTRY, register_model

    class LedgerModel(Stub):
        pass

    register_model(LedgerModel)
    assert CLASS_TO_REGISTRY[Model].pop(LedgerModel) == "LedgerModel"
    assert CLASS_TO_REVERSE_REGISTRY[Model].pop("LedgerModel") is LedgerModel


def test_ax_decodes_dataclasses_by_their_names() -> None:
    from ax.storage.json_store.decoder import object_from_json
    from ax.storage.json_store.encoder import object_to_json
    from ax.storage.json_store.registry import CORE_DECODER_REGISTRY

    from pymc_botorch.ax import WarmStarts

    assert CORE_DECODER_REGISTRY["WarmStarts"] is WarmStarts
    memory = WarmStarts({"crop": [{"n": 3, "point": {"reach": [0.5]}}]})
    assert object_from_json(object_to_json(memory)) == memory


def test_ax_copies_a_strategy_with_its_nodes_and_a_configuration_without() -> None:
    import pymc_botorch.ax

    strategy = pymc_botorch.ax.generation_strategy(pymc_botorch.PyMCGP, fit_options={"warm_start": True})

    def config_in(strategy: Any) -> Any:
        (spec,) = strategy._nodes[-1].generator_specs
        return spec.generator_kwargs["surrogate_spec"].model_configs[0]

    config = config_in(strategy)
    memory = config.mll_options["warm_start"]
    assert copy.deepcopy(config).mll_options["warm_start"] is memory
    for twin in (strategy.clone_reset(), copy.deepcopy(strategy)):
        assert config_in(twin).mll_options["warm_start"] is not memory


def test_clients_hold_their_strategy_in_maybe_generation_strategy() -> None:
    from ax.api.client import Client
    from ax.api.configs import RangeParameterConfig

    import pymc_botorch.ax

    client = Client(random_seed=0)
    assert client._maybe_generation_strategy is None
    client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
    client.configure_optimization("crop")
    strategy = pymc_botorch.ax.generation_strategy(pymc_botorch.PyMCGP)
    client.set_generation_strategy(strategy)
    assert client._maybe_generation_strategy is strategy
    assert strategy.adapter is None


def test_transforms_of_inputs_leave_outcomes_as_they_are() -> None:
    from ax.adapter.registry import GENERATOR_KEY_TO_GENERATOR_SETUP, MBM_X_trans, Mixed_transforms, Y_trans

    outcomes = ["Derelativize", "Winsorize", "BilogY", "StandardizeY"]
    assert [transform.__name__ for transform in Y_trans] == outcomes
    for key, inputs in (("BoTorch", MBM_X_trans), ("BO_MIXED", Mixed_transforms)):
        names = [transform.__name__ for transform in inputs]
        assert [transform.__name__ for transform in GENERATOR_KEY_TO_GENERATOR_SETUP[key].transforms] == names + outcomes
        assert not any("_transform_observation_data" in vars(transform) for transform in inputs)


def test_clients_set_the_experiment_of_their_strategy() -> None:
    import ax_gps
    from ax.generation_strategy.generation_strategy import GenerationStrategy
    from ax.storage.json_store.encoders import generation_strategy_to_dict
    from ax.storage.json_store.registry import CORE_ENCODER_REGISTRY

    import pymc_botorch.ax

    client = ax_gps.client_of("single", pymc_botorch.PyMCGP)
    strategy = client._maybe_generation_strategy
    assert isinstance(strategy, GenerationStrategy)
    assert strategy._experiment is client._experiment
    assert CORE_ENCODER_REGISTRY[GenerationStrategy] is generation_strategy_to_dict
    assert generation_strategy_to_dict(strategy)["__type"] == type(strategy).__name__


def test_acquisitions_of_ax_make_their_function_by_two_hooks() -> None:
    import ax_gps
    from ax.generators.torch.botorch_modular.acquisition import Acquisition

    assert {"_instantiate_acquisition", "_construct_botorch_acquisition"} <= vars(Acquisition).keys()
    rows = [{"dose": 20.0, "depth": 2.2}, {"dose": 90.0, "depth": 3.7}]
    client = ax_gps.after(rows, ax_gps.client_of("single", ax_gps.AnyGP), ax_gps.AnyGP, compile_acqf=False)
    strategy = client._maybe_generation_strategy
    assert strategy.adapter.generator._acquisition is None
    client.get_next_trials(max_trials=1)
    made = strategy.adapter.generator._acquisition
    assert type(made) is Acquisition
    assert type(made.acqf) is qLogNoisyExpectedImprovement
    (run,) = strategy._experiment.trials[2].generator_runs
    assert run.gen_metadata["models_used"] == made.models_used
    assert [type(used) for used in made.models_used] == [dict]


def test_ax_keeps_acquisitions_by_name() -> None:
    from ax.generators.torch.botorch_modular.acquisition import Acquisition
    from ax.storage.botorch_modular_registry import CLASS_TO_REVERSE_REGISTRY
    from botorch.acquisition import AcquisitionFunction

    from pymc_botorch.acquisition import CompiledLogExpectedImprovement
    from pymc_botorch.ax.acquisition import CompiledAcquisition

    assert CLASS_TO_REVERSE_REGISTRY[Acquisition]["CompiledAcquisition"] is CompiledAcquisition
    functions = CLASS_TO_REVERSE_REGISTRY[AcquisitionFunction]
    assert functions["CompiledLogExpectedImprovement"] is CompiledLogExpectedImprovement


def test_stored_configurations_have_the_name_of_their_class() -> None:
    from ax.storage.json_store.encoder import object_to_json

    import pymc_botorch.ax

    stored = object_to_json(pymc_botorch.ax.model_config(pymc_botorch.PyMCGP))
    assert stored["botorch_model_class"]["index"] == "PyMCGP"
    assert "pymc_botorch: module" in stored["mll_options"]


def test_ax_scales_and_orders_choices_by_itself() -> None:
    from ax.adapter.transforms.choice_encode import ChoiceToNumericChoice
    from ax.adapter.transforms.log import Log
    from ax.core.parameter import ChoiceParameter, ParameterType
    from ax.core.search_space import SearchSpace

    dose = ChoiceParameter("dose", ParameterType.FLOAT, [11.25, 22.5, 45.0, 90.0], is_ordered=True)
    pair = ChoiceParameter("pair", ParameterType.INT, [2023, 2024], is_ordered=False)
    text = ChoiceParameter("text", ParameterType.STRING, ["b", "a", "c"], is_ordered=False, sort_values=False)
    assert dose.log_scale  # else, and if a pair is not ordered, ax/transforms.py may go
    assert pair.is_ordered
    space = SearchSpace([dose, pair, text])
    log, encoding = Log(search_space=space), ChoiceToNumericChoice(search_space=space)
    assert set(log.transform_parameters) == set(log.original_values) == {"dose"}
    assert encoding.encoded_parameters == {"text": {"b": 0, "a": 1, "c": 2}}
    assert encoding.encoded_parameters_inverse == {"text": {0: "b", 1: "a", 2: "c"}}


def test_adapters_give_transforms_the_space_of_their_model() -> None:
    import ax_gps
    from ax.adapter.random import RandomAdapter
    from ax.adapter.transforms.log import Log
    from ax.generators.random.sobol import SobolGenerator

    import pymc_botorch.ax

    given: list[Any] = []

    class Spy(Log):
        def __init__(
            self, search_space: Any = None, experiment_data: Any = None, adapter: Any = None, config: Any = None
        ) -> None:
            super().__init__(search_space, experiment_data, adapter, config)
            given.extend([search_space, adapter])

    client = ax_gps.client_of("single", pymc_botorch.PyMCGP)
    client.complete_trial(client.attach_trial({"dose": 40.0, "depth": 3.0}), raw_data={"harvest": 8.0})
    adapter = RandomAdapter(experiment=client._experiment, generator=SobolGenerator(), transforms=[Spy])
    assert given[-1] is adapter
    assert given[-2] == adapter.model_space
    assert adapter._search_space == client._experiment.search_space


def test_the_options_of_derelativize_are_by_its_name() -> None:
    from ax.adapter.transforms.derelativize import Derelativize
    from ax.generation_strategy.dispatch_utils import get_derelativize_config

    options = get_derelativize_config(derelativize_with_raw_status_quo=True)
    assert options[Derelativize.__name__]["use_raw_status_quo"] is True


def test_criteria_of_model_selection_have_these_names() -> None:
    from ax.utils.stats.model_fit_stats import DIAGNOSTIC_FNS

    assert {"Rank correlation", "MSE"} <= set(DIAGNOSTIC_FNS)


@pytest.mark.filterwarnings("ignore::botorch.exceptions.warnings.InputDataWarning")
def test_surrogates_of_ax_choose_between_models_in_model_selection(received: Received) -> None:
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate, SurrogateSpec

    class First(Surrogate):
        asked: int = 0

        def model_selection(
            self, dataset: Any, model_configs: Any, search_space_digest: Any, candidate_metadata: Any = None
        ) -> Any:
            self.asked += 1
            model = self._construct_model(dataset, search_space_digest, model_configs[0], state_dict=None, refit=True)
            return model, model_configs[0]

    surrogate = First(surrogate_spec=SurrogateSpec(model_configs=[ModelConfig(SingleTaskGP, name=name) for name in "ab"]))
    assert (surrogate._model_name_to_eval, surrogate._model_name_to_model) == ({}, {})
    surrogate.fit(received.surrogate.training_data[:1], received.surrogate._last_search_space_digest)
    assert surrogate.asked == 1
    assert isinstance(surrogate.model, SingleTaskGP)
    assert surrogate.metric_to_best_model_config["crop"].identifier == "a"


def test_ax_stores_a_subclass_of_its_surrogate() -> None:
    from ax.generators.torch.botorch_modular.generator import BoTorchGenerator
    from ax.generators.torch.botorch_modular.surrogate import ModelConfig, Surrogate, SurrogateSpec
    from ax.storage.json_store.decoder import object_from_json
    from ax.storage.json_store.encoder import object_to_json
    from ax.storage.json_store.encoders import surrogate_to_dict
    from ax.storage.json_store.registry import CORE_DECODER_REGISTRY, CORE_ENCODER_REGISTRY

    class Other(Surrogate):
        pass

    other = Other(surrogate_spec=SurrogateSpec(model_configs=[ModelConfig(name="a")]))
    assert BoTorchGenerator(surrogate=other).surrogate is other
    stored = object_to_json(other, encoder_registry={**CORE_ENCODER_REGISTRY, Other: surrogate_to_dict})
    loaded = object_from_json(stored, decoder_registry={**CORE_DECODER_REGISTRY, "Other": Other})
    assert type(loaded) is Other
    assert loaded.surrogate_spec.model_configs[0].name == "a"


def test_analyses_of_ax_make_cards_of_tables() -> None:
    import pandas as pd
    from ax.analysis.analysis import Analysis
    from ax.analysis.utils import extract_relevant_adapter

    class Table(Analysis):
        pass

    card = Table()._create_analysis_card(title="a", subtitle="b", df=pd.DataFrame({"x": [1]}))
    assert (card.name, card.title, card.df["x"].tolist()) == ("Table", "a", [1])
    adapter = object()
    assert extract_relevant_adapter(None, None, adapter) is adapter
    assert extract_relevant_adapter(None, types.SimpleNamespace(adapter=adapter), None) is adapter


@pytest.mark.parametrize("draws", [None, 3], ids=["a point", "draws"])
def test_ax_reads_importances_from_the_lengthscale_of_covar_module(draws: int | None) -> None:
    from ax.generators.torch.utils import get_feature_importances_from_botorch_model

    class Long(Stub):
        _is_ensemble = draws is not None
        train_inputs = (torch.zeros(4, 2, **DOUBLE),)
        covar_module = types.SimpleNamespace(
            lengthscale=torch.tensor([[1.0, 3.0]], **DOUBLE).expand(*[draws] * _is_ensemble, 1, 2)
        )

    np.testing.assert_allclose(get_feature_importances_from_botorch_model(Long()).squeeze(), [0.75, 0.25])


def test_ax_predicts_the_moments_of_a_mixture() -> None:
    from ax.generators.torch.utils import predict_from_model

    class Two(Stub):
        def posterior(self, X: Tensor, *_: Any, **__: Any) -> GaussianMixturePosterior:
            mean = torch.tensor([-1.0, 1.0], **DOUBLE)[:, None].expand(2, X.shape[-2])
            return GaussianMixturePosterior(MultivariateNormal(mean, normal(2, X.shape[-2]).lazy_covariance_matrix))

    mean, covariance = predict_from_model(Two(), torch.zeros(4, 1, **DOUBLE))
    assert (mean.abs().max().item(), covariance.shape) == (0.0, (4, 1, 1))
    assert (covariance > 1.5).all()  # the variance between draws included


# nutpie


class Sampled(NamedTuple):
    """What nutpie did with a density that is a Python function."""

    begun: list[np.ndarray]
    evaluated: list[np.ndarray]
    idata: Any


def of_density(density: Callable[[np.ndarray], Any], begin: Callable[[Any], np.ndarray], draws: int, chains: int) -> Any:
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    model = from_pyfunc(
        2,
        lambda: density,
        lambda *_: lambda u: {"u": u},
        [np.dtype("float64")],
        [(2,)],
        ["u"],
        make_initial_point_fn=begin,
    )
    return nutpie.sample(
        model,
        draws=draws,
        tune=5,
        chains=chains,
        cores=1,
        seed=1,
        save_warmup=False,
        progress_bar=False,
        adaptation="low_rank",
        target_accept=0.8,
        blocking=False,
    )


@pytest.fixture(scope="module")
def sampled() -> Sampled:
    pytest.importorskip("nutpie")
    begun: list[np.ndarray] = []
    evaluated: list[np.ndarray] = []

    def density(u: np.ndarray) -> tuple[float, np.ndarray]:
        evaluated.append(u.copy())
        return -0.5 * float(u @ u), -u

    def begin(seed: Any) -> np.ndarray:
        begun.append(np.array([len(begun) + 1.5, -2.0]))
        return begun[-1]

    return Sampled(begun, evaluated, of_density(density, begin, draws=4, chains=3).wait())


def test_nutpie_samples_a_density_that_is_a_python_function(sampled: Sampled) -> None:
    assert sampled.idata["posterior"]["u"].shape == (3, 4, 2)


def test_nutpie_begins_each_chain_where_it_is_told(sampled: Sampled) -> None:
    assert len(sampled.begun) == 3
    for point in sampled.begun:
        assert any(np.array_equal(point, u) for u in sampled.evaluated)


def test_nutpie_names_its_statistics_logp_depth_and_diverging(sampled: Sampled) -> None:
    stats = sampled.idata["sample_stats"].dataset
    assert {"logp", "depth", "diverging"} <= set(stats)
    assert not {"lp", "tree_depth"} & set(stats)  # else nothing need be renamed
    np.testing.assert_allclose(stats["logp"], -0.5 * (sampled.idata["posterior"]["u"] ** 2).sum("u_dim_0"))


def test_nutpie_raises_runtime_errors_and_can_be_cancelled() -> None:
    pytest.importorskip("nutpie")

    def failing(u: np.ndarray) -> NoReturn:
        raise ValueError("no density here")

    sampler = of_density(failing, lambda _: np.zeros(2), draws=4, chains=1)
    with pytest.raises(RuntimeError, match="no density here"):
        sampler.wait()
    of_density(lambda u: (-0.5 * float(u @ u), -u), lambda _: np.zeros(2), draws=10**9, chains=1).cancel()


# ArviZ, PyTorch and Python


def test_loo_with_an_efficiency_reads_the_log_likelihood_alone() -> None:
    import xarray as xr
    from arviz_stats import compare, loo

    values = np.random.default_rng(0).normal(-1, 0.1, size=(1, 400, 6))
    data = xr.DataTree.from_dict({"log_likelihood": xr.Dataset({"y": (("chain", "draw", "i"), values)})})
    found = loo(data, pointwise=True, reff=1.0)
    assert found.elpd == pytest.approx(float(found.elpd_i.sum()))
    assert found.pareto_k.shape == (6,)
    table = compare({"a": found, "b": found}, round_to="none")
    np.testing.assert_allclose(table["weight"], 0.5)


def test_kde_returns_points_and_their_density() -> None:
    from arviz_stats.base import array_stats

    for options in ({}, {"bw": "silverman"}):
        x, density, _ = array_stats.kde(np.random.default_rng(0).normal(size=2000), **options)
        assert np.interp(0.0, x, density) == pytest.approx(1 / np.sqrt(2 * np.pi), rel=0.1)
        assert np.trapezoid(density, x) == pytest.approx(1, rel=0.02)


def test_xarray_reads_the_array_of_a_backend_when_it_is_asked_for() -> None:
    import xarray as xr

    from pymc_botorch.inference.sampling.computed import computed_later

    calls = []

    def compute() -> np.ndarray:
        calls.append(1)
        return np.arange(24.0)

    tree = xr.DataTree.from_dict({"group": xr.Dataset({"y": computed_later(["chain", "draw", "i"], [2, 3, 4], compute)})})
    part = tree.copy()["group"]["y"].isel(draw=[0, 2], i=slice(1, None, 2))
    assert (part.shape, str(tree["group"]).count("..."), calls) == ((2, 2, 2), 1, [])
    np.testing.assert_array_equal(part, np.arange(24.0).reshape(2, 3, 4)[:, [0, 2], 1::2])
    np.testing.assert_array_equal(tree["group"]["y"].stack(sample=("chain", "draw")).sum("sample"), [60.0, 66.0, 72.0, 78.0])
    assert calls == [1]


def test_psislw_weighs_the_negative_of_what_it_is_given() -> None:
    from arviz_stats.base import array_stats

    log_ratios = np.random.default_rng(1).normal(size=200)
    log_weights, k = array_stats.psislw(-log_ratios, r_eff=1.0)
    assert np.corrcoef(log_weights, log_ratios)[0, 1] > 0.99
    assert np.ndim(k) == 0


def test_effective_sizes_and_r_hat_are_of_chains_by_draws() -> None:
    from arviz_stats.base import array_stats

    chains = np.random.default_rng(1).normal(size=(2, 200))
    apart = chains + np.array([[0.0], [5.0]])
    assert array_stats.rhat(chains) < 1.1 < array_stats.rhat(apart)
    for options in ({"method": "bulk"}, {"method": "tail", "prob": (0.1, 0.9)}):
        assert array_stats.ess(chains, **options) > 10 * array_stats.ess(apart, method="bulk")
    series = np.stack([chains, apart], 2)
    of_both = array_stats.ess(series, chain_axis=0, draw_axis=1, method="mean")
    np.testing.assert_allclose(of_both, [array_stats.ess(part, method="mean") for part in (chains, apart)])
    assert of_both[0] > 10 * of_both[1]


def test_a_model_has_no_more_attributes_than_a_gp() -> None:
    assert set(vars(Stub())) <= set(vars(GP()))


def test_modules_keep_their_parts_in_three_tables() -> None:
    module = torch.nn.BatchNorm1d(1)
    module.part = torch.nn.Linear(1, 1)
    parts = {name: set(module.__dict__[name]) for name in ("_parameters", "_buffers", "_modules")}
    buffers = {"running_mean", "running_var", "num_batches_tracked"}
    assert parts == {"_parameters": {"weight", "bias"}, "_buffers": buffers, "_modules": {"part"}}


def test_cached_functions_are_of_this_class() -> None:
    assert isinstance(functools.lru_cache(int), functools._lru_cache_wrapper)
    assert functools.lru_cache(int).__wrapped__ is int


# JAX, and PyTensor's functions of it


@pytest.fixture
def jax_in_double_precision() -> Iterator[types.ModuleType]:
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield jax
    jax.config.update("jax_enable_x64", before)


def test_graphs_become_functions_of_jax(jax_in_double_precision: types.ModuleType) -> None:
    from pytensor.link.jax.dispatch.basic import jax_funcify

    assert jax_in_double_precision.config.jax_enable_x64 == (pytensor.config.floatX == "float64")
    x = pt.vector("x", dtype="float64")
    fgraph = FunctionGraph([x], [pt.log(1 + pt.exp(x)), x.sum()], clone=True)
    get_mode("JAX").excluding("specialize").optimizer.rewrite(fgraph)
    softplus, total = jax_in_double_precision.jit(jax_funcify(fgraph))(np.array([-800.0, 0.0, 800.0]))
    np.testing.assert_allclose(softplus, [0.0, np.log(2), 800.0])  # stable forms are among these rewrites
    assert total.dtype == np.float64


def test_ranges_of_pytensor_in_jax_end_at_a_length_only(jax_in_double_precision: types.ModuleType) -> None:
    from pytensor.link.jax.dispatch.basic import jax_funcify

    x = pt.vector("x", dtype="float64")
    with pytest.raises(NotImplementedError, match="arange"):
        jax_funcify(FunctionGraph([x], [pt.arange(x.shape[0] + 1)], clone=True))


def test_lengths_are_computed_while_jax_traces(jax_in_double_precision: types.ModuleType) -> None:
    jax = jax_in_double_precision

    def padded(x: Any) -> Any:
        with jax.ensure_compile_time_eval():
            return jax.numpy.zeros(int(jax.numpy.add(x.shape[0], 1))).at[: x.shape[0]].set(x)

    assert jax.jit(padded)(np.ones(3)).shape == (4,)


def test_primitives_of_jax_have_rules_of_tangents_transposes_and_batches(jax_in_double_precision: types.ModuleType) -> None:
    jax = jax_in_double_precision
    from jax.extend.core import Primitive
    from jax.interpreters import ad, batching, mlir

    seen = []

    def computed(a: Any, x: Any, *, scale: float) -> tuple[Any]:
        return (scale * a * x,)

    def tangent(primals: Sequence[Any], tangents: Sequence[Any], *, scale: float) -> Any:
        assert type(tangents[0]) is ad.Zero
        assert type(tangents[1]) is not ad.Zero
        (out,) = product.bind(primals[0], ad.instantiate_zeros(tangents[1]), scale=scale)
        return product.bind(*primals, scale=scale), [out]

    def transpose(bars: Sequence[Any], a: Any, x: Any, *, scale: float) -> list[Any]:
        assert not ad.is_undefined_primal(a)
        assert ad.is_undefined_primal(x)
        return [None, *product.bind(a, bars[0], scale=scale)]

    def batch(arrays: Sequence[Any], axes: Sequence[int | None], *, scale: float) -> Any:
        seen.append(axes)
        x = batching.bdim_at_front(arrays[1], axes[1], 2)
        return product.bind(arrays[0], x, scale=scale), [0]

    product = Primitive("product_of_a_test")
    product.multiple_results = True
    product.def_impl(computed)
    product.def_abstract_eval(lambda a, x, *, scale: [jax.core.ShapedArray(x.shape, x.dtype)])
    ad.primitive_jvps[product] = tangent
    ad.primitive_transposes[product] = transpose
    batching.primitive_batchers[product] = batch
    mlir.register_lowering(product, mlir.lower_fun(computed, multiple_results=True))

    def function(x: Any) -> Any:
        return product.bind(jax.numpy.array(3.0), x, scale=2.0)[0]

    assert jax.jit(jax.grad(function))(1.0) == 6.0
    assert jax.jvp(function, (1.0,), (2.0,))[1] == 12.0
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(np.ones(2)), [6.0, 6.0])
    assert list(seen[-1]) == [None, 0]


# The modules that we import

LIBRARIES = (
    "arviz_stats",
    "ax",
    "botorch",
    "gpytorch",
    "jax",
    "linear_operator",
    "numba",
    "nutpie",
    "pymc",
    "pytensor",
    "torch",
    "xarray",
)


class Imported(NamedTuple):
    """A name that a module of the package takes from a module of another library."""

    where: str
    module: str
    name: str | None


@functools.cache
def trees() -> dict[pathlib.Path, ast.Module]:
    """The package's own sources."""
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def imports() -> Iterator[Imported]:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("pymc_botorch"):
                yield from (Imported(path.name, node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Import):
                yield from (Imported(path.name, alias.name, None) for alias in node.names)


@pytest.mark.parametrize("library", LIBRARIES)
def test_modules_have_the_names_that_we_import(library: str) -> None:
    if library == "nutpie":
        pytest.importorskip("nutpie")
    found = [one for one in imports() if one.module.split(".")[0] == library]
    assert found
    missing = []
    for one in found:
        try:
            module = importlib.import_module(one.module)
            if one.name is not None and not hasattr(module, one.name):
                importlib.import_module(f"{one.module}.{one.name}")
        except ImportError:
            missing.append(one)
    assert not missing


# Acquisition functions


def some_data() -> tuple[Tensor, Tensor]:
    X = torch.rand(6, 2, generator=torch.Generator().manual_seed(1), **DOUBLE)
    return X, X.sin().sum(-1, keepdim=True) - 0.9


def test_samplers_keep_base_samples_of_the_shape_of_a_posterior() -> None:
    model = SingleTaskGP(*some_data()).eval()
    acqf = qLogExpectedImprovement(model, 0.0)
    assert acqf.sampler is None
    assert len(acqf._default_sample_shape) == 1
    sampler = SobolQMCNormalSampler(torch.Size([8]), seed=1)
    sampler._construct_base_samples(model.posterior(torch.rand(5, 3, 2, **DOUBLE)))
    kept = sampler.base_samples
    assert kept.shape == (8, 1, 3)
    sampler._construct_base_samples(model.posterior(torch.rand(1, 3, 2, **DOUBLE)))
    assert sampler.base_samples is kept
    two = SobolQMCNormalSampler(torch.Size([8]), seed=1)
    two._construct_base_samples(ModelListGP(model, model).posterior(torch.rand(1, 3, 2, **DOUBLE)))
    assert two.base_samples.shape == (8, 1, 3, 2)


def test_monte_carlo_functions_keep_what_they_were_told() -> None:
    model = SingleTaskGP(*some_data()).eval()
    acqf = qLogExpectedImprovement(model, 0.5, fat=False, tau_max=0.1, tau_relu=0.2)
    assert (acqf._fat, acqf.tau_max, acqf.tau_relu, float(acqf.best_f), acqf._constraints) == (False, 0.1, 0.2, 0.5, None)
    assert type(acqf.objective) is IdentityMCObjective
    assert acqf._log
    assert acqf._eta == 1e-3
    assert not qUpperConfidenceBound(model, 0.3)._log
    assert qUpperConfidenceBound(model, 0.3).beta_prime == pytest.approx((0.3 * np.pi / 2) ** 0.5)
    assert LogExpectedImprovement(model, 0.0)._log


def test_noisy_functions_keep_the_root_of_their_baseline() -> None:
    X, Y = some_data()
    model = SingleTaskGP(X, Y).eval()
    sampler = SobolQMCNormalSampler(torch.Size([8]), seed=1)
    acqf = qLogNoisyExpectedImprovement(model, X, sampler=sampler, prune_baseline=False)
    assert acqf._cache_root
    assert torch.equal(acqf.X_baseline, X)
    assert acqf._baseline_L.shape == (len(X), len(X))
    assert acqf._baseline_best_f.numel() == 8
    of_baseline = acqf.sampler.base_samples.clone()
    acqf._set_sampler(q_in=2, posterior=model.posterior(torch.cat([X, X[:2]]).unsqueeze(0)))
    assert acqf.sampler.base_samples.shape == (8, 1, len(X) + 2)
    assert torch.equal(acqf.sampler.base_samples[..., : len(X)].flatten(), of_baseline.flatten())
    weights = LinearMCObjective(torch.ones(2, **DOUBLE))
    two = qLogNoisyExpectedImprovement(ModelListGP(model, model), X, sampler, weights, prune_baseline=False)
    assert two._baseline_L.shape == (2, len(X), len(X))


def test_constraints_weigh_utilities_by_smooth_steps() -> None:
    from botorch.utils.objective import compute_smoothed_feasibility_indicator
    from botorch.utils.safe_math import fatmoid

    samples, eta = torch.linspace(-2, 2, 9, **DOUBLE)[:, None, None, None], float(torch.tensor(1e-1))
    x = -samples[..., 0] / eta
    for fat, step in ((False, torch.sigmoid(x)), (True, fatmoid(x))):
        for log, expected in ((False, step), (True, step.log())):
            found = compute_smoothed_feasibility_indicator([lambda Y: Y[..., 0]], samples, 1e-1, log=log, fat=fat)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    model = SingleTaskGP(*some_data()).eval()
    acqf = qLogExpectedImprovement(model, 0.5, constraints=[lambda Y: Y[..., 0]])
    utility = acqf._apply_constraints(torch.zeros(9, 1, 1, **DOUBLE), samples)
    torch.testing.assert_close(utility, fatmoid(-samples[..., 0] / float(torch.tensor(1e-3))).log())


def test_input_constructors_are_in_one_table() -> None:
    from botorch.acquisition.input_constructors import ACQF_INPUT_CONSTRUCTOR_REGISTRY, get_acqf_input_constructor

    assert get_acqf_input_constructor(LogExpectedImprovement) is ACQF_INPUT_CONSTRUCTOR_REGISTRY[LogExpectedImprovement]


def test_optimisers_ask_for_classes_of_acquisition_functions() -> None:
    from botorch.acquisition import ExpectedImprovement
    from botorch.optim.initializers import is_nonnegative

    assert is_nonnegative(object.__new__(ExpectedImprovement))
    assert not is_nonnegative(object.__new__(LogExpectedImprovement))


# The page


def rows() -> Iterator[list[str]]:
    """The cells of each entry of the page."""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith(("| What", "|---", "| ---")):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def names_of_tests(text: str) -> set[str]:
    return set(re.findall(r"`(test_\w+)`", text))


def test_the_page_and_the_tests_agree() -> None:
    tests = {name for name, value in globals().items() if name.startswith("test_") and inspect.isfunction(value)}
    assert all(len(cells) == 6 for cells in rows())
    assert not [cells[0] for cells in rows() if not names_of_tests(cells[5])], "entries without a test"
    assert {name for cells in rows() for name in names_of_tests(cells[5])} == tests


def test_the_page_names_modules_that_are_there() -> None:
    named = {path for cells in rows() for path in re.findall(r"`([\w/]+\.py)`", cells[1])}
    assert named
    assert not {path for path in named if not (PACKAGE / path).is_file()}


OF_NAMED_TUPLES = ("_asdict", "_fields", "_replace")  # which Python documents


def is_private(name: str) -> bool:
    return re.match(r"_[a-zA-Z]", name) is not None and name not in OF_NAMED_TUPLES


def private_names() -> Iterator[tuple[str, str]]:
    """Private names of other libraries that the package imports or reads, and where."""
    own = own_names()
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("pymc_botorch"):
                parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                yield from ((name, path.name) for name in parts if is_private(name))
            elif isinstance(node, ast.Import):
                yield from ((part, path.name) for alias in node.names for part in alias.name.split(".") if is_private(part))
            elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own:
                yield node.attr, path.name


@functools.cache
def own_names() -> frozenset[str]:
    return frozenset(name for tree in trees().values() for node in ast.walk(tree) for name in defined(node))


def defined(node: ast.AST) -> Sequence[str]:
    """Names that a piece of the package gives to something of its own."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return [node.id]
    is_own = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
    return [node.attr] if is_own and node.value.id == "self" else []


def overridden_names() -> Iterator[tuple[str, str]]:
    """Private names of other libraries that classes of the package override, and where."""
    import pymc_botorch

    for found in pkgutil.walk_packages(pymc_botorch.__path__, "pymc_botorch."):
        for cls in vars(importlib.import_module(found.name)).values():
            if not (isinstance(cls, type) and cls.__module__ == found.name):
                continue
            is_foreign = {base: base.__module__.split(".")[0] in LIBRARIES for base in cls.__mro__}
            theirs = [base for base, foreign in is_foreign.items() if foreign]
            ours = {name for base, foreign in is_foreign.items() if not foreign for name in vars(base)}
            for name in filter(is_private, own_names() & ours):
                if any(name in vars(base) or name in inspect.get_annotations(base) for base in theirs):
                    yield name, f"{cls.__name__} in {found.name}"


@pytest.mark.parametrize("find", [private_names, overridden_names], ids=["read", "overridden"])
def test_private_names_of_other_libraries_are_on_the_page(find: Callable[[], Iterator[tuple[str, str]]]) -> None:
    page = PAGE.read_text()
    found = set(find())
    assert found
    assert not {(name, where) for name, where in found if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", page)}
