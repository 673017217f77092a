"""Logs in tables: what a table of Iceberg, or of BigQuery behind a stand-in of Beam's source, is turned into."""

import datetime
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as parquet
import pyiceberg.catalog
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.utils.config import Config

from tests.support.small_log import SMALL_PROBLEM, contents, run, small_log
from tfmtl.pipelines.tables import bigquery_table, copied_tables
from tfmtl.pipelines.tables.bigquery_table import copy_bigquery
from tfmtl.pipelines.tables.iceberg_table import copy_iceberg
from tfmtl.preprocessing.reading.input_error import InputError

ROWS = small_log(120)
LOG = pa.Table.from_pylist(ROWS)
TYPES = {"ts": "TIMESTAMP", "age": "INTEGER", "price": "NUMERIC", "seconds": "FLOAT", "tags": "STRING"}
WHOLE = ("shown", "click", "buy")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the same rows give as a file."""
    folder = tmp_path_factory.mktemp("file")
    parquet.write_table(LOG, folder / "log.parquet")
    run(folder / "out", folder / "log.parquet")
    return contents(folder / "out")


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlCatalog:
    """A catalog in a file, which PyIceberg finds as `shop`."""
    uri = f"sqlite:///{tmp_path}/catalog.db"
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__SHOP__URI", uri)
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())  # which is read at the first import
    made = SqlCatalog("shop", uri=uri, warehouse=f"file://{tmp_path}/warehouse")
    made.create_namespace("logs")
    return made


def _run(tmp_path: Path, table: str, **options: Any) -> dict[str, Any]:
    from tfmtl.pipelines.preprocess.job import preprocess

    return preprocess(SMALL_PROBLEM, [table], str(tmp_path / "out"), num_shards=3, **options)


def test_an_iceberg_table_gives_what_a_file_gives(
    catalog: SqlCatalog, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    table = catalog.create_table("logs.events", schema=LOG.schema)
    table.append(LOG)
    table.append(pa.Table.from_pylist([{**row, "user": "gone"} for row in ROWS[:10]], LOG.schema))
    more = table.current_snapshot()
    table.delete("user == 'gone'")
    assert _run(tmp_path, "iceberg://shop/logs.events")["rows_in"] == 120
    assert contents(tmp_path / "out") == expected
    assert not (tmp_path / ".out.tfmtl").exists()
    assert more is not None
    assert _run(tmp_path, f"iceberg://shop/logs.events@{more.snapshot_id}")["rows_in"] == 130


def test_copies_of_a_killed_job_are_not_read_again(
    catalog: SqlCatalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: dict[str, bytes]
) -> None:
    catalog.create_table("logs.events", schema=LOG.schema).append(LOG)
    beside, killed = tmp_path / ".out.tfmtl", tmp_path / "killed"

    def copy_and_keep(name: str, required: Any, folder: str, beam_options: Any) -> None:
        copy_iceberg(name, required, folder, beam_options)
        if not killed.exists():  # what lies there now is what a job killed now would leave
            shutil.copytree(beside, killed)

    monkeypatch.setitem(copied_tables._COPY, "iceberg://", copy_and_keep)
    _run(tmp_path, "iceberg://shop/logs.events")
    [copy] = killed.rglob("*.parquet")
    copy.rename(copy.with_name("part-7.parquet"))  # of more files, so that none is written over
    shutil.copytree(killed, beside)
    assert _run(tmp_path, "iceberg://shop/logs.events")["rows_in"] == 120
    assert contents(tmp_path / "out") == expected
    assert not beside.exists()


def test_a_folder_beside_the_output_that_is_not_the_jobs_stays(catalog: SqlCatalog, tmp_path: Path) -> None:
    catalog.create_table("logs.events", schema=LOG.schema).append(LOG)
    foreign = tmp_path / "out.tables" / "00"
    foreign.mkdir(parents=True)
    parquet.write_table(LOG, foreign / "mine.parquet")
    assert _run(tmp_path, "iceberg://shop/logs.events")["rows_in"] == 120
    assert parquet.read_table(foreign / "mine.parquet").num_rows == 120


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        ("shop/logs.none", ValueError, "must be a table of the catalog"),
        ("shop", ValueError, "must name catalog, namespace and table"),
        ("shop/logs.lacking", InputError, r"It lacks 'ts' \(keys.time\)\. Did you mean 'tss'\?"),
    ],
)
def test_a_wrong_iceberg_table_is_one_line(
    catalog: SqlCatalog, tmp_path: Path, name: str, error: type[Exception], text: str
) -> None:
    names = ["tss" if name == "ts" else name for name in LOG.column_names]
    catalog.create_table("logs.lacking", schema=LOG.rename_columns(names).schema)
    with pytest.raises(error, match=text):
        _run(tmp_path, f"iceberg://{name}")
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.tfmtl").exists()


class FakeSource(beam.PTransform):
    """Stands in for `ReadFromBigQuery`: rows as its query would give them."""

    queries: ClassVar[list[str]] = []

    def __init__(self, query: str, use_standard_sql: bool) -> None:
        super().__init__()
        assert use_standard_sql
        self.queries.append(query)

    def expand(self, begin: Any) -> Any:
        rows = [{**row, "ts": _iso(row["ts"]), **{name: bool(row[name]) for name in WHOLE}} for row in ROWS]
        return begin | beam.Create(rows, reshuffle=False)


def _iso(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _fields(types: Mapping[str, str], names: Sequence[str]) -> list[Any]:
    return [
        SimpleNamespace(name=name, type=types.get(name, "STRING"), mode="REPEATED" if name == "tags" else "NULLABLE")
        for name in names
    ]


@pytest.fixture
def bigquery(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries that were sent."""
    types = {**TYPES, **dict.fromkeys(WHOLE, "BOOLEAN"), "unused": "RECORD"}
    monkeypatch.setattr(bigquery_table, "_fields", lambda **_: _fields(types, [*ROWS[0], "unused"]))
    monkeypatch.setattr(beam.io, "ReadFromBigQuery", FakeSource)
    monkeypatch.setattr(FakeSource, "queries", [])
    return FakeSource.queries


def test_a_bigquery_table_gives_what_a_file_gives(
    bigquery: list[str], tmp_path: Path, expected: dict[str, bytes]
) -> None:
    assert _run(tmp_path, "bigquery://my-project.shop.events")["rows_in"] == 120
    assert contents(tmp_path / "out") == expected
    [query] = bigquery
    assert query.endswith(" FROM `my-project.shop.events`") and "unused" not in query
    for part in (
        "`user` AS `user`",
        "FORMAT_TIMESTAMP('%FT%H:%M:%E6SZ', `ts`, 'UTC') AS `ts`",
        "CAST(`price` AS FLOAT64) AS `price`",
        "ARRAY(SELECT x FROM UNNEST(`tags`) AS x WITH OFFSET AS n ORDER BY n) AS `tags`",
    ):
        assert part in query


@pytest.mark.parametrize(
    ("name", "required", "error", "text"),
    [
        ("events", {}, ValueError, "must name project, dataset and table"),
        ("p.d.events", {"usr": "keys.user"}, InputError, r"It lacks 'usr' \(keys.user\)\. Did you mean 'user'\?"),
        ("p.d.events", {"unused": "feature 'x'"}, InputError, "column 'unused' of type RECORD"),
    ],
)
def test_a_wrong_bigquery_table_is_one_line(
    bigquery: list[str], tmp_path: Path, name: str, required: dict[str, str], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        copy_bigquery(name, required, str(tmp_path))
    assert bigquery == []
