"""Files on this machine, and on any file system that Beam knows (gs://, s3://, hdfs://), on every engine alike.

Beam is imported for those with a scheme alone: what lies on this machine can be prepared without it.
"""

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfmtl.schema.extras import need_extra

# A pattern's signs as Beam reads them on other file systems: one way on all.
_SIGN = re.compile(r"\*\*|[*?]|\[(?P<not>!?+)(?P<set>\][^\]]*|[^\]]+)\]|.", re.DOTALL)
_MEANINGS = {"**": ".*", "*": r"[^/\\]*", "?": "."}


def match(patterns: Sequence[str]) -> list[str]:
    """Paths of the files that match any of the patterns; `**` crosses folders."""
    found: list[str] = []
    for pattern in patterns:
        if is_local(pattern):
            found += _match_here(pattern)
        else:
            found += [data.path for result in _file_systems().match([pattern]) for data in result.metadata_list]
    return found


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
    return os.path.join(folder, *names) if is_local(folder) else str(_file_systems().join(folder, *names))


def open_file(path: str) -> Any:
    """A stream of the file's own bytes, as a context manager: what is packed stays packed."""
    return open(path, "rb") if is_local(path) else _file_systems().open(path, compression_type="uncompressed")


def create(path: str) -> Any:
    """A stream to a new file, as a context manager; folders are made, an older file is replaced."""
    if not is_local(path):
        return _file_systems().create(path, compression_type="uncompressed")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return open(path, "wb")


def put(local: str | Path, path: str) -> None:
    """Copies a local file to `path`."""
    with open(local, "rb") as source, create(path) as target:
        shutil.copyfileobj(source, target)


def copy(sources: Sequence[str], targets: Sequence[str]) -> None:
    """Copies files one by one, not whole folders: object stores have none."""
    if all(map(is_local, (*sources, *targets))):
        for source, target in zip(sources, targets, strict=True):
            shutil.copyfile(source, target)
    else:
        _file_systems().copy(list(sources), list(targets))


def delete(paths: Sequence[str]) -> None:
    """Removes files one by one, not whole folders: object stores have none."""
    for path in filter(is_local, paths):
        os.remove(path)
    elsewhere = [path for path in paths if not is_local(path)]
    if elsewhere:
        _file_systems().delete(elsewhere)


@contextmanager
def local_target(path: str, scratch: str) -> Iterator[Path]:
    """A local file to write, for what can only write those; when the block ends it lies at `path`.

    Whatever stood at `path` is replaced in one step, so that a bundle that is run twice leaves one whole file.
    A local `path` and `scratch` must be on one disk.
    """
    if not is_local(path):
        with tempfile.NamedTemporaryFile(prefix="tfmtl-") as temporary:
            yield Path(temporary.name)
            put(temporary.name, path)
        return
    unfinished = Path(scratch) / uuid.uuid4().hex
    for folder in (unfinished.parent, Path(path).parent):
        folder.mkdir(parents=True, exist_ok=True)
    yield unfinished
    os.replace(unfinished, path)


def _match_here(pattern: str) -> Iterator[str]:
    if not re.search(r"[*?[]", pattern):
        if os.path.exists(pattern):
            yield pattern
        return
    wanted = re.compile("".join(_meaning(sign) for sign in _SIGN.finditer(pattern)), re.DOTALL)
    fixed = os.path.dirname(re.split(r"[*?[]", pattern, maxsplit=1)[0])
    for folder, _, names in os.walk(fixed or "."):
        below = folder if fixed else folder[2:]  # `./` is no part of the names that the pattern gives
        yield from (path for name in names if wanted.fullmatch(path := os.path.join(below, name)))


def _meaning(sign: re.Match[str]) -> str:
    """One sign of a pattern as a regular expression."""
    if sign["set"] is not None:
        members = re.sub(r"([\\^\]\[])", r"\\\1", sign["set"])
        return f"[{'^' if sign['not'] else ''}{members}]"
    return _MEANINGS.get(sign[0]) or re.escape(sign[0])


def _file_systems() -> Any:
    """Beam's file systems, imported at the first use: their import takes seconds."""
    need_extra("preprocess: a file that is not on this machine", "beam", "apache_beam")
    from apache_beam.io.filesystems import FileSystems

    return FileSystems
