"""Whether a table has the columns that a problem names."""

from collections.abc import Mapping, Sequence

from tfmtl.preprocessing.reading.input_error import InputError
from tfmtl.schema.checks import did_you_mean
from tfmtl.schema.shown import shown


def check_table_columns(table: str, required: Mapping[str, str], present: Sequence[str]) -> None:
    """Raises `InputError` where one is missing.

    Args:
        table: its name.
        required: column -> the place in the problem file that names it.
        present: the table's.
    """
    missing = [
        f"'{column}' ({place}).{did_you_mean(column, present)}"
        for column, place in required.items()
        if column not in present
    ]
    if missing:
        raise InputError(
            f"preprocess: table '{table}' must have every column that the problem file names. It lacks "
            f"{' It lacks '.join(missing)} Received: {shown(list(present))}. "
            "Rename it in a view or in the problem file."
        )
