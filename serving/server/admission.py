"""Admission control: limit the requests in progress, and wait for them when the server stops."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tfmtl.serving.serving_error import ServingError

_LOOK_SECONDS = 0.01


class Admission:
    """Counts the requests on one protocol, of any thread: from their first byte, and from their last.

    Places are taken by requests that have arrived as a whole. A drain waits for those that still arrive as well.

    Args:
        max_requests: int. Most requests that hold a place at once.
    """

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._num_known = self._num_placed = 0
        self._is_stopping = False
        self._lock = threading.Lock()

    @contextmanager
    def known(self) -> Iterator[None]:
        """`begin` and `end` around a block."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def placed(self) -> Iterator[None]:
        """`enter` and `leave` around a block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def begin(self) -> None:
        """Registers a request that begins to arrive; `end` must follow.

        Raises:
            ServingError: `UNAVAILABLE` once `drain` was called.
        """
        with self._lock:
            if self._is_stopping:
                raise ServingError("UNAVAILABLE", "The server is stopping. Use another server, or try again later.")
            self._num_known += 1

    def end(self) -> None:
        """Ends a request that began."""
        with self._lock:
            self._num_known -= 1

    def enter(self) -> None:
        """Takes a place for a request that has arrived completely; `leave` must follow.

        Raises:
            ServingError: `RESOURCE_EXHAUSTED` if all places are taken.
        """
        with self._lock:
            if self._num_placed >= self._max_requests:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    f"The server answers {self._max_requests} requests at once (its --max-requests), and that many are "
                    "under way. Try again later.",
                )
            self._num_placed += 1

    def leave(self) -> None:
        """Gives the place back."""
        with self._lock:
            self._num_placed -= 1

    async def drain(self, seconds: float) -> None:
        """Refuses new requests, and waits at most `seconds` for those that have begun."""
        with self._lock:
            self._is_stopping = True
        until = time.monotonic() + seconds
        while self._num_known and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
