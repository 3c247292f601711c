"""Install the package as a user does, from its wheel and its sdist, into a new environment, and run the README's first example.

    python tools/install_check.py                             # with the interpreter that runs it
    python tools/install_check.py python3.12 /opt/python3.14  # with these
    python tools/install_check.py --all                       # with each supported Python that is found on this machine

Each environment takes about 7 GB while it is checked (2 GB with ``--cpu``, which takes PyTorch's build for CPUs from its own
index). It needs the package ``build``, as the environment of ``make environment`` has it.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUPPORTED = ("3.12", "3.13", "3.14")
EXTRAS = "ax,nuts"
CPU_ONLY = ("torch", "--index-url", "https://download.pytorch.org/whl/cpu")
INSTALLED = """
import importlib.metadata, pathlib, sys, time
started = time.perf_counter()
import pymc_botorch
seconds = time.perf_counter() - started
assert pathlib.Path(pymc_botorch.__file__).is_relative_to(sys.prefix), pymc_botorch.__file__
assert pymc_botorch.__version__ == importlib.metadata.version("pymc_botorch")
assert (pathlib.Path(pymc_botorch.__file__).parent / "py.typed").exists()
import pymc_botorch.acquisition, pymc_botorch.ax, pymc_botorch.shape, nutpie
print(f"pymc_botorch {pymc_botorch.__version__}, imported in {seconds:.1f} s", flush=True)
"""


def run(*command: str | os.PathLike[str], **options: object) -> None:
    """Run a command, which must succeed."""
    subprocess.run([os.fspath(part) for part in command], check=True, **options)  # type: ignore[call-overload]


def version_of(python: str) -> str | None:
    """Return an interpreter's version, such as ``"3.13"``; None if it does not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    return None


def found_interpreters() -> list[str]:
    """Return one interpreter for each supported version: from the path, uv, pyenv or the launcher of Windows."""
    found: dict[str, str] = {}
    for wanted in SUPPORTED:
        candidates = [f"python{wanted}", "python3", "python", sys.executable]
        for finder in (["uv", "python", "find", wanted], ["py", f"-{wanted}", "-c", "import sys; print(sys.executable)"]):
            if shutil.which(finder[0]):
                candidates.append(subprocess.run(finder, capture_output=True, text=True).stdout.strip())
        candidates += sorted(map(str, pathlib.Path.home().glob(f".pyenv/versions/{wanted}*/bin/python")))
        for candidate in filter(None, candidates):
            if version_of(candidate) == wanted:
                found[wanted] = candidate
                break
        else:
            print(f"Python {wanted} is not on this machine: not checked.")
    return list(found.values())


def check(python: str, wheel: pathlib.Path, sdist: pathlib.Path, *, cpu: bool) -> None:
    """Install both into a new environment of this interpreter and run the example, from a folder without the sources."""
    started = time.perf_counter()
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert code is not None, "README.md has no example"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = pathlib.Path(folder) / "environment"
        run(python, "-m", "venv", environment)
        inside = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        pip = (inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        settings = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYMC_BOTORCH"))}
        settings |= {"MPLBACKEND": "Agg", "PYTENSOR_FLAGS": f"base_compiledir={pathlib.Path(folder) / 'compiled'}"}
        if cpu:
            run(*pip, *CPU_ONLY, env=settings)
        run(*pip, f"{wheel}[{EXTRAS}]", env=settings)
        run(inside, "-m", "pip", "check", env=settings)
        for name, artefact in (("wheel", wheel), ("sdist", sdist)):
            if name == "sdist":  # its dependencies are there
                run(*pip, "--no-deps", "--force-reinstall", artefact, env=settings)
            run(inside, "-c", INSTALLED, cwd=folder, env=settings)
            run(inside, "-c", code[1], cwd=folder, env=settings)
            print(f"Python {version_of(python)}: the README's example runs from the {name}.", flush=True)
    print(f"Python {version_of(python)}: {time.perf_counter() - started:.0f} s")


def main(arguments: Sequence[str]) -> None:
    """Build the package and check it with each interpreter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", help="interpreters; by default the one that runs this")
    parser.add_argument("--all", action="store_true", help=f"each of Python {', '.join(SUPPORTED)} that is found")
    parser.add_argument("--cpu", action="store_true", help="PyTorch's build for CPUs")
    parser.add_argument("--built", type=pathlib.Path, help="a folder with a wheel and an sdist; by default they are built")
    options = parser.parse_args(arguments)
    pythons = found_interpreters() if options.all else options.pythons or [sys.executable]
    with tempfile.TemporaryDirectory() as built:
        folder = (options.built or pathlib.Path(built)).resolve()
        if options.built is None:  # the wheel is built from the sdist
            run(sys.executable, "-m", "build", "--outdir", folder, ROOT, stdout=subprocess.DEVNULL)
        (wheel,), (sdist,) = (tuple(folder.glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
        for python in pythons:
            check(python, wheel, sdist, cpu=options.cpu)


if __name__ == "__main__":
    main(sys.argv[1:])
