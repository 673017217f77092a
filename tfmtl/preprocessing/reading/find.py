"""Finding the files of a log."""

import itertools
import os
import re
from collections.abc import Sequence

from tfmtl.preprocessing.reading import files
from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.schema.shown import shown

_SHARD = re.compile(r"(?P<before>.*)-(?P<index>\d+)-of-(?P<total>\d+)(?P<after>\D*)")
_SHOWN_MISSING = 10


def expand(patterns: Sequence[str]) -> list[str]:
    """Files matching the patterns (a folder means all log files in it), sorted so that every run sees one order.

    Raises:
        InputError: nothing matches, or a file is of an unknown kind.
    """
    paths: list[str] = []
    for pattern in patterns:
        matches = [pattern, pattern.rstrip("/") + "/*"]
        found = files.match(matches)
        logs = sorted({path for path in found if kind_of(path) and not os.path.isdir(path)})
        if not logs:
            raise InputError(
                f"preprocess: input '{pattern}' must match at least one .csv, .tsv or .parquet file "
                f"(.csv and .tsv also as .gz or .zst). Received: {shown(sorted(found)) if found else 'no file'}."
            )
        paths += logs
    paths = list(dict.fromkeys(paths))
    _check_shards(paths)
    return paths


def _check_shards(paths: Sequence[str]) -> None:
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
                f"preprocess: files '{before}-*-of-{total}{after}' must be complete. Missing: {missing}. "
                "Give all of them, or rename those that are meant to be read alone."
            )


def kind_of(path: str) -> str | None:
    """`csv`, `tsv` or `parquet`, by the name; `None` for other files."""
    name = path.lower().removesuffix(".gz").removesuffix(".zst")
    return next((kind for kind in ("csv", "tsv", "parquet") if name.endswith("." + kind)), None)
