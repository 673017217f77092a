"""Which requests are let in, and when the last of them has gone."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from serving.serving_error import ServingError

_LOOK_SECONDS = 0.01


class Admission:
    """Counts the requests under way on one protocol, of any thread.

    Args:
        max_requests: int. Most requests under way at once.
    """

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._num_requests = 0
        self._is_stopping = False
        self._lock = threading.Lock()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Counts one request while the block runs. Raises what `enter` raises."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Counts a request until `leave`.

        Raises:
            ServingError: `UNAVAILABLE` once `drain` was called, `RESOURCE_EXHAUSTED` if too many are under way.
        """
        with self._lock:
            if self._is_stopping:
                raise ServingError("UNAVAILABLE", "The server is stopping. Ask another one, or try again later.")
            if self._num_requests >= self._max_requests:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    f"The server answers {self._max_requests} requests at once (its --max-requests), and that many are "
                    "under way. Try again later.",
                )
            self._num_requests += 1

    def leave(self) -> None:
        """Says that a request which had entered is over."""
        with self._lock:
            self._num_requests -= 1

    async def drain(self, seconds: float) -> None:
        """Lets nobody in any more, and waits for those under way, `seconds` at most."""
        with self._lock:
            self._is_stopping = True
        until = time.monotonic() + seconds
        while self._num_requests and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
