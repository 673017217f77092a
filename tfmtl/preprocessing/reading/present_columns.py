"""Whether a file or table has the columns that a problem names."""

from collections.abc import Mapping, Sequence

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.shown import shown

RENAME_IN_LOG = "Rename it in the log or in the problem file."
RENAME_IN_VIEW = "Rename it in a view or in the problem file."


def check_present(what: str, required: Mapping[str, str], present: Sequence[str], advice: str) -> None:
    """Raises `InputError` where a column is missing.

    Args:
        what: the file or table, as the error names it.
        required: column -> the place in the problem file that names it.
        present: the columns that there are.
        advice: what to do about it.
    """
    missing = [
        f"'{column}' ({place}).{did_you_mean(column, present)}"
        for column, place in required.items()
        if column not in present
    ]
    if missing:
        raise InputError(
            f"preprocess: {what} must have every column that the problem file names. It lacks "
            f"{' It lacks '.join(missing)} Received: {shown(list(present))}. {advice}"
        )
