"""The command on a Spark cluster: two executors, each a Java process with Python workers of its own."""

import logging
from pathlib import Path

import pytest

from tests.pipelines.conftest import QUICK_START
from tests.support.command import tfmtl
from tests.support.engines import whole, write_log
from tests.support.small_log import SMALL_PROBLEM, run


@pytest.mark.slow
def test_the_command_on_a_cluster(
    tmp_path: Path,
    spark_home: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With paths that only the driver's working folder makes whole."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.CRITICAL)  # as the command has it
    log = write_log(Path("log"))
    SMALL_PROBLEM.save(log / "problem.yaml")
    quick = [f"--conf={name}={value}" for name, value in QUICK_START.items()]
    spark = ["--engine", "spark", "--master", "local-cluster[2,1,2048]", "--conf", "spark.executor.memory=1g", *quick]
    done = tfmtl("preprocess", log, "--output", "cluster", "--shards", 3, *spark)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("301 rows in: ")
    assert capfd.readouterr() == ("", "")  # nor did Java and the workers say anything
    assert len(list((spark_home / "work").glob("app-*/[01]/stderr"))) == 2  # both executors there were
    run(Path("beam"), log)
    assert whole(Path("cluster")) == whole(Path("beam"))
