"""Checks of REST requests and connections before the service reads them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from tfmtl.serving.server.admission import Admission
from tfmtl.serving.server.beside_loop import SMALL_BYTES
from tfmtl.serving.server.limits import Limits, too_large
from tfmtl.serving.server.security import Security
from tfmtl.serving.serving_error import ServingError, invalid_argument

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_WATCH_SECONDS = 0.5
_BODIES = 16  # of the largest size that are held at once
BODY = web.RequestKey("body", bytes)  # where a request keeps its body, once it is whole


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info:
        record.msg, record.args = f"{record.getMessage()}: {str(record.exc_info[1])[:200]!r}", None
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True


# For aiohttp. What reaches it are bytes that are no HTTP: a line each, for a traceback a request would fill the disk.
http_logger = logging.getLogger("serving.http")
http_logger.addFilter(_without_traceback)


class RestGuard:
    """Checks the token, reads the body with a time limit, counts the requests under way, and closes idle connections.

    Args:
        limits: Limits. See there.
        security: Security. Whose token a request has to carry, and what it says of browsers.
        host: str. The address that the server listens on.

    Attributes:
        admission: Admission. The requests under way.
    """

    def __init__(self, limits: Limits, security: Security, host: str) -> None:
        self._limits = limits
        self._security = security
        self._host = host
        self.admission = Admission(limits.max_requests)
        self._held_bytes = 0
        self._bytes_of: dict[web.RequestHandler, int] = {}  # of a body that is being read or answered
        # Connection -> since when it has been without a request, and how long it may be; None while it has one.
        self._idle_since: dict[web.RequestHandler, tuple[float, float] | None] = {}

    @web.middleware
    async def check(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """The middleware. Raises `ServingError` for what is refused."""
        self._security.check_origin(request.headers.get("Host"), request.headers.get("Origin"), self._host)
        authorization = request.headers.get("Authorization")
        if not self._security.is_allowed(request.path, authorization):
            raise ServingError(
                "UNAUTHENTICATED",
                "The server's token must come in the header 'Authorization: Bearer <token>'. "
                f"Received: {'none' if authorization is None else 'another'}.",
            )
        self._idle_since[request.protocol] = None
        try:
            with self.admission.known():
                # Only complete requests take a place: a client that sends byte by byte must not block others.
                await self._read(request)
                with self.admission.placed():
                    return await handler(request)
        finally:
            self._held_bytes -= self._bytes_of.pop(request.protocol, 0)
            self._idle_since[request.protocol] = (time.monotonic(), self._limits.idle_seconds)

    async def watch(self, server: web.Server) -> None:
        """Closes, without end, connections that are idle for too long or too many.

        A client that sends a request's head byte by byte has no request yet, so its connection counts as idle.
        """
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            now = time.monotonic()
            new = (now, self._limits.read_seconds)
            self._idle_since = {each: self._idle_since.get(each, new) for each in server.connections}
            num_too_many = len(self._idle_since) - self._limits.max_connections
            idle = [(state, connection) for connection, state in self._idle_since.items() if state is not None]
            for index, ((since, seconds), connection) in enumerate(sorted(idle, key=lambda each: each[0])):
                if index < num_too_many or since + seconds < now:
                    connection.force_close()

    async def _read(self, request: web.Request) -> None:
        """Reads the body, which the request then keeps."""
        if (request.content_length or 0) > self._limits.max_message_bytes:
            raise self._body_too_large(f"{request.content_length} bytes")
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                await self._read_parts(request)
        except TimeoutError as error:
            raise ServingError(
                "DEADLINE_EXCEEDED",
                f"The body must arrive within {self._limits.read_seconds:g} s (the server's --read-seconds).",
                http_status=408,
            ) from error
        except web.RequestPayloadError as error:
            raise invalid_argument(f"The body cannot be read: {error}.") from error

    async def _read_parts(self, request: web.Request) -> None:
        """Counts the bytes of all bodies as they come: a thousand that never end would fill the memory."""
        body = bytearray()
        while part := await request.content.readany():
            self._bytes_of[request.protocol] = len(body) + len(part)
            self._held_bytes += len(part)
            body += part
            if len(body) > self._limits.max_message_bytes:
                raise self._body_too_large("more")
            # A small one passes even then, or few large ones could keep out everybody.
            if len(body) > SMALL_BYTES and self._held_bytes > _BODIES * self._limits.max_message_bytes:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    f"The bodies that are under way must not exceed {_BODIES} times {self._limits.message_text}. "
                    "Try again later.",
                )
        request[BODY] = bytes(body)

    def _body_too_large(self, received: str) -> ServingError:
        return too_large(f"The body must not exceed {self._limits.message_text}. Received: {received}.")
