"""Run notebooks and store them with their outputs: python notebooks/make.py [name ...]; all of them without a name.

The `.py` file is the notebook, in jupytext's percent form; the `.ipynb` beside it is made of it, and is what readers
look at.
"""

import os
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent


def sources() -> list[Path]:
    """The notebooks in their percent form."""
    return sorted(path for path in HERE.glob("*.py") if path.read_text(encoding="utf-8").startswith("# %%"))


def made(source: Path) -> nbformat.NotebookNode:
    """The notebook of a source, run in a kernel of its own."""
    notebook = jupytext.read(source)
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # not drawn anew with every run
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            # There TensorFlow logs what it does, and warnings stand with the paths of the machine that made the notebook.
            cell["outputs"] = [output for output in cell["outputs"] if output.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return notebook


def main(names: list[str]) -> None:
    """Makes the named notebooks."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    for source in sources():
        if names and source.stem not in names:
            continue
        begun = time.monotonic()
        nbformat.write(made(source), source.with_suffix(".ipynb"))
        print(f"{source.stem}: {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
