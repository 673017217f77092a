"""Which step of the work wrote a folder, so that no step writes into another's."""

from pathlib import Path

from tfmtl.core.validation import error_text

PREPARED, TRAINED, EXPORTED = "prepared data", "a training run", "exported models"
_MARKS = {PREPARED: ("manifest.json",), TRAINED: ("run.json",), EXPORTED: ("saved_model.pb", "[0-9]*/saved_model.pb")}


def check_output_folder(owner: str, argument: str, folder: Path, own: str) -> None:
    """Raises unless `folder` is free of other steps' output.

    Args:
        owner: str. Who asks, named first in the error.
        argument: str. Its argument.
        folder: where it is about to write; need not exist.
        own: `PREPARED`, `TRAINED` or `EXPORTED`: what it writes itself.
    """
    for what, marks in _MARKS.items():
        if what != own and any(True for mark in marks for _ in folder.glob(mark)):
            rule = f"be a folder of its own, but it holds {what}"
            raise ValueError(error_text(owner, argument, rule, str(folder), "Give another folder."))
