"""A stream that shows whether a CSV reader came out of its last quoted value."""

import io
from typing import Any

END = "\x1e"  # as a line: one column, where a log has at least a feature and a label


class EndedStream(io.RawIOBase):
    """The bytes of `stream` and then the line `END`.

    A reader that meets the end of a file inside quotation marks takes all rows
    since the opening one for a single value and says nothing. Inside a value
    `END` is text; anywhere else it is a line with too few columns, which the
    reader reports.

    Args:
        stream: a binary file, open for reading.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._end = f"\n{END}\n".encode()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer` and returns the number of bytes."""
        data = self._stream.read(len(buffer))
        if not data:
            data, self._end = self._end[: len(buffer)], self._end[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
