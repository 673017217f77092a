"""Tables among the inputs, copied to files for the time of a job.

The job reads files: their order numbers the rows, and bad ones are reported by them. So a table is copied first, only
the columns that the problem names, to Parquet files below the job's own locked folder.
"""

from collections.abc import Callable, Sequence

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


def copy_tables(inputs: Sequence[str], problem: Problem, beam_options: Sequence[str], folder: str) -> list[str]:
    """Copies tables to files, and returns the inputs with the pattern of its copies in the place of each.

    Args:
        inputs: files, patterns, folders and tables.
        problem: `Problem`, which says what columns are needed.
        beam_options: of the job; BigQuery is read with them.
        folder: where the copies go; a new one.

    Raises:
        ImportError: what reads the table is not installed.
        InputError: the table lacks a column, or has one that no feature can be made of.
        ValueError: the name is not that of a table.
    """
    patterns = []
    for number, name in enumerate(inputs):
        if is_table(name):
            scheme = name[: name.index("://") + 3]
            below = files.join(folder, f"{number:02d}")
            _COPY[scheme](name.removeprefix(scheme), column_uses(problem), below, beam_options)
            patterns.append(f"{files.literal(below)}/*.parquet")
        else:
            patterns.append(name)
    return patterns
