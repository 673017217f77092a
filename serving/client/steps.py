"""A call as a generator of steps, which a thread or an event loop carries out.

What a client does (fetch the schema once, check, send, wait, send again) is written once, as a generator that sends
and waits by yielding. `run_steps` does what it yields in the calling thread, `run_steps_async` in the event loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tfmtl.serving.serving_error import ServingError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Exchange:
    """Send `request` and come back with the answer, within `timeout` seconds."""

    request: Any
    timeout: float


@dataclass(frozen=True)
class Wait:
    """Wait for `seconds`."""

    seconds: float


Steps: TypeAlias = Generator[Exchange | Wait, Any, Result]


def run_steps(
    steps: Steps[Result], send: Callable[[Any, float], Any], sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Carries out the steps in this thread and returns their result.

    Args:
        steps: the generator.
        send: takes a request and a timeout and returns the answer; raises `ServingError` or `TimeoutError`, which the
            steps see where they yielded.
        sleep: waits. Defaults to `time.sleep`.
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = send(step.request, step.timeout) if isinstance(step, Exchange) else None
                if isinstance(step, Wait):
                    sleep(step.seconds)
            except (ServingError, TimeoutError) as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # it is what the generator returned
    finally:
        steps.close()


async def run_steps_async(
    steps: Steps[Result],
    send: Callable[[Any, float], Awaitable[Any]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Result:
    """As `run_steps`, in the running event loop."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await (sleep(step.seconds) if isinstance(step, Wait) else send(step.request, step.timeout))
            except (ServingError, TimeoutError) as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        steps.close()
