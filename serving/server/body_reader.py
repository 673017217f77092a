"""Read REST bodies: small ones at once, large ones in separate processes."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from concurrent.futures import Executor
from pathlib import Path

import tfmtl
from tfmtl.serving.server.beside_loop import SMALL_BYTES, beside_loop
from tfmtl.serving.server.body_process import LENGTHS, make_question, read_answer
from tfmtl.serving.server.json_body import JsonBody, read_examples, read_predict, unpack
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.served_model import ServedModel
from tfmtl.serving.serving_error import ServingError

_ROOT = Path(str(tfmtl.__file__)).resolve().parents[1]
_NUM_PROCESSES = max(1, (os.cpu_count() or 1) // 2)


class BodyReader:
    """Reads the bodies of requests; belongs to one event loop.

    Processes are started when they are needed and then kept. One that ends is replaced.

    Args:
        pool: Executor. Where their answers are read.
        limits: Limits. Of bytes, values, rows and memory.
    """

    def __init__(self, pool: Executor, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._free = asyncio.Semaphore(_NUM_PROCESSES)
        self._idle: list[asyncio.subprocess.Process] = []
        self._questions: set[asyncio.Task[tuple[bytes, bytes]]] = set()

    async def read(self, body: bytes, encoding: str, model: ServedModel, is_predict: bool) -> JsonBody:
        """Reads a body.

        Args:
            body: as it came.
            encoding: str. How it is packed: `"identity"` or `"gzip"`.
            model: ServedModel. The version that is asked.
            is_predict: bool. Else it is the body of Classify or Regress.

        Raises:
            ServingError: whatever is wrong with it; `UNAVAILABLE` if the process that read it was ended.
        """
        text = unpack(body, encoding, SMALL_BYTES) if len(body) <= SMALL_BYTES else None
        if text is not None:
            if is_predict:
                return read_predict(text, model.signatures, model.version, self._limits)
            return read_examples(text, self._limits)
        definitions = model.signature_def_map.SerializeToString() if is_predict else None
        question = make_question(body, encoding, definitions, model.version, self._limits)
        # A client that goes away must not leave half an answer in a pipe.
        head, tensors = await asyncio.shield(self._start(self._ask(question)))
        return await beside_loop(self._pool, len(tensors), read_answer, head, tensors)

    async def close(self) -> None:
        """Ends the processes."""
        for question in list(self._questions):
            question.cancel()
        for process in self._idle:
            await _end(process)

    def _start(self, work: Coroutine[None, None, tuple[bytes, bytes]]) -> "asyncio.Task[tuple[bytes, bytes]]":
        task = asyncio.get_running_loop().create_task(work)
        self._questions.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[tuple[bytes, bytes]]") -> None:
        self._questions.discard(task)
        if not task.cancelled():
            task.exception()  # the client may have gone away

    async def _ask(self, question: bytes) -> tuple[bytes, bytes]:
        async with self._free:
            self._idle = [process for process in self._idle if process.returncode is None]
            process = self._idle.pop() if self._idle else await _begin()
            assert process.stdin is not None and process.stdout is not None  # for mypy: they are pipes
            try:
                process.stdin.write(question)
                await process.stdin.drain()
                lengths = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
                head, tensors, _ = [await process.stdout.readexactly(length) for length in lengths]
            except (OSError, EOFError) as error:
                await _end(process)
                raise ServingError("UNAVAILABLE", "The process that read the body has ended. Try again.") from error
            except asyncio.CancelledError:
                await _end(process)
                raise
            self._idle.append(process)
            return head, tensors


async def _begin() -> asyncio.subprocess.Process:
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing from the current folder
        "-m",
        "tfmtl.serving.server.body_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
