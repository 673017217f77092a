"""Recognize the output folders of other steps, so that no step overwrites them."""

from pathlib import Path

from tfmtl.folders.exported_version import ExportedVersion
from tfmtl.folders.prepared_folder import PreparedFolder
from tfmtl.folders.trained_run import TrainedRun
from tfmtl.folders.version_folders import find_versions
from tfmtl.schema.checks import error_text

PREPARED, TRAINED, EXPORTED = "prepared data", "a training run", "exported models"


def check_output_folder(owner: str, argument: str, folder: Path, own: str) -> None:
    """Raises unless `folder` is free of other steps' output.

    Args:
        owner: str. The caller's name, the first word of an error.
        argument: str. The argument that holds the folder, for an error.
        folder: the folder to write to; need not exist.
        own: `PREPARED`, `TRAINED` or `EXPORTED`: the caller's own kind of output.
    """
    is_there = {
        PREPARED: PreparedFolder(folder).is_complete,
        TRAINED: TrainedRun(folder).is_there,
        EXPORTED: _holds_models(folder),
    }
    for what, found in is_there.items():
        if found and what != own:
            rule = f"be a separate folder, but it holds {what}"
            raise ValueError(error_text(owner, argument, rule, str(folder), "Give another folder."))


def _holds_models(folder: Path) -> bool:
    versions = find_versions(folder).values() if folder.is_dir() else ()
    return any(ExportedVersion(path).is_there for path in (folder, *versions))
