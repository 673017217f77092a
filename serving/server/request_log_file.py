"""One file of a request log, and the recovery of files of killed servers."""

import contextlib
import fcntl
import os
import secrets
import time
from pathlib import Path

import tensorflow as tf

_FINISHED = "requests-*.tfrecord"
_PARTIAL = ".requests-*.tfrecord.partial"


class RequestLogFile:
    """A TFRecord file on its way to its name, for this user alone. While it is open it is locked.

    Args:
        folder: Path.
        run: str. Tells this server's files from others'; see `run_name`.
        number: int. Of the file among them.
        seconds: float. It is old after so many seconds.

    Attributes:
        num_bytes: int. Of its records.
    """

    def __init__(self, folder: Path, run: str, number: int, seconds: float) -> None:
        self.num_bytes = 0
        name = f"requests-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{run}-{number:05d}.tfrecord"
        self._final = folder / name
        self._partial = folder / f".{name}.partial"
        self._end = time.monotonic() + seconds
        self._lock = os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._writer = tf.io.TFRecordWriter(str(self._partial))
        except BaseException:
            os.close(self._lock)
            self._partial.unlink(missing_ok=True)
            raise

    @property
    def seconds_left(self) -> float:
        """Until it is old."""
        return max(0.0, self._end - time.monotonic())

    def write(self, record: bytes) -> None:
        """Adds a record."""
        self._writer.write(record)
        self.num_bytes += len(record)

    def flush(self) -> None:
        """Hands what was written to the system, where it outlives this process."""
        self._writer.flush()

    def finish(self) -> None:
        """Closes it and gives it its name."""
        self._writer.close()
        os.rename(self._partial, self._final)
        os.close(self._lock)

    def discard(self) -> None:
        """Removes it. Never raises."""
        for act in (self._writer.close, self._partial.unlink, lambda: os.close(self._lock)):
            with contextlib.suppress(Exception):
                act()


def run_name() -> str:
    """A name of this run: two servers may have one process number, each in a container of its own."""
    return f"{os.getpid()}-{secrets.token_hex(6)}"


def folder_bytes(folder: Path) -> int:
    """What all servers' logs in the folder take."""
    sizes = []
    for path in (*folder.glob(_FINISHED), *folder.glob(_PARTIAL)):
        with contextlib.suppress(OSError):  # renamed in between
            sizes.append(path.stat().st_size)
    return sum(sizes)


def recover(folder: Path) -> int:
    """Finishes the files of servers that were killed: whole records are kept. Those of running servers are locked.

    Returns:
        The number of requests found.
    """
    return sum(_recover_file(path) for path in sorted(folder.glob(_PARTIAL)))


def _recover_file(path: Path) -> int:
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # another server that starts has been quicker
        return 0
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():
            return 0
        records = _whole_records(path)
        if records:
            file = RequestLogFile(path.parent, run_name(), 0, 0.0)
            for record in records:
                file.write(record)
            file.finish()
        path.unlink()
        return len(records)
    except BlockingIOError:
        return 0
    finally:
        os.close(lock)


def _whole_records(path: Path) -> list[bytes]:
    records = []
    try:
        for record in tf.data.TFRecordDataset(str(path)):
            records.append(record.numpy())
    except tf.errors.DataLossError:  # the last one ends in the middle
        pass
    return records
