"""The notebooks run, and what is stored of them is what their text makes: every cell in order, with no error."""

import os
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

from tests.support.fresh_process import run_fresh
from tests.support.run_notebook import run_notebook

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOURCES = [path for path in sorted(NOTEBOOKS.glob("*.py")) if path.read_text().startswith("# %%")]
# Values of their parameters with which they run in seconds.
SMALL = {
    "01_first_model": ("ROWS=1500", "EPOCHS=1"),
    "02_your_own_log": ("ROWS=1500",),
    "03_tasks_that_conflict": ("ROWS=1500", "EPOCHS=1"),
    "04_layers_in_keras": ("ROWS=1500", "EPOCHS=1"),
    "05_export_and_serve": ("ROWS=1500", "EPOCHS=1"),
    "06_two_stages": ("ROWS=1500", "EPOCHS=1", "RETRIEVAL_EPOCHS=1"),
    "07_lifetimes": ("ROWS=1500", "EPOCHS=1", "ADS=400", "ADS_EPOCHS=1"),
}


def cells_of(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_stored_is_what_the_text_makes(source: Path) -> None:
    stored = nbformat.read(source.with_suffix(".ipynb"), 4)
    assert cells_of(stored) == cells_of(jupytext.read(source)), f"run python notebooks/make.py {source.stem}"
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert all(output.get("name") != "stderr" for output in outputs), "it holds paths of the machine that made it"
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_every_notebook_has_its_text_and_a_line_on_their_page() -> None:
    names = {path.stem for path in SOURCES}
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == names
    page = (NOTEBOOKS.parent / "docs" / "notebooks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == names


@pytest.mark.process
@pytest.mark.parametrize("source", [path for path in SOURCES if path.stem in SMALL], ids=lambda path: path.stem)
def test_a_notebook_runs(source: Path) -> None:
    env = {**os.environ, "MPLBACKEND": "Agg"}
    run_fresh("-m", "tests.support.run_notebook", source, *SMALL[source.stem], env=env)


def test_a_notebook_that_fails_is_told_apart(tmp_path: Path) -> None:
    source = tmp_path / "wrong.py"
    source.write_text('# %% tags=["parameters"]\nROWS = 2\n\n# %%\n1 / (ROWS - 3)\n')
    assert run_notebook(source, {})["ROWS"] == 2
    with pytest.raises(ZeroDivisionError):
        run_notebook(source, {"ROWS": 3})
    with pytest.raises(AssertionError, match="has no parameters"):
        run_notebook(source, {"EPOCHS": 3})
