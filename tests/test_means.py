"""The gallery of mean functions: its code runs, and does what its page says."""

import pathlib
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

PAGE = pathlib.Path(__file__).parent.parent / "docs" / "means.md"
IMPORTS, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


class Curve(NamedTuple):
    """A curve of the gallery in NumPy, and an experiment that obeys it."""

    formula: Callable[..., np.ndarray]
    parameters: dict[str, Any]
    X: np.ndarray
    noise: float
    far: list[float]  # many lengthscales from the data


def crossed(*axes: Any) -> np.ndarray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def mitscherlich(X: np.ndarray, ceiling: Any, shortage: Any, reach: Any) -> np.ndarray:
    return ceiling * (1 - shortage[0] * np.exp(-X[:, 0] / reach[0])) * (1 - shortage[1] * np.exp(-X[:, 1] / reach[1]))


def michaelis_menten(X: np.ndarray, top: Any, half: Any) -> np.ndarray:
    return top * X[:, 0] / (half + X[:, 0])


def hill_curve(X: np.ndarray, bottom: Any, top: Any, log_ec50: Any, hill: Any) -> np.ndarray:
    dose, ec50 = 10 ** X[:, 0], 10**log_ec50
    return bottom + (top - bottom) * dose**hill / (ec50**hill + dose**hill)


def quadratic(X: np.ndarray, level: Any, slope: Any, bend: Any, twist: Any) -> np.ndarray:
    a, b = (X[:, 0] - 80) / 20, (X[:, 1] - 6) / 4
    return level + slope[0] * a + slope[1] * b + bend[0] * a**2 + bend[1] * b**2 + twist * a * b


CURVES = {
    "NutrientTrial": Curve(
        mitscherlich,
        {"ceiling": 10.0, "shortage": np.array([0.4, 0.6]), "reach": np.array([45.0, 20.0])},
        crossed([0, 40, 80, 160], [0, 15, 45, 90]),
        0.2,
        [1000, 1000],
    ),
    "EnzymeAssay": Curve(
        michaelis_menten, {"top": 62.0, "half": 1.4}, np.array([0.25, 0.5, 1, 2, 4, 8, 16.0])[:, None], 0.7, [500]
    ),
    "DoseResponse": Curve(
        hill_curve,
        {"bottom": 3.0, "top": 92.0, "log_ec50": -6.6, "hill": 1.5},
        np.linspace(-9, -4, 11)[:, None],
        1.5,
        [4],
    ),
    "SurfaceDesign": Curve(
        quadratic,
        {"level": 78.0, "slope": np.array([3.0, -2.0]), "bend": np.array([-6.0, -4.0]), "twist": 2.5},
        np.array([80, 6.0]) + np.array([20, 4.0]) * crossed([-1, 0, 1], [-1, 0, 1]),
        0.5,
        [300, 60],
    ),
}
TOLERANCE = 0.15
"""Relative error of a parameter's estimate, from the noise of these experiments."""


@cache
def trial(name: str) -> type[PyMCGP]:
    """The class of the page, by its name."""
    namespace: dict[str, Any] = {"__name__": "means"}
    (block,) = (block for block in BLOCKS if f"class {name}(" in block)
    exec(compile(IMPORTS + block, PAGE.name, "exec"), namespace)
    return namespace[name]


def outcomes(curve: Curve) -> np.ndarray:
    noise = curve.noise * np.random.default_rng(1).normal(size=len(curve.X))
    return (curve.formula(curve.X, **curve.parameters) + noise)[:, None]


@cache
def fitted(name: str) -> PyMCGP:
    """A model that no test changes."""
    return trial(name)(CURVES[name].X, outcomes(CURVES[name])).fit()


def tensor(X: Any) -> torch.Tensor:
    return torch.as_tensor(X, dtype=torch.double)


