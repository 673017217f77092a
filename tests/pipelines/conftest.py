"""Spark as the tests run it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

QUICK_START = {f"spark.{part}.extraJavaOptions": "-XX:TieredStopAtLevel=1" for part in ("driver", "executor")}


@pytest.fixture(scope="session")
def spark_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The installed Spark under another name: workers of `local-cluster` write into the folder of their Spark.

    A process keeps the Java that it has started, so this lasts as long.
    """
    import pyspark

    folder = tmp_path_factory.mktemp("spark")
    for part in Path(pyspark.__file__).parent.iterdir():
        (folder / part.name).symlink_to(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_HOME", str(folder))
        patch.delenv("PYTHONPATH", raising=False)  # workers have the package from the driver alone
        yield folder
