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
    """Table `(value, count, bits)` of the values that are there, as float32, in rising order."""
    numbers = values.drop_null().to_numpy(zero_copy_only=False).astype(np.float32) + np.float32(0.0)  # -0 becomes 0
    ordered = np.sort(numbers)  # faster than a hash table: most numbers with a fraction differ
    known = ordered[: np.searchsorted(ordered, np.nan)]
    return _as_fine_as_fits(_added_up(known, np.ones(len(known), np.int64), _ALL_BITS), MOST_VALUES)


def merge_number_counts(tables: Iterable[pa.Table], most_values: int = MOST_VALUES) -> pa.Table:
    """One table with the counts of equal values added up.

    Args:
        tables: as `count_numbers` or this function returns them, one at least.
        most_values: int. Different values of more than 16 bits that may be left.
    """
    whole = pa.concat_tables(list(tables))
    bits = int(pc.min(whole["bits"]).as_py() or _ALL_BITS)
    return _as_fine_as_fits(_at_bits(whole.take(pa.array(np.argsort(whole["value"].to_numpy()))), bits), most_values)


def _as_fine_as_fits(counts: pa.Table, most_values: int) -> pa.Table:
    bits = int(counts["bits"][0].as_py()) if counts.num_rows else _ALL_BITS
    if counts.num_rows <= most_values or bits == ROUNDED_BITS:
        return counts
    if _at_bits(counts, ROUNDED_BITS + 1).num_rows > most_values:  # the usual end, reached at once
        return _at_bits(counts, ROUNDED_BITS)
    while counts.num_rows > most_values:
        bits -= 1
        counts = _at_bits(counts, bits)
    return counts


def is_rounded(table: pa.Table) -> bool:
    """Whether the numbers have no more than 16 significant bits left."""
    return bool(table.num_rows and table["bits"][0].as_py() == ROUNDED_BITS)


def rounded(table: pa.Table) -> pa.Table:
    """The same counts by numbers of 16 significant bits, of a table in rising order."""
    return _at_bits(table, ROUNDED_BITS)


def _at_bits(table: pa.Table, bits: int) -> pa.Table:
    """Fewer bits of numbers in rising order, which keeps them so."""
    values = table["value"].to_numpy()
    return _added_up(shortened(values, bits) if bits < _ALL_BITS else values, table["count"].to_numpy(), bits)


def shortened(numbers: np.ndarray, bits: int) -> np.ndarray:
    """float32 cut off after so many bits, rounded at 16; infinities stay as they are."""
    dropped = np.uint32(_ALL_BITS - bits)
    half = np.uint32(1) << (dropped - np.uint32(1)) if bits == ROUNDED_BITS else np.uint32(0)
    shortened = ((numbers.view(np.uint32) + half) >> dropped << dropped).view(np.float32)
    return np.where(np.isfinite(numbers), shortened, numbers)


def _added_up(values: np.ndarray, counts: np.ndarray, bits: int) -> pa.Table:
    """The counts of equal values, which stand side by side."""
    if not len(values):
        return _SCHEMA.empty_table()
    firsts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    sums = np.add.reduceat(counts, firsts)
    return pa.table([values[firsts], sums, np.full(len(firsts), bits, np.int8)], schema=_SCHEMA)
