"""What every gRPC request passes before a service sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc._cython import cygrpc

from serving.server.admission import Admission
from serving.server.limits import Limits
from serving.server.security import Security
from serving.serving_error import ServingError

_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]


class GrpcGuard(grpc.aio.ServerInterceptor):
    """Checks the token, counts the requests under way, and reads the message with a time limit.

    gRPC by itself waits for a message without end, and answers one that it cannot parse with `UNKNOWN` and a
    traceback in the log.

    Args:
        limits: Limits. See there.
        security: Security. Whose token a request has to carry.

    Attributes:
        admission: Admission. The requests under way.
    """

    def __init__(self, limits: Limits, security: Security) -> None:
        self._limits = limits
        self._security = security
        self.admission = Admission(limits.max_requests)

    async def intercept_service(self, continuation: _Continuation, details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(details)
        if handler is None:  # gRPC answers that there is no such method
            return None
        metadata = dict(details.invocation_metadata or ())
        if not self._security.is_allowed(details.method, metadata.get("authorization")):
            return _refusal(
                handler,
                grpc.StatusCode.UNAUTHENTICATED,
                "The server's token must come as metadata 'authorization: Bearer <token>'. "
                f"Received: {'another' if 'authorization' in metadata else 'none'}.",
            )
        if handler.unary_unary is None:
            return handler
        return self._guard(handler, details.method)

    def _guard(self, handler: Any, method: str) -> Any:
        async def answer(_: Any, context: Any) -> Any:
            try:
                with self.admission.admit():
                    return await handler.unary_unary(await self._read(handler, method, context), context)
            except ServingError as error:  # it was not let in; a service answers its errors itself
                return await context.abort(grpc.StatusCode[error.code], error.message)

        # On the wire the same as a method of one message, but this one reads its message itself.
        return grpc.stream_unary_rpc_method_handler(answer, None, handler.response_serializer)

    async def _read(self, handler: Any, method: str, context: Any) -> Any:
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                data = await context.read()
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"The message of {method} must arrive within {self._limits.read_seconds:g} s "
                "(the server's --read-seconds).",
            )
        if data is grpc.aio.EOF:
            try:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{method} was called without a message.")
            except cygrpc.ExecuteBatchError as error:  # it was too large even for gRPC, or the client is gone
                raise asyncio.CancelledError from error
        size = len(data)
        if size > self._limits.max_message_bytes:
            del data  # the exception would hold it
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The message of {method} must not exceed {self._limits.message_text}. Received: {size} bytes.",
            )
        try:
            return handler.request_deserializer(data)
        except Exception as error:  # protobuf's, and whatever a deserializer may raise
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, f"The message of {method} cannot be parsed: {str(error)[:500]}"
            )


def _refusal(handler: Any, code: grpc.StatusCode, message: str) -> Any:
    async def refuse(_: Any, context: Any) -> None:
        await context.abort(code, message)

    async def refuse_stream(_: Any, context: Any) -> Any:
        await context.abort(code, message)
        yield  # a generator, as a method that answers in a stream has to be

    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    return grpc.stream_unary_rpc_method_handler(refuse)
