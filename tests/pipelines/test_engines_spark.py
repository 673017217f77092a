"""Spark writes what Beam writes, byte for byte, and its workers' errors are as readable."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from tests.pipelines.conftest import QUICK_START
from tests.support.engines import whole, write_log
from tests.support.small_log import run, small_log, write_csv
from tfmtl.pipelines.preprocess.spark.batch_bytes import from_bytes, to_bytes
from tfmtl.pipelines.preprocess.spark.package_zip import package_zip
from tfmtl.pipelines.preprocess.spark.session import spark_session
from tfmtl.preprocessing.reading.read import InputError

pytestmark = pytest.mark.slow  # the first one starts Java and the workers


@pytest.fixture(scope="module")
def session(spark_home: Path) -> Iterator[SparkSession]:
    """Two workers; every Arrow batch that passes between Java and them has one row."""
    with spark_session("local[2]", {"spark.sql.execution.arrow.maxRecordsPerBatch": "1", **QUICK_START}) as started:
        yield started


def test_local_spark(session: SparkSession, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    manifest = run(tmp_path / "spark", log, engine="spark")
    assert manifest == run(tmp_path / "beam", log)
    assert whole(tmp_path / "spark") == whole(tmp_path / "beam")
    assert session.range(3).count() == 3  # a session of the user's goes on


def test_workers_run_the_drivers_code(session: SparkSession) -> None:
    """Whatever version of the package their Python has, or none."""

    def where(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import tfmtl.pipelines

        list(batches)
        yield pa.record_batch({"path": [str(tfmtl.pipelines.__file__), tfmtl.__file__]})

    session.sparkContext.addPyFile(package_zip())
    paths = [row.path for row in session.range(0, 1, 1, 1).mapInArrow(where, "path string").collect()]
    assert [path.rpartition(".zip/")[2] for path in paths] == ["tfmtl/pipelines/__init__.py", "tfmtl/__init__.py"]


def test_the_master_of_a_session_stays(session: SparkSession, tmp_path: Path) -> None:
    text = (
        r"preprocess: `master` must be the one of this process's Spark session, 'local\[2\]'\. Received: master='yarn'"
    )
    with pytest.raises(ValueError, match=text):
        run(tmp_path / "out", write_csv(tmp_path / "log.csv", small_log(60)), engine="spark", spark_master="yarn")
    assert not (tmp_path / "out").exists()


def test_a_bad_file_is_one_line(session: SparkSession, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(write_csv(bad, small_log(60)).read_bytes() + b'"')
    with pytest.raises(InputError) as caught:
        run(tmp_path / "out", bad, engine="spark")
    assert str(caught.value).startswith(f"preprocess: file '{bad}' ends inside a quoted value, so the rows")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_other_errors_of_workers_keep_their_traceback(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_csv(tmp_path / "log.csv", small_log(60))
    with monkeypatch.context() as patch:
        patch.setattr("tfmtl.preprocessing.plan.Plan.find_cuts", lambda *_: "no cuts")
        with pytest.raises(Exception, match="Traceback"):
            run(tmp_path / "out", log, engine="spark")
    assert not (tmp_path / "out").exists()


def test_batches_as_bytes() -> None:
    batch = pa.record_batch({"a": pa.array([1.5, None, -0.0], pa.float32()), "b": [["ü"], None, []]})
    assert [part.equals(batch) for part in from_bytes(to_bytes(batch)).to_batches()] == [True]
    assert from_bytes(to_bytes(batch.slice(1))).to_batches() == [batch.slice(1)]
    assert len(to_bytes(pa.record_batch({"a": list(range(10_000))}).slice(0, 1))) < 1_000  # a slice takes its part


def test_java_that_does_not_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Any) -> None:
        os.write(2, b"Unrecognized option: -Xyz\nCould not create the Java Virtual Machine.\n")
        raise PySparkRuntimeError(errorClass="JAVA_GATEWAY_EXITED", messageParameters={})

    caplog.set_level(logging.CRITICAL)  # as the command has it
    monkeypatch.setattr(SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(SparkSession.Builder, "getOrCreate", fail)
    text = r"preprocess: Spark did not start: Could not create the Java Virtual Machine\. It needs Java 17 or newer"
    with pytest.raises(RuntimeError, match=text), spark_session("local[1]", {}):
        pass


def test_without_pyspark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark", None)  # as if it were not installed
    with pytest.raises(
        ImportError, match=r"the engine 'spark': needs pyspark\. Install it: pip install 'tfmtl\[spark\]'"
    ):
        run(tmp_path / "out", write_csv(tmp_path / "log.csv", small_log(60)), engine="spark")
