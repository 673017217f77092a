"""Scales of derived numbers, which cannot be fitted: they are known only after everything fitted is.

A derived number enters once, as a number, or twice in one field: as the id of a bucket, too.
"""

from tfmtl.schema.forms import EncodedTensor
from tfmtl.schema.reserved import RESERVED_IDS

HALF_OCTAVES = tuple(sorted({round(2.0 ** (step / 2)) for step in range(63)}))
"""1, 2, 3, 4, 6, 8, 11, ... to 2**31: whole numbers, each about 1.4 times the one before."""

SHARES = 20
"""Buckets of a share between 0 and 1; 1 has one of its own."""

MAGNITUDES = tuple(2.0 ** (step / 2) for step in range(-20, 63))
"""Half octaves of the absolute value of a number of any size."""

LOG_SCALE = 8.0
"""Brings `log1p` of counts and of seconds near 1."""

ODDS = tuple((step + 0.5) / 4.0 for step in range(-32, 32))
"""Boundaries of the log odds of a share, against those of the mean: quarters from -8 to 8, one of them around 0."""

ENTERS = ("twice", "once")

MATCH_NUMBERS = "match_numbers"
"""The field of the network in which the numbers of all matches are added up that enter once."""

MOST_ODDS = 8.0
"""Differences of log odds that enter once are cut to plus and minus this."""

ODDS_SCALE = 2.0
"""A rate's number is the difference of log odds divided by this."""

NONE = {"count": -1.0, "share": -1.0, "odds": -MOST_ODDS / ODDS_SCALE - 1.0}
"""Scale -> what a number that enters once is where there is none: below all others."""

ROWS = {
    "count": RESERVED_IDS + len(HALF_OCTAVES) + 1,
    "share": RESERVED_IDS + SHARES + 1,
    "odds": RESERVED_IDS + len(ODDS) + 1,
    "signed": RESERVED_IDS + 2 * (len(MAGNITUDES) + 1),
}


def id_key(field: str) -> str:
    """Key of the bucket's id."""
    return f"{field}__id"


def number_key(field: str) -> str:
    """Key of the number."""
    return f"{field}__x"


def derived_tensors(
    enters: str, field: str, scale: str, dim: int, side: str, joins: str = ""
) -> tuple[EncodedTensor, ...]:
    """The tensors of a derived number, which enters once or twice; the other arguments are those of `twice`.

    Signed numbers have no number below all others for "none": they enter twice in any case.
    """
    if enters == "twice" or scale == "signed":
        return twice(field, scale, dim, side, joins)
    key = number_key(field)
    return (EncodedTensor(key, "number", field, dim=dim, side=side, missing=NONE[scale], joins=joins),)


def twice(field: str, scale: str, dim: int, side: str, joins: str = "") -> tuple[EncodedTensor, EncodedTensor]:
    """The two tensors of a derived number.

    Args:
        field: str. Name of the number.
        scale: `"count"`, whole numbers from 0; `"share"`, from 0 to 1; `"odds"`, log odds; `"signed"`,
            any number.
        dim: int. Width of the buckets' table.
        side: as of the tensor.
        joins: as of the tensors. Defaults to `""`.
    """
    key = id_key(field)
    return (
        EncodedTensor(key, "id", field, (), key, ROWS[scale], dim, True, side, joins=joins),
        EncodedTensor(number_key(field), "number", field, dim=dim, side=side, joins=joins),
    )
