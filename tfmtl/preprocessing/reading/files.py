"""Files on any file system that Beam knows (local, gs://, s3://, hdfs://), on every engine alike."""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def match(patterns: Sequence[str]) -> list[str]:
    """Paths of the files that match any of the patterns; `**` crosses folders."""
    return [metadata.path for found in _file_systems().match(list(patterns)) for metadata in found.metadata_list]


def exists(path: str) -> bool:
    """Whether a file or, on this machine, a folder has exactly this name, whatever patterns it may be read as."""
    return os.path.exists(path) if is_local(path) else bool(_file_systems().exists(path))


def is_local(path: str) -> bool:
    """Whether a path is one of this machine."""
    return "://" not in path


def literal(path: str) -> str:
    """The pattern that matches `path` alone."""
    return re.sub(r"([*?[])", r"[\1]", path)


def size(path: str) -> int:
    """Bytes of one file."""
    if is_local(path):
        return os.path.getsize(path)
    return int(_file_systems().match([literal(path)])[0].metadata_list[0].size_in_bytes)


def absolute(path: str) -> str:
    """The path as any process finds it: workers have working folders of their own."""
    return os.path.abspath(path) if is_local(path) else path


def join(folder: str, *names: str) -> str:
    """The path of a file below `folder`."""
    return str(_file_systems().join(folder, *names))


def open_file(path: str) -> Any:
    """A stream of the file's own bytes, as a context manager: what is packed stays packed."""
    return _file_systems().open(path, compression_type="uncompressed")


def create(path: str) -> Any:
    """A stream to a new file, as a context manager; folders are made, an older file is replaced."""
    return _file_systems().create(path, compression_type="uncompressed")


def put(local: str | Path, path: str) -> None:
    """Copies a local file to `path`."""
    with open(local, "rb") as source, create(path) as target:
        shutil.copyfileobj(source, target)


def copy(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Copies files one by one, not whole folders: object stores have none."""
    if sources:
        _file_systems().copy(list(sources), list(targets))


def delete(paths: Sequence[str]) -> None:
    """Removes files one by one, not whole folders: object stores have none."""
    if paths:
        _file_systems().delete(list(paths))


@contextmanager
def local_target(path: str, scratch: str) -> Iterator[Path]:
    """A local file to write, for what can only write those; when the block ends it lies at `path`.

    Whatever stood at `path` is replaced in one step, so that a bundle that is run twice leaves one whole file.
    A local `path` and `scratch` must be on one disk.
    """
    if "://" in path:
        with tempfile.NamedTemporaryFile(prefix="tfmtl-") as temporary:
            yield Path(temporary.name)
            put(temporary.name, path)
        return
    unfinished = Path(scratch) / uuid.uuid4().hex
    for folder in (unfinished.parent, Path(path).parent):
        folder.mkdir(parents=True, exist_ok=True)
    yield unfinished
    os.replace(unfinished, path)


def _file_systems() -> Any:
    """Beam's file systems, imported at the first use: their import takes seconds."""
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
