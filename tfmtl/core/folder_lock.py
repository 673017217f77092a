"""A lock on a folder: one job at a time; the lock ends with the process."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfmtl.schema.checks import error_text

LOCK_FILE = ".tfmtl.lock"
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # some network file systems


@contextmanager
def locked_folder(owner: str, argument: str, folder: Path, file: Path | None = None) -> Iterator[None]:
    """Keeps other jobs from `folder` until the block ends; makes the folder of the lock's file.

    The system releases the lock when the process ends, also if it is killed; the next job may then use the folder. The
    file's folder is removed in the end if it is empty and was not there before. On a file system without locks nothing
    is kept away.

    Args:
        owner: str. The caller's name, the first word of an error.
        argument: str. The argument that holds the folder, for an error.
        folder: the folder to write to.
        file: the lock's file. Defaults to `None`: `.tfmtl.lock` in the folder.

    Raises:
        ValueError: another job is writing to the folder.
        OSError: the folder or the file cannot be made.
    """
    file = file or folder / LOCK_FILE
    was_there = file.parent.exists()
    descriptor = _lock(owner, argument, folder, file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # before another process can have the lock
        os.close(descriptor)
        if not was_there:
            with contextlib.suppress(OSError):  # it is not empty
                file.parent.rmdir()


def _lock(owner: str, argument: str, folder: Path, file: Path) -> int:
    """The descriptor that holds the lock."""
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the folder's last user has just removed it
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another job"
            os.close(descriptor)
            rule = "be a folder that no other job is writing to"
            advice = f"That is {holder}: wait for its end, or give another folder."
            raise ValueError(error_text(owner, argument, rule, str(folder), advice)) from error
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                os.close(descriptor)
                raise
        if _is_at(descriptor, file):
            with contextlib.suppress(OSError):  # a full disk: the lock holds without a name in it
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
            return descriptor
        os.close(descriptor)  # its last holder removed it in between


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        there = os.stat(file)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
