"""What Weights & Biases wrote of a run's metrics in its offline file, which its package has no reader for."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _FILE_HEADER = 32_768, 7
_PART_HEADER = struct.Struct("<IHB")  # checksum, length, and which part of a record it is
_WHOLE, _LAST = 1, 4


def wandb_rows(path: Path) -> list[dict[str, Any]]:
    """Metric -> value of every row; the last record of a file that was cut off is left out, as `wandb sync` does.

    Args:
        path: the `.wandb` file: records of protocol buffers in the log format of LevelDB.
    """
    from wandb.proto import wandb_internal_pb2

    rows = []
    for content in _records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(content)
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


def _records(content: bytes) -> Iterator[bytes]:
    at, parts = _FILE_HEADER, b""
    while at + _PART_HEADER.size <= len(content):
        left = _BLOCK - at % _BLOCK
        if left < _PART_HEADER.size:
            at += left  # the rest of a block that no header fits into
            continue
        _, length, kind = _PART_HEADER.unpack_from(content, at)
        at += _PART_HEADER.size
        parts += content[at : at + length]
        at += length
        if kind in (_WHOLE, _LAST):
            if at <= len(content):
                yield parts
            parts = b""
