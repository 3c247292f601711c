"""A subclass with annotations passes ``mypy --strict``."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
EVERY_OTHER_LIBRARY = """[mypy]
strict = True

[mypy-pymc_botorch.*]
follow_imports = silent

[mypy-arviz_stats.*,botorch.*,gpytorch.*,jax.*,linear_operator.*,numba.*,numpy.*,pandas.*,pymc.*,pytensor.*,rich.*,scipy.*,torch.*,xarray.*]
follow_imports = skip
ignore_missing_imports = True
"""
"""Settings that leave the other libraries unread, which takes seconds; ``make lint`` reads them, which takes half a minute."""


def test_the_example_of_the_readme_with_annotations_is_strictly_typed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mypy.ini").write_text(EVERY_OTHER_LIBRARY)
    options = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path)]
    command = [sys.executable, "-m", "mypy", *options, str(ROOT / "tests" / "typed" / "trial.py")]
    checked = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert checked.stdout.startswith("Success"), checked.stdout + checked.stderr


def test_that_example_is_the_one_of_the_readme() -> None:
    readme, typed = ((ROOT / path).read_text(encoding="utf-8") for path in ("README.md", "tests/typed/trial.py"))
    body = readme[readme.index("        reach = ") : readme.index("        return gp")]
    assert body in typed
