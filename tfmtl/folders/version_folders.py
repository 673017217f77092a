"""The folders of a model's versions, which are named by a number."""

import re
from pathlib import Path

_MOST = 2**63 - 1  # a version is an int64 on the wire


def find_versions(base_dir: Path) -> dict[int, Path]:
    """Returns the version folders under `base_dir`, newest first; other names are not versions.

    Of two spellings of one number, such as `7` and `007`, the plain one counts.

    Raises:
        OSError: if `base_dir` cannot be listed.
    """
    found: dict[int, Path] = {}
    for path in sorted(base_dir.iterdir(), key=lambda path: len(path.name)):
        version = _version(path)
        if version is not None and path.is_dir():
            found.setdefault(version, path)
    return dict(sorted(found.items(), reverse=True))


def odd_folders(base_dir: Path) -> list[str]:
    """Returns the names of folders that look like a version but are not: `1.bak`, `007` beside `7`, a too long number.

    Raises:
        OSError: if `base_dir` cannot be listed.
    """
    versions = {path.name for path in find_versions(base_dir).values()}
    names = [path.name for path in base_dir.iterdir() if path.name[0] in "0123456789" and path.is_dir()]
    return sorted(set(names) - versions)


def _version(path: Path) -> int | None:
    if not re.fullmatch("[0-9]{1,100}", path.name):  # of thousands of digits `int` refuses to make a number
        return None
    version = int(path.name)
    return version if version <= _MOST else None
