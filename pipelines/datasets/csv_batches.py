"""Large CSV files, plain or gzipped, as typed batches."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

_BLOCK_BYTES = 8 << 20


def csv_batches(path: Path, types: Mapping[str, pa.DataType], has_header: bool = True) -> Iterator[pa.RecordBatch]:
    """The columns of `types`, some thousand rows at a time.

    Args:
        path: Path.
        types: column -> type; with `has_header=False` all columns of the file, in its order.
        has_header: bool. Defaults to `True`.

    Raises:
        ValueError: the file is cut off, lacks a column or holds another type; the text names the file.
    """
    read = csv.ReadOptions(block_size=_BLOCK_BYTES, column_names=None if has_header else list(types))
    convert = csv.ConvertOptions(column_types=dict(types), include_columns=list(types))
    try:
        # Arrow unpacks by the file's name.
        with pa.input_stream(str(path)) as stream, csv.open_csv(stream, read, convert_options=convert) as reader:
            yield from reader
    except (OSError, pa.ArrowInvalid, KeyError) as error:
        raise ValueError(f"datasets: '{path.name}' cannot be read: {error}") from error
