"""Folders that all processes of a test run read and the first that asks makes."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def shared_folder(name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name` of this test run; once it is made, nobody may write to it.

    Args:
        name: str. The same for whoever wants the same.
        make: fills the new, empty folder. Other processes wait for it; where it fails, the next one tries anew.
    """
    folder = Path(os.environ["TFMTL_TESTS_SHARED"]) / name
    is_made = folder.with_suffix(".made")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            is_made.touch()
    return folder
