"""Run long work outside of the event loop, so that other requests do not wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

SMALL_BYTES = 64 * 1024  # a thread and back costs as much as reading some kilobytes

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


async def beside_loop(
    pool: Executor, size: int, function: Callable[[*Arguments], Result], *arguments: *Arguments
) -> Result:
    """Calls `function`, in a thread if there is much data.

    Args:
        pool: Executor. Has the threads.
        size: int. Bytes to go through; up to 64 KiB are no work for a thread.
        function: what to call.
        *arguments: its arguments.
    """
    if size <= SMALL_BYTES:
        return function(*arguments)
    return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
