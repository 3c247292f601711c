"""Write requirements.lock, the versions of this checkout's environment, from pyproject.toml.

    python tools/lock.py                       # after a change of dependencies; other versions stay
    python tools/lock.py --upgrade             # their newest versions
    python tools/lock.py --upgrade-package jax

It holds for each supported Python and platform, with hashes. It names no package index: whoever installs from it uses their own.
"""

import pathlib
import subprocess
import sys
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUPPORTED = ["--universal", "--python-version", "3.12"]  # and what [tool.uv] of pyproject.toml says
CONTENT = ["--all-extras", "--group", "dev", "--generate-hashes", "--custom-compile-command", "make lock"]
FILES = ["--output-file", "requirements.lock", "pyproject.toml"]


def main(arguments: Sequence[str]) -> int:
    """Run uv, which keeps the versions that the file has, and return its exit code."""
    uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-python-downloads", "--python", sys.executable]
    return subprocess.run([*uv, *SUPPORTED, *CONTENT, *FILES, *arguments], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
