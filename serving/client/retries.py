"""The retry policy of clients."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tfmtl.schema.checks import check_nonnegative_number, check_positive_int


@dataclass(frozen=True)
class Retries:
    """Exponential backoff with jitter. Only `UNAVAILABLE` is retried, and never beyond the call's deadline.

    Before it sends a request for the (n + 1)th time a client waits between the half and the whole of
    `first_wait * 2 ** (n - 1)` seconds, drawn at random, so that clients which lost their server together do not come
    back together.

    Args:
        attempts: int. Largest number of tries of a request. Defaults to `4`; `1` never retries.
        first_wait: float. The longest first wait, in seconds. Defaults to `0.1`.
        longest_wait: float. No wait is longer, in seconds. Defaults to `2.0`.
        seed: int or None. Seed of the random waits. Defaults to None, different waits in every client.

    Raises:
        ValueError: if `attempts` is not positive, or a wait is negative.
    """

    attempts: int = 4
    first_wait: float = 0.1
    longest_wait: float = 2.0
    seed: int | None = None

    def __post_init__(self) -> None:
        check_positive_int("Retries", "attempts", self.attempts, "Use 1 to never retry.")
        for name in ("first_wait", "longest_wait"):
            check_nonnegative_number("Retries", name, getattr(self, name), "Give it in seconds.")

    def waits(self, generator: random.Random) -> Iterator[float]:
        """Yields the seconds between one try and the next, `attempts - 1` of them."""
        for number in range(self.attempts - 1):
            longest = min(self.first_wait * 2.0**number, self.longest_wait)
            yield longest * (0.5 + 0.5 * generator.random())
