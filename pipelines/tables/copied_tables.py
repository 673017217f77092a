"""Tables among the inputs, copied to files for the time of a job.

The job reads files: their order numbers the rows, and bad ones are reported by them. So a table is copied first, only
the columns that the problem names, to Parquet files beside the output.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tfmtl.pipelines.tables.bigquery_table import copy_bigquery
from tfmtl.pipelines.tables.iceberg_table import copy_iceberg
from tfmtl.preprocessing.columns import column_uses
from tfmtl.preprocessing.reading import files
from tfmtl.schema import Problem

_COPY: dict[str, Callable[[str, dict[str, str], str, Sequence[str]], None]] = {
    "bigquery://": copy_bigquery,
    "iceberg://": copy_iceberg,
}


def is_table(name: str) -> bool:
    """Whether an input is a table."""
    return name.startswith(tuple(_COPY))


@contextmanager
def copied_tables(
    inputs: Sequence[str], problem: Problem, output: str, beam_options: Sequence[str] = ()
) -> Iterator[list[str]]:
    """The inputs, each table replaced by the pattern of its copies, which lie beside `output` until the block ends.

    Args:
        inputs: files, patterns, folders and tables.
        problem: `Problem`, which says what columns are needed.
        output: the folder of the job.
        beam_options: of the job; BigQuery is read with them.

    Raises:
        ImportError: what reads the table is not installed.
        InputError: the table lacks a column, or has one that no feature can be made of.
        ValueError: the name is not that of a table.
    """
    folder = f"{output.rstrip('/')}.tables"
    patterns = []
    try:
        for number, name in enumerate(inputs):
            if is_table(name):
                scheme = name[: name.index("://") + 3]
                below = files.join(folder, f"{number:02d}")
                _COPY[scheme](name.removeprefix(scheme), column_uses(problem), below, beam_options)
                patterns.append(f"{files.literal(below)}/*.parquet")
            else:
                patterns.append(name)
        yield patterns
    finally:
        if any(map(is_table, inputs)):
            _remove(folder)


def _remove(folder: str) -> None:
    if files.is_local(folder):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        files.delete(files.match([f"{files.literal(folder)}/**"]))
