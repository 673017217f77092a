"""The folder of a model's versions, and where the next one goes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfmtl.core.folder_lock import locked_folder
from tfmtl.folders import ExportedVersion
from tfmtl.folders.step_folders import EXPORTED, check_output_folder
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.checks import check_positive_int, error_text

# In this system's words, which TensorFlow and other processes use in errors of their own.
_FULL_DISK = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


@contextmanager
def new_version(owner: str, directory: Path, version: int | None) -> Iterator[tuple[ExportedVersion, Path]]:
    """Yields where to write a version, and the name that it gets when the block ends without an error.

    A server that watches the directory loads what has a number for a name, and so never half a version.

    Args:
        owner: str. Who asks, named first in errors.
        directory: of the model's versions; made if it is not there.
        version: int or None: one above the newest, 1 at first.

    Raises:
        ValueError: the directory is another step's output, another job writes to it, or the version is not positive
            or exists.
        TypeError: the version is not an int.
        OSError: the disk is full; what was written has been removed.
    """
    check_output_folder(owner, "directory", directory, EXPORTED)
    with locked_folder(owner, "directory", directory):
        version = max(existing_versions(directory), default=0) + 1 if version is None else version
        check_positive_int(owner, "version", version, "Leave it out for the next one.")
        final = directory / str(version)
        if final.exists():
            advice = f"Remove '{final}' or take another."
            raise ValueError(error_text(owner, "version", "not exist yet", version, advice))
        partial = directory / f".tfmtl-{version}"  # a name of its own; a folder that a killed run left is removed
        shutil.rmtree(partial, ignore_errors=True)
        try:
            written = ExportedVersion(partial)
            yield written, final
            written.write_format()
            os.rename(partial, final)
        except Exception as error:
            reason = next((text for text in _FULL_DISK if text in str(error)), None)
            if reason is None:
                raise
            shutil.rmtree(partial, ignore_errors=True)  # it takes the room that is missing
            raise OSError(
                f"{owner}: cannot write '{final}': {reason}. Earlier versions are unchanged: free some space, then "
                "run the same command again."
            ) from error


def existing_versions(directory: Path) -> list[int]:
    """The complete versions below `directory`, rising; none where there is no such folder."""
    return sorted(find_versions(directory)) if directory.is_dir() else []


def newest_version(owner: str, argument: str, path: Path) -> ExportedVersion:
    """The newest version below `path`, or `path` itself if it is one.

    Raises:
        FileNotFoundError: there is none.
        FolderError: a later version of the package wrote it.
    """
    version = ExportedVersion(path)
    if not version.is_there:
        versions = find_versions(path) if path.is_dir() else {}
        if not versions:
            rule = "hold a version, a folder with a number for a name"
            raise FileNotFoundError(error_text(owner, argument, rule, str(path), "Export a model there first."))
        version = ExportedVersion(versions[max(versions)])
    version.check_format(owner)
    return version
