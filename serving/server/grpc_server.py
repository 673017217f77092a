"""A gRPC server of calls that have one message and one answer."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from grpc._cython import cygrpc

from tfmtl.serving.server.admission import Admission
from tfmtl.serving.server.free_memory import give_memory_back
from tfmtl.serving.server.grpc_call import GrpcCall
from tfmtl.serving.server.limits import Limits
from tfmtl.serving.server.security import Security
from tfmtl.serving.server.unary_call import CROWDED, NO_METHOD, Method, crowd, no_message
from tfmtl.serving.serving_error import ServingError, internal_error

logger = logging.getLogger(__name__)

_CALLS_AHEAD = 64  # that the core may hand over before it is asked for more
_LONGEST_POLL_SECONDS = 3600.0
_TRIM_SECONDS = 0.2  # so that many such messages cost one trim


class GrpcServer:
    """Implements `UnaryServer`: one thread takes calls from gRPC's core and passes them to methods.

    This is what `grpc.server` and `grpc.aio.server` are made of. The first spends two changes of threads on a call,
    the second some ten tasks and futures; both cost six times what the core itself needs, and as much as all the rest
    of a request to a small model. Before a method sees a message its token is checked, its time and size, and that not
    too many are under way.

    Args:
        methods: mapping of path, such as `"/package.Service/Method"`, to what answers. It is called with the call and
            its message in the thread that polls, and must not take long there.
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
        self._queue = cygrpc.CompletionQueue()
        self._server = cygrpc.Server(tuple(limits.grpc_options()), False)
        self._server.register_completion_queue(self._queue)
        self._open: set[GrpcCall] = set()
        self._unread: dict[GrpcCall, float] = {}  # until when their messages must be here, the first first
        self._trim_at = math.inf
        self._is_stopping = self._has_ended = False
        # The core may not be told anything while another thread ends it, nor afterwards.
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._poll_until_stopped, name="grpc", daemon=True)

    def open(self, address: str) -> int:
        """Opens a port and returns its number.

        Raises:
            RuntimeError: if it cannot be opened.
        """
        credentials = self._security.grpc_credentials()
        more = () if credentials is None else (credentials._credentials,)
        port = int(self._server.add_http2_port(address.encode(), *more))
        if port == 0:
            raise RuntimeError(f"GrpcServer: cannot listen on {address}.")
        return port

    async def start(self) -> None:
        """Begins to take calls."""
        self._server.start()
        for _ in range(_CALLS_AHEAD):
            self._ask_for_call()
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Takes no more calls, and gives up what is not answered after `seconds`."""
        with self._ending:
            self._is_stopping = True
            self._server.shutdown(self._queue, self._finish)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._thread.join, seconds)
        with self._ending:
            if not self._has_ended:
                self._server.cancel_all_calls()
        await loop.run_in_executor(None, self._thread.join)

    # === The thread that polls ===

    def _poll_until_stopped(self) -> None:
        while True:
            event = self._queue.poll(time.time() + self._seconds_to_next())
            if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                return
            if event.completion_type != cygrpc.CompletionType.queue_timeout:
                try:
                    event.tag(event)
                except Exception:  # as below
                    logger.exception("gRPC event failed.")
            event = None  # it would hold its call while this waits
            self._do_what_is_due()

    def _ask_for_call(self) -> None:
        with self._ending:
            if not self._is_stopping:
                self._server.request_call(self._queue, self._queue, self._take)

    def _finish(self, event: Any) -> None:
        with self._ending:
            self._has_ended = True
            self._server.destroy()
        for call in list(self._open):
            call.give_up()
        self._queue.shutdown()

    def _take(self, event: Any) -> None:
        if self._has_ended or not event.success:
            return
        self._ask_for_call()
        details = event.call_details
        remaining = details.deadline - time.time()
        now = time.monotonic()
        method = details.method.decode("utf-8", "replace")
        # Without a deadline the core's is at the end of its time.
        call = GrpcCall(event.call, method, now + remaining if remaining < 1e9 else None, self._open.discard)
        self._open.add(call)
        refusal = self._security.grpc_refusal(method, dict(event.invocation_metadata).get("authorization"))
        if refusal is not None:
            call.refuse("UNAUTHENTICATED", refusal)
            return
        if method not in self._methods:
            call.refuse("UNIMPLEMENTED", NO_METHOD)
            return
        try:
            self.admission.begin()
        except ServingError as error:
            call.refuse(error.code, error.message)
            return
        call.watch(lambda _: self.admission.end())
        if len(self._unread) >= self._limits.max_requests:
            self._refuse_unread()
        self._unread[call] = now + self._limits.read_seconds
        call.receive(self._read)

    def _read(self, call: GrpcCall, message: bytes | None) -> None:
        if self._unread.pop(call, None) is None:  # it was given up
            return
        if message is None:
            # If it was too large even for the core, that has told the client so, and this goes nowhere.
            # What it had unpacked by then lies in blocks that the allocator would keep.
            self._trim_at = min(self._trim_at, time.monotonic() + _TRIM_SECONDS)
            call.refuse("INVALID_ARGUMENT", no_message(call.method))
            return
        try:
            self._limits.check_message(call.method, message)
            # Only now: a client that sends a head but no message must not take a place from others.
            self.admission.enter()
            call.watch(lambda _: self.admission.leave())
            self._methods[call.method](call, message)
        except ServingError as error:
            call.refuse(error.code, error.message)
        except Exception as error:  # this thread has to serve all others
            logger.exception("gRPC call failed.")
            call.refuse("INTERNAL", internal_error(error).message)

    def _refuse_unread(self) -> None:
        """Makes room among the calls without a message, at the cost of the connection that has the most of them."""
        for call in crowd({call: call.peer() for call in self._unread}):
            del self._unread[call]
            call.refuse("RESOURCE_EXHAUSTED", CROWDED)

    def _seconds_to_next(self) -> float:
        due = min(self._trim_at, next(iter(self._unread.values()), math.inf))
        return min(_LONGEST_POLL_SECONDS, max(0.0, due - time.monotonic()))

    def _do_what_is_due(self) -> None:
        if self._trim_at <= time.monotonic():
            self._trim_at = math.inf
            give_memory_back()
        while self._unread:
            call, until = next(iter(self._unread.items()))
            if until > time.monotonic():
                return
            del self._unread[call]
            call.refuse("DEADLINE_EXCEEDED", self._limits.late_text(call.method))
