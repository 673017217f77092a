"""A request in the queue of the batcher."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from tfmtl.serving.server.batch_rows import Arrays

Outputs: TypeAlias = dict[str, npt.NDArray[Any]]
Deliver: TypeAlias = Callable[[Outputs | Exception], Callable[[], None] | None]


@dataclass(eq=False, slots=True)
class QueuedRequest:
    """A request on its way through a `RequestBatcher`, which makes it.

    Args:
        inputs: mapping of input name to array.
        output_filter: names of the outputs to return; none returns all.
        rows: int.
        deadline: float or None. On the clock of `time.monotonic`.
        deliver: called once, from a thread of the batcher, with the outputs or with what went wrong. It must not take
            long. What it returns, if anything, is called when the answers of the whole batch are made.
        is_cancelled: bool. Defaults to False.
    """

    inputs: Arrays
    output_filter: Sequence[str]
    rows: int
    deadline: float | None
    deliver: Deliver
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Has the request not computed, if that has not begun, and not answered."""
        self.is_cancelled = True

    def is_alive(self, now: float) -> bool:
        """Whether the client still waits for the answer."""
        return not self.is_cancelled and (self.deadline is None or now <= self.deadline)
