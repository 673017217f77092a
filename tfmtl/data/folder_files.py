"""Check that the files of a prepared folder are complete and undamaged."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import tensorflow as tf

from tfmtl.core.checksum import file_checksum
from tfmtl.folders import DataError

_AGAIN = "Run the preprocessing again."


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises `DataError` where a file is missing, cut off or, but for the records, damaged.

    Folders of earlier versions have no checksums.

    Args:
        folder: the prepared folder.
        manifest: what its manifest says.
    """
    checksums = manifest.get("checksums", {})
    for name in {**manifest["files"], **checksums}:
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or ".." in parts or "\\" in name or not parts:
            raise DataError(f"PreparedData: '{folder}' must name files inside it only. Received: {name!r}. {_AGAIN}")
    for name, facts in manifest["files"].items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != facts["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DataError(f"PreparedData: '{file}' must have {facts['bytes']} bytes but {found}. {_AGAIN}")
    for name, checksum in checksums.items():  # records are checked as they are read
        if name not in manifest["files"] and _is_damaged(folder / name, checksum):
            raise DataError(
                f"PreparedData: '{folder / name}' is damaged: its content has changed since it was written. {_AGAIN}"
            )


@contextmanager
def damage_named(folder: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """What reads records inside the block and meets a damaged one ends in a `DataError` that names the file."""
    try:
        yield
    except tf.errors.DataLossError as error:
        checksums = manifest.get("checksums", {})
        damaged = [name for name in manifest["files"] if _is_damaged(folder / name, checksums.get(name))]
        which = f"'{folder / damaged[0]}' is" if damaged else f"a file of '{folder}' is"
        more = f", and {len(damaged) - 1} further files are" if len(damaged) > 1 else ""
        raise DataError(f"PreparedData: {which} damaged{more}: {error.message.splitlines()[0]}. {_AGAIN}") from error


def _is_damaged(file: Path, checksum: str | None) -> bool:
    if not file.is_file():
        return True
    if checksum is not None:
        return file_checksum(file) != checksum
    try:  # written by an earlier version: every record has a checksum of its own
        packed = "GZIP" if file.suffix == ".gz" else ""
        tf.data.TFRecordDataset(str(file), packed).reduce(0, lambda count, _: count + 1)
    except tf.errors.DataLossError:
        return True
    return False
