"""README, example and tutorials do what they say."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
TUTORIALS = sorted((ROOT / "tutorials").glob("*.ipynb"))


@pytest.mark.filterwarnings("ignore:A not p.d., added jitter")  # candidates of a batch that start close together
def test_the_code_of_the_readme_ends_in_a_printed_batch(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    exec(compile(code.replace("jitter=False,", "jitter=False, progressbar=False,"), "README.md", "exec"), {})
    assert re.search(r"tensor\(\[\[ *[\d.]+\],\n +\[ *[\d.]+\]\], dtype=torch.float64\)", capsys.readouterr().out)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_committed_with_its_outputs_and_a_figure(path: pathlib.Path) -> None:
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert all(cell["execution_count"] for cell in cells)
    assert not any(output["output_type"] == "error" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


def without_layout(text: str) -> str:
    return re.sub(r"\s|#.*", "", text).replace(",)", ")")


def test_example_and_tutorial_have_one_model_and_propose_the_same_treatments() -> None:
    example = (ROOT / "examples" / "clover.py").read_text()
    notebook = json.loads((ROOT / "tutorials" / "01_from_pymc_to_botorch.ipynb").read_text())
    source = without_layout("\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"))
    for beginning, end in (
        ("YIELDS = ", "\n)\n"),
        ("reach = ", "return gp"),
        ("qLogExpectedImprovement(model", "treatments"),
    ):
        part = example[example.index(beginning) :]
        assert without_layout(part[: part.index(end)]) in source


def test_the_demo_prints_a_table_and_writes_its_figure(tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    command = [sys.executable, str(ROOT / "examples" / "clover.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout
    assert len(re.findall(r"^treatment \d +\d+ +\d+ +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d$", printed, flags=re.MULTILINE)) == 4
    assert (tmp_path / "clover.png").stat().st_size > 10_000
