"""Which version of the package wrote a folder, and whether this one can read it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfmtl import __version__
from tfmtl.folders.folder_error import FolderError

_FORMAT, WRITER = "format", "written_by"


def format_facts(newest: int) -> dict[str, Any]:
    """The facts that a folder keeps: the number of its format, and the package that wrote it."""
    return {_FORMAT: newest, WRITER: f"tfmtl {__version__}"}


def check_format(owner: str, folder: str | Path, facts: Mapping[str, Any], newest: int) -> None:
    """Raises unless this version of the package reads the format of a folder.

    Folders of the first versions have no number; they are read as the first format.

    Args:
        owner: str. Who asks, named first in the error.
        folder: named in the error.
        facts: what the folder keeps of itself.
        newest: int. The newest format that is read.

    Raises:
        FolderError: the folder has a newer format, or its number is none.
    """
    found = facts.get(_FORMAT, 1)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise FolderError(f"{owner}: '{folder}' has the format {found!r}, which is no number. Write the folder anew.")
    if found > newest:
        writer = facts.get(WRITER, "a later version of tfmtl")
        raise FolderError(
            f"{owner}: '{folder}' has format {found}, and tfmtl {__version__} reads up to format {newest}. "
            f"Use {writer}, which wrote it, or write the folder anew."
        )
