"""Data sets that users download themselves: find and read named files in a folder."""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

from tfmtl.pipelines.datasets.source import FetchError


def not_fetched(name: str, where: str, files: Sequence[str]) -> Callable[[], dict[str, bytes]]:
    """The `fetch` of a data set that is not fetched: it raises `FetchError` and says what to do.

    Args:
        name: the data set.
        where: where the data can be had.
        files: what the folder must hold.
    """

    def fetch() -> dict[str, bytes]:
        raise FetchError(
            f"datasets: '{name}' cannot be downloaded automatically. {where} "
            f"Put {' and '.join(files)} in a folder and give it with --folder."
        )

    return fetch


def finder(*names: str) -> Callable[[Path], dict[str, bytes]]:
    """The `find` that picks files by their names, at any depth of a folder; two of one name are refused."""

    def find(folder: Path) -> dict[str, bytes]:
        files = {}
        for name in names:
            found = sorted(path for path in folder.rglob(name) if path.is_file())
            if len(found) != 1:
                many = f"{len(found)} files are called {name}: {', '.join(map(str, found))}"
                raise FileNotFoundError(many if found else f"no {name} is there")
            files[name] = found[0].read_bytes()
        return files

    return find


def read_csv_gz(name: str, content: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    """`read_csv` of a gzipped file."""
    try:
        return read_csv(name, gzip.decompress(content), types)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"datasets: '{name}' cannot be read: {error}") from error


def read_csv(name: str, content: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    """The columns of `types` of a CSV file with a header; further columns are left out.

    Raises:
        ValueError: the file is cut off, lacks a column or holds another type; the text names the file.
    """
    options = csv.ConvertOptions(column_types=dict(types), include_columns=list(types))
    try:
        return csv.read_csv(pa.BufferReader(content), convert_options=options)
    except (pa.ArrowInvalid, KeyError) as error:
        raise ValueError(f"datasets: '{name}' cannot be read: {error}") from error


def check_values(name: str, column: pa.ChunkedArray, known: Sequence[str]) -> None:
    """Raises unless every value of the column is a known one: the file of another data set is not taken for this."""
    for value in column.unique().to_pylist():
        if value not in known:
            raise ValueError(f"datasets: '{name}': behavior must be one of {list(known)}. Received: {value!r}.")
