"""What tells a damaged file from a whole one."""

import zlib
from pathlib import Path

_BLOCK = 1 << 18  # stays in the processor's cache


def file_checksum(path: Path) -> str:
    """`crc32:` and eight hexadecimal digits of a file's bytes: against damage, not against forgery, and cheap."""
    value, block = 0, memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(block):
            value = zlib.crc32(block[:size], value)
    return f"crc32:{value:08x}"
