"""The temporary folder that Beam makes for a pipeline, and those that killed jobs have left."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apache_beam as beam

from tfmtl.core.folder_lock import LOCK_FILE, locked_folder

_PREFIX = "beam-pipeline-temp"  # Beam's


@contextmanager
def claimed_temporary_folder(pipeline: beam.Pipeline) -> Iterator[None]:
    """Locks the pipeline's folder until the block ends, so that the next job can tell whose it is after a kill.

    Folders of killed jobs are removed: those with this package's lock file whose lock is free.
    """
    remove_left_folders()
    with locked_folder("preprocess", "temporary folder", Path(pipeline.local_tempdir)):
        yield


def remove_left_folders() -> None:
    """Removes what killed jobs of this user left; other programs' folders and those in use stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(ValueError, OSError):  # in use, or of another user
            if (folder / LOCK_FILE).is_file() and folder.stat().st_uid == os.getuid():
                with locked_folder("preprocess", "temporary folder", folder):
                    shutil.rmtree(folder)
