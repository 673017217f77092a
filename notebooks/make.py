"""Run notebooks and store them with their outputs: python notebooks/make.py [name ...]; all of them without a name.

The `.py` file is the notebook, in jupytext's percent form; the `.ipynb` beside it is made of it, and is what readers
look at.
"""

import os
import re
import sys
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
# What TensorFlow says while it loads, and of every SavedModel.
_STARTING = re.compile(r"(WARNING: All log messages before absl|[IWE]0000 |I\d{4} |INFO:tensorflow:).*\n?")


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
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                output["text"] = _STARTING.sub("", output["text"])
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if output.get("text", "x").strip()]
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
