"""`split.parquet` says of every row that was read where it went."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.support.small_log import SMALL_PROBLEM, contents, records, run, small_log, values, write_csv
from tfmtl.data import PreparedData
from tfmtl.folders import DataError
from tfmtl.schema import SPLITS, Split

ROWS = small_log(80)


@pytest.mark.parametrize("by", ["time", "user"])
def test_rows_and_their_splits(tmp_path: Path, by: str) -> None:
    problem = replace(SMALL_PROBLEM, split=Split(by=by, valid=0.3, test=0.3))
    bad = {**ROWS[0], "age": "old"}
    first = write_csv(tmp_path / "a.csv", [*ROWS[:30], bad])
    second = write_csv(tmp_path / "b.csv", ROWS[30:])
    run(tmp_path / "out", first, second, problem=problem, split_file=True)
    found = parquet.read_table(tmp_path / "out" / "split.parquet").to_pylist()
    log = {**{(str(first), i): row for i, row in enumerate(ROWS[:30])},
           **{(str(second), i): row for i, row in enumerate(ROWS[30:])}}  # fmt: skip
    assert {(row["file"], row["row"]) for row in found} == set(log)
    assert len(found) == 80
    written = {values(record)["key:group"][0].decode(): split for split in SPLITS
               for record in records(tmp_path / "out", split)}  # fmt: skip
    for row in found:
        logged = log[row["file"], row["row"]]
        assert (row["user"], row["time"], row["is_example"]) == (logged["user"], logged["ts"], logged["shown"] == 1)
        if row["is_example"]:
            assert row["split"] == written[logged["row"]]


def test_it_is_written_on_request_and_replaced(tmp_path: Path) -> None:
    log = write_csv(tmp_path / "log.csv", ROWS)
    run(tmp_path / "out", log, split_file=True)
    with_file = contents(tmp_path / "out")
    run(tmp_path / "out", log)
    without = contents(tmp_path / "out")
    assert set(with_file) - set(without) == {"split.parquet"}
    assert "split.parquet" not in json.loads((tmp_path / "out" / "manifest.json").read_text())["checksums"]
    assert all(with_file[name] == content for name, content in without.items())


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    run(tmp_path / "out", write_csv(tmp_path / "log.csv", ROWS), split_file=True)
    PreparedData(tmp_path / "out")
    path = tmp_path / "out" / "split.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"split.parquet' is damaged"):
        PreparedData(tmp_path / "out")
