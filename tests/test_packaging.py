"""What the package says of itself: dependencies, lock, versions."""

import ast
import pathlib
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pymc_botorch

ROOT = pathlib.Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKED = {entry.split("==")[0]: entry for entry in re.split(r"^(?=\w)", LOCK, flags=re.MULTILINE)[1:]}
"""What the lock says of each package: version, markers, hashes, and what asks for it."""
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
DISTRIBUTIONS = {"ax": "ax-platform"}
"""Where a module has another name than what is installed."""


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def locked_version(name: str) -> str:
    return re.split(r"==|\s", LOCKED[name])[1]


def test_the_lock_is_that_of_the_dependencies() -> None:
    groups = [text for group in PYPROJECT["dependency-groups"].values() for text in group if isinstance(text, str)]
    declared = PYPROJECT["project"]["dependencies"] + [text for extra in EXTRAS.values() for text in extra] + groups
    asked_for = {name for name, entry in LOCKED.items() if "(pyproject.toml" in entry}
    assert asked_for == names(declared), "run `make lock`"
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(locked_version(canonicalize_name(requirement.name))), "run `make lock`"


def test_no_file_names_the_host_of_a_package_index() -> None:
    indexes = [".".join(name) for name in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"), ("npmjs", "org"))]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    assert "requirements.lock" in tracked
    files = [path for path in map(ROOT.joinpath, filter(None, tracked)) if path.is_file()]
    found = [(path.name, index) for path in files for index in indexes if index.encode() in path.read_bytes().lower()]
    assert not found, "pip and uv know where their packages are: leave the address out"


def test_pytensor_is_pinned_as_pymc_pins_it() -> None:
    pins = [Requirement(text) for text in (requires("pymc") or []) + PYPROJECT["project"]["dependencies"]]
    of_pymc, ours = (pin.specifier for pin in pins if pin.name == "pytensor")
    assert ours == of_pymc


def modules_imported() -> set[str]:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "pymc_botorch").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"pymc_botorch"}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = [text for texts in (PYPROJECT["project"]["dependencies"], *EXTRAS.values()) for text in texts]
    imported = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in modules_imported()}
    assert imported == names(declared)


def test_the_version_is_the_same_everywhere() -> None:
    (cited,) = re.findall(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    newest = re.search(r"^## (\S+) \(", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest is not None
    assert pymc_botorch.__version__ == cited == newest[1]


@pytest.mark.parametrize("tool", ["ruff", "uv"])
def test_hooks_before_a_commit_have_the_versions_of_the_lock(tool: str) -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (version,) = re.findall(rf"{tool}(?:-pre-commit\n    rev: v|==)([\w.]+)", text)
    assert version == locked_version(tool)


def test_there_are_no_release_notes_of_a_version_without_a_section() -> None:
    command = [sys.executable, str(ROOT / "tools" / "release_notes.py"), "99.0"]
    assert "has no section" in subprocess.run(command, capture_output=True, text=True).stderr
