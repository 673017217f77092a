"""Estimate the memory of a parsed protobuf message before it is parsed."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

# What a value takes beside its text: a string as TensorFlow keeps it, a number as the parser does.
_STRING_BYTES, _NUMBER_BYTES = 24, 8
_MESSAGE_BYTES = 32  # and eight for each of its fields
_UNKNOWN_BYTES = 16  # it takes no memory, but its time
_MAX_DEPTH = 100  # where the parser gives up
_FIXED = {1: 8, 5: 4}  # wire types of fixed size
_SHORT = 16  # of so many bytes each counts as a number
# Two bytes of a message can stand for a message of two hundred.
_LARGEST_FACTOR = 100


class _Field(NamedTuple):
    """What a value of a field takes, its size if that is fixed (0: text, 1: varint), and what is inside a message."""

    cost: int
    size: int
    inside: Any


def is_small_when_parsed(message: bytes, descriptor: Any, most: int) -> bool:
    """Whether a message takes at most about `most` bytes of memory when it is parsed.

    Empty text takes two bytes on the wire and dozens in memory, so megabytes could stand for gigabytes. Bytes that
    are no message are left to the parser.

    Args:
        message: bytes. The serialized message.
        descriptor: of the message, as protobuf has it.
        most: int.
    """
    if len(message) * _LARGEST_FACTOR <= most:
        return True
    try:
        return _walk(memoryview(message), 0, len(message), _fields(descriptor), most, 0) >= 0
    except IndexError:  # it ends in the middle
        return True


def _walk(data: memoryview, position: int, end: int, fields: Mapping[int, _Field], left: int, depth: int) -> int:
    """What is left of the bytes after this part of the message; negative if it takes more."""
    while position < end and left >= 0:
        tag = data[position]
        position += 1
        if tag >= 128:
            tag, position = _varint(data, position - 1)
        wire = tag & 7
        if wire == 2:
            length = data[position]
            position += 1
            if length >= 128:
                length, position = _varint(data, position - 1)
            field = fields.get(tag >> 3)
            if field is None:
                left -= _UNKNOWN_BYTES
            elif field.inside is not None:
                left -= field.cost
                if depth < _MAX_DEPTH:
                    inside = _fields(field.inside)
                    left = _walk(data, position, min(position + length, end), inside, left, depth + 1)
            elif field.size == 0:
                left -= field.cost
            else:
                size = min(length, end - position)
                count = size // field.size
                if field.size == 1 and size > _SHORT:
                    part = np.frombuffer(data[position : position + size], np.uint8)
                    count = int(np.count_nonzero(part < 128))
                left -= field.cost * (1 + count)
            position += length
        else:
            left -= _UNKNOWN_BYTES
            if wire == 0:
                _, position = _varint(data, position)
            else:
                position += _FIXED.get(wire, 0)  # the fields of a group count as if they were outside
    return left


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128 or shift > 63:
            return value, position


@cache
def _fields(descriptor: Any) -> dict[int, _Field]:
    return {field.number: _field(field) for field in descriptor.fields}


def _field(field: Any) -> _Field:
    if field.message_type is not None:
        return _Field(_MESSAGE_BYTES + 8 * len(field.message_type.fields), 0, field.message_type)
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        return _Field(_STRING_BYTES, 0, None)
    sizes = {
        4: (field.TYPE_FLOAT, field.TYPE_FIXED32, field.TYPE_SFIXED32),
        8: (field.TYPE_DOUBLE, field.TYPE_FIXED64, field.TYPE_SFIXED64),
    }
    return _Field(_NUMBER_BYTES, next((size for size, types in sizes.items() if field.type in types), 1), None)
