"""One gRPC call, from its arrival to its answer."""

import threading
from collections.abc import Callable
from typing import Any

from grpc._cython import cygrpc

from serving.serving_error import STATUS_CODES

_NO_FLAGS = 0
_OK = STATUS_CODES.index("OK")


class GrpcCall:
    """A call of one message that will have one answer. Any thread may answer it, once; what comes later is dropped.

    Args:
        core: the call as gRPC's core knows it.
        method: str. Such as `"/package.Service/Method"`.
        deadline: float or None. On the clock of `time.monotonic`.
        closed: called with the call, in the thread that polls, when the core has done with it.

    Attributes:
        method: str.
        deadline: float or None.
    """

    __slots__ = ("_closed", "_core", "_is_over", "_lock", "_watchers", "deadline", "method")

    def __init__(self, core: Any, method: str, deadline: float | None, closed: Callable[["GrpcCall"], None]) -> None:
        self.method = method
        self.deadline = deadline
        self._core = core
        self._closed = closed
        self._lock = threading.Lock()
        self._is_over = False
        self._watchers: list[Callable[[bool], object]] = []
        # Its event comes when the answer is sent or the client has gone.
        core.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._close)

    def peer(self) -> str:
        """The other end of the connection. For the thread that polls, while the call is open."""
        return "" if self._core is None else str(self._core.peer())

    def watch(self, watcher: Callable[[bool], object]) -> None:
        """Has `watcher` called when the call is over: with True just before its answer is sent, False if none is."""
        with self._lock:
            if not self._is_over:
                self._watchers.append(watcher)
                return
        watcher(False)

    def receive(self, receiver: Callable[["GrpcCall", bytes | None], None]) -> None:
        """Has `receiver` called with the message, or None if there is none, in the thread that polls."""
        self._core.start_server_batch(
            (cygrpc.ReceiveMessageOperation(_NO_FLAGS),),
            lambda event: receiver(self, event.batch_operations[0].message()),
        )

    def answer(self, message: bytes) -> None:
        """Answers with a serialized message."""
        self._end(cygrpc.SendMessageOperation(message, _NO_FLAGS), code=_OK)

    def refuse(self, code: str, message: str) -> None:
        """Answers with an error: gRPC's name of the status, and a text."""
        self._end(code=STATUS_CODES.index(code), details=message.encode("utf-8", "replace"))

    def give_up(self) -> None:
        """Has the core told nothing more, as if the client had gone. For the thread that polls."""
        with self._lock:
            was_over, self._is_over = self._is_over, True
            self._core = None
        if not was_over:
            self._tell(False)

    def _end(self, *operations: Any, code: int, details: bytes = b"") -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._tell(True)  # first, or a client that has its answer could ask again before it is no longer counted
        with self._lock:
            if self._core is not None:
                self._core.start_server_batch(
                    (
                        cygrpc.SendInitialMetadataOperation((), _NO_FLAGS),
                        *operations,
                        cygrpc.SendStatusFromServerOperation((), code, details, _NO_FLAGS),
                    ),
                    _nothing,
                )

    def _close(self, event: Any) -> None:
        self._closed(self)
        if event.batch_operations[0].cancelled():
            self.give_up()

    def _tell(self, was_answered: bool) -> None:
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher(was_answered)


def _nothing(event: Any) -> None:
    """For events after which there is nothing to do."""
