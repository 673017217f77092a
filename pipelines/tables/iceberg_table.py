"""Tables of Apache Iceberg, read with PyIceberg: Beam's own reader of them starts Java."""

import re
from collections.abc import Mapping, Sequence

from pyarrow.dataset import write_dataset

from tfmtl.preprocessing.reading.present_columns import RENAME_IN_VIEW, check_present
from tfmtl.schema.checks import error_text
from tfmtl.schema.extras import need_extra

_ROWS, _ROWS_OF_GROUP = 1_000_000, 100_000
_NAME = re.compile(r"(?P<catalog>[^/]+)/(?P<table>[^@]+)(?:@(?P<snapshot>\d+))?")


def copy_iceberg(name: str, required: Mapping[str, str], folder: str, beam_options: Sequence[str] = ()) -> None:
    """Writes the table's columns to Parquet files; deleted rows are left out.

    Args:
        name: `<catalog>/<namespace>.<table>`, and `@<snapshot>` for an older state. The catalog is one of PyIceberg's
            configuration: `~/.pyiceberg.yaml`, or variables such as `PYICEBERG_CATALOG__PROD__URI`.
        required: column -> the place in the problem file that names it.
        folder: where the files go.
        beam_options: not used.

    Raises:
        ImportError: PyIceberg is not installed.
        InputError: a column is missing.
        ValueError: the name is not of this form, or no such table or snapshot exists.
    """
    need_extra("preprocess: a table of Iceberg", "iceberg", "pyiceberg")
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import NoSuchTableError

    parts = _NAME.fullmatch(name)
    if parts is None:
        advice = "Write iceberg://prod/shop.events, with @<snapshot> for an older state."
        raise ValueError(error_text("preprocess", "input", "name catalog, namespace and table", name, advice))
    try:
        table = load_catalog(parts["catalog"]).load_table(parts["table"])
    except NoSuchTableError as error:
        advice = "See what `pyiceberg list` shows."
        raise ValueError(error_text("preprocess", "input", "be a table of the catalog", name, advice)) from error
    scan = table.scan(snapshot_id=int(parts["snapshot"]) if parts["snapshot"] else None)
    check_present(f"table '{name}'", required, [field.name for field in scan.projection().fields], RENAME_IN_VIEW)
    with scan.select(*required).to_arrow_batch_reader() as batches:
        write_dataset(batches, folder, format="parquet", max_rows_per_file=_ROWS, max_rows_per_group=_ROWS_OF_GROUP)
