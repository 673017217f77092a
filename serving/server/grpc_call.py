"""One call of gRPC's core, from its arrival to its answer."""

from collections.abc import Callable
from typing import Any

from grpc._cython import cygrpc

from tfmtl.serving.server.unary_call import UnaryCall
from tfmtl.serving.serving_error import STATUS_CODES

_NO_FLAGS = 0


class GrpcCall(UnaryCall):
    """A `UnaryCall` as gRPC's core knows it.

    Args:
        core: the call as gRPC's core knows it.
        method: str. Such as `"/package.Service/Method"`.
        deadline: float or None. On the clock of `time.monotonic`.
        closed: called with the call, in the thread that polls, when the core has done with it.
    """

    __slots__ = ("_closed", "_core")

    def __init__(self, core: Any, method: str, deadline: float | None, closed: Callable[["GrpcCall"], None]) -> None:
        super().__init__(method, deadline)
        self._core = core
        self._closed = closed
        # Its event comes when the answer is sent or the client has gone.
        core.start_server_batch((cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._close)

    def peer(self) -> str:
        """The other end of the connection. For the thread that polls, while the call is open."""
        return "" if self._core is None else str(self._core.peer())

    def receive(self, receiver: Callable[["GrpcCall", bytes | None], None]) -> None:
        """Has `receiver` called with the message, or None if there is none, in the thread that polls."""
        self._core.start_server_batch(
            (cygrpc.ReceiveMessageOperation(_NO_FLAGS),),
            lambda event: receiver(self, event.batch_operations[0].message()),
        )

    def give_up(self) -> None:
        """Has the core told nothing more, as if the client had gone. For the thread that polls."""
        with self._lock:
            self._core = None
        super().give_up()

    def _send(self, message: bytes | None, code: str, text: str) -> None:
        operations = () if message is None else (cygrpc.SendMessageOperation(message, _NO_FLAGS),)
        number, details = STATUS_CODES.index(code), text.encode("utf-8", "replace")
        with self._lock:
            if self._core is not None:
                self._core.start_server_batch(
                    (
                        cygrpc.SendInitialMetadataOperation((), _NO_FLAGS),
                        *operations,
                        cygrpc.SendStatusFromServerOperation((), number, details, _NO_FLAGS),
                    ),
                    _nothing,
                )

    def _close(self, event: Any) -> None:
        self._closed(self)
        if event.batch_operations[0].cancelled():
            self.give_up()


def _nothing(event: Any) -> None:
    """For events after which there is nothing to do."""
