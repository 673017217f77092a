"""Columns as a text file."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_csv(path: Path, columns: Mapping[str, Sequence[Any]], separator: str = ",") -> Path:
    """Writes the columns, packed where the name ends with .gz; a single text is every row's."""
    rows = len(next(value for value in columns.values() if not isinstance(value, str)))
    cells = [[value] * rows if isinstance(value, str) else list(value) for value in columns.values()]
    lines = [separator.join(columns)]
    lines += [separator.join("" if cell is None else str(cell) for cell in row) for row in zip(*cells, strict=True)]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path
