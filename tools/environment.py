"""Make or find the shared environment of this checkout's dependencies; print the path of its Python on stdout.

Standard library only: it runs on the bare interpreter that ``tools/python`` found, on Linux, macOS and Windows. An environment
is keyed by what decides its content (``requirements.lock`` and the interpreter), lives outside the checkout
(``PYMC_BOTORCH_ENVS``, by default ``~/.cache/pymc_botorch/environments``), and holds dependencies only, never the package:
several clones use one, each with its own sources on ``PYTHONPATH``.

uv, in the version of the lock, is installed by pip, and installs the rest from its cache: a second environment takes seconds and
hardly any disk. Where uv cannot reach the package index, pip installs the same versions, by its own configuration.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"


def python_in(folder: pathlib.Path) -> pathlib.Path:
    """Return the path of an environment's interpreter."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def key() -> str:
    """Return a short hash of the locked dependencies and the interpreter."""
    interpreter = [platform.python_implementation(), platform.python_version(), platform.machine()]
    lock = LOCK.read_text(encoding="utf-8")  # the same text with any line ends
    return hashlib.sha256(json.dumps([lock, interpreter]).encode()).hexdigest()[:12]


def locked_version(package: str) -> str:
    """Return the version of a package in the lock."""
    (version,) = re.findall(rf"^{re.escape(package)}==(\S+)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return version


def install(folder: pathlib.Path) -> None:
    """Make the environment from nothing; a marker file says that it is whole."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    print(f"Installing the dependencies for Python {platform.python_version()} (once; about 7 GB) ...", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
    python, wanted = str(python_in(folder)), ["--no-deps", "--require-hashes", "-r", str(LOCK)]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"uv=={locked_version('uv')}"], check=True, stdout=sys.stderr)
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    by_uv = subprocess.run([*uv, *wanted], stdout=sys.stderr)
    if by_uv.returncode:
        print("uv could not install them; pip does.", file=sys.stderr)
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)
    (folder / "complete").touch()
    print(f"Installed in {time.perf_counter() - started:.0f} s.", file=sys.stderr)


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock between processes, which ends with the process too."""
    with path.open("a+") as file:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            while True:
                with contextlib.suppress(OSError):  # after ten seconds of waiting
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Print the interpreter of the environment, made first where it is missing."""
    default = pathlib.Path.home() / ".cache" / "pymc_botorch" / "environments"
    home = pathlib.Path(os.environ.get("PYMC_BOTORCH_ENVS", default))
    home.mkdir(parents=True, exist_ok=True)
    folder = home / key()
    with locked(home / f"{folder.name}.lock"):  # two clones may start at once
        if not (folder / "complete").exists():
            install(folder)
    print(python_in(folder))


if __name__ == "__main__":
    main()
