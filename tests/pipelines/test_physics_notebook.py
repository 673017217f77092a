"""The notebook is stored as it ran: every code cell in order, no error, and only names that still exist."""

import ast
import importlib.util
import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "operators.ipynb"


def test_notebook_is_executed_and_its_imports_exist() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert kinds == {"stream", "execute_result"}
    for cell in cells:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    is_there = hasattr(module, alias.name) or importlib.util.find_spec(f"{node.module}.{alias.name}")
                    assert is_there, f"{node.module}.{alias.name}"
