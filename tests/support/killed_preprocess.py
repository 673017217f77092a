"""Runs the job on a log and kills itself when the second bucket is written.

python -m tests.support.killed_preprocess <log> <output>
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.support.small_log import run
from tfmtl.preprocessing.writing.shard_writer import ShardWriter

_write = ShardWriter.write
_written: list[int] = []


def _write_one(self: ShardWriter, bucket: int, *rest: Any) -> Any:
    if _written:
        os.kill(os.getpid(), signal.SIGKILL)
    _written.append(bucket)
    return _write(self, bucket, *rest)


if __name__ == "__main__":
    ShardWriter.write = _write_one  # type: ignore[method-assign]
    run(Path(sys.argv[2]), Path(sys.argv[1]))
