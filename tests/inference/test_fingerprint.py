"""Equal fingerprints only for builders that build the same."""

import enum
import functools
import logging
import operator
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import torch

from pymc_botorch.inference import fingerprint as fingerprint_module

SCALE = 0.5


def fingerprint(*arguments: object) -> object:
    return fingerprint_module.fingerprint(*arguments)[0]


def with_closure(value: object) -> Callable:
    def build_gp(X, y):  # type: ignore[no-untyped-def]
        return pm.Normal("a", value, SCALE)

    return build_gp


class Knobs:
    def __init__(self, level: float) -> None:
        self.level = level

    def helper(self) -> float:
        return self.level

    def build_gp(self, X: object, y: object) -> object:
        return pm.Normal("a", self.helper(), 1)


VALUES = [1, 1.0, True, 0.0, -0.0, "1", b"1", None, (1, 2), [1, 2], {1, 2}, {"a": 1}, {"a": 1.0}, np.ones(2), np.ones(2, int)]
VALUES += [np.ones((2, 1)), np.float64(1.0), Knobs(1.0), Knobs(2.0), Knobs(1.0).helper, functools.partial(min, 1), np.sin]


def test_builders_with_equal_closures_are_equal_and_all_others_differ() -> None:
    prints = [fingerprint(with_closure(value)) for value in VALUES]
    again = [fingerprint(with_closure(value)) for value in VALUES]
    assert prints == again
    assert None not in prints
    assert len(set(prints)) == len(VALUES)


def test_a_changed_value_is_never_taken_for_the_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.ones(3)
    knobs = Knobs(1.0)
    builders = [with_closure(array), with_closure(knobs), with_closure({"deep": [array]}), knobs.build_gp]
    before = [fingerprint(builder) for builder in builders]
    array[1] = 2.0
    knobs.level = 3.0
    after = [fingerprint(builder) for builder in builders]
    assert all(a != b for a, b in zip(before, after, strict=True))
    first = fingerprint(with_closure(1))
    monkeypatch.setitem(globals(), "SCALE", 0.7)
    assert fingerprint(with_closure(1)) != first


def test_globals_of_a_users_module_and_helpers_are_read() -> None:
    settings = ModuleType("settings")
    settings.reach = 1.0  # type: ignore[attr-defined]
    scope: dict[str, object] = {"settings": settings, "__name__": "__main__"}
    exec("def helper(X):\n    return settings.reach\ndef build_gp(X, y):\n    return helper(X)", scope)
    build_gp = scope["build_gp"]
    before = fingerprint(build_gp)
    assert before == fingerprint(build_gp)
    settings.reach = 2.0  # type: ignore[attr-defined]
    assert fingerprint(build_gp) != before
    settings.reach = 1.0  # type: ignore[attr-defined]
    assert fingerprint(build_gp) == before
    exec("def helper(X):\n    return -settings.reach", scope)
    assert fingerprint(build_gp) != before


def test_defaults_cycles_and_attributes_of_a_class_count() -> None:
    def with_default(X, y, level=1.0):  # type: ignore[no-untyped-def]
        return level

    before = fingerprint(with_default)
    with_default.__defaults__ = (2.0,)
    assert fingerprint(with_default) != before

    loop: list[object] = [1]
    loop.append(loop)
    assert fingerprint(with_closure(loop)) == fingerprint(with_closure(loop))

    class Louder(Knobs):
        factor = 2.0

    instance = Louder(1.0)
    before = fingerprint(instance.build_gp, {"level": 1.0})
    assert before == fingerprint(Louder(5.0).build_gp, {"level": 1.0})
    assert before != fingerprint(instance.build_gp, {"level": 1.5})
    Louder.factor = 3.0
    assert before != fingerprint(instance.build_gp, {"level": 1.0})


