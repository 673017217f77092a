"""The command on a Spark cluster: two executors, each a Java process with Python workers of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.engines import spark_home, whole, write_log
from tests.support.small_log import SMALL_PROBLEM, run

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_command_on_a_cluster(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log")
    SMALL_PROBLEM.save(log / "problem.yaml")
    command = [sys.executable, "-m", "pipelines.cli", "preprocess", log, "-o", tmp_path / "cluster", "--shards", "3"]
    spark = ["--engine", "spark", "--master", "local-cluster[2,1,2048]", "--conf", "spark.executor.memory=1g"]
    environment = {**os.environ, "SPARK_HOME": str(spark_home(tmp_path / "home"))}
    environment.pop("PYTHONPATH", None)  # the driver finds the package in its folder, the workers in the zip
    done = subprocess.run(
        [*map(str, command), *spark],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("301 rows in: ")
    assert len(list((tmp_path / "home" / "work").glob("app-*/[01]/stderr"))) == 2  # both executors there were
    run(tmp_path / "beam", log)
    assert whole(tmp_path / "cluster") == whole(tmp_path / "beam")
