"""Execute the tutorials in place, or those named on the command line, and keep their outputs.

Each runs in a fresh kernel in its own folder. What an output could carry of this machine (paths of the checkout, of the
environment, of the home folder) is an error rather than something to commit. Warnings and other lines on standard error are
printed here and not kept. Under ``SMOKE_TEST`` loops are short and nothing is written: errors and warnings are all that counts.
"""

import json
import os
import pathlib
import sys
import time

import nbclient
import nbformat

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRIVATE = {str(ROOT), sys.prefix, str(pathlib.Path.home())}


def execute(path: pathlib.Path) -> None:
    """Run one notebook and write it back with its outputs."""
    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(path.parent)}}).execute()
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                print(f"{path.name}, cell {i}: {output['text'].rstrip()}")
        cell.metadata.pop("execution", None)
        cell["outputs"] = [o for o in cell.get("outputs", []) if o.get("name") != "stderr"] if cell.cell_type == "code" else []
        if cell.cell_type != "code":
            del cell["outputs"]
    if failed := [i for i, cell in enumerate(notebook.cells) for o in cell.get("outputs", []) if o["output_type"] == "error"]:
        raise SystemExit(f"{path.name}: cells {failed} have an error as output (of a figure); nothing was written")
    if os.environ.get("SMOKE_TEST"):
        print(f"{path.name}: {time.perf_counter() - started:.0f} s, not written", flush=True)
        return
    text = json.dumps(notebook)
    if found := sorted(private for private in PRIVATE if private in text):
        raise SystemExit(f"{path.name}: an output names this machine's {found}; nothing was written")
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(notebook, path)
    print(f"{path.name}: {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # figures become outputs
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    named = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    for notebook_path in named or sorted((ROOT / "tutorials").glob("*.ipynb")):
        execute(notebook_path)
