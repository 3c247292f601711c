"""Stored clients, and strategies that are given to more than one."""

import copy
import pathlib
import sys
from typing import Any

import pytest
from ax.api.client import Client
from ax.exceptions.core import UserInputError
from ax.storage.botorch_modular_registry import CLASS_TO_REGISTRY, REVERSE_MODEL_REGISTRY
from ax_gps import PARAMETERS, TrialGP, client_of
from botorch.models.model import Model

from pymc_botorch.ax import generation_strategy, load_client
from pymc_botorch.ax.configuration import MODULE_OPTION

MODULE = "from ax_gps import TrialGP\n\n\nclass MeadowGP(TrialGP):\n    pass\n"


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """The file of a client whose class, of a module of its own, Ax has forgotten."""
    (tmp_path / "meadow_trial.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import meadow_trial

    client_of("single", meadow_trial.MeadowGP).save_to_json_file(str(tmp_path / "client.json"))
    forget(monkeypatch)
    return tmp_path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "meadow_trial")
    CLASS_TO_REGISTRY[Model].pop(REVERSE_MODEL_REGISTRY.pop("MeadowGP"))


def changed(folder: pathlib.Path, change: Any) -> str:
    path = folder / "client.json"
    path.write_text(change(path.read_text()))
    return str(path)


def test_the_module_of_a_class_is_imported(forgotten: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = load_client(forgotten / "client.json")
    assert "meadow_trial" in sys.modules
    assert client.get_next_trials(max_trials=1)
    forget(monkeypatch)


@pytest.mark.parametrize(
    ("module", "change", "match"),
    [
        (None, lambda text: text, r"class MeadowGP of the module meadow_trial, which can't be imported here .*PYTHONPATH"),
        ("", lambda text: text, "module meadow_trial, which has no such class now"),
        (
            MODULE,
            lambda text: text.replace('"meadow_trial"', '"__main__"'),
            r"MeadowGP of a script or notebook \(__main__\)",
        ),
        (MODULE, lambda text: text.replace(MODULE_OPTION, "maxiter"), "class MeadowGP of a module whose name was not stored"),
        (MODULE, lambda text: "", "is empty: Ax leaves it so when a save fails"),
        (MODULE, lambda text: text[:50], "is no JSON"),
    ],
)
def test_a_class_that_is_not_found_says_what_to_do(forgotten: pathlib.Path, module: str | None, change: Any, match: str) -> None:
    file = forgotten / "meadow_trial.py"
    file.unlink() if module is None else file.write_text(module + "\n" * 50)
    with pytest.raises(UserInputError, match=match):
        load_client(changed(forgotten, change))


@pytest.mark.parametrize("names", [("clover", "rye"), ("clover", "clover"), (None, None)])
def test_a_strategy_serves_one_client(names: tuple[str | None, str | None]) -> None:
    strategy = generation_strategy(TrialGP)
    one, other = (Client(random_seed=0) for _ in names)
    for client, name in zip((one, other), names, strict=True):
        client.configure_experiment(PARAMETERS, name=name)
        client.configure_optimization("harvest")
    one.set_generation_strategy(strategy)
    one.set_generation_strategy(strategy)
    with pytest.raises(UserInputError, match=r"serves another experiment .*Call pymc_botorch\.ax\.generation_strategy again"):
        other.set_generation_strategy(strategy)
    assert one.get_next_trials(max_trials=1)
    twin = copy.deepcopy(one)
    assert twin.get_next_trials(max_trials=1)
    other.set_generation_strategy(strategy.clone_reset())
    assert other.get_next_trials(max_trials=1)


def test_a_class_of_another_module_is_noticed(tmp_path: pathlib.Path) -> None:
    client_of("single", TrialGP).save_to_json_file(str(tmp_path / "client.json"))
    path = changed(tmp_path, lambda text: text.replace('"ax_gps"', '"elsewhere"'))
    with pytest.warns(UserWarning, match=r"class TrialGP of the module elsewhere, and is loaded with that of ax_gps") as caught:
        load_client(path)
    assert any(one.filename == __file__ for one in caught)
