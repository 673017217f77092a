"""Finding the files of a log."""

import itertools
import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.schema.shown import shown

_SHARD = re.compile(r"(?P<before>.*)-(?P<index>\d+)-of-(?P<total>\d+)(?P<after>\D*)")
_SHOWN_MISSING = 10
_MISSING = "__HIVE_DEFAULT_PARTITION__"


def expand(patterns: Sequence[str], owner: str = "preprocess") -> list[str]:
    """Files of a log, sorted within each pattern, so that every run sees one order.

    What exists under a name is meant by it, whatever signs of a pattern the name has. A folder means all log files in
    it and, as Hive and Spark write them, in its folders called `key=value`; see `partition_values`. In folders and
    patterns, names that begin with `.` or `_` are passed over: they are what other programs have not finished. A file
    is read once, however many names lead to it.

    Args:
        patterns: files, folders, or patterns with `*`, `?`, `[...]` and, across folders, `**`.
        owner: str. What the user called, for errors. Defaults to `"preprocess"`.

    Raises:
        InputError: nothing matches, a file is of an unknown kind, or one of numbered files is missing.
    """
    paths: dict[str, str] = {}  # by the file itself, the first name of it
    for pattern in patterns:
        found = _named(pattern) if files.exists(pattern) else _matching(pattern)
        logs = sorted(path for path in found if kind_of(path))
        if not logs:
            raise InputError(
                f"{owner}: input '{pattern}' must match at least one .csv, .tsv, .jsonl or .parquet file "
                "(all but .parquet also as .gz or .zst). Received: "
                f"{shown(sorted(found)) if found else 'no file'}."
            )
        for path in logs:
            paths.setdefault(os.path.realpath(path) if files.is_local(path) else path, path)
    _check_shards(owner, list(paths.values()))
    return list(paths.values())


def partition_values(path: str) -> dict[str, str | None]:
    """What the folders called `key=value` above a file say of all its rows; `None` where the value is missing."""
    folders = path.split("/")[:-1]
    pairs = (folder.partition("=") for folder in folders if "=" in folder.lstrip("="))
    return {unquote(key): None if value == _MISSING else unquote(value) for key, _, value in pairs}


def _named(path: str) -> list[str]:
    """The file, or the files of the folder, that has this very name."""
    return _in_folder(path.rstrip("/") or "/") if files.is_local(path) and os.path.isdir(path) else [path]


def _in_folder(folder: str) -> list[str]:
    found = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if _is_passed_over(name):
            continue
        if not os.path.isdir(path):
            found.append(path)
        elif "=" in name:
            found += _in_folder(path)
    return found


def _matching(pattern: str) -> list[str]:
    below = pattern.rstrip("/")
    found = files.match([pattern, f"{below}/*"])
    if not files.is_local(pattern):  # there are no folders to look at there
        found += [path for path in files.match([f"{files.literal(below)}/**"]) if _is_partitioned(path, below)]
    start = len(re.split(r"[*?[]", pattern, maxsplit=1)[0].rpartition("/")[0])
    if any(_is_passed_over(name) for name in pattern[start:].split("/")):  # asked for
        start = len(pattern)
    found = [path for path in found if not any(_is_passed_over(name) for name in path[start:].split("/"))]
    return sorted(path for path in set(found) if not (files.is_local(path) and os.path.isdir(path)))


def _is_partitioned(path: str, folder: str) -> bool:
    return all("=" in name for name in path.removeprefix(folder + "/").split("/")[:-1])


def _is_passed_over(name: str) -> bool:
    return name.startswith((".", "_")) and name not in (".", "..")


def _check_shards(owner: str, paths: Sequence[str]) -> None:
    """Raises `InputError` where files are numbered `...-00000-of-00004...` and a number is missing."""
    found: dict[tuple[str, int, str], set[int]] = {}
    for path in paths:
        named = _SHARD.fullmatch(path)
        if named:
            found.setdefault((named["before"], int(named["total"]), named["after"]), set()).add(int(named["index"]))
    for (before, total, after), present in found.items():
        first = 1 if 0 not in present and total in present else 0
        missing = list(itertools.islice((i for i in range(first, first + total) if i not in present), _SHOWN_MISSING))
        if missing:
            raise InputError(
                f"{owner}: files '{before}-*-of-{total}{after}' must be complete. Missing: {missing}. "
                "Give all of them, or rename those that are meant to be read alone."
            )


def kind_of(path: str) -> str | None:
    """`csv`, `tsv`, `jsonl` or `parquet`, by the name; `None` for other files."""
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    if name.endswith(".ndjson"):
        return "jsonl"
    return next((kind for kind in ("csv", "tsv", "jsonl", "parquet") if name.endswith("." + kind)), None)