@pytest.mark.parametrize("value", [random.Random(1), np.random.default_rng(1), open, iter([1])], ids=lambda v: type(v).__name__)
def test_what_cannot_be_read_by_value_has_no_fingerprint(value: object) -> None:
    if value is open:  # a function of the standard library is what it is
        assert fingerprint(with_closure(value)) is not None
    else:
        assert fingerprint(with_closure(value)) is None


def module(name: str, monkeypatch: pytest.MonkeyPatch, **content: object) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(content)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def test_modules_imported_inside_held_in_closures_and_nested_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = module("lab", monkeypatch)
    lab.priors = module("lab.priors", monkeypatch, LS=1.0, lab=lab)  # type: ignore[attr-defined]

    def imports_inside(X, y):  # type: ignore[no-untyped-def]
        import lab.priors as p

        return p.LS

    def closes_over(X, y):  # type: ignore[no-untyped-def]
        return lab.priors.LS  # type: ignore[attr-defined]

    before = [fingerprint(imports_inside), fingerprint(closes_over)]
    assert None not in before
    lab.priors.LS = 2.0  # type: ignore[attr-defined]
    assert all(a != b for a, b in zip(before, [fingerprint(imports_inside), fingerprint(closes_over)], strict=True))


class Base:
    ls = 1.0

    def build_gp(self, X: object, y: object) -> object:
        return self.ls

    @classmethod
    def build_for_all(cls, X: object, y: object) -> object:
        return cls.ls


class Longer(Base):
    pass


class Fluent(dict):
    level = 1.0


@dataclass(frozen=True)
class Priors:
    reach: float = 1.0


def test_bases_classes_functions_and_labels_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_attribute(X, y):  # type: ignore[no-untyped-def]
        return with_attribute.ls

    with_attribute.ls = 1.0  # type: ignore[attr-defined]
    frame = pd.DataFrame({"a": [1.0], "b": [2.0]})
    builders = [with_closure(Longer()), with_closure(Longer), Longer().build_for_all, with_attribute]
    before = [fingerprint(b) for b in builders] + [fingerprint(with_closure(frame)), fingerprint(Longer().build_gp, {})]
    assert None not in before
    assert fingerprint(Base().build_gp, {}) != before[-1]
    monkeypatch.setattr(Base, "ls", 2.0)
    with_attribute.ls = 2.0  # type: ignore[attr-defined]
    swapped = frame.rename(columns={"a": "b", "b": "a"})
    after = [fingerprint(b) for b in builders] + [fingerprint(with_closure(swapped)), fingerprint(Longer().build_gp, {})]
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_settings_as_people_write_them_are_read_and_the_rest_is_not_guessed() -> None:
    log = logging.getLogger("trial")

    class Kernel(enum.Enum):
        ROUGH = 1
        SMOOTH = 2

    read = [Priors(), Priors(2.0), Kernel.ROUGH, Kernel.SMOOTH, log, torch.nn.Parameter(torch.ones(2)), torch.ones(2)]
    prints = [fingerprint(with_closure(value)) for value in read]
    assert None not in prints
    assert len(set(prints)) == len(read)
    assert fingerprint(with_closure(Priors())) == prints[0]
    assert fingerprint(with_closure(Fluent())) is None
    assert fingerprint(eval("lambda X, y: globals()['SCALE']")) is None
    assert fingerprint_module.fingerprint(with_closure(random.Random(1)))[1] == "a random.Random"


def from_cell(body: str, **scope: object) -> Callable:
    """The builder that a notebook's cell with these names defines."""
    scope = {"pm": pm, "__name__": "__main__", **scope}
    exec("def build_gp(X, y):\n    " + body.replace("\n", "\n    "), scope)
    return scope["build_gp"]  # type: ignore[return-value]


