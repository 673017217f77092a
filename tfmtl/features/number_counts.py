"""Counts of numbers, as fine as memory allows.

float32 has 24 significant bits. A table keeps them all while it has at most `MOST_VALUES` different values. With more
it cuts off bits from the end, one after the other, down to 17, and rounds to 16 where even these are too many. Cut-off
numbers are nested and more numbers never need fewer bits, so what is left does not depend on the order in which tables
are added up. Numbers of at least 17 bits still tell what they round to at 16.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MOST_VALUES = 1 << 16
ROUNDED_BITS = 16

_ALL_BITS = 24
_SCHEMA = pa.schema([("value", pa.float32()), ("count", pa.int64()), ("bits", pa.int8())])


def count_numbers(values: pa.Array) -> pa.Table:
    """Table `(value, count, bits)` of the values that are there, as float32."""
    numbers = values.drop_null().to_numpy(zero_copy_only=False).astype(np.float32) + np.float32(0.0)  # -0 becomes 0
    counted = pc.value_counts(pa.array(numbers))
    return _with_bits(counted.field("values"), counted.field("counts"), _ALL_BITS)


def merge_number_counts(tables: Iterable[pa.Table], most_values: int = MOST_VALUES) -> pa.Table:
    """One table with the counts of equal values added up.

    Args:
        tables: as `count_numbers` or this function returns them, one at least.
        most_values: int. Different values of more than 16 bits that may be left.
    """
    whole = pa.concat_tables(list(tables))
    bits = int(pc.min(whole["bits"]).as_py() or _ALL_BITS)
    merged = _at_bits(whole, bits)
    if merged.num_rows <= most_values or bits == ROUNDED_BITS:
        return merged
    if _at_bits(merged, ROUNDED_BITS + 1).num_rows > most_values:  # the usual end, reached at once
        return _at_bits(merged, ROUNDED_BITS)
    while merged.num_rows > most_values:
        bits -= 1
        merged = _at_bits(merged, bits)
    return merged


def is_rounded(table: pa.Table) -> bool:
    """Whether the numbers have no more than 16 significant bits left."""
    return bool(table.num_rows and table["bits"][0].as_py() == ROUNDED_BITS)


def rounded(table: pa.Table) -> pa.Table:
    """The same counts by numbers of 16 significant bits."""
    return _at_bits(table, ROUNDED_BITS)


def _at_bits(table: pa.Table, bits: int) -> pa.Table:
    if bits < _ALL_BITS:
        values = pa.array(shortened(table["value"].to_numpy(), bits))
        table = table.set_column(0, "value", values)
    summed = table.group_by("value").aggregate([("count", "sum")])
    return _with_bits(summed["value"], summed["count_sum"], bits)


def shortened(numbers: np.ndarray, bits: int) -> np.ndarray:
    """float32 cut off after so many bits, rounded at 16; infinities stay as they are."""
    dropped = np.uint32(_ALL_BITS - bits)
    half = np.uint32(1) << (dropped - np.uint32(1)) if bits == ROUNDED_BITS else np.uint32(0)
    shortened = ((numbers.view(np.uint32) + half) >> dropped << dropped).view(np.float32)
    return np.where(np.isfinite(numbers), shortened, numbers)


def _with_bits(values: pa.Array, counts: pa.Array, bits: int) -> pa.Table:
    return pa.table([values, counts, pa.array(np.full(len(values), bits, np.int8))], schema=_SCHEMA)
