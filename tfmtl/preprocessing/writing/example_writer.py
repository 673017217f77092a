"""Serialize columns as `tf.train.Example`s, many rows at a time.

Building protobuf objects row by row costs more than everything else in the
job together. Here a record is the concatenation of its features' bytes. A
feature is a head, which depends on the payload's length alone, and the payload;
both are Arrow arrays made a whole column at a time, and Arrow joins them
(https://protobuf.dev/programming-guides/encoding; the messages are Example,
Features, Feature, Int64List, FloatList and BytesList of TensorFlow).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_INT64, _FLOAT, _BYTES = b"\x1a", b"\x12", b"\x0a"  # field tags inside Feature
_NOTHING = pa.scalar(b"", pa.binary())


@dataclass(frozen=True)
class PackedRows:
    """Values as the bytes of a record in one array: row i owns `data[ends[i]:ends[i + 1]]`."""

    data: np.ndarray
    ends: np.ndarray
    kind: bytes = _INT64

    def ranges(self, starts: np.ndarray, stops: np.ndarray) -> pa.BinaryArray:
        """The bytes of the rows `starts[i]` to `stops[i]`; ranges may overlap."""
        first, last = self.ends[starts], self.ends[stops]
        offsets = _offsets(last - first)
        kind = np.int32 if max(offsets[-1], len(self.data)) < np.iinfo(np.int32).max else np.int64  # half the memory
        at = np.repeat((first - offsets[:-1]).astype(kind), last - first) + np.arange(offsets[-1], dtype=kind)
        return _binary(self.data[at], offsets)


def pack_rows(values: np.ndarray) -> PackedRows:
    """Rows of ids or floats, `(n, ...)`."""
    width = math.prod(values.shape[1:])
    if values.dtype == np.float32:
        packed = np.ascontiguousarray(values, "<f4").reshape(-1).view(np.uint8)
        return PackedRows(packed, np.arange(len(values) + 1) * (4 * width), _FLOAT)
    ints = pack_ints(values.reshape(-1))
    return PackedRows(ints.data, ints.ends[::width])


def pack_ints(values: np.ndarray) -> PackedRows:
    """Varints of non-negative ints."""
    values = values.astype(np.uint64 if values.itemsize > 4 else np.uint32)
    width = max(1, -(-int(values.max(initial=0)).bit_length() // 7))
    if width == 1:
        return PackedRows(values.astype(np.uint8), np.arange(len(values) + 1))
    shifts = np.arange(width, dtype=values.dtype) * values.dtype.type(7)
    rest = values[:, np.newaxis] >> shifts  # (n, width)
    used = rest > 0
    used[:, 0] = True
    out = (rest & values.dtype.type(0x7F)).astype(np.uint8)
    out[:, :-1] |= used[:, 1:].astype(np.uint8) << 7
    return PackedRows(out[used], _offsets(used.sum(axis=1)))


def int_column(key: str, values: np.ndarray) -> list[pa.Array]:
    """One non-negative int per row."""
    packed = pack_ints(values)
    return _with_heads(key, _INT64, _binary(packed.data, packed.ends))


def list_column(key: str, values: PackedRows, starts: np.ndarray, stops: np.ndarray) -> list[pa.Array]:
    """A list per record: record i owns the rows `starts[i]` to `stops[i]` of `values`, without the last."""
    return _with_heads(key, values.kind, values.ranges(starts, stops))


def whole_list_column(key: str, values: PackedRows, lengths: np.ndarray) -> list[pa.Array]:
    """A list per record, of which none is part of two: the first `lengths[0]` rows of `values`, the next, and so on."""
    return _with_heads(key, values.kind, _binary(values.data, values.ends[_offsets(lengths)]))


def value_column(key: str, values: np.ndarray) -> list[pa.Array]:
    """One value per row, or equally many: ids, floats or, of type uint8, bytes."""
    if values.dtype == np.uint8:
        ends = np.arange(len(values) + 1) * math.prod(values.shape[1:])
        return _with_heads(key, _BYTES, _binary(values, ends))
    if values.ndim > 1 and values.dtype == np.float32:
        return [_entries(_head(key, _FLOAT, 4 * math.prod(values.shape[1:])), values)]
    if values.ndim > 1:
        packed = pack_rows(values)
        return _with_heads(key, packed.kind, _binary(packed.data, packed.ends))
    return float_column(key, values) if values.dtype == np.float32 else int_column(key, values)


def float_column(key: str, values: np.ndarray) -> list[pa.Array]:
    """One float a row; NaN leaves the feature out."""
    present = ~np.isnan(values)
    packed = np.ascontiguousarray(values[present], np.float32).view(np.uint8).reshape(-1, 4)
    head = np.frombuffer(_head(key, _FLOAT, 4), np.uint8)
    entries = np.concatenate([np.broadcast_to(head, (len(packed), len(head))), packed], axis=1)
    return [_binary(entries, _offsets(present * entries.shape[1]))]


def _entries(head: bytes, values: np.ndarray) -> pa.BinaryArray:
    """The head before the floats of every row, which are equally many."""
    width = math.prod(values.shape[1:])  # of no rows it cannot be told by their number
    packed = np.ascontiguousarray(values, "<f4").reshape(len(values), width).view(np.uint8)
    entries = np.empty((len(values), len(head) + packed.shape[1]), np.uint8)
    entries[:, : len(head)] = np.frombuffer(head, np.uint8)
    entries[:, len(head) :] = packed
    return _binary(entries, np.arange(len(values) + 1) * entries.shape[1])


def bytes_column(key: str, values: pa.Array) -> list[pa.Array]:
    """One text per row; null leaves the feature out."""
    payload = pc.cast(pc.fill_null(values, ""), pa.binary())
    heads, payload = _with_heads(key, _BYTES, payload)
    return [pc.if_else(values.is_valid(), heads, _NOTHING), payload]


def join_columns(columns: Sequence[list[pa.Array]]) -> pa.BinaryArray:
    """Serialized examples, from all columns of the same rows.

    Raises:
        ValueError: the columns have unequal numbers of rows.
    """
    parts = [part for column in columns for part in column]
    if len({len(part) for part in parts}) != 1:
        raise ValueError("join_columns: `columns` must have equal numbers of rows.")
    sizes = np.sum([_lengths(part) for part in parts], axis=0)
    heads = _by_length(sizes, lambda size: b"\x0a" + _varint(size))
    return pc.binary_join_element_wise(heads, *parts, _NOTHING)


# === Bytes ===


@lru_cache(1 << 16)
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


@lru_cache(1 << 16)
def _head(key: str, kind: bytes, size: int) -> bytes:
    """One `Features.feature` map entry up to its payload of `size` bytes, field 1 of any of the three lists."""
    name = b"\x0a" + _varint(len(key.encode())) + key.encode()
    value = b"\x0a" + _varint(size)
    typed = kind + _varint(len(value) + size) + value
    feature = b"\x12" + _varint(len(typed) + size) + typed
    return b"\x0a" + _varint(len(name) + len(feature) + size) + name + feature


def _with_heads(key: str, kind: bytes, payload: pa.BinaryArray) -> list[pa.Array]:
    return [_by_length(_lengths(payload), lambda size: _head(key, kind, size)), payload]


def _by_length(lengths: np.ndarray, make: Callable[[int], bytes]) -> pa.Array:
    """`make(length)` of every row, made once a distinct length."""
    occurs = np.bincount(lengths) > 0
    made = pa.array([make(length) for length in np.flatnonzero(occurs).tolist()], pa.binary())
    return made.take(pa.array((np.cumsum(occurs) - 1)[lengths]))


def _lengths(array: pa.Array) -> np.ndarray:
    return np.diff(np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, 4 * array.offset))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def _binary(data: np.ndarray, offsets: np.ndarray) -> pa.BinaryArray:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, buffers)
