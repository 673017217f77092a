"""Data frames to prepared data: the bytes of the job, bad rows counted and reachable, and no trace left."""

import gc
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

import tfmtl
from tests.support.engines import whole, write_log
from tests.support.small_log import SMALL_PROBLEM, contents, run, small_log, write_parquet
from tests.support.tiny_problem import keyless_problem, tiny_log, tiny_model, tiny_problem
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.schema import BinaryTask, CategoricalFeature, Problem, Split


def test_files_give_the_bytes_of_the_job(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    run(tmp_path / "job", log)
    data = tfmtl.prepare(log, SMALL_PROBLEM, tmp_path / "here", num_shards=3)
    assert data.directory == tmp_path / "here"
    assert whole(tmp_path / "here") == whole(tmp_path / "job")
    assert "rejected/file-00000.jsonl" in whole(tmp_path / "here")
    tfmtl.prepare([log / "a.csv", str(log / "b.parquet")], SMALL_PROBLEM, tmp_path / "here")  # replaces it
    assert len(whole(tmp_path / "here")) > len(whole(tmp_path / "job"))  # 8 shards


def frames(table: pa.Table) -> dict[str, Any]:
    named = table.to_pandas().set_index("user")
    return {
        "arrow": table,
        "batches": table.to_batches(max_chunksize=70),
        "reader": table.to_reader(),
        "pandas": table.to_pandas(),
        "pandas, indexed": named,
        "pandas, Arrow types": table.to_pandas(types_mapper=pd.ArrowDtype),
        "polars": pl.from_arrow(table),
    }


def test_frames_give_the_records_of_a_file(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "log.parquet", small_log(250, ties=True))
    run(tmp_path / "job", path)
    expected = contents(tmp_path / "job")
    table = parquet.read_table(path).drop_columns("unused")
    for name, frame in frames(table).items():
        data = tfmtl.prepare(frame, SMALL_PROBLEM, num_shards=3)
        assert contents(data.directory) == expected, name
        assert data.manifest["inputs"] == [type(frame).__name__]


def test_rejected_rows_are_counted_shown_and_returned() -> None:
    log = tiny_log().to_pandas().astype({"price": str})
    log.loc[[7, 400], "price"] = "<b>dear</b>"
    data = tfmtl.prepare(log, tiny_problem(), num_shards=2)
    reason = "column 'price' is not a number"
    assert data.manifest["rows_rejected"] == {reason: 2}
    found = data.rejected()
    assert [row["row"] for row in found] == [7, 400]
    assert {row["file"] for row in found} == {"DataFrame"}
    assert found[0]["values"]["user"] == log["user"][7] and found[0]["reason"].startswith(reason)
    assert reason in repr(data) and "2 rejected" in repr(data)
    page = data._repr_html_()
    assert "column &#x27;price&#x27; is not a number" in page and page.count("<table>") == page.count("</table>")


def test_nothing_needs_beam_and_the_model_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("apache_beam", "apache_beam.io.filesystems"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    data = tfmtl.prepare(tiny_log(), tiny_problem(), num_shards=2)
    model = tiny_model(data.inputs, "shared_bottom")
    model.compile()
    model.fit(data.train(64).take(2), verbose=0)
    found = tfmtl.evaluate(model, data)
    assert found["click"]["baseline"]["log_loss"] > 0.0
    text = repr(found)
    assert text.count("a constant") == 3 and f"{found['click']['auc']:.4f}" in text and "tiny, test split" in text
    assert found._repr_html_().count("<table>") == 2  # one of each kind of task


def test_a_temporary_folder_goes_with_what_reads_it() -> None:
    data = tfmtl.prepare(tiny_log(), keyless_problem(), num_shards=1)
    own = data.directory.parent
    batches = data.train(64).take(2)
    del data
    gc.collect()
    assert own.exists() and len(list(batches)) == 2
    del batches
    gc.collect()
    assert not own.exists()


def test_the_next_day_takes_the_transformation() -> None:
    data = tfmtl.prepare(tiny_log(), keyless_problem(), num_shards=1)
    more = tfmtl.prepare(tiny_log(1), keyless_problem(), num_shards=1, transform_from=data, extend_vocabularies=True)
    more.check_extends("test", data.inputs)


def test_rows_that_all_are_rejected_stay_where_the_error_says() -> None:
    problem = Problem("bad", (CategoricalFeature("item"),), (BinaryTask("click"),), split=Split(by="row"))
    with pytest.raises(InputError, match="The rejected rows lie in") as caught:
        tfmtl.prepare(pa.table({"item": ["a", "b"], "click": ["seven", "eight"]}), problem)
    kept = Path(str(caught.value).split("'")[-2])
    assert "seven" in (kept / "file-00000.jsonl").read_text()
    with pytest.raises(InputError, match=r"DataFrame\.parquet' must have every column that the problem file names"):
        tfmtl.prepare(pd.DataFrame({"item": ["a"]}), problem)


@pytest.mark.parametrize(
    ("frame", "error", "text"),
    [
        ({"a": [1]}, TypeError, "prepare: `frame` must be a pandas or polars DataFrame, an Arrow table"),
        (pd.Series([1], name="a"), TypeError, "must be a pandas or polars DataFrame"),
        (pl.LazyFrame({"a": [1]}), TypeError, "Call .collect() on a lazy frame"),
        (pd.DataFrame({"a": []}), ValueError, "must hold at least one row"),
        (pd.DataFrame({"a": [1, "x"]}), ValueError, "must have one type in column 'a'. Received: frame=['int', 'str']"),
        (pd.DataFrame([[1]]), ValueError, "must have text as names of its columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "must have no two columns of one name"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), ValueError, "must have no two columns"),
        (pd.DataFrame({"a": [1]}).set_index("a", drop=False), ValueError, "an index of other names than its columns"),
    ],
)
def test_what_is_no_log_is_named(frame: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        tfmtl.prepare(frame, keyless_problem())
    assert text in str(caught.value)


def test_a_problem_may_be_a_file_and_nothing_else(tmp_path: Path) -> None:
    keyless_problem().save(tmp_path / "problem.yaml")
    data = tfmtl.prepare(tiny_log(), tmp_path / "problem.yaml", num_shards=1)
    assert data.problem == keyless_problem()
    with pytest.raises(TypeError, match="prepare: `problem` must be a Problem"):
        tfmtl.prepare(tiny_log(), {"name": "x"})  # type: ignore[arg-type]
