"""Parquet files to Arrow batches."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as parquet

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.raw_batch import LINES, RawBatch
from tfmtl.values.plain_arrow import plain_batch

BATCH_ROWS = 32_768


def read_parquet(stream: Any, path: str, columns: Sequence[str]) -> Iterator[RawBatch]:
    """The rows of one file, in its order.

    Raises:
        InputError: the file does not hold the rows that it says.
    """
    file = parquet.ParquetFile(stream)
    first_row, counts = 0, {LINES: file.metadata.num_rows}
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(columns)):
        yield RawBatch(np.arange(first_row, first_row + batch.num_rows), plain_batch(batch), (), counts)
        first_row, counts = first_row + batch.num_rows, {}
    if first_row != file.metadata.num_rows:
        raise InputError(
            f"preprocess: file '{path}' says that it has {file.metadata.num_rows:,} rows, but {first_row:,} were read. "
            "Nothing was kept."
        )
