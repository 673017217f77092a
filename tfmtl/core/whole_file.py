"""Write files atomically: either the old or the complete new file exists."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a path to write to; that file replaces `path` when the block ends without an error.

    Whatever happens meanwhile, a kill, a full disk or a power cut, `path` is the old file or the new one. The name
    keeps its ending, for writers that go by it.

    Raises:
        OSError: of the file system; the old file is untouched and nothing is left beside it.
    """
    partial = path.with_name(f"partial.{path.name}")
    try:
        yield partial
        _to_disk(partial)
        os.replace(partial, path)
        _to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    """Waits until a file or folder is on the disk: else the renaming may get there before the content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
