"""`split.parquet`: which row of the log went into which split, for comparisons outside."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from tfmtl.core.checksum import file_checksum
from tfmtl.folders import PreparedFolder
from tfmtl.preprocessing import columns
from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.writing.output_folder import scratch
from tfmtl.schema import SPLITS, Problem

_KEYS = {"user": columns.USER, "time": columns.TIME}


def write_part(problem: Problem, directory: str, bucket: int, table: pa.Table) -> str:
    """Writes the splits of a bucket's rows to a file that is needed until the job ends, and returns its path.

    Args:
        problem: `Problem`.
        directory: the output.
        bucket: int.
        table: canonical rows with their split.
    """
    keys = {name: table[column] for name, column in _KEYS.items() if getattr(problem.keys, name) is not None}
    rows = pa.table(
        {
            "file": table[columns.FILE],
            "row": table[columns.ROW],
            **keys,
            "split": pa.array(np.asarray(SPLITS)[table[columns.SPLIT].to_numpy()], pa.string()),
            "is_example": table[columns.IS_EXAMPLE],
        }
    ).sort_by([("file", "ascending"), ("row", "ascending")])
    path = files.join(scratch(directory), "splits", f"{bucket:05d}.parquet")
    with files.local_target(path, scratch(directory)) as local:
        parquet.write_table(rows, local)
    return path


def write_split_file(directory: str, inputs: Sequence[str], parts: Sequence[str]) -> str:
    """Writes the file of splits: file and number of each row, its user and time, its split, whether it is an example.

    Args:
        directory: the output.
        inputs: paths of the files, by number.
        parts: what `write_part` returned, in order of the buckets.

    Returns:
        The file's checksum.
    """
    names = pa.array(list(inputs), pa.string())
    writer: Any = None
    with files.local_target(files.join(directory, PreparedFolder.SPLIT_FILE), scratch(directory)) as local:
        for path in parts:
            with files.open_file(path) as source:
                rows = parquet.read_table(source)
            rows = rows.set_column(0, "file", names.take(rows["file"].combine_chunks()))
            writer = writer or parquet.ParquetWriter(local, rows.schema)
            writer.write_table(rows)
        if writer is not None:
            writer.close()
        return file_checksum(local)
