"""What the package says on its logger, and shows of fits that last."""

import logging

import pymc as pm
import pytest
import torch
from rich.console import Console

import pymc_botorch
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP, logs
from pymc_botorch.inference.fit import budget

X = torch.linspace(0, 1, 6, dtype=torch.double).unsqueeze(-1)
Y = (6 * X).sin()


def build_gp(X, y):  # type: ignore[no-untyped-def]
    gp = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("reach", -1, 1)))
    gp.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 1))
    return gp


def test_the_logger_has_no_handler_that_writes_and_no_level_of_its_own() -> None:
    assert [type(handler) for handler in logs.logger.handlers] == [logging.NullHandler]
    assert (logs.logger.name, logs.logger.level) == ("pymc_botorch", logging.NOTSET)


def test_what_computes_is_said_once_and_what_takes_long_each_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_said", set())
    caplog.set_level(logging.INFO, "pymc_botorch")
    pymc_botorch.cache_clear()
    PyMCGP(X, Y, build_gp=build_gp).fit(num_starts=1).fit(num_starts=1)
    serves = "NumPy computes, without Numba. (pymc_botorch.config.linker = 'numpy')"
    assert caplog.messages.count(serves) == 1
    caplog.clear()
    monkeypatch.setattr(logs, "LONG", 0.0)
    pymc_botorch.cache_clear()
    PyMCGP(X, Y, build_gp=build_gp).fit(num_starts=1)
    FullyBayesianPyMCGP(X, Y, build_gp=build_gp).fit("laplace", seed=0)
    said = " ".join(caplog.messages)
    for text in ("Fit of a point to 6 observations took", "(Laplace's method) took", "build_gp", "with its compilation, took"):
        assert text in said
    assert serves not in said


@pytest.mark.parametrize("progressbar", [True, False])
def test_fits_from_many_starts_and_by_laplaces_method_show_what_they_do(
    progressbar: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budget, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setattr("rich._console", None)  # an earlier one has seen that there is no terminal
    monkeypatch.setenv("TERM", "xterm")
    PyMCGP(X, Y, build_gp=build_gp).fit(num_starts=3, progressbar=progressbar)
    assert ("Fitting hyperparameters: start 1 of 3" in capsys.readouterr().out) == progressbar
    FullyBayesianPyMCGP(X, Y, build_gp=build_gp).fit("laplace", seed=0, progressbar=progressbar)
    assert ("Sampling hyperparameters: laplace" in capsys.readouterr().out) == progressbar
