"""Keeps the daily tests (`make check`) from starting processes and servers."""

import contextlib
import multiprocessing.process
import sys
from collections.abc import Iterator
from typing import Any

_STARTS = frozenset(
    ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "socket.bind")
)
_forbidden = False


class StartedSomething(BaseException):
    """A test of `make check` wanted to start a process or a server; no `except Exception` may hide it."""


def _refuse(event: str) -> None:
    text = "A test of `make check` must start no process and no server. Received: a call of "
    raise StartedSomething(text + f"{event}. Mark the test with @pytest.mark.process.")


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if _forbidden and event in _STARTS:
        _refuse(event)


sys.addaudithook(_audit)  # for good: hooks cannot be taken away
_start = multiprocessing.process.BaseProcess.start


def _start_if_allowed(process: multiprocessing.process.BaseProcess) -> None:
    if _forbidden:
        _refuse("multiprocessing")  # whose spawned processes no hook hears of
    _start(process)


multiprocessing.process.BaseProcess.start = _start_if_allowed  # type: ignore[method-assign]


@contextlib.contextmanager
def nothing_started(forbidden: bool = True) -> Iterator[None]:
    """In its block, whatever starts a process or listens at a port raises `StartedSomething`, if `forbidden`."""
    global _forbidden
    before, _forbidden = _forbidden, forbidden
    try:
        yield
    finally:
        _forbidden = before
