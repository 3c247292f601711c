"""Make or find the shared environment of this checkout's dependencies; print the path of its Python on stdout.

Standard library only: it runs on the bare interpreter that ``tools/python`` found. An environment is keyed by what
decides its content (the dependency tables of pyproject.toml and the interpreter's version), lives outside the checkout
(``PYMC_BOTORCH_ENVS``, by default ``~/.cache/pymc_botorch/environments``), and holds dependencies only, never the
package: several clones use one, each with its own sources on ``PYTHONPATH``.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def requirements(pyproject: dict) -> list[str]:
    """Return what the package, its dev group and the groups that it includes ask for."""
    groups = pyproject["dependency-groups"]

    def expand(name: str) -> list[str]:
        found = []
        for entry in groups[name]:
            found += [entry] if isinstance(entry, str) else expand(entry["include-group"])
        return found

    return sorted({*pyproject["project"]["dependencies"], *expand("dev")})


def key(wanted: list[str]) -> str:
    """Return a short hash of the requirements and the interpreter."""
    text = json.dumps([wanted, platform.python_implementation(), platform.python_version(), platform.machine()])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def install(folder: pathlib.Path, wanted: list[str]) -> None:
    """Make the environment from nothing; a marker file says that it is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    print(f"Installing the dependencies for Python {platform.python_version()} (once; about 7 GB) ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
    (folder / "complete").write_text("\n".join(wanted) + "\n")
    print(f"Installed in {time.perf_counter() - started:.0f} s.", file=sys.stderr)


def main() -> None:
    """Print the interpreter of the environment, made first where it is missing."""
    wanted = requirements(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    default = pathlib.Path.home() / ".cache" / "pymc_botorch" / "environments"
    home = pathlib.Path(os.environ.get("PYMC_BOTORCH_ENVS", default))
    home.mkdir(parents=True, exist_ok=True)
    folder = home / key(wanted)
    with (home / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two clones may start at once
        if not (folder / "complete").exists():
            install(folder, wanted)
    print(folder / "bin" / "python")


if __name__ == "__main__":
    main()
