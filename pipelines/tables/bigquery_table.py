"""Tables of BigQuery, read with Beam's source: on the runner and with the workers that the job itself has.

A query casts what Arrow files would spell in a way of their own: times to ISO text, decimals to float64.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.preprocessing.reading.present_columns import RENAME_IN_VIEW, check_present
from tfmtl.schema.checks import error_text
from tfmtl.schema.extras import need_extra

_NAME = re.compile(r"(?P<project>[\w:.-]+)\.(?P<dataset>\w+)\.(?P<table>[\w$-]+)")
_NUMBER = "CAST({} AS FLOAT64)"
_TEXT = "CAST({} AS STRING)"
_TYPES: dict[str, tuple[pa.DataType, str]] = {
    "STRING": (pa.string(), "{}"),
    "BYTES": (pa.binary(), "{}"),
    **dict.fromkeys(("INTEGER", "INT64"), (pa.int64(), "{}")),
    **dict.fromkeys(("FLOAT", "FLOAT64"), (pa.float64(), "{}")),
    **dict.fromkeys(("BOOLEAN", "BOOL"), (pa.bool_(), "{}")),
    **dict.fromkeys(("NUMERIC", "BIGNUMERIC"), (pa.float64(), _NUMBER)),
    **dict.fromkeys(("DATE", "TIME"), (pa.string(), _TEXT)),
    "DATETIME": (pa.string(), "FORMAT_DATETIME('%FT%H:%M:%E6S', {})"),
    "TIMESTAMP": (pa.string(), "FORMAT_TIMESTAMP('%FT%H:%M:%E6SZ', {}, 'UTC')"),
}
"""BigQuery's type -> what is stored, and the query's expression for it."""


def copy_bigquery(name: str, required: Mapping[str, str], folder: str, beam_options: Sequence[str] = ()) -> None:
    """Writes the table's columns to Parquet files.

    Args:
        name: `<project>.<dataset>.<table>`.
        required: column -> the place in the problem file that names it.
        folder: where the files go.
        beam_options: Beam's, with `--temp_location=gs://...` and `--project`, which pays for the query.

    Raises:
        ImportError: Beam or Google's libraries are not installed.
        InputError: a column is missing, or is a record.
        ValueError: the name is not of this form.
    """
    need_extra("preprocess: a table of BigQuery", "gcp", "apache_beam", "google.cloud.bigquery")
    from apache_beam.io import ReadFromBigQuery, WriteToParquet

    from tfmtl.pipelines.preprocess.beam.options import new_pipeline, pipeline_options

    parts = _NAME.fullmatch(name)
    if parts is None:
        advice = "Write bigquery://my-project.shop.events."
        raise ValueError(error_text("preprocess", "input", "name project, dataset and table", name, advice))
    query, schema = _query(name, _fields(**parts.groupdict()), required)
    with new_pipeline(pipeline_options(beam_options)) as pipeline:
        rows = pipeline | "read table" >> ReadFromBigQuery(query=query, use_standard_sql=True)
        _ = rows | "copy table" >> WriteToParquet(files.join(folder, "part"), schema, file_name_suffix=".parquet")


def _fields(project: str, dataset: str, table: str) -> Sequence[Any]:
    """The table's columns as BigQuery describes them."""
    from apache_beam.io.gcp.bigquery_tools import BigQueryWrapper

    return list(BigQueryWrapper().get_table(project, dataset, table).schema.fields)


def _query(name: str, fields: Sequence[Any], required: Mapping[str, str]) -> tuple[str, pa.Schema]:
    by_name = {field.name: field for field in fields}
    check_present(f"table '{name}'", required, list(by_name), RENAME_IN_VIEW)
    selected, schema = [], []
    for column in required:
        field = by_name[column]
        if field.type not in _TYPES:
            raise InputError(
                f"preprocess: table '{name}' must hold plain values or lists of them. Received: column '{column}' of "
                f"type {field.type}. Select its parts in a view."
            )
        dtype, expression = _TYPES[field.type]
        quoted = f"`{column}`"
        if field.mode == "REPEATED":
            dtype = pa.list_(dtype)
            text = f"ARRAY(SELECT {expression.format('x')} FROM UNNEST({quoted}) AS x WITH OFFSET AS n ORDER BY n)"
        else:
            text = expression.format(quoted)
        selected.append(f"{text} AS {quoted}")
        schema.append(pa.field(column, dtype))
    return f"SELECT {', '.join(selected)} FROM `{name}`", pa.schema(schema)
