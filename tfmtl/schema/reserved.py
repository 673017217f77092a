"""Ids, values and signs with a meaning of their own: what is missing, what is unknown, what fills up."""

from typing import Any

MISSING_ID = 0
"""The id of a missing value and of padding: its vector is zero and never learns."""

OUT_OF_VOCABULARY = 1
"""The id of a value that training has not seen often enough."""

RESERVED_IDS = 2
"""Ids of values begin here."""

NOT_FOUND = OUT_OF_VOCABULARY - RESERVED_IDS
"""What a lookup answers for a value that it does not have, so that `RESERVED_IDS` can be added to every answer."""

MISSING: dict[str, Any] = {"string": "", "float32": float("nan"), "int64": 0}
"""What stands for a missing value of a request, by dtype."""

JOINT = "__"
"""Joins the two names of an event column; TensorFlow's argument names allow letters, digits and underscores only."""

LIKELY_MISSING = ("\\N", "NULL", "null", "Null", "(null)", "<NA>", "NaN", "nan", "NaT", "None", "N/A", "n/a", "#N/A")
"""Texts with which other programs write that there is no value: Hive and MySQL, SQL, Spark, pandas, NumPy, Python,
spreadsheets. Hardly ever the name of anything."""

MAYBE_MISSING = ("-", "--", "?", "NA", "na", "none", "missing", "undefined")
"""Texts that may also be values."""


def filling(dtype: str) -> Any:
    """What fills up the shorter lists in an array: the missing value; of text as bytes.

    Args:
        dtype: str. As TensorFlow spells it. Of floats of any size it is NaN, of all else 0.
    """
    if dtype == "string":
        return MISSING["string"].encode()
    return MISSING["float32" if dtype.startswith(("float", "bfloat")) else "int64"]
