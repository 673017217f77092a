"""Recognize the output folders of other steps, so that no step overwrites them."""

from pathlib import Path

from tfmtl.core.validation import error_text

PREPARED, TRAINED, EXPORTED = "prepared data", "a training run", "exported models"
_MARKS = {PREPARED: ("manifest.json",), TRAINED: ("run.json",), EXPORTED: ("saved_model.pb", "[0-9]*/saved_model.pb")}


def check_output_folder(owner: str, argument: str, folder: Path, own: str) -> None:
    """Raises unless `folder` is free of other steps' output.

    Args:
        owner: str. The caller's name, the first word of an error.
        argument: str. The argument that holds the folder, for an error.
        folder: the folder to write to; need not exist.
        own: `PREPARED`, `TRAINED` or `EXPORTED`: the caller's own kind of output.
    """
    for what, marks in _MARKS.items():
        if what != own and any(True for mark in marks for _ in folder.glob(mark)):
            rule = f"be a separate folder, but it holds {what}"
            raise ValueError(error_text(owner, argument, rule, str(folder), "Give another folder."))
