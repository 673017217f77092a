"""A byte stream for the CSV parser that counts lines and replaces lines that are too long."""

import io
from typing import Any

import numpy as np

END = "\x1e"  # as a line: one column, where a log has at least a feature and a label
LONG = "\x1d"  # begins a line that stands for one that was too long; its length follows

_MARK = b'"'
_LINE_FEED, _CARRIAGE_RETURN = 10, 13


class LineStream(io.RawIOBase):
    """The bytes of `stream` and then the line `END`; lines that are too long are replaced.

    A reader that meets the end of a file inside quotation marks takes all rows since the opening one for a single
    value and says nothing. Inside a value `END` is text; anywhere else it is a line with too few columns, which the
    reader reports, and so it does with what stands for a long line.

    Lines are counted apart from the reader, so that it can lose none.

    Args:
        stream: a binary file, open for reading.
        most_bytes: int. Largest length of a line, without its line break.
        block_bytes: int. Number of bytes read at once.

    Attributes:
        lines: int. Number of lines so far that are not empty; `END` is not counted.
        has_marks: bool. Whether a quotation mark has been read.
        has_cut_quotes: bool. Whether a line was replaced that holds an odd number of quotation marks.
    """

    def __init__(self, stream: Any, most_bytes: int, block_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._most_bytes = most_bytes
        self._block_bytes = block_bytes
        self._ready = memoryview(b"")
        self._rest = b""  # the beginning of a line whose end has not been read
        self._after_break = True
        self._ended = False
        self.lines = 0
        self.has_marks = False
        self.has_cut_quotes = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer` and returns the number of bytes."""
        while not self._ready and not self._ended:
            self._refill()
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _refill(self) -> None:
        block = self._stream.read(self._block_bytes)
        if not block:
            self._ended = True
            self._pass(self._short(self._rest), f"\n{END}\n".encode())
            return
        cut = block.rfind(b"\n") + 1
        if cut:
            whole = b"".join((self._rest, memoryview(block)[:cut]))
            self._rest = block[cut:]
            self._pass(self._short(whole))
            return
        self._rest += block
        if len(self._rest) > self._most_bytes:
            self._rest = self._skip_to_break()

    def _pass(self, data: bytes, end: bytes = b"") -> None:
        self.has_marks = self.has_marks or _MARK in data
        self._count(data)
        self._ready = memoryview(data + end)

    def _short(self, data: bytes) -> bytes:
        """`data` with its long lines replaced. Any part of half their length is looked at: a long line fills one."""
        half = self._most_bytes // 2
        if all(data.find(b"\n", start, start + half) >= 0 for start in range(0, len(data) - half, half)):
            return data
        lines = data.split(b"\n")
        return b"\n".join(
            line if len(line) <= self._most_bytes else self._stand_in(len(line), line.count(_MARK)) for line in lines
        )

    def _stand_in(self, size: int, marks: int) -> bytes:
        self.has_cut_quotes = self.has_cut_quotes or marks % 2 == 1
        return f"{LONG}{size}".encode()

    def _skip_to_break(self) -> bytes:
        """Passes what stands for a line that has no end yet; returns what was read after it."""
        size, marks = len(self._rest), self._rest.count(_MARK)
        while block := self._stream.read(self._block_bytes):
            line, end, rest = block.partition(b"\n")
            size, marks = size + len(line), marks + line.count(_MARK)
            if end:
                cut = rest.rfind(b"\n") + 1
                self._pass(self._stand_in(size, marks) + end + self._short(rest[:cut]))
                return bytes(rest[cut:])
        self._pass(self._stand_in(size, marks))
        return b""

    def _count(self, data: bytes) -> None:
        """Counts the lines that begin in `data`: characters other than a break that stand after one."""
        if not data:
            return
        characters = np.frombuffer(data, np.uint8)
        is_break = characters == _LINE_FEED
        if b"\r" in data:
            is_break |= characters == _CARRIAGE_RETURN
        begins = self._after_break and not is_break[0]
        self.lines += int(np.count_nonzero(is_break[:-1] & ~is_break[1:])) + int(begins)
        self._after_break = bool(is_break[-1])