def curve_of(name: str, model: PyMCGP, X: np.ndarray) -> np.ndarray:
    curve = CURVES[name]
    return curve.formula(X, **{parameter: model.point[parameter] for parameter in curve.parameters})


def test_the_gallery_is_that_of_these_curves_in_few_lines() -> None:
    assert [re.findall(r"^class (\w+)\(PyMCGP\):", block) for block in BLOCKS] == [[name] for name in CURVES]
    assert all(8 <= len([line for line in block.splitlines() if line.strip()]) <= 16 for block in BLOCKS)


@pytest.mark.parametrize("name", CURVES)
def test_parameters_are_found(name: str) -> None:
    model = fitted(name)
    assert model.fit_result.trusted
    for parameter, truth in CURVES[name].parameters.items():
        np.testing.assert_allclose(model.point[parameter], truth, rtol=TOLERANCE, err_msg=parameter)


@pytest.mark.parametrize("name", CURVES)
def test_far_from_the_data_the_prediction_is_the_curve(name: str) -> None:
    model, far = fitted(name), np.array([CURVES[name].far], dtype=float)
    posterior = model.posterior(tensor(far))
    np.testing.assert_allclose(posterior.mean.numpy()[0], curve_of(name, model, far), rtol=1e-6)
    assert posterior.variance.sqrt().item() == pytest.approx(model.point["departure"], rel=1e-4)


@pytest.mark.parametrize("name", CURVES)
def test_slopes_are_those_of_differences(name: str) -> None:
    model, X = fitted(name), CURVES[name].X
    points = tensor(np.random.default_rng(2).uniform(X.min(0), X.max(0), size=(5, X.shape[1]))).requires_grad_()
    for moment in ("mean", "variance"):
        (slopes,) = torch.autograd.grad(getattr(model.posterior(points), moment).sum(), points)
        for j in range(X.shape[1]):
            step = np.zeros(X.shape[1])
            step[j] = 1e-4 * np.ptp(X[:, j])
            up, down = (getattr(model.posterior(points.detach() + sign * tensor(step)), moment)[:, 0] for sign in (1, -1))
            expected = (up - down) / (2 * step[j])
            torch.testing.assert_close(slopes[:, j], expected, rtol=1e-4, atol=1e-5 * slopes.abs().max().item())


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("NutrientTrial", lambda X: -1.5 * (X[:, 0] / 160) ** 3),
        ("EnzymeAssay", lambda X: -15 * (X[:, 0] / 16)),
        ("DoseResponse", lambda X: -20 * np.clip(X[:, 0] + 6, 0, None)),
    ],
)
def test_harm_by_excess_shows_in_the_departure(name: str, harm: Callable[[np.ndarray], np.ndarray]) -> None:
    curve = CURVES[name]
    harmed = outcomes(curve) + harm(curve.X)[:, None]
    model = trial(name)(curve.X, harmed).fit()
    assert model.point["departure"] > 1.5 * fitted(name).point["departure"]
    of_gp, of_curve = model.posterior(tensor(curve.X)).mean.numpy()[:, 0], curve_of(name, model, curve.X)
    assert np.std(of_gp - harmed[:, 0]) < 0.7 * np.std(of_curve - harmed[:, 0])


def test_over_draws_the_curve_is_uncertain_where_there_are_no_data() -> None:
    class EnzymeDraws(FullyBayesianPyMCGP):
        units = "natural"
        build_gp = trial("EnzymeAssay").build_gp

    curve = CURVES["EnzymeAssay"]
    model = EnzymeDraws(curve.X, outcomes(curve)).fit(seed=1)
    assert model.fit_result.trusted
    far = tensor([curve.far])
    posterior, at_point = model.posterior(far), fitted("EnzymeAssay").posterior(far)
    assert posterior.mixture_mean.item() == pytest.approx(62, rel=TOLERANCE)
    assert posterior.mixture_variance.sqrt().item() > 1.5 * at_point.variance.sqrt().item()
