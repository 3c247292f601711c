"""The law of imports: a floor imports only floors below it, and the core needs no extra."""

import ast
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

PACKAGE = pathlib.Path(__file__).parent.parent / "pymc_botorch"
TORCH = {"torch", "botorch", "gpytorch", "linear_operator", "ax"}
FORBIDDEN = {"graph": TORCH | {"scipy.optimize"}, "inference": TORCH, "models": {"pymc", "pytensor", "ax"}}
HIGHER_FLOORS = {"graph": {"inference", "models"}, "inference": {"models"}}


def imported(tree: ast.Module) -> Iterator[str]:
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_a_floor_imports_no_library_that_it_must_not_know(floor: str) -> None:
    modules = sorted((PACKAGE / floor).glob("*.py"))
    assert modules
    for path in modules:
        names = set(imported(ast.parse(path.read_text())))
        broken = {n for n in names if any(n == lib or n.startswith(lib + ".") for lib in FORBIDDEN[floor])}
        assert not broken, f"{path.name} imports {broken}"


@pytest.mark.parametrize("floor", HIGHER_FLOORS)
def test_a_floor_imports_no_floor_above_it(floor: str) -> None:
    for path in sorted((PACKAGE / floor).glob("*.py")):
        names = set(imported(ast.parse(path.read_text())))
        broken = {n for n in names if any(n.startswith(f"pymc_botorch.{above}") for above in HIGHER_FLOORS[floor])}
        assert not broken, f"{path.name} imports {broken}"


@pytest.mark.parametrize("face", ["predict.py"])
def test_a_face_for_pymc_users_imports_no_torch_and_no_other_face(face: str) -> None:
    names = set(imported(ast.parse((PACKAGE / face).read_text())))
    own = ("pymc_botorch.errors", "pymc_botorch.graph", "pymc_botorch.inference")
    assert not {n for n in names if n.split(".")[0] in TORCH | {"scipy"}}
    assert not {n for n in names if n.startswith("pymc_botorch") and not n.startswith(own)}


def test_the_face_for_ax_imports_models_and_no_other_face() -> None:
    modules = sorted((PACKAGE / "ax").glob("*.py"))
    assert modules
    for path in modules:
        names = set(imported(ast.parse(path.read_text())))
        own = ("pymc_botorch.ax", "pymc_botorch.errors", "pymc_botorch.models")
        assert not {n for n in names if n.split(".")[0] in ("pymc", "pytensor")}
        assert not {n for n in names if n.startswith("pymc_botorch") and not n.startswith(own)}


def test_importing_the_package_imports_no_extra() -> None:
    code = "import sys, pymc_botorch; print(sorted({'ax', 'nutpie', 'jax'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert printed.stdout.strip() == "[]"
