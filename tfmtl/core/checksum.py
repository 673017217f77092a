"""Checksums of files."""

import zlib
from pathlib import Path

_BLOCK = 1 << 18  # stays in the processor's cache


def file_checksum(path: Path) -> str:
    """`crc32:` and eight hexadecimal digits: detects damage of a file, not manipulation, and is cheap."""
    value, block = 0, memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(block):
            value = zlib.crc32(block[:size], value)
    return f"crc32:{value:08x}"
