"""Read times in all notations as whole numbers of one unit."""

import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema.keys import SECONDS_PER_DAY, Keys
from tfmtl.values.arrow_text import cast_or_null

_ISO = r"^\s*\d{4}-\d{2}-\d{2}(?:[T ]|\s*$)"
_ZONE = r"(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"
_TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def from_temporal(column: pa.Array, keys: Keys) -> pa.Array:
    """Dates and timestamps of any unit as int64 ticks; a fraction of a step is cut off. Without a zone they are UTC."""
    if pa.types.is_date32(column.type):
        return _in_ticks(pc.cast(pc.cast(column, pa.int32()), pa.int64()), 1, SECONDS_PER_DAY, keys)
    unit = "ms" if pa.types.is_date64(column.type) else column.type.unit
    return _in_ticks(pc.cast(column, pa.int64()), _TICKS[unit], 1, keys)


def is_iso(text: pa.Array) -> pa.Array:
    """Where a text begins like an ISO date or time; false where missing."""
    return pc.fill_null(pc.match_substring_regex(text, _ISO), False)


def has_zone(text: pa.Array) -> pa.Array:
    """Where an ISO time says its distance from UTC."""
    longer = pc.greater(pc.utf8_length(text), len("2020-01-01"))
    return pc.and_(pc.fill_null(longer, False), pc.fill_null(pc.match_substring_regex(text, _ZONE), False))


def from_iso(text: pa.Array, keys: Keys) -> pa.Array:
    """ISO texts as int64 ticks, null where one is no time; without a zone they are UTC."""
    zoned = has_zone(text)
    nothing = pa.scalar(None, pa.string())
    trimmed = pc.utf8_trim_whitespace(text)
    with_zone = _parsed(pc.if_else(zoned, trimmed, nothing), "UTC")
    return from_temporal(pc.coalesce(with_zone, _parsed(pc.if_else(zoned, nothing, trimmed), None)), keys)


def _parsed(text: pa.Array, zone: str | None) -> pa.Array:
    """Timestamps in microseconds; nanoseconds, which few years have, only where a text has as many digits."""
    times = cast_or_null(text, pa.timestamp("us", zone))
    lost = pc.and_(pc.is_valid(text), pc.is_null(times))
    if pc.any(lost).as_py():
        finer = cast_or_null(pc.if_else(lost, text, pa.scalar(None, pa.string())), pa.timestamp("ns", zone))
        times = pc.coalesce(times, pc.cast(finer, times.type, safe=False))
    return pc.cast(times, pa.timestamp("us"))


def _in_ticks(values: pa.Array, per_second: int, seconds: int, keys: Keys) -> pa.Array:
    """Counts of a unit as ticks of whole steps, rounded down; nulls stay."""
    counts = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    step = keys.ticks_per_step
    if seconds > 1:
        ticks = counts * (seconds * keys.ticks_per_second)
    elif per_second >= keys.ticks_per_second:
        ticks = counts // (per_second // keys.ticks_per_second)
    else:
        ticks = counts * (keys.ticks_per_second // per_second)
    ticks = ticks // step * step if step > 1 else ticks
    return pa.array(ticks, pa.int64(), mask=pc.is_null(values).to_numpy(zero_copy_only=False))
