"""Run a notebook in this process, cell by cell, with other values for its parameters.

python -m tests.support.run_notebook <file in percent form> [NAME=number ...]

What a cell ends with is shown as a notebook would show it; the constants of the cell tagged `parameters` are replaced.
"""

import ast
import os
import sys
from pathlib import Path
from typing import Any

import jupytext

from tests.support.quick_processes import quicken_processes

_SHOWS = ("_repr_html_", "_repr_png_")


def run_notebook(source: Path, changes: dict[str, int]) -> dict[str, Any]:
    """Runs all cells and returns the names that they made; what a cell raises says which one it was."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(jupytext.read(source).cells):
        if cell.cell_type != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        place = f"{source.name}, cell {number}"
        exec(compile(tree, place, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), place, "eval"), names)
            shows = [getattr(value, show) for show in _SHOWS if hasattr(value, show)]
            assert any(show() for show in shows) or (not shows and repr(value)), place
        if "parameters" in cell.metadata.get("tags", []):
            unknown = changes.keys() - names.keys()
            assert not unknown, f"{source.name} has no parameters {sorted(unknown)}"
            names.update(changes)
    return names


if __name__ == "__main__":
    quicken_processes()
    path = Path(sys.argv[1]).resolve()
    os.chdir(path.parent)
    sys.path.insert(0, str(path.parent))
    pairs = (text.split("=") for text in sys.argv[2:])
    run_notebook(path, {name: int(value) for name, value in pairs})
