"""Columns to serialised `tf.train.Example`s, column by column.

Building protobuf objects row by row costs more than everything else in the
job together. A record is the concatenation of its features' bytes, which are
made a whole column at a time
(https://protobuf.dev/programming-guides/encoding; the messages are Example,
Features, Feature, Int64List, FloatList and BytesList of TensorFlow).
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_INT64, _FLOAT, _BYTES = b"\x1a", b"\x12", b"\x0a"  # field tags inside Feature


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _entry(key: str, feature: bytes) -> bytes:
    """One `Features.feature` map entry."""
    return _message(b"\x0a", _message(b"\x0a", key.encode()) + _message(b"\x12", feature))


def int_column(key: str, values: np.ndarray) -> list[bytes]:
    """Fragments of one non-negative int a row."""
    unique, inverse = np.unique(values, return_inverse=True)
    fragments = [_entry(key, _message(_INT64, _message(b"\x0a", _varint(value)))) for value in unique.tolist()]
    return [fragments[i] for i in inverse.tolist()]


def float_column(key: str, values: np.ndarray) -> list[bytes]:
    """Fragments of one float a row; NaN leaves the feature out."""
    values = np.ascontiguousarray(values, np.float32)
    packed = values.tobytes()
    head = _entry(key, _message(_FLOAT, _message(b"\x0a", bytes(4))))[:-4]  # the same whatever the value
    fragments = [head + packed[start : start + 4] for start in range(0, len(packed), 4)]
    for row in np.flatnonzero(np.isnan(values)).tolist():
        fragments[row] = b""
    return fragments


def bytes_column(key: str, values: Sequence[str | None]) -> list[bytes]:
    """Fragments of one text a row; `None` leaves the feature out."""
    fragments = {
        value: b"" if value is None else _entry(key, _message(_BYTES, _message(b"\x0a", value.encode())))
        for value in set(values)
    }
    return [fragments[value] for value in values]


def int_list_column(key: str, values: np.ndarray, offsets: np.ndarray) -> list[bytes]:
    """Fragments of a list of non-negative ints a row: row i owns `values[offsets[i]:offsets[i + 1]]`."""
    packed, ends = _packed_varints(values)
    limits = ends[offsets].tolist()
    name = _message(b"\x0a", key.encode())
    heads: dict[int, bytes] = {}  # everything before the packed values depends on their length only
    fragments = []
    for start, stop in pairwise(limits):
        size = stop - start
        head = heads.get(size)
        if head is None:
            ints = b"\x0a" + _varint(size)
            int_list = _INT64 + _varint(len(ints) + size) + ints
            feature = b"\x12" + _varint(len(int_list) + size) + int_list
            head = heads[size] = b"\x0a" + _varint(len(name) + len(feature) + size) + name + feature
        fragments.append(head + packed[start:stop])
    return fragments


def _packed_varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """All values as varints in one string, and the position before each value and after the last."""
    values = values.astype(np.uint64)
    lengths = np.ones(len(values), np.int64)
    rest = values >> np.uint64(7)
    while rest.any():
        lengths += rest > 0
        rest >>= np.uint64(7)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    out = np.empty(ends[-1], np.uint8)
    for byte in range(int(lengths.max(initial=0))):
        has = lengths > byte
        part = (values[has] >> np.uint64(7 * byte)).astype(np.uint8) & 0x7F
        more = (lengths[has] > byte + 1).astype(np.uint8) << 7
        out[ends[:-1][has] + byte] = part | more
    return out.tobytes(), ends


def join_columns(fragments: Sequence[list[bytes]]) -> list[bytes]:
    """Serialised examples from the fragments of all columns."""
    joined = map(b"".join, zip(*fragments, strict=True))
    return [b"\x0a" + _varint(len(features)) + features for features in joined]
