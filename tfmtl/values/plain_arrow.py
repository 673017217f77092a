"""Convert Arrow's many types to the few plain types that the package reads."""

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_UNREADABLE = "which cannot be read: write it as text, a number, a time or a list of these"


def why_unreadable(kind: pa.DataType) -> str | None:
    """Why values of a type cannot be read, or `None` if they can."""
    kind = storage_type(kind)
    inner = storage_type(kind.value_type) if is_list(kind) else kind
    if pa.types.is_nested(inner) or pa.types.is_interval(inner):
        return f"is of type {kind}, {_UNREADABLE}"
    return None


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves: of what a dictionary, a run or an extension type holds."""
    while True:
        if isinstance(kind, pa.BaseExtensionType):
            kind = kind.storage_type
        elif pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
            kind = kind.value_type
        else:
            return kind


def is_coded(kind: pa.DataType) -> bool:
    """Whether values are numbers that stand for those of a dictionary."""
    return bool(pa.types.is_dictionary(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether a row holds several values."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
        or pa.types.is_large_list_view(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Whether values are texts, or bytes that may be some."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def plain_batch(batch: pa.RecordBatch, keep_coded: bool = False) -> pa.RecordBatch:
    """A batch whose columns `plain` has made; with `keep_coded`, texts that a dictionary holds stay in it."""
    columns = [
        column if keep_coded and is_coded(column.type) and is_text(column.type.value_type) else plain(column)
        for column in batch.columns
    ]
    if all(new is old for new, old in zip(columns, batch.columns, strict=True)):
        return batch
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain(values: Any) -> Any:
    """An array in a type with which every kernel works, of the same values.

    Dictionaries, runs and extension types give way to their values, views to the ordinary types, lists
    of every kind to `list` or `large_list`, UUIDs to text as Python writes them. Numbers, times, bools, records and
    nulls stay as they are.

    Args:
        values: `pa.Array` of any type.
    """
    kind = values.type
    if isinstance(kind, pa.UuidType):
        return _uuid_texts(values.storage)
    if isinstance(kind, pa.BaseExtensionType):
        return plain(values.storage)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(values.run_ends, plain(values.values))).slice(
            values.offset, len(values)
        )
    if pa.types.is_dictionary(kind):
        return plain(values.dictionary).take(values.indices)
    if pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_binary_view(kind):
        return values.cast(pa.binary())
    return _plain_list(values) if is_list(kind) else values


def _uuid_texts(values: Any) -> Any:
    digits = pc.dictionary_encode(values)
    texts = pa.array([str(UUID(bytes=value)) for value in digits.dictionary.to_pylist()], pa.string())
    return texts.take(digits.indices)


def _plain_list(values: Any) -> Any:
    """Lists of plain items; views and lists of one size are laid out anew, as Arrow's own cast misplaces some."""
    kind = values.type
    has_plain_items = plain(pa.nulls(0, kind.value_type)).type == kind.value_type
    if has_plain_items and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return values
    items = plain(pc.list_flatten(values))
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    mask = values.is_null() if values.null_count else None
    return pa.LargeListArray.from_arrays(pa.array(offsets), items, mask=mask)
