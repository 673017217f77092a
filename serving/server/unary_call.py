"""A gRPC call of one message and one answer, whatever serves it."""

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar

from tfmtl.serving.server.admission import Admission

Call = TypeVar("Call")


class UnaryCall(ABC):
    """A call that any thread may answer, once; what comes later is dropped.

    Args:
        method: str. Such as `"/package.Service/Method"`.
        deadline: float or None. On the clock of `time.monotonic`.

    Attributes:
        method: str.
        deadline: float or None.
    """

    __slots__ = ("_is_over", "_lock", "_watchers", "deadline", "method")

    def __init__(self, method: str, deadline: float | None) -> None:
        self.method = method
        self.deadline = deadline
        self._lock = threading.Lock()
        self._is_over = False
        self._watchers: list[Callable[[bool], object]] = []

    def watch(self, watcher: Callable[[bool], object]) -> None:
        """Has `watcher` called when the call is over: with True just before its answer is sent, False if none is."""
        with self._lock:
            if not self._is_over:
                self._watchers.append(watcher)
                return
        watcher(False)

    def answer(self, message: bytes) -> None:
        """Answers with a serialized message."""
        self._end(message, "OK", "")

    def refuse(self, code: str, message: str) -> None:
        """Answers with an error: gRPC's name of the status, and a text."""
        self._end(None, code, message)

    def give_up(self) -> None:
        """Has nothing more sent, as if the client had gone."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
        if not was_over:
            self._tell(False)

    @abstractmethod
    def _send(self, message: bytes | None, code: str, text: str) -> None:
        """Sends the answer. Called once, by any thread."""

    def _end(self, message: bytes | None, code: str, text: str) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._tell(True)  # first, or a client that has its answer could ask again before it is no longer counted
        self._send(message, code, text)

    def _tell(self, was_answered: bool) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher(was_answered)


# Called with a call and its message. It must not take long.
Method: TypeAlias = Callable[[UnaryCall, bytes], None]


class UnaryServer(Protocol):
    """Takes calls and passes them to methods. Belongs to the event loop in which it is made.

    Before a method sees a message its token is checked, its time and size, and that not too many are under way.
    """

    admission: Admission

    def open(self, address: str) -> int:
        """Opens a port and returns its number; raises `RuntimeError` if it cannot be opened."""

    async def start(self) -> None:
        """Begins to take calls."""

    async def stop(self, seconds: float) -> None:
        """Takes no more calls, and gives up what is not answered after `seconds`."""


def crowd(peers: Mapping[Call, str]) -> list[Call]:
    """The older half of the calls of the peer that has the most, to make room: that is rarely done then.

    Args:
        peers: call -> the other end of its connection, the oldest first.
    """
    ((most, count),) = Counter(peers.values()).most_common(1)
    return [call for call, peer in peers.items() if peer == most][: (count + 1) // 2]


def no_message(method: str) -> str:
    """What is said to a call without a message."""
    return f"{method} was called without a message."


CROWDED = "Too many calls wait for their message. Send it with the call."
NO_METHOD = "Method not found!"
