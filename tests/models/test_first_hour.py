"""What newcomers try first: arrays and data frames, arguments of BoTorch's models, builders that read values, devices."""

import contextlib
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import BotorchTensorDimensionError, UnsupportedError
from botorch.fit import fit_fully_bayesian_model_nuts
from threadpoolctl import threadpool_info, threadpool_limits
from torch import Tensor
from zoo import POINT, marginal

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, gradient_posterior
from pymc_botorch.inference.fit.density import Density

BOTH = pytest.mark.parametrize("of", [PyMCGP, FullyBayesianPyMCGP])


def data(n: int = 10) -> tuple[Tensor, Tensor]:
    X = torch.rand(n, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return X, (5 * X[:, :1]).sin() + X[:, 1:]


FORMS: dict[str, Any] = {
    "arrays": (lambda X: X.numpy(), lambda Y: Y.numpy()),
    "single precision": (lambda X: X.numpy().astype("float32"), lambda Y: Y.numpy().astype("float32")),
    "vectors": (lambda X: X.numpy(), lambda Y: Y.squeeze(-1).numpy()),
    "data frames": (lambda X: pd.DataFrame(X.numpy(), columns=["n", "depth"]), lambda Y: pd.DataFrame({"yield": Y.squeeze(-1)})),
    "series": (lambda X: pd.DataFrame(X.numpy(), columns=["n", "depth"]), lambda Y: pd.Series(Y.squeeze(-1).numpy())),
}


@pytest.mark.parametrize("form", FORMS)
@BOTH
def test_arrays_and_data_frames_are_taken_wherever_tensors_are(form: str, of: Any) -> None:
    X, Y = data()
    of_X, of_Y = FORMS[form]
    tolerance: dict[str, float] = {"rtol": 0, "atol": 1e-4 if form == "single precision" else 1e-12}
    noise = torch.full_like(Y, 0.05)
    ours, expected = of(of_X(X), of_Y(Y), of_Y(noise)), of(X, Y, noise)
    torch.testing.assert_close(ours.posterior(of_X(X[:3])).mean, expected.posterior(X[:3]).mean, **tolerance)
    given = ours.condition_on_observations(of_X(X[:2] / 2), of_Y(Y[:2]), of_Y(noise[:2]))
    again = expected.condition_on_observations(X[:2] / 2, Y[:2], noise[:2])
    torch.testing.assert_close(given.posterior(of_X(X[:3])).variance, again.posterior(X[:3]).variance, **tolerance)
    slopes = ours.predictive_gradients(of_X(X[:3])).mean_gradient
    assert isinstance(slopes, np.ndarray)
    np.testing.assert_allclose(slopes, expected.predictive_gradients(X[:3]).mean_gradient, atol=10 * tolerance["atol"])
    if of is PyMCGP:
        assert gradient_posterior(ours, of_X(X[:3])).mean.shape == (3, 2)
    targets = of_Y(2 * expected.train_targets.unsqueeze(-1))
    if np.ndim(targets) == 1:
        ours.set_train_data(of_X(X), targets)
        torch.testing.assert_close(ours.train_targets.double(), 2 * expected.train_targets, **tolerance)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"variety": ["a", "b"], "n": [1.0, 2.0]}), "train_X is not numeric"),
        ([[0.0], [1.0]], "train_X is a list. Pass a torch.Tensor, a NumPy array or a data frame"),
        (np.array([[0.0, 1j]]), "train_X is not numeric"),
        (pd.DataFrame({"n": pd.array([1.0, None], dtype="Float64")}), r"train_X is not finite in rows \[1\]"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(X: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PyMCGP(X, torch.zeros(2, 1))


@BOTH
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("covar_module", r"takes no covar_module: .*build_gp, with a kernel of pm\.gp\.cov"),
        ("mean_module", r"takes no mean_module: .*pm\.gp\.mean"),
        ("likelihood", "takes no likelihood: .*sigma of marginal_likelihood"),
        ("input_tranform", "Did you mean input_transform"),
        ("varieties", "takes no argument 'varieties'. Pass what your build_gp needs as attributes"),
    ],
)
def test_arguments_of_botorchs_models_are_refused_with_what_to_write(of: Any, argument: str, message: str) -> None:
    with pytest.raises(TypeError, match=f"{of.__name__} {message}|{message}"):
        of(*data(), **{argument: None})


@BOTH
@pytest.mark.parametrize(
    "name", ["buildgp", "build_GP", "build_model", "_build_gp", "build_gps", "make_gp", "construct"], ids=lambda name: name
)
def test_a_subclass_that_misspells_build_gp_warns_once(of: Any, name: str) -> None:
    def builder(self: Any, X: Any, y: Any) -> None: ...

    cls = type("Mine", (of,), {name: builder})
    with pytest.warns(UserWarning, match=f"Mine has a method {name}, but no build_gp.*default"):
        cls(*data())
    cls(*data())  # once
    cls(*data(), build_gp=builder)


