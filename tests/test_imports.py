"""The law of imports: a floor imports only floors below it, and the core needs no extra."""

import ast
import graphlib
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

import pymc_botorch

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
    modules = sorted((PACKAGE / floor).rglob("*.py"))
    assert modules
    for path in modules:
        names = set(imported(ast.parse(path.read_text())))
        broken = {n for n in names if any(n == lib or n.startswith(lib + ".") for lib in FORBIDDEN[floor])}
        assert not broken, f"{path.name} imports {broken}"


@pytest.mark.parametrize("floor", HIGHER_FLOORS)
def test_a_floor_imports_no_floor_above_it(floor: str) -> None:
    for path in sorted((PACKAGE / floor).rglob("*.py")):
        names = set(imported(ast.parse(path.read_text())))
        broken = {n for n in names if any(n.startswith(f"pymc_botorch.{above}") for above in HIGHER_FLOORS[floor])}
        assert not broken, f"{path.name} imports {broken}"


def dependencies(path: pathlib.Path) -> set[str]:
    """Modules of the package that a module imports, wherever the import stands and whatever it is for."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pymc_botorch"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("pymc_botorch")}
    return names


def test_no_imports_go_in_a_circle_those_for_types_included() -> None:
    paths = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    graph = {name: (dependencies(path) & set(paths)) - {name} for name, path in paths.items() if path.name != "__init__.py"}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph)  # raises a CycleError that names the circle


def test_modules_are_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    assert lengths[len(lengths) // 2] <= 120
    assert lengths[-1] <= 250


def test_nobody_reads_the_private_fields_of_a_model() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("model", "fitted"):
                assert not node.attr.startswith("_") or node.attr == "_is_fully_bayesian" or node.attr.endswith("__"), (
                    f"{path.name}: {node.attr}"
                )


@pytest.mark.parametrize("face", ["predict.py", "symbolic.py"])
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


def test_what_a_fresh_process_imports_and_when() -> None:
    code = """
import sys
slow = {"arviz", "ax", "botorch", "gpytorch", "jax", "matplotlib", "numba", "nutpie", "pymc", "scipy.stats", "torch"}
import pymc_botorch
print(sorted(slow & set(sys.modules)))
import pymc as pm
before = set(sys.modules)
X = [[0.0], [0.5], [1.0]]
with pm.Model():
    gp = pymc_botorch.shape.MonotoneGP(cov_func=pm.gp.cov.ExpQuad(1, ls=pm.LogNormal("reach")))  # without signs
    gp.marginal_likelihood("y", pm.Data("X", X), pm.Data("outcomes", [0.0, 1.0, 3.0]), sigma=0.1)
    pymc_botorch.symbolic_posterior(gp, X)
    pymc_botorch.compile_predict(gp, {"reach": 0.4}).predict(X)
print(sorted(slow & set(sys.modules) - before))
pymc_botorch.PyMCGP, pymc_botorch.FullyBayesianPyMCGP, pymc_botorch.to_jax, pymc_botorch.compare
print(sorted(slow & set(sys.modules) - before))
"""
    environment = {**os.environ, "PYMC_BOTORCH_LINKER": "numpy"}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent, env=environment).stdout
    assert printed.splitlines() == ["[]", "[]", "['botorch', 'gpytorch', 'torch']"]


def test_type_checkers_see_each_public_name_where_it_is_imported_from() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert declared == pymc_botorch._MODULES
    public = {name: getattr(pymc_botorch, name) for name in pymc_botorch.__all__}
    assert public.keys() == declared.keys() | {"FitWarning", "config"}
    assert public.keys() <= set(dir(pymc_botorch))
    with pytest.raises(AttributeError, match="no attribute 'PyMCGp'"):
        _ = pymc_botorch.PyMCGp
