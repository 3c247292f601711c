"""Claims: the gradient of a GP's posterior mean at 600 points in one compiled call is at least 100 times faster than 600 calls of
a compiled single-point function, and equal to them within 1e-12; so are mean, variance and both gradients, within 1e-10.

Run by ``make bench``; writes docs/gradients.md. The example is that of the discussion which asked for it (pymc issue 6724): ten observations in one
dimension, Matern 5/2. Both sides are PyTensor functions of data and hyperparameters, compiled by Numba, called as their users
call them; one thread. ``gp.predict``, which compiles at each call, is asked for one point, as an optimiser does.
"""

import pathlib
import sys
import time
from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.graph.replace import graph_replace
from threadpoolctl import threadpool_limits
from timing import compare

from pymc_botorch import Predictor, compile_predict, config
from pymc_botorch.inference.fitted import read_fitted

X = np.linspace(0, 10, 10)[:, None]
Y = np.array([-0.73, -0.57, -0.15, 3.63, 8.06, 9.93, 7.68, 2.56, -2.51, -5.2])
POINT = {"ell": 3.29, "eta": 5.35, "sigma": 0.177}
PLACES = np.linspace(-1, 11, 600)[:, None]
CLAIMS = {"mean gradient": (100.0, 1e-12), "mean, variance and their gradients": (100.0, 1e-10)}
"""Times faster, and deviation relative to the largest number: PyMC's distance, as the loop has it, costs the gradient of the
variance two digits."""
PAGE = pathlib.Path(__file__).parent.parent / "docs" / "gradients.md"
INTRODUCTION = """# Predictions with gradients

Ten observations in one dimension, Matern 5/2 (the example of [pymc issue 6724](https://github.com/pymc-devs/pymc/issues/6724)): the gp at
600 new points. One thread; medians, both sides in one run (benchmarks/gradients.py). A loop over one compiled function of a single
point, with PyTensor's own gradients, is what can be had without this library, and gives the same numbers.

"""


def example() -> tuple[pm.gp.Marginal, pm.Model]:
    """The gp and its model."""
    with pm.Model() as pm_model:
        ell, eta, sigma = pm.LogNormal("ell", 1, 0.4), pm.LogNormal("eta", 2, 0.4), pm.LogNormal("sigma", -1, 0.6)
        gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
        gp.marginal_likelihood("y", X, Y, sigma)
    return gp, pm_model


def loops(gp: pm.gp.Marginal, pm_model: pm.Model) -> dict[str, Callable[[], np.ndarray]]:
    """The loop of single-point calls of a compiled function, for the gradient of the mean and for all."""
    fitted, _ = read_fitted(gp, POINT, model=pm_model, given=None, jitter=None, inputs_transformed=False)
    x = pt.matrix("x", dtype="float64", shape=(None, 1))
    graph = fitted.graph
    mean, cov = graph_replace([graph.mean, graph.cov], {graph.X: x, graph.given_noise: graph.noise}, strict=False)
    slopes = [pt.grad(out, x) for out in (mean[0], cov[0, 0])]
    point = (draws[0] for draws in fitted.draws.values())
    values = [np.asarray(value, dtype=np.float64) for value in (*fitted.data.values(), *point)]

    def loop(outputs: list) -> Callable[[], np.ndarray]:
        inputs = [x, *graph.inputs]
        function = pytensor.function(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
        return lambda: np.array([[out.item() for out in function(place[None], *values)] for place in PLACES])

    return {"mean gradient": loop(slopes[:1]), "mean, variance and their gradients": loop([mean, cov, *slopes])}


def all_at_once(predictor: Predictor) -> dict[str, Callable[[], np.ndarray]]:
    """The same numbers, ``600 x 1`` and ``600 x 4``, from one compiled call."""

    def gradients() -> np.ndarray:
        found = predictor.gradients(PLACES)
        return np.column_stack([found.mean, found.variance, found.mean_gradient, found.variance_gradient])

    return {"mean gradient": lambda: predictor.mean_gradient(PLACES), "mean, variance and their gradients": gradients}


def seconds_of_predict(gp: pm.gp.Marginal, pm_model: pm.Model) -> list[float]:
    """Seconds of each of four ``gp.predict`` at a single point."""
    seconds = []
    for place in PLACES[:4]:
        started = time.perf_counter()
        gp.predict(place[None], point=POINT, model=pm_model)
        seconds.append(time.perf_counter() - started)
    return seconds


def main() -> None:
    """Print the table, write the page, and stop where a claim does not hold."""
    gp, pm_model = example()
    started = time.perf_counter()
    predictor = compile_predict(gp, POINT, model=pm_model)
    ours, theirs = all_at_once(predictor), loops(gp, pm_model)
    ours["mean gradient"]()
    print(f"compiled after {time.perf_counter() - started:.1f} s (all functions, and the loops' own)")
    lines = [
        "| 600 points, with Numba | one call | loop of single points | times as fast (quartiles) | floor |",
        "|---|---|---|---|---|",
    ]
    for name, (floor, same) in CLAIMS.items():
        found, expected = ours[name](), theirs[name]()
        off = (abs(found - expected) / abs(expected).max(axis=0)).max()
        if off > same:
            sys.exit(f"{name}: off by {off:.1e}")
        result = compare(ours[name], theirs[name], repeats=15)
        times = f"{result.ratio:.0f} ({result.low:.0f} to {result.high:.0f})"
        lines.append(f"| {name} | {result.ours:.2f} ms | {result.theirs:.1f} ms | {times} | {floor:g} |")
        print(lines[-1], flush=True)
        if result.ratio < floor:
            sys.exit(f"{name}: {result.ratio:.1f} times, below the floor of {floor:g}")
    both = "mean, variance and their gradients"
    one_call = compare(ours[both], lambda: None, repeats=15).ours
    with config.change_flags(linker="numpy"):
        at_once = all_at_once(compile_predict(gp, POINT, model=pm_model))
        without = compare(at_once[both], lambda: None, repeats=15).ours
    first, *later = seconds_of_predict(gp, pm_model)
    lines += [
        "",
        "| who, and how many points | time |",
        "|---|---|",
        f"| `compile_predict`, 600 points, {both}, before Numba is ready (NumPy) | {without:.2f} ms |",
        f"| the same, with Numba | {one_call:.2f} ms |",
        f"| `gp.predict`, one point, mean and variance: the first call | {first:.1f} s |",
        f"| the next three, at other points, which compile again | {min(later):.2f} to {max(later):.2f} s |",
    ]
    print(*lines[-6:], sep="\n")
    PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")


if __name__ == "__main__":
    with config.change_flags(linker="numba"), threadpool_limits(limits=1):
        main()
