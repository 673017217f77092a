"""Data sets that users download themselves: find and read a named file in a folder."""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv

from tfmtl.pipelines.datasets.dataset import Dataset
from tfmtl.pipelines.datasets.source import FetchError


def local_dataset(
    name: str, summary: str, where: str, file: str, to_rows: Callable[[bytes], pa.Table], **more: Any
) -> Dataset:
    """A data set of one file that is not fetched: to fetch it raises `FetchError` and says what to do.

    The file is found by its name at any depth of the user's folder; two of one name are refused.

    Args:
        name: as given on the command line.
        summary: one line for the list.
        where: where the data can be had.
        file: its name.
        to_rows: the file's content -> canonical rows.
        **more: further arguments of `Dataset`.
    """

    def fetch() -> dict[str, bytes]:
        raise FetchError(
            f"datasets: '{name}' cannot be downloaded automatically. {where} "
            f"Put {file} in a folder and give it with --folder."
        )

    def find(folder: Path) -> dict[str, bytes]:
        found = sorted(path for path in folder.rglob(file) if path.is_file())
        if len(found) != 1:
            many = f"{len(found)} files are called {file}: {', '.join(map(str, found))}"
            raise FileNotFoundError(many if found else f"no {file} is there")
        return {file: found[0].read_bytes()}

    return Dataset(name, summary, fetch, find, lambda files: to_rows(files[file]), **more)


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
