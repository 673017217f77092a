"""Arrow columns as text in one spelling, and as numbers."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfmtl.schema.spelling import spelled
from tfmtl.values.plain_arrow import is_coded, is_text, plain

_NO_TEXT = pa.scalar(None, pa.string())
_NO_NUMBER = pa.scalar(None, pa.float64())
# Within these Arrow writes a fraction without an exponent.
_LEAST_PLAIN, _FIRST_LARGE = 1e-4, 1e10
_EXACT_BITS = {"halffloat": 11, "float": 24, "double": 53}


def to_text(values: Any) -> Any:
    """Values of any type as strings, a value's always the same: see `spelled`.

    Args:
        values: `pa.Array` of single values.

    Returns:
        Array of `string`, null where a value is missing, empty, NaN, a list or a record, or bytes that are not UTF-8.
    """
    if is_coded(values.type):
        return to_text(values.dictionary).take(values.indices)
    values = plain(values)
    kind = values.type
    if pa.types.is_nested(kind):
        return pa.nulls(len(values), pa.string())
    if pa.types.is_floating(kind):
        return _floats(values)
    if pa.types.is_decimal(kind):
        return _decimals(values)
    if pa.types.is_duration(kind):
        return _floats(to_numbers(values))
    if pa.types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    if pa.types.is_string(kind):
        values = values.cast(pa.binary())  # costs nothing; the cast back checks that it is UTF-8
    strings = cast_or_null(values, pa.string())
    if pa.types.is_temporal(kind):  # as many digits as the value has, not as its unit
        strings = pc.replace_substring_regex(strings, r"(\.\d*?)0+(Z?)$", r"\1\2")
        strings = pc.replace_substring_regex(strings, r"\.(Z?)$", r"\1")
    return _without_empty(strings) if is_text(kind) else strings


def to_numbers(values: Any) -> Any:
    """Numbers, bools and durations (seconds) of any width as float64, rounded beyond 2**53, null where missing or NaN.

    Returns:
        Array of float64, or `None` where the values are of another type.
    """
    values = plain(values)
    kind = values.type
    if pa.types.is_boolean(kind):
        values = pc.cast(values, pa.int8())
    elif pa.types.is_duration(kind):
        ticks = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        values = pc.divide(pc.cast(pc.cast(values, pa.int64()), pa.float64(), safe=False), ticks)
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    numbers = pc.cast(values, pa.float64(), safe=False)
    return pc.if_else(pc.is_nan(numbers), _NO_NUMBER, numbers)


def flatten(lists: Any) -> tuple[Any, np.ndarray]:
    """The items of an array of lists, and the row that each belongs to; a null holds none."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return pc.list_flatten(lists), np.repeat(np.arange(len(lists)), lengths)


def count_inexact(values: Any) -> int:
    """How many floats are so large that their type cannot tell neighboring whole numbers apart."""
    bits = _EXACT_BITS.get(str(values.type))
    if bits is None:
        return 0
    numbers = values.to_numpy(zero_copy_only=False)
    return int(np.count_nonzero(np.isfinite(numbers) & (np.abs(numbers) > 2.0**bits)))


def cast_or_null(values: Any, to: pa.DataType) -> Any:
    """`values` as another type, null where a value cannot be read so."""
    try:
        return pc.cast(values, to)
    except pa.ArrowInvalid:  # Some value cannot; only now look for it one by one.
        coded = values.dictionary_encode()
        return pa.array([_cast_one(value, to) for value in coded.dictionary], to).take(coded.indices)


def _cast_one(value: Any, to: pa.DataType) -> Any:
    try:
        return value.cast(to)
    except pa.ArrowInvalid:
        return pa.scalar(None, to)


def _without_empty(strings: Any) -> Any:
    is_empty = pc.equal(pc.binary_length(strings), 0)
    return pc.if_else(is_empty, _NO_TEXT, strings) if pc.any(is_empty).as_py() else strings


def _floats(values: Any) -> Any:
    """Whole numbers as integers; of the others the few whose form is in question one by one."""
    stored = values.to_numpy(zero_copy_only=False)
    numbers = stored.astype(np.float64)
    is_known = ~np.isnan(numbers)
    size = np.abs(numbers)
    is_whole = is_known & (size < 2.0**63) & (numbers == np.floor(numbers))
    whole = pa.array(np.where(is_whole, numbers, 0.0).astype(np.int64), mask=~is_whole)
    text = pc.cast(whole, pa.string())
    if np.array_equal(is_whole, is_known):
        return text
    is_plain = is_known & ~is_whole & (size >= _LEAST_PLAIN) & (size < _FIRST_LARGE) & (stored.dtype != np.float16)
    text = pc.if_else(pa.array(is_plain), pc.cast(values, pa.string()), text)
    is_odd = is_known & ~is_whole & ~is_plain
    if is_odd.any():
        distinct, places = np.unique(stored[is_odd], return_inverse=True)
        written = pa.array([spelled(value) for value in distinct], pa.string()).take(pa.array(places.ravel()))
        text = pc.replace_with_mask(text, pa.array(is_odd), written)
    return text


def _decimals(values: Any) -> Any:
    """Without the zeros that only the type's scale adds."""
    text = pc.cast(values, pa.string())
    exponents = pc.fill_null(pc.match_substring(text, "E"), False)
    if pc.any(exponents).as_py():
        coded = values.dictionary_encode()
        digits = [format(value, "f") if value is not None else None for value in coded.dictionary.to_pylist()]
        text = pa.array(digits, pa.string()).take(coded.indices)
    text = pc.replace_substring_regex(text, r"(\.\d*?)0+$", r"\1")
    return pc.replace_substring_regex(pc.replace_substring_regex(text, r"\.$", ""), r"^-0$", "0")
