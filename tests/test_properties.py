"""Two hundred bad inputs: each a clear error of the promised type, none after a compilation, none that changes the model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytest
import torch
from botorch.exceptions.errors import BotorchTensorDimensionError, InputDataError, UnsupportedError
from botorch.models.transforms import Normalize, Standardize
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zoo import POINT, Case, marginal

from pymc_botorch import PyMCGP, config
from pymc_botorch.graph.compiling import cache as structures

PROMISED = (InputDataError, UnsupportedError, BotorchTensorDimensionError)
NAMES = st.sampled_from(list(POINT))
BAD_NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf])
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)

_case: Case = marginal(as_data=True)
with config.change_flags(linker="numpy"):
    _model = PyMCGP.from_fitted(_case.gp, _case.point, model=_case.pm_model)
_X = torch.rand(4, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))


def read(point: Any = POINT, **options: Any) -> None:
    PyMCGP.from_fitted(_case.gp, point, model=_case.pm_model, **options)


def read_data(X: np.ndarray, y: np.ndarray) -> None:
    with _case.pm_model:
        pm.set_data({"X": X, "y": y})
        try:
            read()
        finally:
            pm.set_data({"X": _case.X, "y": _case.y})


def spoil(array: np.ndarray, index: int, value: float) -> np.ndarray:
    spoilt = array.copy()
    spoilt.flat[index % array.size] = value
    return spoilt


def tensor(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.double)


def is_no_input(shape: tuple[int, ...]) -> bool:
    return len(shape) < 2 or shape[-1] != 2


def wrong_length(n: int) -> int:
    return n if n != 12 else 13


BAD: st.SearchStrategy[Callable[[], Any]] = st.one_of(
    # points
    NAMES.map(lambda name: lambda: read({k: v for k, v in POINT.items() if k != name})),
    st.tuples(NAMES, BAD_NUMBERS, st.integers(0, 9)).map(lambda a: lambda: read({**POINT, a[0]: spoil(POINT[a[0]], a[2], a[1])})),
    st.tuples(NAMES, SHAPES)
    .filter(lambda a: a[1] != POINT[a[0]].shape)
    .map(lambda a: lambda: read({**POINT, a[0]: np.ones(a[1])})),
    st.sampled_from(["ell", "eta", "sigma"]).flatmap(
        lambda name: st.floats(-5, -1e-3).map(lambda x: lambda: read({**POINT, name: spoil(POINT[name], 0, x)}))
    ),
    st.sampled_from(["ell", "eta", "sigma"]).flatmap(
        lambda name: st.floats(0.1, 3).map(lambda x: lambda: read({**POINT, f"{name}_log__": np.log(POINT[name]) + x}))
    ),
    st.text("abcxyz", min_size=1, max_size=5).map(lambda name: lambda: read({**POINT, f"_{name}": 1.0})),
    st.one_of(st.integers(), st.text(max_size=3), st.none(), st.lists(st.floats(), max_size=2)).map(lambda p: lambda: read(p)),
    st.tuples(NAMES, st.text(max_size=3)).map(lambda a: lambda: read({**POINT, a[0]: a[1]})),
    # options
    st.one_of(st.floats(max_value=-1e-12), st.just(np.nan), st.just(np.inf), st.text(max_size=2), st.just([1e-6])).map(
        lambda jitter: lambda: read(jitter=jitter)
    ),
    st.one_of(st.text(max_size=3), st.integers(), st.dictionaries(st.text("pqr", min_size=1), st.integers(), min_size=1)).map(
        lambda given: lambda: read(given=given)
    ),
    st.one_of(st.text(), st.integers(), st.just(Normalize(2)), st.just(Standardize(1))).map(
        lambda t: lambda: read(input_transform=t)
    ),
    st.one_of(st.text(), st.integers(), st.just(Standardize(1)), st.just(Standardize(2))).map(
        lambda t: lambda: read(outcome_transform=t)
    ),
    # data
    st.tuples(st.integers(0, 23), BAD_NUMBERS).map(lambda a: lambda: read_data(spoil(_case.X, *a), _case.y)),
    st.tuples(st.integers(0, 11), BAD_NUMBERS).map(lambda a: lambda: read_data(_case.X, spoil(_case.y, *a))),
    st.integers(0, 30).map(wrong_length).map(lambda n: lambda: read_data(_case.X, np.ones(n))),
    st.sampled_from([1, 3, 4]).map(lambda d: lambda: read_data(np.ones((12, d)), _case.y)),
    # calls
    SHAPES.filter(is_no_input).map(lambda shape: lambda: _model.posterior(tensor(shape))),
    st.integers(1, 5).map(lambda i: lambda: _model.posterior(_X, output_indices=[i])),
    st.one_of(
        st.text(max_size=2),
        st.floats(),
        SHAPES.filter(lambda s: s not in [(4, 1), (1, 1), (1,)] and s[-2:] != (4, 1)).map(tensor),
    ).map(lambda noise: lambda: _model.posterior(_X, observation_noise=noise)),
    SHAPES.filter(lambda s: s[-1] != 1).map(lambda s: lambda: _model.condition_on_observations(_X, tensor(s))),
    SHAPES.filter(is_no_input).map(lambda s: lambda: _model.condition_on_observations(tensor(s), tensor((4, 1)))),
    st.tuples(st.integers(0, 11), BAD_NUMBERS).map(
        lambda a: lambda: _model.set_train_data(targets=torch.from_numpy(spoil(_case.y, *a)))
    ),
    st.integers(1, 30).map(wrong_length).map(lambda n: lambda: _model.set_train_data(targets=tensor((n,)), strict=False)),
    SHAPES.filter(is_no_input).map(lambda s: lambda: _model.set_train_data(tensor(s), strict=False)),
    st.lists(st.integers(1, 4), min_size=1).map(lambda idcs: lambda: _model.subset_output(idcs)),
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(BAD)
def test_bad_input_is_refused_clearly_before_compilation_and_without_a_trace(act: Callable[[], Any]) -> None:
    before, compilations = _model.posterior(_X).mean, structures.cache_info().compilations
    with pytest.raises(PROMISED) as refusal:
        act()
    message = str(refusal.value)
    assert len(message) > 30, message
    assert any(word in message for word in ("Pass", "Leave", "Use", "Did you mean", "It has", "Call")), message
    assert structures.cache_info().compilations == compilations
    torch.testing.assert_close(_model.posterior(_X).mean, before, rtol=0, atol=0)
