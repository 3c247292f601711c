"""Print a version's section of CHANGELOG.md, as notes of its release; an error unless it is dated and the package's version."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def notes(version: str) -> str:
    """Return the changelog's section of a version, without its heading."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(version)} \((.*?)\)\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    if section is None:
        raise SystemExit(f"CHANGELOG.md has no section '## {version} (date)'.")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", section[1]):
        raise SystemExit(f"CHANGELOG.md says that {version} is {section[1]}. Write its date.")
    if f'__version__ = "{version}"' not in (ROOT / "pymc_botorch" / "__init__.py").read_text(encoding="utf-8"):
        raise SystemExit(f"pymc_botorch.__version__ is not {version}.")
    return section[2].strip()


if __name__ == "__main__":
    print(notes(sys.argv[1]))
