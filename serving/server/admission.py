"""Which requests are let in, and when the last of them has gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from serving.serving_error import ServingError


class Admission:
    """Counts the requests under way on one protocol. To be used in one event loop.

    Args:
        max_requests: int. Most requests under way at once.
    """

    def __init__(self, max_requests: int) -> None:
        self._max_requests = max_requests
        self._num_requests = 0
        self._is_stopping = False
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Counts one request while the block runs.

        Raises:
            ServingError: `UNAVAILABLE` once `drain` was called, `RESOURCE_EXHAUSTED` if too many are under way.
        """
        if self._is_stopping:
            raise ServingError("UNAVAILABLE", "The server is stopping. Ask another one, or try again later.")
        if self._num_requests >= self._max_requests:
            raise ServingError(
                "RESOURCE_EXHAUSTED",
                f"The server answers {self._max_requests} requests at once (its --max-requests), and that many are "
                "under way. Try again later.",
            )
        self._num_requests += 1
        self._is_empty.clear()
        try:
            yield
        finally:
            self._num_requests -= 1
            if self._num_requests == 0:
                self._is_empty.set()

    async def drain(self, seconds: float) -> None:
        """Lets nobody in any more, and waits for those under way, `seconds` at most."""
        self._is_stopping = True
        try:
            async with asyncio.timeout(seconds):
                await self._is_empty.wait()
        except TimeoutError:
            pass