@BOTH
def test_a_subclass_that_has_a_builder_or_means_none_does_not_warn(of: Any) -> None:
    class Mine(of):
        def build_gp(self, X: Any, y: Any) -> None: ...

        def mean_of(self, X: Any, y: Any) -> None: ...

    class Logged(of):
        def save(self, path: str) -> None: ...

    Mine(*data())
    Logged(*data())


def len_of_inputs(X: Any, y: Any) -> Any:
    return np.zeros(len(X))


def numpys_sd(X: Any, y: Any) -> Any:
    return pm.gp.cov.Matern52(2, ls=np.std(X, axis=0))


def number_of_columns(X: Any, y: Any) -> Any:
    return pm.gp.cov.Matern52(X.shape[1], ls=0.3)


def each_column(X: Any, y: Any) -> Any:
    return [pm.LogNormal(f"ell_{j}") for j in range(X.shape[1])]


def number_of_mean(X: Any, y: Any) -> Any:
    return pm.Normal("mu", float(y.mean()), 1)


def question(X: Any, y: Any) -> Any:
    return 1 if (y > 0).all() else 2


def of_torch(X: Any, y: Any) -> Any:
    return torch.tensor(1.0) * y


def of_arrays(X: Any, y: Any) -> Any:
    return X.numpy()


@BOTH
@pytest.mark.parametrize(
    "builder", [len_of_inputs, numpys_sd, number_of_columns, each_column, number_of_mean, question, of_torch, of_arrays]
)
def test_an_error_in_a_builder_says_what_to_write_for_symbolic_data(of: Any, builder: Any) -> None:
    with pytest.raises((TypeError, NotImplementedError, AttributeError)) as caught:  # in PyTensor's words
        of(*data(), build_gp=builder).fit()
    with pytest.raises((TypeError, NotImplementedError, RuntimeError)) as by_posterior:
        of(*data(), build_gp=builder).posterior(data()[0])
    for error in (caught.value, by_posterior.value):
        assert any("X.type.shape[1]" in note and "X.std(axis=0)" in note for note in error.__notes__)


def test_many_draws_for_a_point_model_name_the_ensemble() -> None:
    import xarray as xr

    case = marginal()
    dims = {name: ("chain", "draw", *(f"{name}_{axis}" for axis in range(value.ndim))) for name, value in POINT.items()}
    draws = xr.Dataset({name: (dims[name], np.stack([[value] * 3])) for name, value in POINT.items()})
    with pytest.raises(ValueError, match=r"has 3 draws. Take all of them by FullyBayesianPyMCGP\.from_fitted"):
        PyMCGP.from_fitted(case.gp, draws, model=case.pm_model)


@BOTH
def test_a_model_that_is_sent_to_another_device_says_that_it_stays(of: Any) -> None:
    model = of(*data())
    for send in (
        lambda: model.to("cuda"),
        lambda: model.to(torch.device("meta")),
        lambda: model.to(device="cuda:0", dtype=torch.float),
        lambda: model.to(torch.empty(1, device="meta")),
        model.cuda,
    ):
        with pytest.warns(UserWarning, match="The model stays on the CPU"):
            assert send() is model
    for cast in (lambda: model.to(torch.float32), lambda: model.to("cpu"), lambda: model.to(data()[0]), model.double, model.cpu):
        assert cast() is model


def test_botorchs_nuts_names_our_own_fit() -> None:
    pytest.importorskip("numpyro")
    for model in (PyMCGP(*data()), FullyBayesianPyMCGP(*data())):
        with pytest.raises(UnsupportedError, match=r"fit_fully_bayesian_model_nuts .*Call \.fit\(\)"):
            fit_fully_bayesian_model_nuts(model, warmup_steps=1, num_samples=1)


def test_a_map_fit_has_one_thread_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    ask = Density.__call__

    def watched(self: Density, *args: Any) -> Any:
        seen.append(max([info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"], default=1))
        return ask(self, *args)

    monkeypatch.setattr(Density, "__call__", watched)
    with threadpool_limits(limits=2, user_api="blas"), contextlib.suppress(Warning):
        PyMCGP(*data()).fit(num_starts=1)
    assert set(seen) == {1}


def test_columns_by_name_whole_numbers_and_single_columns_have_answers() -> None:
    X, Y = data()
    whole = (10 * Y).round()
    torch.testing.assert_close(PyMCGP(X, whole.to(torch.int64)).train_targets, PyMCGP(X, whole).train_targets)
    with pytest.raises(BotorchTensorDimensionError, match=r"train_X has shape \(10,\)\. Pass inputs n x d: of one input"):
        PyMCGP(X[:, 0].numpy(), Y.numpy())

    def by_name(X: Any, y: Any) -> pm.gp.Marginal:
        gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(2, ls=X["nitrogen"].std()))
        gp.marginal_likelihood("y", X, y, sigma=0.1)
        return gp

    with pytest.raises(Exception) as caught:  # noqa: PT011  # PyTensor's own; the note is what is tested
        PyMCGP(X, Y, build_gp=by_name).fit()
    assert "self.column(X, " in "".join(getattr(caught.value, "__notes__", ()))