ATTRIBUTES = {
    "an attribute": "return pm.gp.Marginal, X.cov, y.level",
    "a method": "return X.gp(1) + y.cov(level=2) + X.level()",
    "an attribute that is set": "X.gp, X.cov, X.level = 1, 2, 3",
    "an attribute in a nested function": "return [pm.gp.cov for _ in y], lambda z: {z.level for z in X.gp}",
    "a class's own": "class Inner:\n    gp, cov = 1, 2\n    def level(self):\n        return super().level\nreturn Inner",
    "an imported name": "from pymc import gp\nfrom pymc.gp import cov as kernels\nimport pymc as level\nreturn gp, level",
    "an argument, and a local variable": "gp = pm.gp\ndef level(cov):\n    return cov(cov=1)\nreturn gp, level",
}


@pytest.mark.parametrize("body", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_globals_with_the_names_of_attributes_do_not_count(body: str) -> None:
    plain = fingerprint_module.fingerprint(from_cell(body))
    assert plain[1] == ""
    unreadable = {name: random.Random(0) for name in ("gp", "cov", "level")}
    assert fingerprint_module.fingerprint(from_cell(body, **unreadable)) == plain


GLOBALS = {
    "a value": "return level",
    "an attribute of a global": "return level.numerator",
    "in a lambda": "return lambda: [z + level for z in y]",
    "in the body of a class": "class Inner:\n    reach = level\nreturn Inner",
    "a global beside an attribute": "return X.level + level",
    "a global in a default": "def inner(z=level):\n    return z\nreturn inner",
    "a global in a default of a lambda": "return lambda z=level: z",
}


@pytest.mark.parametrize("body", GLOBALS.values(), ids=GLOBALS)
def test_globals_that_code_looks_up_count(body: str) -> None:
    assert fingerprint(from_cell(body, level=1)) == fingerprint(from_cell(body, level=1)) is not None
    assert fingerprint(from_cell(body, level=1)) != fingerprint(from_cell(body, level=2))
    assert fingerprint(from_cell(body, level=random.Random(0))) is None


def test_of_a_module_only_what_is_taken_of_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = module("lab", monkeypatch, level=1.0, gp=random.Random(0))
    body = "return pm.gp.Marginal, lab.level"
    first = fingerprint(from_cell(body, lab=lab))
    assert first is not None
    lab.level = 2.0  # type: ignore[attr-defined]
    assert fingerprint(from_cell(body, lab=lab)) not in (None, first)
    assert fingerprint(from_cell("own = lab\nreturn own.gp", lab=lab)) is None  # under another name


@pytest.mark.parametrize("body", ["from . import priors\nreturn priors.LS", "from .priors import LS\nreturn LS"])
def test_relative_imports_are_read(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = module("lab", monkeypatch)
    lab.priors = module("lab.priors", monkeypatch, LS=1.0)  # type: ignore[attr-defined]
    before = fingerprint(from_cell(body, __package__="lab"))
    lab.priors.LS = 2.0  # type: ignore[attr-defined]
    assert fingerprint(from_cell(body, __package__="lab")) not in (None, before)


@pytest.mark.parametrize(
    "body",
    [
        "import importlib\nreturn importlib.import_module('lab')",
        "from importlib import import_module\nreturn import_module('lab')",
        "from lab import importlib\nreturn importlib.import_module('lab')",
        "import builtins\nreturn builtins.eval('level')",
        "return __builtins__['eval']('level')",
        "import sys\nreturn sys.modules['lab'].level",
        "from sys import modules\nreturn modules['lab'].level",
        "import operator\nreturn operator.attrgetter('level')(lab)",
        "return attrgetter('level')(lab)",
        "return getter('level')(lab)",
        "return lab.__dict__['level']",
        "return vars(lab)['level']",
    ],
)
def test_values_that_are_reached_dynamically_have_no_fingerprint(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = {"lab": module("lab", monkeypatch, level=1.0), "attrgetter": operator.attrgetter, "getter": operator.attrgetter}
    assert fingerprint(from_cell("return lab.level", **scope)) is not None
    assert fingerprint(from_cell(body, **scope)) is None
