"""The name under which an exported model is served."""

from pathlib import Path

from tfmtl.folders import ExportedVersion
from tfmtl.folders.version_folders import find_versions


def served_name(base_dir: Path) -> str:
    """The problem's name, as the newest version's problem file says; without one, that of the folder of versions."""
    folders = find_versions(base_dir).values() if base_dir.is_dir() else ()
    ours = (version for version in map(ExportedVersion, folders) if version.is_ours)
    newest = next(ours, None)
    return base_dir.resolve().name if newest is None else newest.read_problem().name
