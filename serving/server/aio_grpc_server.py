"""A gRPC server on `grpc.aio`, for versions of gRPC with an unknown core."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

import grpc
import grpc.aio

from tfmtl.serving.server.admission import Admission
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.security import Security
from tfmtl.serving.server.unary_call import CROWDED, NO_METHOD, Method, UnaryCall, crowd, no_message
from tfmtl.serving.serving_error import ServingError, internal_error

logger = logging.getLogger(__name__)


class AioGrpcServer:
    """Implements `UnaryServer`. It spends four times the processor time of `GrpcServer` on a call.

    Args:
        methods: mapping of path, such as `"/package.Service/Method"`, to what answers, in the event loop.
        limits: Limits. See there.
        security: Security. Whose token a call has to carry, and TLS.

    Attributes:
        admission: Admission. The calls under way.
    """

    def __init__(self, methods: Mapping[str, Method], limits: Limits, security: Security) -> None:
        self.admission = Admission(limits.max_requests)
        self._methods = methods
        self._limits = limits
        self._security = security
        self._server = grpc.aio.server(options=limits.grpc_options())
        self._server.add_generic_rpc_handlers((_Handlers(self._answer),))
        self._unread: dict[asyncio.Timeout, str] = {}  # calls without a message -> peer, the oldest first
        self._crowded: set[asyncio.Timeout] = set()

    def open(self, address: str) -> int:
        """Opens a port and returns its number; raises `RuntimeError` if it cannot be opened."""
        credentials = self._security.grpc_credentials()
        if credentials is None:
            return int(self._server.add_insecure_port(address))
        return int(self._server.add_secure_port(address, credentials))

    async def start(self) -> None:
        """Begins to take calls."""
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Takes no more calls, and gives up what is not answered after `seconds`."""
        await self._server.stop(seconds)

    async def _answer(
        self, method: str, authorization: str | bytes | None, messages: AsyncIterator[bytes], context: Any
    ) -> bytes:
        remaining = context.time_remaining()
        call = _AioCall(method, None if remaining is None else time.monotonic() + remaining)
        try:
            await self._begin(call, authorization, messages, context.peer())
            message, code, text = await call.outcome
        except asyncio.CancelledError:
            call.give_up()
            raise
        if message is None:
            await context.abort(getattr(grpc.StatusCode, code), text)
        return message or b""

    async def _begin(
        self, call: UnaryCall, authorization: str | bytes | None, messages: AsyncIterator[bytes], peer: str
    ) -> None:
        """Reads the message and passes it to its method, or refuses the call."""
        refusal = self._security.grpc_refusal(call.method, authorization)
        if refusal is not None:
            call.refuse("UNAUTHENTICATED", refusal)
        elif call.method not in self._methods:
            call.refuse("UNIMPLEMENTED", NO_METHOD)
        else:
            try:
                self.admission.begin()
                call.watch(lambda _: self.admission.end())
                message = await self._read(call, messages, peer)
                # Only now: a client that sends a head but no message must not take a place from others.
                self.admission.enter()
                call.watch(lambda _: self.admission.leave())
                self._methods[call.method](call, message)
            except ServingError as error:
                call.refuse(error.code, error.message)
            except Exception as error:
                logger.exception("gRPC call failed.")
                call.refuse("INTERNAL", internal_error(error).message)

    async def _read(self, call: UnaryCall, messages: AsyncIterator[bytes], peer: str) -> bytes:
        if len(self._unread) >= self._limits.max_requests:
            for scope in crowd(self._unread):
                self._crowded.add(scope)
                del self._unread[scope]
                scope.reschedule(0.0)
        scope = asyncio.timeout(self._limits.read_seconds)
        try:
            async with scope:
                self._unread[scope] = peer
                message = await anext(messages, None)
        except TimeoutError as error:
            if scope in self._crowded:
                raise ServingError("RESOURCE_EXHAUSTED", CROWDED) from error
            raise ServingError("DEADLINE_EXCEEDED", self._limits.late_text(call.method)) from error
        finally:
            self._unread.pop(scope, None)
            self._crowded.discard(scope)
        if message is None:
            raise ServingError("INVALID_ARGUMENT", no_message(call.method))
        self._limits.check_message(call.method, message)
        return message


class _AioCall(UnaryCall):
    """A `UnaryCall` whose outcome is awaited: the message or None, the code and the text."""

    __slots__ = ("_loop", "outcome")

    def __init__(self, method: str, deadline: float | None) -> None:
        super().__init__(method, deadline)
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[tuple[bytes | None, str, str]] = self._loop.create_future()

    def _send(self, message: bytes | None, code: str, text: str) -> None:
        if not self._loop.is_closed():  # no caller waits any more
            self._loop.call_soon_threadsafe(self._resolve, (message, code, text))

    def _resolve(self, outcome: tuple[bytes | None, str, str]) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class _Handlers(grpc.GenericRpcHandler):
    """Hands every call to one coroutine, before its message is there: on the wire a stream of one looks the same."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        authorization = dict(details.invocation_metadata).get("authorization")
        return grpc.stream_unary_rpc_method_handler(partial(self._answer, details.method, authorization))
