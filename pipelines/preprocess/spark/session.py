"""The Spark session in which the job runs."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from tfmtl.pipelines.preprocess.spark.package_zip import package_zip

_BATCHES_AT_ONCE = 16  # rows, each with a whole batch, that Spark hands to Python together
_LOOPBACK = "127.0.0.1"


@contextmanager
def spark_session(master: str | None, conf: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session whose workers can import this package: the one of this process, or a new one that is stopped after it.

    Args:
        master: Spark's master. Defaults to what `spark-submit` was given, or `local[*]`.
        conf: further settings of Spark.

    Raises:
        RuntimeError: Spark does not start.
        ValueError: this process has a session with another master.
    """
    own = SparkSession.getActiveSession()
    if own is not None:
        if master is not None and own.sparkContext.master != master:
            raise ValueError(
                f"preprocess: `master` must be the one of this process's Spark session, '{own.sparkContext.master}'. "
                f"Received: master={master!r}. Leave it out, or stop the session first."
            )
        own.sparkContext.addPyFile(package_zip())
        yield own
        return
    session = _start(master, conf)
    try:
        session.sparkContext.addPyFile(package_zip())
        yield session
    finally:
        session.stop()


def _start(master: str | None, conf: Mapping[str, str]) -> SparkSession:
    if master is None and "PYSPARK_GATEWAY_PORT" not in os.environ:  # which spark-submit sets
        master = "local[*]"
    settings = {
        "spark.app.name": "tfmtl preprocess",
        "spark.sql.execution.arrow.maxRecordsPerBatch": _BATCHES_AT_ONCE,
        "spark.executorEnv.PYTHONSAFEPATH": "1",  # else a folder `tfmtl` where the command runs would come first
    }
    if master is not None:
        settings["spark.master"] = master
        if master.startswith("local"):  # nothing of it is open to the net
            settings |= {
                "spark.driver.host": _LOOPBACK,
                "spark.driver.bindAddress": _LOOPBACK,
                "spark.ui.enabled": "false",
            }
            os.environ.setdefault("SPARK_LOCAL_IP", _LOOPBACK)
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if not logging.getLogger().isEnabledFor(logging.WARNING):
        settings["spark.log.level"] = "OFF"
    builder = SparkSession.builder
    for name, value in {**settings, **conf}.items():
        builder = builder.config(name, value)
    with tempfile.TemporaryFile() as notes:
        try:
            with _standard_error_to(notes.fileno()):
                return builder.getOrCreate()
        except PySparkRuntimeError as error:
            notes.seek(0)
            said = notes.read().decode(errors="replace").strip().splitlines() or [str(error)]
            raise RuntimeError(
                f"preprocess: Spark did not start: {said[-1].rstrip('.')}. It needs Java 17 or newer "
                "(JAVA_HOME, or java on the PATH), and settings that it knows."
            ) from error


@contextmanager
def _standard_error_to(target: int) -> Iterator[None]:
    """Java keeps the standard error that it is started with, and its notes stay off the screen."""
    if logging.getLogger().isEnabledFor(logging.WARNING):
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
